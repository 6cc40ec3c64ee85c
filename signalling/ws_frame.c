#include "signalling/ws_frame.h"

#include "common/wire.h"

#define FIN 0x80u
#define RSV 0x70u
#define OP 0x0fu
#define MASKED 0x80u
#define LEN7 0x7fu

struct head {
	bool fin;
	uint8_t op;
	size_t head_len; /* with the masking key */
	uint64_t payload_len;
	uint8_t key[4];
};

void ws_rx_init(struct ws_rx *rx, size_t limit)
{
	*rx = (struct ws_rx){ .limit = limit };
	rx->part = buf_growing(limit + 14);
	rx->message = buf_growing(limit);
}

void ws_rx_fini(struct ws_rx *rx)
{
	buf_fini(&rx->part);
	buf_fini(&rx->message);
}

bool ws_rx_idle(const struct ws_rx *rx)
{
	return rx->part.len == 0 && !rx->fragmented;
}

static void release(struct buf *b, size_t max)
{
	buf_fini(b);
	*b = buf_growing(max);
}

/* Eight bytes at a time: the compiler makes vectors of it. */
static void unmask(char *p, size_t len, const uint8_t key[4])
{
	uint64_t wide;
	uint32_t k;
	size_t i = 0;

	memcpy(&k, key, sizeof(k));
	wide = (uint64_t)k << 32 | k;
	for (; i + 8 <= len; i += 8) {
		uint64_t v;

		memcpy(&v, p + i, 8);
		v ^= wide;
		memcpy(p + i, &v, 8);
	}
	for (; i < len; i++)
		p[i] = (char)((uint8_t)p[i] ^ key[i & 3]);
}

bool ws_utf8_valid(struct str s)
{
	/* An empty message in fragments has no bytes anywhere. */
	if (s.len == 0)
		return true;
	const uint8_t *p = (const uint8_t *)s.p, *end = p + s.len;

	while (p < end) {
		uint64_t eight = UINT64_MAX, more_eights[4];

		/* SIP is nearly all ASCII. */
		while (end - p >= 32) {
			memcpy(more_eights, p, 32);
			if (((more_eights[0] | more_eights[1] | more_eights[2] | more_eights[3]) & 0x8080808080808080u) != 0)
				break;
			p += 32;
		}
		/* What lies behind is the next frame. */
		if (p == end)
			break;
		if (end - p >= 8)
			memcpy(&eight, p, 8);
		if ((eight & 0x8080808080808080u) == 0) {
			p += 8;
			continue;
		}
		uint8_t c = *p++;
		if (c < 0x80)
			continue;
		/* Number of further bytes, and the range of the first of them: that is where overlong forms, surrogates and the end of
		 * Unicode show (RFC 3629 §4). */
		unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
		if (c < 0xc2 || c > 0xf4 || (size_t)(end - p) < more || p[0] < low || p[0] > high)
			return false;
		for (unsigned i = 1; i < more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
		}
		p += more;
	}
	return true;
}

/* ERR_AGAIN while the head is not complete. A bad one is refused as early as it shows. */
static enum err read_head(const struct ws_rx *rx, struct str in, struct head *out, unsigned *code)
{
	const uint8_t *p = (const uint8_t *)in.p;
	struct head h = { 0 };

	if (in.len < 2)
		return ERR_AGAIN;
	h.fin = (p[0] & FIN) != 0;
	h.op = p[0] & OP;
	bool control = (h.op & 0x8) != 0;
	uint64_t len = p[1] & LEN7;

	*code = WS_CODE_PROTOCOL;
	/* No extension was negotiated (§5.2); a client must mask (§5.1). */
	if ((p[0] & RSV) != 0 || (p[1] & MASKED) == 0)
		return ERR_INVALID;
	if (control ? h.op > WS_PONG || !h.fin || len > WS_CONTROL_MAX : h.op > WS_BINARY)
		return ERR_INVALID;
	if (!control && (h.op == WS_CONT) != rx->fragmented)
		return ERR_INVALID;

	size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
	h.head_len = 2 + extra + 4;
	if (in.len < h.head_len)
		return ERR_AGAIN;
	if (extra == 2)
		len = be16_get(p + 2);
	else if (extra == 8)
		len = (uint64_t)be32_get(p + 2) << 32 | be32_get(p + 6);
	/* The shortest form must be used (§5.2). */
	if ((extra == 2 && len < 126) || (extra == 8 && (len < 65536 || len >> 63 != 0)))
		return ERR_INVALID;
	h.payload_len = len;
	memcpy(h.key, p + 2 + extra, 4);
	if (!control && len > MAX(rx->limit, WS_OVER_MAX) - rx->size) {
		*code = WS_CODE_TOO_BIG;
		return ERR_TOO_LARGE;
	}
	*out = h;
	return ERR_OK;
}

static enum err fail(struct ws_event *ev, unsigned code, enum err e)
{
	ev->code = code;
	return e;
}

/* §5.5.1, §7.4: a code that may be on the wire, and a reason in UTF-8. */
static enum err take_close(struct str payload, struct ws_event *ev)
{
	ev->code = WS_CODE_NONE;
	ev->payload = STR_NONE;
	if (payload.len == 0)
		return ERR_OK;
	if (payload.len == 1)
		return fail(ev, WS_CODE_PROTOCOL, ERR_INVALID);
	unsigned code = be16_get((const uint8_t *)payload.p);
	bool known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);

	if (!known)
		return fail(ev, WS_CODE_PROTOCOL, ERR_INVALID);
	ev->payload = str_sub(payload, 2, payload.len);
	if (!ws_utf8_valid(ev->payload))
		return fail(ev, WS_CODE_DATA, ERR_INVALID);
	ev->code = code;
	return ERR_OK;
}

/* A whole frame, unmasked. ERR_AGAIN: it was a fragment with more to come. */
static enum err take_frame(struct ws_rx *rx, const struct head *h, struct str payload, struct ws_event *ev)
{
	ev->op = (enum ws_op)h->op;
	ev->payload = payload;
	if (h->op == WS_CLOSE)
		return take_close(payload, ev);
	if (h->op == WS_PING || h->op == WS_PONG)
		return ERR_OK;

	bool text = rx->fragmented ? rx->text : h->op == WS_TEXT;
	if (rx->fragmented || !h->fin) {
		buf_str(&rx->message, payload);
		if (rx->message.overflow)
			return fail(ev, WS_CODE_INTERNAL, ERR_NO_MEMORY);
		rx->size = h->fin ? 0 : rx->size + payload.len;
		rx->text = text;
		rx->fragmented = !h->fin;
		if (!h->fin)
			return ERR_AGAIN;
		ev->payload = buf_view(&rx->message);
	}
	ev->op = text ? WS_TEXT : WS_BINARY;
	if (text && !ws_utf8_valid(ev->payload))
		return fail(ev, WS_CODE_DATA, ERR_INVALID);
	return ERR_OK;
}

/* Moves up to `want` bytes in total into `part`. */
static enum err keep(struct ws_rx *rx, size_t want, char **in, size_t *len)
{
	size_t n = MIN(want - rx->part.len, *len);

	buf_put(&rx->part, *in, n);
	*in += n;
	*len -= n;
	return rx->part.overflow ? ERR_NO_MEMORY : ERR_OK;
}

/* --- beyond the limit --- */

/* The frame that takes a message beyond the limit, and those that follow it: what there is still to keep comes first. */
static enum err begin_over(struct ws_rx *rx, const struct head *h, char **in, size_t *len, struct ws_event *ev)
{
	size_t keep_max = MIN(WS_OVER_KEPT, rx->limit), have = MIN(rx->message.len, keep_max);
	size_t n = MIN(keep_max - have, (size_t)h->payload_len);
	bool kept = rx->part.len > 0;
	char *frame = *in;

	if (kept || *len < h->head_len + n) {
		if (keep(rx, h->head_len + n, in, len) != ERR_OK)
			return fail(ev, WS_CODE_INTERNAL, ERR_NO_MEMORY);
		if (rx->part.len < h->head_len + n)
			return ERR_AGAIN;
		frame = rx->part.p;
	} else {
		*in += h->head_len + n;
		*len -= h->head_len + n;
	}
	unmask(frame + h->head_len, n, h->key);
	rx->message.len = have;
	buf_put(&rx->message, frame + h->head_len, n);
	rx->part.len = 0;
	if (rx->message.overflow)
		return fail(ev, WS_CODE_INTERNAL, ERR_NO_MEMORY);
	if (!rx->fragmented)
		rx->text = h->op == WS_TEXT;
	rx->fragmented = true;
	rx->over = true;
	rx->last = h->fin;
	rx->size += (size_t)h->payload_len;
	rx->skip = (size_t)h->payload_len - n;
	return ERR_OK;
}

/* Reads past the rest of the frame. ERR_OK: the message is over. */
static enum err skip_over(struct ws_rx *rx, char **in, size_t *len, struct ws_event *ev)
{
	size_t n = MIN(rx->skip, *len);

	*in += n;
	*len -= n;
	rx->skip -= n;
	if (rx->skip > 0 || !rx->last)
		return ERR_AGAIN;
	ev->op = rx->text ? WS_TEXT : WS_BINARY;
	ev->payload = buf_view(&rx->message);
	ev->cut = true;
	rx->fragmented = rx->over = rx->last = false;
	rx->size = 0;
	return ERR_OK;
}

/* One frame; its bytes lie in *in, or in `part` if they came in pieces. */
static enum err next_frame(struct ws_rx *rx, char **in, size_t *len, struct ws_event *ev)
{
	struct head h;
	bool kept = rx->part.len > 0;

	if (rx->skip > 0)
		return skip_over(rx, in, len, ev);
	struct str have = kept ? buf_view(&rx->part) : str_of(*in, *len);
	enum err e = read_head(rx, have, &h, &ev->code);

	while (e == ERR_AGAIN && kept && *len > 0) {
		/* The head was cut: it is completed byte by byte, so that nothing behind the frame is taken. */
		if (keep(rx, rx->part.len + 1, in, len) != ERR_OK)
			return fail(ev, WS_CODE_INTERNAL, ERR_NO_MEMORY);
		e = read_head(rx, buf_view(&rx->part), &h, &ev->code);
	}
	if (e == ERR_AGAIN) {
		if (!kept && keep(rx, *len, in, len) != ERR_OK)
			return fail(ev, WS_CODE_INTERNAL, ERR_NO_MEMORY);
		return ERR_AGAIN;
	}
	if (e != ERR_OK)
		return e;

	if (h.op < WS_CLOSE && (rx->over || h.payload_len > rx->limit - rx->size)) {
		e = begin_over(rx, &h, in, len, ev);
		return e == ERR_OK ? skip_over(rx, in, len, ev) : e;
	}
	size_t whole = h.head_len + (size_t)h.payload_len;
	char *frame = *in;
	if (kept || *len < whole) {
		if (keep(rx, whole, in, len) != ERR_OK)
			return fail(ev, WS_CODE_INTERNAL, ERR_NO_MEMORY);
		if (rx->part.len < whole)
			return ERR_AGAIN;
		frame = rx->part.p;
	} else {
		*in += whole;
		*len -= whole;
	}
	unmask(frame + h.head_len, (size_t)h.payload_len, h.key);
	e = take_frame(rx, &h, str_of(frame + h.head_len, (size_t)h.payload_len), ev);
	if (frame == rx->part.p)
		rx->part.len = 0; /* the bytes stay until the next call: the event borrows them */
	return e;
}

enum err ws_rx_next(struct ws_rx *rx, char **in, size_t *len, struct ws_event *ev)
{
	/* What the last event borrowed is given back. */
	if (rx->part.len == 0 && rx->part.p != NULL)
		release(&rx->part, rx->limit + 14);
	if (!rx->fragmented && rx->message.p != NULL)
		release(&rx->message, rx->limit);

	*ev = (struct ws_event){ 0 };
	while (*len > 0) {
		enum err e = next_frame(rx, in, len, ev);

		if (e != ERR_AGAIN || *len == 0)
			return e;
	}
	return ERR_AGAIN;
}

size_t ws_head(uint8_t head[WS_HEAD_MAX], enum ws_op op, size_t len)
{
	struct wr w = wr_of(head, WS_HEAD_MAX);

	wr_u8(&w, (uint8_t)(FIN | (uint8_t)op));
	if (len < 126) {
		wr_u8(&w, (uint8_t)len);
	} else if (len < 65536) {
		wr_u8(&w, 126);
		wr_u16(&w, (uint16_t)len);
	} else {
		wr_u8(&w, 127);
		wr_u32(&w, (uint32_t)((uint64_t)len >> 32));
		wr_u32(&w, (uint32_t)len);
	}
	return wr_len(&w);
}

size_t ws_close_payload(uint8_t out[WS_CONTROL_MAX], unsigned code, const char *reason)
{
	struct wr w = wr_of(out, WS_CONTROL_MAX);

	wr_u16(&w, (uint16_t)code);
	wr_bytes(&w, reason, strnlen(reason, WS_CONTROL_MAX - 2));
	return wr_len(&w);
}
