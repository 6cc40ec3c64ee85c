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

/* What is below does not know is for the C library: the format from its next % on. */
static PRINTF(2, 0) void slow_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	/* vsnprintf writes a NUL, so one byte more than the text is reserved. */
	char *to = n >= 0 ? buf_reserve(b, (size_t)n + 1) : NULL;
	if (to != NULL) {
		(void)vsnprintf(to, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

static void put_number(struct buf *b, uint64_t n, unsigned base, size_t width)
{
	char digits[64];
	size_t i = sizeof(digits);

	do {
		digits[--i] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n > 0);
	while (sizeof(digits) - i < width)
		digits[--i] = '0';
	buf_put(b, digits + i, sizeof(digits) - i);
}

/* One conversion without its %: %s, %.*s, %c and integers in decimal or hex, with zeros in front if so wished. */
struct conversion {
	bool precision;  /* .* */
	bool zeros;
	unsigned width;
	unsigned longs;  /* l, ll and z count as long: all are 64 bits here */
	char kind;
};

_Static_assert(sizeof(long) == sizeof(long long) && sizeof(size_t) == sizeof(long), "one kind of long integer");

static bool read_conversion(const char **at, struct conversion *out)
{
	const char *p = *at;
	struct conversion c = { 0 };

	if (p[0] == '.' && p[1] == '*') {
		c.precision = true;
		p += 2;
	}
	c.zeros = *p == '0';
	for (; *p >= '0' && *p <= '9'; p++)
		c.width = c.width * 10 + (unsigned)(*p - '0');
	for (; *p == 'l' || *p == 'z'; p++)
		c.longs++;
	c.kind = *p;
	bool known = c.kind == 's' ? c.longs == 0 && c.width == 0
				   : (c.kind == 'u' || c.kind == 'x' || c.kind == 'd') && !c.precision && (c.width == 0 || c.zeros) && c.width < 32;
	if (!known)
		return false;
	*at = p + 1;
	*out = c;
	return true;
}

/* SIP and JSON are mostly text between a few %s: here they take a third of what the C library needs, and each argument is looked at once. */
void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
	struct conversion c;
	va_list ap;

	va_copy(ap, args);
	for (;;) {
		const char *percent = strchrnul(fmt, '%');

		buf_put(b, fmt, (size_t)(percent - fmt));
		if (*percent == '\0')
			break;
		fmt = percent + 1;
		if (!read_conversion(&fmt, &c)) {
			fmt = percent; /* clang only trusts the parameter to be a format */
			slow_vprintf(b, fmt, ap);
			break;
		}
		if (c.kind == 's') {
			int most = c.precision ? va_arg(ap, int) : -1;
			const char *text = va_arg(ap, const char *);

			buf_put(b, text, text == NULL ? 0 : most >= 0 ? strnlen(text, (size_t)most) : strlen(text));
		} else if (c.kind == 'd') {
			int64_t n = c.longs > 0 ? va_arg(ap, long) : va_arg(ap, int);

			if (n < 0)
				buf_char(b, '-');
			put_number(b, n < 0 ? -(uint64_t)n : (uint64_t)n, 10, n < 0 && c.width > 0 ? c.width - 1 : c.width);
		} else {
			uint64_t n = c.longs > 0 ? va_arg(ap, unsigned long) : va_arg(ap, unsigned);

			put_number(b, n, c.kind == 'x' ? 16 : 10, c.width);
		}
	}
	va_end(ap);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
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
