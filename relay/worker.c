#include "relay/worker.h"

#include "relay/vlan.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#undef MS_PER_S /* DPDK has one too */
#include "common/clock.h"
#include "common/log.h"
#include "relay/capture.h"
#include "relay/kernel.h"
#include "relay/partial.h"

#define TX_ROOM (2 * BURST + PATH_EXTRA)
#define SLEEP_MS 100          /* longest sleep; expiry is swept this often at least */
#define SLEEP_BUSY_MS 5       /* while frames wait for a neighbour */
#define NAP_MAX_US 1000u      /* where the device cannot wake us */
#define STUCK_NS 500000000u   /* a loop turn that long is reported */
#define CLOCKS_PER_MS 4u      /* how often a millisecond the system's clock is read */

struct worker {
	struct workers *all;
	struct path path;
	unsigned id;
	bool interrupts;           /* every port can wake us */
	struct path_clock clock;
	struct capture *capture;   /* looked up at each turn, valid during it; seldom not NULL */
	uint64_t clock_tsc;        /* when `clock` was read */
	uint64_t last_packet_tsc, turn_tsc;
	uint64_t busy, idle;       /* cycles not yet in the statistics */
	unsigned nap_us;
	bool reported;             /* stuck, and said so; the watchdog's */
	struct rte_mbuf *tx[IFACE_MAX][TX_ROOM];
	uint16_t txs[IFACE_MAX];
	struct rte_mbuf *back[TX_ROOM]; /* for the stream thread */
	unsigned backs;
	struct rte_epoll_event stream_event;
};

struct workers {
	struct relay *relay;
	const struct ports *ports;
	uint64_t idle_after;       /* cycles; UINT64_MAX = never sleep */
	uint64_t hz;
	atomic_bool stop;
	unsigned count;
	struct worker at[];
};

static bool new_buf(void *user, struct pkt *p)
{
	struct worker *w = user;
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->all->ports->pool);

	if (m == NULL)
		return false;
	p->buf = m;
	p->start = m->buf_addr;
	p->end = p->start + m->buf_len;
	p->data = rte_pktmbuf_mtod(m, uint8_t *);
	p->from = NULL;
	return true;
}

static void read_clock(struct worker *w, uint64_t tsc)
{
	if (tsc - w->clock_tsc < w->all->hz / MS_PER_S / CLOCKS_PER_MS && w->clock.mono_ms != 0)
		return;
	w->clock_tsc = tsc;
	w->clock.mono_ms = clock_mono_ms();
	w->clock.wall_s = clock_wall_ms() / MS_PER_S;
}

static enum pkt_sum rx_sum_of(const struct rte_mbuf *m)
{
	uint64_t l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	return l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD ? PKT_SUM_GOOD : l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD ? PKT_SUM_BAD : PKT_SUM_UNKNOWN;
}

static HOT void to_pkt(const struct port *port, unsigned iface, struct rte_mbuf *m, struct pkt *p)
{
	uint8_t *start = m->buf_addr, *data = start + m->data_off;

	__builtin_prefetch(data);
	*p = (struct pkt){ .data = data, .start = start, .end = start + m->buf_len, .buf = m, .len = m->data_len, .in_if = (uint8_t)iface };
	if (port->nic.rx_sum)
		p->rx_sum = (uint8_t)rx_sum_of(m);
}

static uint16_t send_burst(const struct port *port, unsigned worker, struct rte_mbuf **m, uint16_t n)
{
	if (likely(port->shared == NULL))
		return rte_eth_tx_burst(port->id, (uint16_t)worker, m, n);
	uint16_t queue = (uint16_t)(worker % port->queues);
	spin_lock(&port->shared[queue].lock);
	uint16_t sent = rte_eth_tx_burst(port->id, queue, m, n);
	spin_unlock(&port->shared[queue].lock);
	return sent;
}

static void flush(struct worker *w, unsigned iface)
{
	struct stats *s = w->path.stats;
	uint16_t n = w->txs[iface], sent;

	if (n == 0)
		return;
	sent = send_burst(&w->all->ports->at[iface], w->id, w->tx[iface], n);
	stats_add(&s->tx_packets, sent);
	if (unlikely(sent < n)) {
		stats_add(&s->drops[DROP_TX_FULL], n - sent);
		rte_pktmbuf_free_bulk(&w->tx[iface][sent], n - sent);
	}
	w->txs[iface] = 0;
}

static void drop(struct worker *w, struct rte_mbuf *m, enum drop reason)
{
	stats_add(&w->path.stats->drops[reason], 1);
	rte_pktmbuf_free(m);
}

static void flush_back(struct worker *w)
{
	unsigned sent = stream_link_answer(w->all->relay->link, w->back, w->backs);

	for (unsigned i = sent; i < w->backs; i++)
		drop(w, w->back[i], DROP_STREAM_RING);
	w->backs = 0;
}

static void flush_all(struct worker *w)
{
	for (unsigned i = 0; i < w->all->ports->count; i++)
		flush(w, i);
	if (unlikely(w->backs > 0))
		flush_back(w);
}

/* To the stream thread. The last room on the way is kept for answers. */
static void give_back(struct worker *w, struct rte_mbuf *m, struct stream_meta meta)
{
	if (meta.what == STREAM_MESSAGE && meta.kind != STREAM_CONTROL && !stream_link_has_room(w->all->relay->link)) {
		drop(w, m, DROP_STREAM_RING);
		return;
	}
	*stream_link_meta(m->buf_addr) = meta;
	if (w->backs == TX_ROOM)
		flush_back(w);
	w->back[w->backs++] = m;
}

/* Where the frame begins and ends in its buffer. */
static HOT void shape(struct rte_mbuf *m, const struct pkt *p)
{
	m->data_off = (uint16_t)(p->data - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)p->len;
	m->pkt_len = p->len;
}

/* Anything but plain sending. */
static APART void obey_otherwise(struct worker *w, const struct pkt *p, struct rte_mbuf *m)
{
	if (p->verdict == PKT_DROP) {
		drop(w, m, (enum drop)p->reason);
	} else if (p->verdict == PKT_STREAM) {
		if (unlikely(w->capture != NULL))
			capture_message(w->capture, w->id, p->stream, true, p, clock_wall_us());
		shape(m, p);
		give_back(w, m, (struct stream_meta){ .handle = p->stream, .what = STREAM_MESSAGE, .kind = p->media });
	}
}

/* What the device has to know for the checksum. */
static APART void ask_for_sum(struct worker *w, const struct pkt *p, struct rte_mbuf *m)
{
	m->ol_flags |= (p->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) | RTE_MBUF_F_TX_UDP_CKSUM;
	m->l2_len = w->all->relay->ifaces.at[p->out_if].vlan != 0 ? ETH_LEN + VLAN_TAG_LEN : ETH_LEN;
	m->l3_len = p->v6 ? IP6_LEN : IP_LEN;
}

/* Returns the bytes that are to be sent. There is room for the frames of a burst and what comes with it; other callers see to that. */
static HOT uint32_t obey(struct worker *w, const struct pkt *p)
{
	struct rte_mbuf *m = p->buf;

	if (unlikely(p->verdict != PKT_SEND)) {
		obey_otherwise(w, p, m);
		return 0;
	}
	shape(m, p);
	if (unlikely(p->tx_sum))
		ask_for_sum(w, p, m);
	w->tx[p->out_if][w->txs[p->out_if]++] = m;
	return p->len;
}

static void obey_all(struct worker *w, const struct pkt *p, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; unlikely(w->capture != NULL) && i < n; i++) {
		if (p[i].verdict == PKT_SEND)
			capture_frame(w->capture, w->id, &p[i], clock_wall_us());
	}
	for (const struct pkt *end = p + n; p < end; p++)
		bytes += obey(w, p);
	stats_add(&w->path.stats->tx_bytes, bytes);
}

static void look_for_capture(struct worker *w)
{
	w->capture = atomic_load_explicit(&w->all->relay->capture, memory_order_acquire);
}

/* What the path wants besides its verdicts. */
static void obey_extra(struct worker *w)
{
	if (w->path.asks_kernel) {
		w->path.asks_kernel = false;
		kernel_wake(w->all->relay->kernel_fd);
	}
	obey_all(w, w->path.extra, w->path.extras);
	w->path.extras = 0;
}

static unsigned serve(struct worker *w, unsigned iface, uint16_t queue)
{
	const struct port *port = &w->all->ports->at[iface];
	struct rte_mbuf *m[BURST];
	struct pkt p[BURST];
	uint64_t bytes = 0;
	unsigned n = rte_eth_rx_burst(port->id, queue, m, BURST), k = 0;

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		bytes += m[i]->pkt_len;
		if (likely(m[i]->nb_segs == 1)) {
			to_pkt(port, iface, m[i], &p[k++]);
		} else {
			stats_add(&w->path.stats->drops[DROP_FRAME_SEGMENTED], 1);
			rte_pktmbuf_free(m[i]);
		}
	}
	stats_add(&w->path.stats->rx_packets, n);
	stats_add(&w->path.stats->rx_bytes, bytes);
	for (unsigned i = 0; port->kernel_if[0] != '\0' && i < k; i++)
		(void)partial_complete(&p[i]);
	for (unsigned i = 0; unlikely(w->capture != NULL) && i < k; i++)
		capture_frame(w->capture, w->id, &p[i], clock_wall_us());
	path_burst(&w->path, p, k, &w->clock);
	obey_all(w, p, k);
	if (unlikely(w->path.extras > 0 || w->path.asks_kernel))
		obey_extra(w);
	flush_all(w);
	return n;
}

/* A message of a client on a stream, as the path takes it. */
static void to_message(struct rte_mbuf *m, struct pkt *p)
{
	const struct stream_meta *meta = stream_link_meta(m->buf_addr);

	*p = (struct pkt){ .buf = m,
			   .start = (uint8_t *)m->buf_addr + STREAM_META_LEN,
			   .end = (uint8_t *)m->buf_addr + m->buf_len,
			   .data = rte_pktmbuf_mtod(m, uint8_t *),
			   .len = m->data_len,
			   .in_if = meta->key.local / 2,
			   .v6 = true,
			   .from = &meta->key };
}

static void run_messages(struct worker *w, struct pkt *p, unsigned n)
{
	if (n == 0)
		return;
	for (unsigned i = 0; unlikely(w->capture != NULL) && i < n; i++)
		capture_message(w->capture, w->id, flow_stream(p[i].from), false, &p[i], clock_wall_us());
	path_messages(&w->path, p, n, &w->clock);
	obey_all(w, p, n);
	if (w->path.extras > 0)
		obey_extra(w);
	flush_all(w);
}

/* What clients on streams sent, and what the stream thread has to ask and to say about them, all in order. */
static unsigned serve_streams(struct worker *w)
{
	struct rte_mbuf *m[BURST];
	struct pkt p[BURST];
	unsigned n = stream_link_poll(w->all->relay->link, w->id, m, BURST), k = 0;

	for (unsigned i = 0; i < n; i++) {
		struct stream_meta meta = *stream_link_meta(m[i]->buf_addr);

		if (meta.what == STREAM_MESSAGE) {
			to_message(m[i], &p[k++]);
			continue;
		}
		run_messages(w, p, k);
		k = 0;
		if (meta.what == STREAM_END) {
			path_message_end(&w->path, &meta.key);
			rte_pktmbuf_free(m[i]);
		} else {
			meta.alive = path_message_alive(&w->path, &meta.key);
			give_back(w, m[i], meta);
		}
	}
	run_messages(w, p, k);
	if (n > 0)
		flush_all(w);
	return n;
}

static unsigned serve_all(struct worker *w)
{
	unsigned n = 0;

	/* Before anything is sent: what an earlier turn saw may be gone since we were quiescent. */
	look_for_capture(w);
	if (unlikely(w->all->relay->link != NULL))
		n += serve_streams(w);
	for (unsigned i = 0; i < w->all->ports->count; i++) {
		for (unsigned q = w->id; q < w->all->ports->at[i].queues; q += w->all->count)
			n += serve(w, i, (uint16_t)q);
	}
	return n;
}

static uint64_t to_ns(const struct worker *w, uint64_t cycles)
{
	return (uint64_t)((double)cycles * 1e9 / (double)w->all->hz);
}

/* Once a millisecond at most: deadlines and statistics. */
static void tick(struct worker *w)
{
	struct stats *s = w->path.stats;

	look_for_capture(w);
	path_tick(&w->path, &w->clock);
	if (w->path.extras > 0 || w->path.asks_kernel) {
		obey_extra(w);
		flush_all(w);
	}
	stats_add(&s->busy_ns, to_ns(w, w->busy));
	stats_add(&s->idle_ns, to_ns(w, w->idle));
	w->busy = w->idle = 0;
}

static void set_interrupts(struct worker *w, bool on)
{
	for (unsigned i = 0; i < w->all->ports->count; i++) {
		const struct port *p = &w->all->ports->at[i];

		for (unsigned q = w->id; q < p->queues; q += w->all->count) {
			/* Drivers whose descriptor is the interrupt (TAP) have nothing to enable and say so. */
			if (on)
				(void)rte_eth_dev_rx_intr_enable(p->id, (uint16_t)q);
			else
				(void)rte_eth_dev_rx_intr_disable(p->id, (uint16_t)q);
		}
	}
}

static void nap(struct worker *w)
{
	struct timespec t = { .tv_nsec = w->nap_us * 1000L };

	(void)nanosleep(&t, NULL);
	w->nap_us = MIN(w->nap_us * 2, NAP_MAX_US);
}

/* Whether nothing has come from clients on streams either; from then on the stream thread wakes us. */
static bool streams_sleep(struct worker *w)
{
	struct stream_link *link = w->all->relay->link;

	return link == NULL || stream_link_worker_sleep(link, w->id);
}

/* Sleeps until a packet comes, a deadline is near or the device cannot tell. Offline meanwhile, so that nobody
 * waits for us. */
static void idle(struct worker *w)
{
	struct rte_epoll_event events[IFACE_MAX + 1];
	int ms = w->path.helds > 0 ? SLEEP_BUSY_MS : SLEEP_MS;

	atomic_store_explicit(&w->path.stats->turn_started_tsc, 0, memory_order_relaxed);
	if (!w->interrupts) {
		rcu_offline(w->all->relay->rcu, w->id);
		nap(w);
		rcu_online(w->all->relay->rcu, w->id);
		return;
	}
	set_interrupts(w, true);
	/* What came before the interrupt was armed would not raise it. */
	if (serve_all(w) == 0 && streams_sleep(w)) {
		rcu_offline(w->all->relay->rcu, w->id);
		int woken = rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, ARRAY_LEN(events), ms);
		rcu_online(w->all->relay->rcu, w->id);
		if (w->all->relay->link != NULL)
			stream_link_worker_awake(w->all->relay->link, w->id);
		if (woken > 0)
			w->last_packet_tsc = rte_rdtsc();
	} else {
		w->last_packet_tsc = rte_rdtsc();
	}
	set_interrupts(w, false);
}

static bool arm(struct worker *w)
{
	for (unsigned i = 0; i < w->all->ports->count; i++) {
		const struct port *p = &w->all->ports->at[i];

		for (unsigned q = w->id; q < p->queues; q += w->all->count) {
			if (!p->interrupts || rte_eth_dev_rx_intr_ctl_q(p->id, (uint16_t)q, RTE_EPOLL_PER_THREAD,
									RTE_INTR_EVENT_ADD, NULL) != 0)
				return false;
		}
	}
	if (w->all->relay->link == NULL)
		return true;
	/* Each signal is an edge of its own: nobody has to read the descriptor. */
	w->stream_event = (struct rte_epoll_event){ .epdata.event = EPOLLIN | EPOLLET };
	return rte_epoll_ctl(RTE_EPOLL_PER_THREAD, EPOLL_CTL_ADD, stream_link_worker_fd(w->all->relay->link, w->id),
			     &w->stream_event) == 0;
}

/* Books a loop turn that began at `from` and found `n` frames. */
static void book(struct worker *w, uint64_t from, uint64_t to, unsigned n)
{
	struct stats *s = w->path.stats;
	uint64_t *where = n > 0 ? &w->busy : &w->idle;

	*where += to - from;
	if (unlikely(n > 0 && to_ns(w, to - from) > stats_get(&s->loop_max_ns)))
		atomic_store_explicit(&s->loop_max_ns, to_ns(w, to - from), memory_order_relaxed);
}

static int run(void *arg)
{
	struct worker *w = arg;
	struct workers *all = w->all;
	uint64_t tick_tsc = 0, tsc = rte_rdtsc();

	w->interrupts = all->idle_after != UINT64_MAX && arm(w);
	log_event(LOG_DEBUG, "worker-ready", "worker=%u idle=%s", w->id,
		  all->idle_after == UINT64_MAX ? "poll" : w->interrupts ? "interrupt" : "nap");
	rcu_online(all->relay->rcu, w->id);
	w->last_packet_tsc = tsc;
	while (!atomic_load_explicit(&all->stop, memory_order_relaxed)) {
		uint64_t began = tsc;

		read_clock(w, began);
		atomic_store_explicit(&w->path.stats->turn_started_tsc, began, memory_order_relaxed);
		unsigned n = serve_all(w);
		if (began - tick_tsc >= all->hz / MS_PER_S) {
			tick_tsc = began;
			tick(w);
		}
		rcu_quiescent(all->relay->rcu, w->id);
		tsc = rte_rdtsc();
		book(w, began, tsc, n);
		if (n > 0) {
			w->last_packet_tsc = tsc;
			w->nap_us = 20;
		} else if (tsc - w->last_packet_tsc > all->idle_after) {
			idle(w);
			w->idle += rte_rdtsc() - tsc;
			tsc = rte_rdtsc();
		}
	}
	rcu_offline(all->relay->rcu, w->id);
	return 0;
}

enum err workers_start(struct relay *relay, const struct ports *ports, const struct relay_plan *plan,
		       uint32_t idle_after_us, struct workers **out)
{
	size_t size = sizeof(struct workers) + relay->workers * sizeof(struct worker);
	struct workers *all = aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
	unsigned lcore, id = 0;

	if (all == NULL)
		return ERR_NO_MEMORY;
	memset(all, 0, size);
	all->relay = relay;
	all->ports = ports;
	all->hz = rte_get_tsc_hz();
	all->idle_after = plan->poll ? UINT64_MAX : all->hz / 1000000 * idle_after_us;
	all->count = relay->workers;
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		struct worker *w = &all->at[id];

		w->all = all;
		w->id = id;
		w->nap_us = 20;
		path_init(&w->path, relay, id, new_buf, w);
		for (unsigned i = 0; i < ports->count; i++)
			w->path.like[i] = steer_ports(&ports->at[i].steer, id);
		if (rte_eal_remote_launch(run, w, lcore) != 0) {
			workers_stop(all);
			return ERR_INTERNAL;
		}
		id++;
	}
	*out = all;
	return ERR_OK;
}

static void free_buf(void *user, struct pkt *p)
{
	(void)user;
	rte_pktmbuf_free(p->buf);
}

void workers_stop(struct workers *w)
{
	if (w == NULL)
		return;
	atomic_store(&w->stop, true);
	rte_eal_mp_wait_lcore();
	for (unsigned i = 0; i < w->count; i++) {
		path_release(&w->at[i].path, free_buf, NULL);
	}
	free(w);
}

void workers_watch(struct workers *all)
{
	uint64_t tsc = rte_rdtsc();

	for (unsigned i = 0; i < all->count; i++) {
		struct worker *w = &all->at[i];
		uint64_t began = stats_get(&w->path.stats->turn_started_tsc);
		bool stuck = began != 0 && tsc > began && to_ns(w, tsc - began) > STUCK_NS;

		if (stuck && !w->reported)
			log_event(LOG_ERROR, "worker-stuck", "worker=%u ms=%llu", i,
				  (unsigned long long)(to_ns(w, tsc - began) / NS_PER_MS));
		w->reported = stuck;
	}
}
