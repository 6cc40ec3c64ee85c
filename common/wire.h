/* Big-endian cursors over bytes from or for the network, with a sticky error: a read behind the end gives zero and sets `bad`; a
 * write behind the end writes nothing and sets `bad`. A codec is then straight-line code that checks once. */
#ifndef DUPLEX_COMMON_WIRE_H
#define DUPLEX_COMMON_WIRE_H

#include "common/str.h"

struct rd {
	const uint8_t *p, *end;
	bool bad;
};

struct wr {
	uint8_t *start, *p, *end;
	bool bad;
};

static inline uint16_t be16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32_get(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void be16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void be32_put(uint8_t *p, uint32_t v)
{
	be16_put(p, (uint16_t)(v >> 16));
	be16_put(p + 2, (uint16_t)v);
}

static inline struct rd rd_of(const void *p, size_t len)
{
	return (struct rd){ p, (const uint8_t *)p + len, false };
}

static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

/* `len` bytes, or NULL (and bad). */
static inline const uint8_t *rd_bytes(struct rd *r, size_t len)
{
	if (rd_left(r) < len) {
		r->bad = true;
		r->p = r->end;
		return NULL;
	}
	const uint8_t *at = r->p;
	r->p += len;
	return at;
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);
	return p != NULL ? *p : 0;
}

static inline uint16_t rd_u16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);
	return p != NULL ? be16_get(p) : 0;
}

static inline uint32_t rd_u32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);
	return p != NULL ? be32_get(p) : 0;
}

static inline struct wr wr_of(void *p, size_t size)
{
	return (struct wr){ p, p, (uint8_t *)p + size, false };
}

static inline size_t wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->start);
}

/* Room for `len` bytes, or NULL (and bad). */
static inline uint8_t *wr_room(struct wr *w, size_t len)
{
	if ((size_t)(w->end - w->p) < len) {
		w->bad = true;
		w->end = w->p;
		return NULL;
	}
	uint8_t *at = w->p;
	w->p += len;
	return at;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *p = wr_room(w, 1);
	if (p != NULL)
		*p = v;
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *p = wr_room(w, 2);
	if (p != NULL)
		be16_put(p, v);
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_room(w, 4);
	if (p != NULL)
		be32_put(p, v);
}

static inline void wr_bytes(struct wr *w, const void *src, size_t len)
{
	uint8_t *p = wr_room(w, len);
	if (p != NULL && len > 0)
		memcpy(p, src, len);
}

#endif
