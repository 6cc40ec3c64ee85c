#include "relay/stats.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "relay/media_stats.h"
#include "relay/path.h"
#include "relay/relay.h"

static const struct counter_name relayed_names[RELAYED_COUNT] = { RELAYED(COUNTER_NAME_ITEM) };

static const struct counter_name refused_names[REFUSED_COUNT] = { REFUSALS(COUNTER_NAME_ITEM) };

static uint64_t total(const struct relay *r, size_t offset)
{
	uint64_t n = 0;

	for (unsigned i = 0; i <= r->workers; i++) /* and the stream thread's */
		n += stats_get((const _Atomic uint64_t *)(const void *)((const char *)&r->stats[i] + offset));
	return n;
}

#define TOTAL(r, field) total((r), offsetof(struct stats, field))

static void write_frames(struct buf *out, const struct relay *r)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} plain[] = {
		{ "duplex_relay_rx_packets_total", "Frames received", offsetof(struct stats, rx_packets) },
		{ "duplex_relay_rx_bytes_total", "Bytes of frames received", offsetof(struct stats, rx_bytes) },
		{ "duplex_relay_tx_packets_total", "Frames sent", offsetof(struct stats, tx_packets) },
		{ "duplex_relay_tx_bytes_total", "Bytes of frames handed to the device",
		  offsetof(struct stats, tx_bytes) },
		{ "duplex_relay_own_packets_total", "Frames the relay sent of its own accord",
		  offsetof(struct stats, own_packets) },
		{ "duplex_relay_icmp_told_total", "ICMP errors that clients were told of", offsetof(struct stats, icmp_told) },
		{ "duplex_relay_fragmented_total", "Datagrams sent in fragments", offsetof(struct stats, fragmented) },
		{ "duplex_relay_reassembled_total", "Datagrams put together from fragments", offsetof(struct stats, reassembled) },
		{ "duplex_relay_reassembly_failed_total", "Datagrams whose fragments did not all come, or overlapped",
		  offsetof(struct stats, reasm_failed) },
		{ "duplex_relay_expired_total", "Allocations that ended by their lifetime",
		  offsetof(struct stats, expired) },
	};

	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		metrics_head(out, plain[i].name, "counter", plain[i].help);
		metrics_line(out, plain[i].name, NULL, NULL, total(r, plain[i].offset));
	}
}

static void write_relayed(struct buf *out, const struct relay *r)
{
	metrics_head(out, "duplex_relay_relayed_packets_total", "counter", "Datagrams relayed");
	for (unsigned i = 0; i < RELAYED_COUNT; i++)
		metrics_line(out, "duplex_relay_relayed_packets_total", "direction", relayed_names[i].name,
			     TOTAL(r, relayed_packets[i]));
	metrics_head(out, "duplex_relay_relayed_bytes_total", "counter", "Bytes of payload relayed");
	for (unsigned i = 0; i < RELAYED_COUNT; i++)
		metrics_line(out, "duplex_relay_relayed_bytes_total", "direction", relayed_names[i].name,
			     TOTAL(r, relayed_bytes[i]));
}

static void write_media(struct buf *out, const struct relay *r)
{
	metrics_head(out, "duplex_relay_media_packets_total", "counter", "Datagrams relayed, or dropped by a limit of bandwidth, by what they carry");
	for (unsigned i = 0; i < MEDIA_KINDS; i++)
		metrics_line(out, "duplex_relay_media_packets_total", "kind", media_kind_names[i], TOTAL(r, media_packets[i]));
	media_stats_write(out, r, path_seconds(clock_mono_ms()));
}

static void write_drops(struct buf *out, const struct relay *r)
{
	metrics_head(out, "duplex_relay_drops_total", "counter", "Frames dropped, by reason");
	for (unsigned i = 0; i < DROP_COUNT; i++)
		metrics_line(out, "duplex_relay_drops_total", "reason", drop_names[i].name, TOTAL(r, drops[i]));
}

static void write_requests(struct buf *out, const struct relay *r)
{
	metrics_head(out, "duplex_relay_requests_total", "counter", "Requests by method and answer");
	for (unsigned m = 0; m < TURN_METHOD_COUNT; m++) {
		for (unsigned c = 0; c < TURN_CODE_COUNT; c++) {
			uint64_t n = TOTAL(r, requests[m][c]);

			if (n > 0)
				buf_printf(out, "duplex_relay_requests_total{method=\"%s\",code=\"%u\"} %llu\n",
					   stun_method_name(turn_method_number[m]), turn_code_number[c], (unsigned long long)n);
		}
	}
}

static void write_refused(struct buf *out, const struct relay *r)
{
	metrics_head(out, "duplex_relay_refused_total", "counter", "Allocations refused to clients with good credentials, by reason");
	for (unsigned i = 0; i < REFUSED_COUNT; i++)
		metrics_line(out, "duplex_relay_refused_total", "reason", refused_names[i].name, TOTAL(r, refused[i]));
}

static void write_links(struct buf *out, const struct relay *r)
{
	char port[12];

	metrics_head(out, "duplex_relay_port_up", "gauge", "Whether a port has a link");
	for (unsigned i = 0; i < r->ifaces.count; i++) {
		(void)snprintf(port, sizeof(port), "%u", i);
		metrics_line(out, "duplex_relay_port_up", "port", port, atomic_load(&r->links) >> i & 1);
	}
}

static void write_cores(struct buf *out, struct relay *r)
{
	char core[12];

	metrics_head(out, "duplex_relay_busy_nanoseconds_total", "counter", "Time a worker spent on turns that found frames");
	for (unsigned i = 0; i < r->workers; i++) {
		(void)snprintf(core, sizeof(core), "%u", i);
		metrics_line(out, "duplex_relay_busy_nanoseconds_total", "core", core, stats_get(&r->stats[i].busy_ns));
	}
	metrics_head(out, "duplex_relay_idle_nanoseconds_total", "counter", "Time a worker polled in vain or slept");
	for (unsigned i = 0; i < r->workers; i++) {
		(void)snprintf(core, sizeof(core), "%u", i);
		metrics_line(out, "duplex_relay_idle_nanoseconds_total", "core", core, stats_get(&r->stats[i].idle_ns));
	}
	metrics_head(out, "duplex_relay_loop_max_nanoseconds", "gauge", "Longest turn of a worker since the last scrape");
	for (unsigned i = 0; i < r->workers; i++) {
		(void)snprintf(core, sizeof(core), "%u", i);
		metrics_line(out, "duplex_relay_loop_max_nanoseconds", "core", core, atomic_exchange(&r->stats[i].loop_max_ns, 0));
	}
}

static void write_journal(struct buf *out, const struct relay *r)
{
	const struct restore_counts *c = &r->restored;

	if (r->journal == NULL)
		return;
	metrics_head(out, "duplex_relay_journal_cells", "gauge", "Cells of the journal");
	metrics_line(out, "duplex_relay_journal_cells", "state", "used", journal_used(r->journal));
	metrics_line(out, "duplex_relay_journal_cells", "state", "free", journal_cells(r->journal) - journal_used(r->journal));
	metrics_head(out, "duplex_relay_journal_overflows_total", "counter",
		     "Times that an allocation, a reservation or some of its peers were not kept because the journal was full");
	metrics_line(out, "duplex_relay_journal_overflows_total", NULL, NULL, journal_overflows(r->journal));
	metrics_head(out, "duplex_relay_restored", "gauge", "Taken over from the journal at start");
	metrics_line(out, "duplex_relay_restored", "what", "allocations", c->allocations);
	metrics_line(out, "duplex_relay_restored", "what", "reservations", c->reservations);
	metrics_line(out, "duplex_relay_restored", "what", "permissions", c->permissions);
	metrics_line(out, "duplex_relay_restored", "what", "channels", c->channels);
	metrics_head(out, "duplex_relay_restore_drops", "gauge", "Not taken over from the journal at start, by reason");
	for (unsigned i = 0; i < RESTORE_DROP_COUNT; i++)
		metrics_line(out, "duplex_relay_restore_drops", "reason", restore_drop_names[i].name, c->drops[i]);
}

void stats_write(struct buf *out, void *user)
{
	struct relay *r = user;

	metrics_head(out, "duplex_relay_allocations", "gauge", "Allocations in use");
	metrics_line(out, "duplex_relay_allocations", NULL, NULL, table_count(r->table));
	metrics_head(out, "duplex_relay_allocations_capacity", "gauge", "Relayed ports there are");
	metrics_line(out, "duplex_relay_allocations_capacity", NULL, NULL, table_capacity(r->table));
	metrics_head(out, "duplex_relay_draining", "gauge", "1 while new allocations are refused because the relay is to end");
	metrics_line(out, "duplex_relay_draining", NULL, NULL, relay_draining(r));
	metrics_head(out, "duplex_relay_moves_total", "counter", "Allocations whose clients moved to another address");
	metrics_line(out, "duplex_relay_moves_total", NULL, NULL, table_moves(r->table));
	write_frames(out, r);
	write_relayed(out, r);
	write_media(out, r);
	write_drops(out, r);
	write_requests(out, r);
	write_refused(out, r);
	write_links(out, r);
	write_cores(out, r);
	metrics_head(out, "duplex_relay_revocations_forgotten_total", "counter", "Revocations that gave way to others before they were over");
	metrics_line(out, "duplex_relay_revocations_forgotten_total", NULL, NULL, stats_get(&r->revoked.forgotten));
	write_journal(out, r);
	if (r->link != NULL)
		stream_stats_write(out, &r->stream);
}
