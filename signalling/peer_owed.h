/* Answers that we owe other workers: requests that they put on connections of ours (peer.h, "to") and whose client has not answered yet. When the
 * connection goes, the client cannot answer any more, and each is answered for it with 430 (Flow Failed, RFC 5626 §11.1): so the worker that keeps
 * the call tries another device, or tells the caller, instead of letting a phone ring that has left. And when that worker goes, the phone is told. */
#ifndef DUPLEX_SIGNALLING_PEER_OWED_H
#define DUPLEX_SIGNALLING_PEER_OWED_H

#include "common/err.h"
#include "common/str.h"

struct flow;
struct owed;
struct sip_msg;
struct worker;

/* Owned by the worker. ERR_NO_MEMORY. */
enum err owed_new(struct worker *w, struct owed **out);
/* Forgets all that is owed. NULL is fine. */
void owed_free(struct owed *o);
/* `request` of the worker `sender` was put on `flow`. ACK and CANCEL are not noted: nobody waits for an answer. Without memory it is not noted either,
 * and the sender's timers decide. */
void owed_note(struct owed *o, const struct flow *flow, struct str sender, const struct sip_msg *request);
/* `response` came from the client on `flow`: a final one pays. */
void owed_paid(struct owed *o, const struct flow *flow, const struct sip_msg *response);
/* The worker `sender` is gone, or its stream broke: it waits for nothing, and nobody will cancel what it rings for. Phones that ring for it are told
 * to stop. */
void owed_worker_lost(struct owed *o, struct str sender);
/* Whether an answer of the client on `flow` is owed. */
bool owed_flow_busy(const struct owed *o, const struct flow *flow);
/* The connection is gone: what is owed of it is answered. */
void owed_flow_lost(struct owed *o, const struct flow *flow);

#endif
