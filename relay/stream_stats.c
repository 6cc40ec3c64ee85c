#include "relay/stream_stats.h"

#include "common/metrics.h"

static COUNTER_NAMES(close_names, STREAM_CLOSES);

static uint64_t get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, const _Atomic uint64_t *c)
{
	metrics_head(out, name, type, help);
	metrics_line(out, name, NULL, NULL, get(c));
}

static void two(struct buf *out, const char *name, const char *help, const _Atomic uint64_t *in, const _Atomic uint64_t *sent)
{
	metrics_head(out, name, "counter", help);
	metrics_line(out, name, "direction", "in", get(in));
	metrics_line(out, name, "direction", "out", get(sent));
}

void stream_stats_write(struct buf *out, const struct stream_stats *s)
{
	one(out, "duplex_relay_stream_connections", "gauge", "TCP and TLS connections of clients", &s->connections);
	one(out, "duplex_relay_stream_accepted_total", "counter", "Connections accepted", &s->accepted);
	one(out, "duplex_relay_stream_tls_total", "counter", "TLS handshakes completed", &s->accepted_tls);
	metrics_head(out, "duplex_relay_stream_closed_total", "counter", "Connections ended, by reason");
	for (unsigned i = 0; i < STREAM_CLOSE_COUNT; i++)
		metrics_line(out, "duplex_relay_stream_closed_total", "reason", close_names[i].name, get(&s->closed[i]));
	two(out, "duplex_relay_stream_messages_total", "Messages on streams, handed to a worker or written whole", &s->messages_in,
	    &s->messages_out);
	two(out, "duplex_relay_stream_bytes_total", "Bytes of these messages, as framed", &s->bytes_in, &s->bytes_out);
	one(out, "duplex_relay_stream_queued_bytes", "gauge", "Memory of messages that wait for clients to read", &s->queued_bytes);
	one(out, "duplex_relay_stream_stalls_total", "counter", "Times that reading from a client paused", &s->stalls);
	one(out, "duplex_relay_stream_reloads_total", "counter", "Certificates taken anew", &s->reloads);
}
