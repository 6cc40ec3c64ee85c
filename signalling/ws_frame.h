/* WebSocket frames of a server (RFC 6455 §5), without I/O. Own code rather than libwslay, whose context keeps its frame buffers with each connection: far
 * more than an idle client may cost here. A decoder keeps bytes only while a frame or a message is partial; a whole frame is unmasked
 * where it was read. */
#ifndef DUPLEX_SIGNALLING_WS_FRAME_H
#define DUPLEX_SIGNALLING_WS_FRAME_H

#include "common/buf.h"

#define WS_HEAD_MAX 10u    /* of a frame to a client: not masked */
#define WS_CONTROL_MAX 125u
#define WS_OVER_KEPT 8192u     /* of a message beyond the limit: enough to say so in SIP */
#define WS_OVER_MAX (1u << 20) /* a message beyond this ends the connection */

enum ws_op { WS_CONT = 0x0, WS_TEXT = 0x1, WS_BINARY = 0x2, WS_CLOSE = 0x8, WS_PING = 0x9, WS_PONG = 0xa };

/* Close codes (§7.4.1). */
enum ws_code {
	WS_CODE_NORMAL = 1000,
	WS_CODE_GOING_AWAY = 1001,
	WS_CODE_PROTOCOL = 1002,
	WS_CODE_NONE = 1005,      /* a close frame without a code; never sent */
	WS_CODE_DATA = 1007,
	WS_CODE_POLICY = 1008,
	WS_CODE_TOO_BIG = 1009,
	WS_CODE_INTERNAL = 1011,
	WS_CODE_RESTART = 1012,
	WS_CODE_TRY_LATER = 1013, /* IANA registry: try again later */
};

struct ws_rx {
	struct buf part;     /* the start of a frame whose end has not come */
	struct buf message;  /* fragments of a message that is not finished */
	size_t limit;        /* bytes of a message */
	size_t size;         /* bytes of the fragmented message so far */
	size_t skip;         /* bytes of the present frame that are only read past */
	bool over;           /* the message is beyond the limit: its first bytes are kept, the rest is not */
	bool last;           /* … and the present frame is its last */
	bool fragmented;     /* between a first and a last fragment */
	bool text;           /* kind of the fragmented message */
};

struct ws_event {
	enum ws_op op;       /* WS_TEXT or WS_BINARY: a whole message; or a control frame */
	struct str payload;  /* borrows from the input or the decoder until the next call; of WS_CLOSE the reason text */
	bool cut;            /* a message beyond the limit, of which these are the first WS_OVER_KEPT bytes */
	unsigned code;       /* WS_CLOSE: the client's code or WS_CODE_NONE; after an error: the code to close with */
};

/* Between messages; `limit`: bytes of one message. In memory of the caller's. */
void ws_rx_init(struct ws_rx *rx, size_t limit);
/* Forgets what is partial. */
void ws_rx_fini(struct ws_rx *rx);
/* Nothing is kept: the connection is between messages. */
bool ws_rx_idle(const struct ws_rx *rx);

/* Takes the next event from the *len bytes at *in (which are changed in place) and moves both on. ERR_AGAIN: all were taken, more are needed.
 * A message beyond the limit is read past and told with `cut`; one beyond WS_OVER_MAX is ERR_TOO_LARGE.
 * ERR_INVALID, ERR_TOO_LARGE, ERR_NO_MEMORY: ev->code is the close code; the connection is finished. */
enum err ws_rx_next(struct ws_rx *rx, char **in, size_t *len, struct ws_event *ev);

/* Writes the head of a final frame with `len` bytes of payload; returns its length. */
size_t ws_head(uint8_t head[WS_HEAD_MAX], enum ws_op op, size_t len);
/* Writes the payload of a close frame; the reason is cut to what fits. Returns its length. */
size_t ws_close_payload(uint8_t out[WS_CONTROL_MAX], unsigned code, const char *reason);

/* Shortest form, no surrogates, at most U+10FFFF (RFC 3629). */
bool ws_utf8_valid(struct str s);

#endif
