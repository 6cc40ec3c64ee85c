/* Chat outside calls: MESSAGE (RFC 3428). Text, plain or in CPIM, and receipts (RFC 5438). Delivered to all devices of the user; stored in
 * messages:{user} when none takes it; delivered later in order, and deleted only after a device's 200: nothing is lost, and a repeated one has
 * the same Call-ID. A device that has not answered after some seconds counts as away; if it answers after all, the message is taken out of the
 * store again.
 *   message.c        from a client: check, deliver, else store
 *   message_drain.c  from the store to a device */
#ifndef DUPLEX_SIGNALLING_MESSAGE_H
#define DUPLEX_SIGNALLING_MESSAGE_H

#include "signalling/location.h"

struct chat;
struct sip_msg;
struct txn;

/* Owned by the worker. ERR_NO_MEMORY. */
enum err message_new(struct worker *w, struct chat **out);
/* Ends deliveries that are under way; what was not taken stays stored. NULL is fine. */
void message_free(struct chat *c);

/* proxy_handler for MESSAGE; arg = struct worker *. */
void message_on_message(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from);
/* Delivers what is stored for `user` to this device of ours, one after the other. */
void message_deliver(struct worker *w, struct str user, const struct binding *b);
/* Event messages.waiting: the same to each device of the user that is connected here and has registered since then (wall clock, ms). */
void message_on_waiting(struct worker *w, struct str user, uint64_t since_ms);

#endif
