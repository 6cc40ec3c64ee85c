#include "relay/stream_link.h"

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay/pkt.h"
#include "relay/stream_frame.h"

#define RING 2048u   /* messages on their way to a worker */
#define CREDIT 2048u /* messages sent to all workers before their answers have been taken */

static_assert(STREAM_META_LEN + RTE_PKTMBUF_HEADROOM + STREAM_MESSAGE_MAX <= 2048 + RTE_PKTMBUF_HEADROOM, "fits into any buffer");

/* One direction: who reads from it may sleep. */
struct lane {
	struct rte_ring *ring; /* owned */
	int wake;              /* owned: eventfd */
	_Atomic bool asleep;   /* the reader's: it waits, or is about to */
};

struct to_worker {
	struct lane lane;
	struct rte_mbuf *staged[BURST];
	unsigned count;
};

struct stream_link {
	struct rte_mempool *pool;
	struct lane back;
	struct rte_mbuf *got[BURST]; /* taken from `back`, not yet asked for */
	unsigned gots, next;
	unsigned credit;
	unsigned for_answers; /* room in `back` that media may not take */
	unsigned workers;
	struct to_worker to[];
};

static enum err lane_init(struct lane *l, const char *what, unsigned size, unsigned flags)
{
	static _Atomic unsigned serial;
	char name[RTE_RING_NAMESIZE];

	(void)snprintf(name, sizeof(name), "stream%u-%s", atomic_fetch_add(&serial, 1), what);
	l->ring = rte_ring_create(name, rte_align32pow2(size), SOCKET_ID_ANY, flags);
	l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return l->ring != NULL && l->wake >= 0 ? ERR_OK : ERR_NO_MEMORY;
}

static void lane_fini(struct lane *l)
{
	void *m;

	while (l->ring != NULL && rte_ring_dequeue(l->ring, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(l->ring);
	if (l->wake >= 0)
		(void)close(l->wake);
}

/* After something was put into the ring: the reader that went to sleep before it could see that is woken, by one of the
 * writers. */
static void lane_wake(struct lane *l)
{
	const uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&l->asleep, memory_order_relaxed) && atomic_exchange(&l->asleep, false))
		(void)!write(l->wake, &one, sizeof(one));
}

static bool lane_sleep(struct lane *l)
{
	atomic_store(&l->asleep, true);
	atomic_thread_fence(memory_order_seq_cst);
	if (rte_ring_empty(l->ring))
		return true;
	atomic_store(&l->asleep, false);
	return false;
}

enum err stream_link_new(unsigned workers, struct rte_mempool *pool, struct stream_link **out)
{
	struct stream_link *l = calloc(1, sizeof(*l) + workers * sizeof(l->to[0]));

	if (l == NULL)
		return ERR_NO_MEMORY;
	l->pool = pool;
	l->workers = workers;
	l->credit = CREDIT;
	/* Each message has one answer at most: those that have been sent since answers were last taken, and those that the
	 * workers had not come to then. */
	l->for_answers = CREDIT + workers * (RING + BURST);
	l->back.wake = -1;
	for (unsigned i = 0; i < workers; i++)
		l->to[i].lane.wake = -1;
	enum err e = lane_init(&l->back, "back", 2 * l->for_answers, RING_F_SC_DEQ);
	for (unsigned i = 0; e == ERR_OK && i < workers; i++)
		e = lane_init(&l->to[i].lane, "to", RING, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (e != ERR_OK) {
		stream_link_free(l);
		return e;
	}
	*out = l;
	return ERR_OK;
}

void stream_link_free(struct stream_link *l)
{
	if (l == NULL)
		return;
	stream_link_done(l);
	for (; l->next < l->gots; l->next++)
		rte_pktmbuf_free(l->got[l->next]);
	for (unsigned i = 0; i < l->workers; i++) {
		rte_pktmbuf_free_bulk(l->to[i].staged, l->to[i].count);
		lane_fini(&l->to[i].lane);
	}
	lane_fini(&l->back);
	free(l);
}

static void flush_one(struct to_worker *t)
{
	if (t->count == 0)
		return;
	/* There is room: stream_link_send has seen it, and nobody else writes. */
	unsigned sent = rte_ring_enqueue_burst(t->lane.ring, (void **)t->staged, t->count, NULL);
	assert(sent == t->count);
	(void)sent;
	t->count = 0;
	lane_wake(&t->lane);
}

void stream_link_flush(struct stream_link *l)
{
	for (unsigned i = 0; i < l->workers; i++)
		flush_one(&l->to[i]);
}

bool stream_link_send(struct stream_link *l, const struct flow_key *key, enum stream_what what, const uint8_t *p, uint32_t len)
{
	struct to_worker *t = &l->to[(flow_stream(key) & UINT16_MAX) % l->workers];

	if (t->count == BURST)
		flush_one(t);
	if (l->credit == 0 || rte_ring_free_count(t->lane.ring) <= t->count)
		return false;
	struct rte_mbuf *m = rte_pktmbuf_alloc(l->pool);
	if (m == NULL)
		return false;
	*stream_link_meta(m->buf_addr) = (struct stream_meta){ .key = *key, .handle = flow_stream(key), .what = (uint8_t)what };
	m->data_off = STREAM_META_LEN + RTE_PKTMBUF_HEADROOM;
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (len > 0)
		memcpy(rte_pktmbuf_mtod(m, uint8_t *), p, len);
	t->staged[t->count++] = m;
	l->credit--;
	return true;
}

bool stream_link_next(struct stream_link *l, struct stream_meta *meta, const uint8_t **p, uint32_t *len)
{
	if (l->next == l->gots) {
		stream_link_done(l);
		l->next = 0;
		l->gots = rte_ring_dequeue_burst(l->back.ring, (void **)l->got, BURST, NULL);
		if (l->gots == 0) {
			l->credit = CREDIT;
			return false;
		}
	}
	l->credit += l->credit < CREDIT;
	struct rte_mbuf *m = l->got[l->next++];
	*meta = *stream_link_meta(m->buf_addr);
	*p = rte_pktmbuf_mtod(m, const uint8_t *);
	*len = m->data_len;
	return true;
}

/* Frees what has been asked for. */
void stream_link_done(struct stream_link *l)
{
	if (l->next == 0)
		return;
	rte_pktmbuf_free_bulk(l->got, l->next);
	memmove(l->got, l->got + l->next, (l->gots - l->next) * sizeof(l->got[0]));
	l->gots -= l->next;
	l->next = 0;
}

int stream_link_fd(const struct stream_link *l)
{
	return l->back.wake;
}

bool stream_link_sleep(struct stream_link *l)
{
	return lane_sleep(&l->back);
}

void stream_link_awake(struct stream_link *l)
{
	atomic_store_explicit(&l->back.asleep, false, memory_order_relaxed);
}

unsigned stream_link_poll(struct stream_link *l, unsigned worker, struct rte_mbuf **out, unsigned max)
{
	struct rte_ring *r = l->to[worker].lane.ring;

	return rte_ring_empty(r) ? 0 : rte_ring_dequeue_burst(r, (void **)out, max, NULL);
}

bool stream_link_has_room(const struct stream_link *l)
{
	return rte_ring_free_count(l->back.ring) > l->for_answers;
}

unsigned stream_link_answer(struct stream_link *l, struct rte_mbuf **m, unsigned n)
{
	unsigned sent = rte_ring_enqueue_burst(l->back.ring, (void **)m, n, NULL);

	lane_wake(&l->back);
	return sent;
}

int stream_link_worker_fd(const struct stream_link *l, unsigned worker)
{
	return l->to[worker].lane.wake;
}

bool stream_link_worker_sleep(struct stream_link *l, unsigned worker)
{
	return lane_sleep(&l->to[worker].lane);
}

void stream_link_worker_awake(struct stream_link *l, unsigned worker)
{
	atomic_store_explicit(&l->to[worker].lane.asleep, false, memory_order_relaxed);
}
