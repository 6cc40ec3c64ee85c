#include "signalling/overload.h"

#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "signalling/proxy.h"
#include "signalling/worker.h"

#define PROBE_EVERY_MS 20u
#define FORGET_MS 500u        /* what was measured so long ago says nothing of now */
#define ACCEPTS_A_TURN 16u
#define ACCEPT_WAIT_MS 10u
#define RETRY_MIN_S 2u
#define TXN_PRESSURE 75u
#define REDIS_PRESSURE_MAX 150u

enum overload_class overload_class_of(enum sip_method method, bool in_dialog, bool registered)
{
	if (method == SIP_ACK || method == SIP_BYE || method == SIP_CANCEL)
		return OVERLOAD_ENDING;
	if (method == SIP_REGISTER)
		return registered ? OVERLOAD_REFRESH : OVERLOAD_REGISTER;
	if (in_dialog)
		return OVERLOAD_DIALOG;
	return method == SIP_SUBSCRIBE ? OVERLOAD_SUBSCRIBE : OVERLOAD_BEGINNING;
}

unsigned overload_limit(enum overload_class c)
{
	static const unsigned limits[OVERLOAD_CLASS_COUNT] = {
		[OVERLOAD_ENDING] = UINT_MAX, [OVERLOAD_DIALOG] = 200,  [OVERLOAD_REFRESH] = 120,
		[OVERLOAD_REGISTER] = 100,    [OVERLOAD_BEGINNING] = 80, [OVERLOAD_SUBSCRIBE] = 60,
	};

	return limits[c];
}

unsigned overload_retry_after(unsigned pressure, uint32_t random)
{
	unsigned spread = MIN(pressure / 10 + 4, 30u);

	return RETRY_MIN_S + random % spread;
}

static void on_probe(struct loop_fd *lf, UNUSED uint32_t events)
{
	struct overload *o = CONTAINER_OF(lf, struct overload, probe);
	uint64_t n, now = clock_mono_us();

	if (read(lf->fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return;
	o->waiting = false;
	o->wait_us = now > o->sent_us ? now - o->sent_us : 0;
}

enum err overload_init(struct overload *o, struct worker *w)
{
	*o = (struct overload){ .w = w, .probe = { .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .fn = on_probe } };
	budget_init(&o->accepts, w->conf->accept_rate, MAX(w->conf->accept_rate / 10, (uint64_t)1), worker_now(w));
	return o->probe.fd < 0 ? ERR_IO : loop_add(w->loop, &o->probe, EPOLLIN);
}

void overload_fini(struct overload *o)
{
	if (o->w == NULL || o->probe.fd < 0)
		return;
	loop_del(o->w->loop, &o->probe);
	(void)close(o->probe.fd);
	o->probe.fd = -1;
}

uint64_t overload_wait_us(struct overload *o)
{
	uint64_t now_ms = worker_now(o->w), one = 1;

	if (o->waiting) {
		uint64_t so_far = clock_mono_us() - o->sent_us;

		return MAX(so_far, o->wait_us);
	}
	if (now_ms > o->asked_ms + FORGET_MS)
		o->wait_us = 0;
	if (now_ms >= o->asked_ms + PROBE_EVERY_MS && write(o->probe.fd, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
		o->waiting = true;
		o->sent_us = clock_mono_us();
		o->asked_ms = now_ms;
	}
	return o->wait_us;
}

static uint64_t share(uint64_t part, uint64_t all)
{
	return part * 100 / MAX(all, (uint64_t)1);
}

unsigned overload_pressure(struct overload *o)
{
	const struct signalling_conf *conf = o->w->conf;
	struct txn_layer *l = proxy_txns(o->w->proxy);
	uint64_t pressure = share(overload_wait_us(o), conf->overload_wait_ms * 1000);
	uint64_t transactions = 0;

	for (unsigned k = TXN_INVITE_CLIENT; k <= TXN_SERVER; k++)
		transactions += txn_layer_count(l, (enum txn_kind)k);
	/* Their number is bounded by the transaction layer itself (txn.h); only subscriptions give way before. */
	pressure = MAX(pressure, share(transactions, conf->transactions_max) * TXN_PRESSURE / 100);
	/* A call that is up does not need Redis: what is inside it is not refused for that. */
	pressure = MAX(pressure, MIN(share(rds_async_stats(o->w->rds).pending, conf->redis_pending_max), (uint64_t)REDIS_PRESSURE_MAX));
	o->pressure = MIN(pressure, (uint64_t)100000);
	return (unsigned)o->pressure;
}

unsigned overload_accepts(struct overload *o, size_t arriving, uint64_t *wait_ms)
{
	uint64_t wait = budget_wait_ms(&o->accepts, worker_now(o->w));

	*wait_ms = MAX(wait, (uint64_t)ACCEPT_WAIT_MS);
	/* While those who are here wait for their turn already, nobody else is let in: at a quarter of what counts as full pressure. */
	if (wait > 0 || arriving >= o->w->conf->arriving_max || overload_wait_us(o) > o->w->conf->overload_wait_ms * 250)
		return 0;
	return ACCEPTS_A_TURN;
}

void overload_accepted(struct overload *o)
{
	budget_take(&o->accepts, 1);
}
