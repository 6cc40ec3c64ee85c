/* TURN over TCP and TLS (RFC 8656 §3.1): a thread of its own with kernel sockets, which cuts messages out of the streams and
 * lets the workers handle them like datagrams. */
#ifndef DUPLEX_RELAY_STREAM_H
#define DUPLEX_RELAY_STREAM_H

#include "relay/conf.h"
#include "relay/relay.h"

struct stream;

/* Whether there is anything to listen on; the words are checked. On failure `why` holds one sentence. */
enum err stream_wanted(const struct relay_conf *conf, bool *out, char *why, size_t why_size);
/* Opens the listeners and starts the thread. `relay` is borrowed until stream_stop; relay->link must be there. */
enum err stream_start(struct relay *relay, const struct relay_conf *conf, struct stream **out, char *why, size_t why_size);
void stream_stop(struct stream *s);
/* Takes over the options that can change, and the certificates anew. Connections go on. On failure all stays as it was. */
enum err stream_reload(struct stream *s, const struct relay_conf *conf, char *why, size_t why_size);

#endif
