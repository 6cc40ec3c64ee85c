/* Messages in a byte stream: where a STUN message or channel data ends (RFC 8656 §12.5: on streams channel data is
 * padded to a multiple of four). Only lengths and what tells the two apart are looked at; the message itself is judged
 * by the same code that judges datagrams. */
#ifndef DUPLEX_RELAY_STREAM_FRAME_H
#define DUPLEX_RELAY_STREAM_FRAME_H

#include "common/wire.h"

/* Longest message that is handed on. A longer one could never be sent to a peer as one datagram; it is counted and
 * skipped, and the stream goes on behind it. */
#define STREAM_MESSAGE_MAX 1900u

enum stream_cut {
	STREAM_CUT_MORE,    /* not all there yet */
	STREAM_CUT_STUN,
	STREAM_CUT_CHANNEL,
	STREAM_CUT_SKIP,    /* too long: `total` bytes are to be passed over, most of which may not be there yet */
	STREAM_CUT_BAD,     /* neither: nothing behind it can be found again */
};

struct stream_piece {
	uint32_t len;   /* of the message, padding not counted */
	uint32_t total; /* with padding; of MORE: how many bytes are needed at least */
};

/* What stands at the start of `p`. `out` is set unless BAD. */
enum stream_cut stream_cut(const uint8_t *p, size_t have, struct stream_piece *out);

/* What somebody speaks who is no TURN client, by the first bytes of a connection. */
enum stream_foreign { STREAM_FOREIGN_HTTP, STREAM_FOREIGN_TLS, STREAM_FOREIGN_OTHER };
enum stream_foreign stream_foreign(const uint8_t *p, size_t have);

#endif
