/* A bounded output buffer with a sticky error: writes past the limit set `overflow` and write nothing more, so that a builder is
 * straight-line code and checks once at the end. */
#ifndef DUPLEX_COMMON_BUF_H
#define DUPLEX_COMMON_BUF_H

#include <stdarg.h>

#include "common/str.h"

struct buf {
	char *p;       /* owned when `grows`, else the caller's memory */
	size_t len;    /* bytes written */
	size_t cap;    /* bytes allocated */
	size_t max;    /* never larger than this */
	bool grows;
	bool overflow; /* sticky: the limit was hit or memory ran out */
};

/* Over the caller's memory; nothing to free. */
struct buf buf_fixed(void *mem, size_t size);
/* Grows by malloc up to `max` bytes; release with buf_fini. */
struct buf buf_growing(size_t max);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b);

void buf_put(struct buf *b, const void *p, size_t len);
void buf_str(struct buf *b, struct str s);
void buf_z(struct buf *b, const char *z);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t n);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0);
/* `s` as a JSON string with its quotes (RFC 8259 §7). Bytes from 0x80 on become \u00XX, whatever they are: for foreign text that may be no
 * UTF-8. */
void buf_json(struct buf *b, struct str s);

/* Makes room for `len` more bytes and returns where they go, or NULL on overflow; then add to b->len what was written. */
void *buf_reserve(struct buf *b, size_t len);

static inline struct str buf_view(const struct buf *b)
{
	return (struct str){ b->p, b->len };
}

static inline enum err buf_err(const struct buf *b)
{
	return b->overflow ? ERR_TOO_LARGE : ERR_OK;
}

#endif
