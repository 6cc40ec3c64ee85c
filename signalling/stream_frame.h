/* Cutting a byte stream of a phone into messages by Content-Length (RFC 3261 §18.3) and keep-alives (RFC 5626 §3.5.1): no I/O, no state. */
#ifndef DUPLEX_SIGNALLING_STREAM_FRAME_H
#define DUPLEX_SIGNALLING_STREAM_FRAME_H

#include "common/str.h"

enum frame_kind {
	FRAME_MORE,    /* nothing whole yet */
	FRAME_PING,    /* CRLF CRLF: answer with CRLF */
	FRAME_PONG,    /* a CRLF alone: an answer, or the blank line that old clients put between messages */
	FRAME_MESSAGE,
};

struct frame {
	enum frame_kind kind;
	size_t len; /* bytes to take off the front */
};

/* What stands at the front of `in`, of which a message may have at most `max` bytes. ERR_TOO_LARGE: a message that is longer, its head is whole if
 * there is an empty line. ERR_INVALID: nothing that can be cut; close it. A single CRLF at the very end may become a ping: FRAME_MORE. */
enum err stream_frame(struct str in, size_t max, struct frame *out);

#endif
