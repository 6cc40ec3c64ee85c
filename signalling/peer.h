/* The other workers: who is alive (leases in Redis), and one SIP stream to each (RFC 3261 §18.3: cut by Content-Length). A message on the stream
 * carries one line of ours directly behind its start line, which the receiver takes out again:
 *   X-Duplex-Peer: SENDER to TOKEN      put this on the flow TOKEN of yours, or answer 430
 *   X-Duplex-Peer: SENDER from TOKEN    handle this; it came from the client on TOKEN
 *   X-Duplex-Peer: SENDER - -           handle this
 *   X-Duplex-Peer: SENDER hello -       nothing but who speaks here: the first message to another node, which may then answer on the same stream
 * A client cannot forge it: the line is looked for at this one place, on these streams only, where the sending worker always puts its own, and each stream
 * has one sender, who has proven who it is (peer_stream.h). Each worker opens one stream towards each other one: a unix socket within the node, TCP with
 * mutual TLS to other nodes, which is kept up as long as the other has a lease. Of a node that cannot be reached requests fail at once; it is tried again
 * after 250 ms, and up to 5 s as it goes on. */
#ifndef DUPLEX_SIGNALLING_PEER_H
#define DUPLEX_SIGNALLING_PEER_H

#include "common/buf.h"
#include "signalling/flow.h"

struct peers;

enum peer_kind { PEER_PLAIN, PEER_TO_FLOW, PEER_FROM_FLOW, PEER_HELLO };

/* Listens on run-dir/peer.INDEX.sock, and where peer-listen says. ERR_INVALID after a line in the log if that is not a valid configuration. */
enum err peers_new(struct worker *w, unsigned index, struct peers **out);
/* Closes all streams and forgets who is there; our lease runs out by itself. NULL is fine. */
void peers_free(struct peers *ps);

/* Redis is (back) there: writes our lease at once, and every 2 s from then on. */
void peers_redis_up(struct peers *ps);
/* Takes our lease back, so that others drop our flows at once, and hears nobody any more: what a worker that ends does not answer others do without it. */
void peers_leave(struct peers *ps);

/* False if the worker is known to be gone, or known to have restarted since `epoch` (0 = any). */
bool peers_alive(const struct peers *ps, struct str name, uint64_t epoch);
/* A worker has begun to speak to us: it is there, whatever the last look at the leases said. */
void peers_heard(struct peers *ps, struct str name);
/* What another worker says of a flow of its own, or that it is dead, is certain: it answers, or is known to be gone. False while it has a lease and cannot be
 * reached from here: others may reach it well. */
bool peers_certain(const struct peers *ps, struct str name, uint64_t epoch);
/* Others whose lease was in force at the last look. */
size_t peers_count(const struct peers *ps);

/* ERR_CLOSED: not alive, or cannot be reached. ERR_FULL: its stream is stuck. `flow` is NULL for PEER_PLAIN. */
enum err peers_send(struct peers *ps, struct str name, uint64_t epoch, enum peer_kind kind, const struct flow *flow, struct str message);

/* The line and the framing, apart from sockets. */
struct peer_envelope {
	enum peer_kind kind;
	struct str sender; /* borrows from the message */
	struct flow flow;
};
/* Appends `message` with the line put in, and with a Content-Length if it had none (RFC 7118 does not require it of clients).
 * ERR_INVALID if it is not a SIP message at all. */
enum err peer_wrap(struct buf *to, struct str message, struct str sender, enum peer_kind kind, const struct flow *flow,
		   const uint8_t key[FLOW_KEY_LEN]);
/* Takes the line out of a whole message, moving its start line in place. */
enum err peer_unwrap(char *p, size_t len, const uint8_t key[FLOW_KEY_LEN], struct peer_envelope *env, struct str *message);

#endif
