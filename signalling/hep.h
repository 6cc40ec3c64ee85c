/* HEP version 3: SIP messages for a capture server (Homer and others), one UDP datagram each. Nothing is ever waited for: what the socket does not
 * take at once is dropped and counted. */
#ifndef DUPLEX_SIGNALLING_HEP_H
#define DUPLEX_SIGNALLING_HEP_H

#include "common/buf.h"
#include "common/counter.h"
#include "signalling/tap.h"

struct hep;

#define HEP_COUNTERS(X)                                                               \
	X(HEP_SENT, "sent", "messages sent to the capture server")                    \
	X(HEP_DROP_BUSY, "drop_busy", "dropped: the socket took no more")             \
	X(HEP_DROP_REFUSED, "drop_refused", "dropped: nobody listens there")          \
	X(HEP_DROP_LARGE, "drop_large", "dropped: larger than a datagram")
COUNTER_ENUM(hep_counter, HEP_COUNTERS, HEP_C_COUNT);
extern const struct counter_name hep_counter_names[];

/* What a packet is made of. */
struct hep_packet {
	const struct tap_message *m;
	uint64_t wall_us;
	uint32_t node_id;
	struct str node, key; /* `key` empty: none */
	struct str call_id;
};

/* "HEP3", the length, and the chunks. */
enum err hep_put(struct buf *out, const struct hep_packet *p);

/* `address`: IPv4:port or [IPv6]:port. `key`: "" = none; `node`: name of the worker, borrowed. ERR_INVALID: no address; ERR_IO. */
enum err hep_new(const char *address, const char *key, const char *node, uint32_t node_id, struct hep **out);
/* NULL is fine. */
void hep_free(struct hep *h);
void hep_send(struct hep *h, const struct tap_message *m, uint64_t wall_us, struct str call_id);
/* HEP_C_COUNT words, borrowed. */
const uint64_t *hep_counters(const struct hep *h);

#endif
