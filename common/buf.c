#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct buf buf_fixed(void *mem, size_t size)
{
	return (struct buf){ .p = mem, .cap = size, .max = size };
}

struct buf buf_growing(size_t max)
{
	return (struct buf){ .max = max, .grows = true };
}

void buf_fini(struct buf *b)
{
	if (b->grows)
		free(b->p);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
}

void *buf_reserve(struct buf *b, size_t len)
{
	if (b->overflow)
		return NULL;
	if (len <= b->cap - b->len)
		return b->p + b->len;
	if (!b->grows || len > b->max - b->len)
		goto fail;

	/* A large limit means a message, which would otherwise be moved several times while it grows. */
	size_t cap = MAX(b->cap * 2, (size_t)(b->max >= 32768 ? 2048 : 256));
	cap = MIN(MAX(cap, b->len + len), b->max);
	char *p = realloc(b->p, cap);
	if (p == NULL)
		goto fail;
	b->p = p;
	b->cap = cap;
	return b->p + b->len;
fail:
	b->overflow = true;
	return NULL;
}

void buf_put(struct buf *b, const void *p, size_t len)
{
	if (len == 0)
		return;
	void *to = buf_reserve(b, len);

	if (to == NULL)
		return;
	memcpy(to, p, len);
	b->len += len;
}

void buf_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.len);
}

void buf_z(struct buf *b, const char *z)
{
	buf_put(b, z, strlen(z));
}

void buf_char(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_put(b, digits + i, sizeof(digits) - i);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	/* vsnprintf writes a NUL, so one byte more than the text is reserved. */
	char *to = n >= 0 ? buf_reserve(b, (size_t)n + 1) : NULL;
	if (to != NULL) {
		(void)vsnprintf(to, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void buf_json(struct buf *b, struct str s)
{
	buf_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_char(b, '\\');
		if (c < 0x20 || c >= 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_char(b, (char)c);
	}
	buf_char(b, '"');
}
