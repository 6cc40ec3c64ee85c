/* WebSocket frames: the first byte says in what pieces the rest is fed. However it is cut, the same comes out as in one piece. */
#include <stdlib.h>

#include "signalling/ws_frame.h"

#define LIMIT 300u

static void put_event(struct buf *out, enum err e, const struct ws_event *ev)
{
	buf_printf(out, "%d %d %u %d %zu ", (int)e, (int)ev->op, ev->code, ev->cut, ev->payload.len);
	buf_str(out, ev->payload);
}

static void run(const uint8_t *p, size_t len, size_t step, struct buf *out)
{
	struct ws_rx rx;
	enum err e = ERR_AGAIN;

	ws_rx_init(&rx, LIMIT);
	for (size_t at = 0; at < len && e == ERR_AGAIN; at += step) {
		size_t n = MIN(step, len - at);
		char *piece = malloc(n), *in = piece;
		struct ws_event ev;

		if (piece == NULL)
			abort();
		memcpy(piece, p + at, n);
		while ((e = ws_rx_next(&rx, &in, &n, &ev)) == ERR_OK) {
			put_event(out, e, &ev);
			if (ev.payload.len > LIMIT || (ev.op == WS_TEXT && !ev.cut && !ws_utf8_valid(ev.payload)))
				abort();
		}
		if (e != ERR_AGAIN) {
			struct ws_event end = { .code = ev.code };

			put_event(out, e, &end);
		}
		free(piece);
	}
	ws_rx_fini(&rx);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct buf whole = buf_growing(16u << 20), parts = buf_growing(16u << 20);

	if (len < 2)
		return 0;
	run(p + 1, len - 1, len - 1, &whole);
	run(p + 1, len - 1, (size_t)p[0] % 64 + 1, &parts);
	if (!whole.overflow && !parts.overflow && !str_eq(buf_view(&whole), buf_view(&parts)))
		abort();
	buf_fini(&whole);
	buf_fini(&parts);
	return 0;
}
