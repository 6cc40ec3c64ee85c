/* Where SIP between this worker and its clients can be watched: by a trace that an administrator asked for (trace.h), and by a capture server
 * (hep.h). With neither on, a message costs one look at a flag. What they get is redacted (redact.h). */
#ifndef DUPLEX_SIGNALLING_TAP_H
#define DUPLEX_SIGNALLING_TAP_H

#include "common/err.h"
#include "common/str.h"
#include "common/timer.h"

struct worker;
struct trace;
struct hep;

/* One SIP message on a client's connection. Slices are borrowed for the call. */
struct tap_message {
	bool to_client, udp;
	struct str user;     /* of the connection */
	struct str address;  /* the client's IP address */
	uint16_t port;       /* 0 = not known */
	uint32_t slot;       /* of the connection */
	struct str text;
};

struct tap {
	bool on;
	struct worker *w;
	struct trace *trace; /* owned, NULL = none is asked for */
	struct timer end;    /* a trace that nobody fetches is thrown away */
	struct hep *hep;     /* owned, NULL = no capture server */
};

/* Opens the way to the capture server if one is configured. ERR_INVALID: its address is none. */
enum err tap_new(struct worker *w, struct tap **out);
/* NULL is fine. */
void tap_free(struct tap *t);
/* Takes over `trace` (NULL: none any more) in place of the one there is. What it has is kept for a while after its `seconds`. */
void tap_set_trace(struct tap *t, struct trace *trace, uint64_t seconds);
/* Call only while `on`. */
void tap_message(struct tap *t, const struct tap_message *m);

#endif
