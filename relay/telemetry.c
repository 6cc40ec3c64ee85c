#include "relay/telemetry.h"

#include <pthread.h>
#include <rte_telemetry.h>
#include <stdio.h>

#include "relay/drain.h"

/* DPDK's thread calls while the control thread may be ending the relay. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct relay *relay;

static const struct counter_name relayed_names[RELAYED_COUNT] = { RELAYED(COUNTER_NAME_ITEM) };
static const struct counter_name refused_names[REFUSED_COUNT] = { REFUSALS(COUNTER_NAME_ITEM) };

static uint64_t total(size_t offset)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < relay->workers; i++)
		n += stats_get((const _Atomic uint64_t *)(const void *)((const char *)&relay->stats[i] + offset));
	return n;
}

static void add(struct rte_tel_data *d, const char *prefix, const char *name, uint64_t value)
{
	char text[RTE_TEL_MAX_STRING_LEN];

	(void)snprintf(text, sizeof(text), "%s%s", prefix, name);
	(void)rte_tel_data_add_dict_u64(d, text, value);
}

static void put_info(struct rte_tel_data *d)
{
	(void)rte_tel_data_add_dict_string(d, "version", DUPLEX_VERSION);
	add(d, "", "workers", relay->workers);
	add(d, "", "ports", relay->ifaces.count);
	add(d, "", "links", atomic_load(&relay->links) & ((1u << relay->ifaces.count) - 1));
	add(d, "", "turn_port", swap16(relay->turn_port));
	add(d, "", "allocations", table_count(relay->table));
	add(d, "", "capacity", table_capacity(relay->table));
	add(d, "", "draining", relay_draining(relay));
}

static void put_stats(struct rte_tel_data *d)
{
	static const struct {
		const char *name;
		size_t offset;
	} plain[] = {
		{ "rx_packets", offsetof(struct stats, rx_packets) },   { "rx_bytes", offsetof(struct stats, rx_bytes) },
		{ "tx_packets", offsetof(struct stats, tx_packets) },   { "tx_bytes", offsetof(struct stats, tx_bytes) },
		{ "own_packets", offsetof(struct stats, own_packets) }, { "expired", offsetof(struct stats, expired) },
		{ "busy_ns", offsetof(struct stats, busy_ns) },         { "idle_ns", offsetof(struct stats, idle_ns) },
	};

	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		add(d, "", plain[i].name, total(plain[i].offset));
	for (unsigned i = 0; i < RELAYED_COUNT; i++) {
		add(d, "relayed_packets_", relayed_names[i].name, total(offsetof(struct stats, relayed_packets) + i * sizeof(uint64_t)));
		add(d, "relayed_bytes_", relayed_names[i].name, total(offsetof(struct stats, relayed_bytes) + i * sizeof(uint64_t)));
	}
	for (unsigned i = 0; i < DROP_COUNT; i++)
		add(d, "drop_", drop_names[i].name, total(offsetof(struct stats, drops) + i * sizeof(uint64_t)));
	for (unsigned i = 0; i < REFUSED_COUNT; i++)
		add(d, "refused_", refused_names[i].name, total(offsetof(struct stats, refused) + i * sizeof(uint64_t)));
}

static int answer(struct rte_tel_data *d, void (*put)(struct rte_tel_data *d))
{
	int e = rte_tel_data_start_dict(d);

	(void)pthread_mutex_lock(&lock);
	if (e == 0 && relay != NULL)
		put(d);
	else
		e = -1;
	(void)pthread_mutex_unlock(&lock);
	return e;
}

static int on_info(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return answer(d, put_info);
}

static int on_stats(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return answer(d, put_stats);
}

enum err telemetry_start(const struct relay *r)
{
	(void)pthread_mutex_lock(&lock);
	relay = r;
	(void)pthread_mutex_unlock(&lock);
	return rte_telemetry_register_cmd("/duplex/relay/info", on_info, "Version, ports and allocations of the TURN relay. No parameters") == 0 &&
			       rte_telemetry_register_cmd("/duplex/relay/stats", on_stats,
							  "Counters of the TURN relay over all workers. No parameters") == 0 ?
		       ERR_OK :
		       ERR_INTERNAL;
}

void telemetry_stop(void)
{
	(void)pthread_mutex_lock(&lock);
	relay = NULL;
	(void)pthread_mutex_unlock(&lock);
}
