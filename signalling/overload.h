/* How much more a worker can take, and who is served when it cannot take all. In this order: what ends something (ACK, BYE, CANCEL), what is inside
 * a dialog, refreshes of registrations, new registrations, INVITE (and all else that begins something), SUBSCRIBE. Each kind has a pressure from
 * which on it is refused with 503 and Retry-After; the first is never.
 *
 * Pressure is the largest of three shares: how long what is ready to be read waits for its turn, commands that wait for Redis, and transactions.
 * New connections are accepted at a limited rate, and only so many at once may be on their way to being admitted: the rest wait in the kernel's
 * queue, so a storm of clients that come back is served in order and those who are in a call do not wait behind it. */
#ifndef DUPLEX_SIGNALLING_OVERLOAD_H
#define DUPLEX_SIGNALLING_OVERLOAD_H

#include "common/loop.h"
#include "signalling/budget.h"
#include "signalling/sip_msg.h"

struct worker;

enum overload_class { OVERLOAD_ENDING, OVERLOAD_DIALOG, OVERLOAD_REFRESH, OVERLOAD_REGISTER, OVERLOAD_BEGINNING, OVERLOAD_SUBSCRIBE, OVERLOAD_CLASS_COUNT };

/* `in_dialog`: has a To tag; `registered`: its connection has a binding (for REGISTER). */
enum overload_class overload_class_of(enum sip_method method, bool in_dialog, bool registered);
/* In percent: from this pressure on it is refused. UINT_MAX: never. */
unsigned overload_limit(enum overload_class c);
/* Seconds for Retry-After: more under more pressure, and never the same for all. `random` is any number. */
unsigned overload_retry_after(unsigned pressure, uint32_t random);

/* Measures how long a descriptor that is ready waits until the loop comes to it: it makes one of its own ready, which goes to the end of the same
 * queue, and looks at the clock when its turn has come. */
struct overload {
	struct worker *w;
	struct loop_fd probe;   /* an eventfd */
	bool waiting;           /* it is ready, and its turn has not come */
	uint64_t sent_us, wait_us;
	uint64_t asked_ms;      /* when it was made ready last */
	struct budget accepts;
	uint64_t pressure;      /* as asked for last: for the metrics */
};

enum err overload_init(struct overload *o, struct worker *w);
void overload_fini(struct overload *o);
/* How long what is ready waits now, in microseconds. Makes the next measurement if the last is old. */
uint64_t overload_wait_us(struct overload *o);
/* In percent; may be above 100. */
unsigned overload_pressure(struct overload *o);
/* How many connections may be accepted now; 0: *wait_ms says when to ask again. */
unsigned overload_accepts(struct overload *o, size_t arriving, uint64_t *wait_ms);
void overload_accepted(struct overload *o);

#endif
