#include "relay/announce.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/rkeys.h"
#include "relay/drain.h"

#define NUMBER_SIZE 24u
#define PER_MILLE 1000u

static struct str number(uint64_t n, char mem[NUMBER_SIZE])
{
	int len = snprintf(mem, NUMBER_SIZE, "%" PRIu64, n);

	return str_of(mem, (size_t)MAX(len, 0));
}

/* Thousandths of their time that the workers were busy since the last time. */
static uint64_t busy_share(struct announce *a, const struct relay *r)
{
	uint64_t busy = 0, idle = 0;

	for (unsigned i = 0; i < r->workers; i++) {
		busy += stats_get(&r->stats[i].busy_ns);
		idle += stats_get(&r->stats[i].idle_ns);
	}
	uint64_t b = busy - a->busy_ns, all = b + (idle - a->idle_ns);
	a->busy_ns = busy;
	a->idle_ns = idle;
	return all > 0 ? b * PER_MILLE / all : 0;
}

static void put_addresses(struct buf *b, const struct ifaces *all)
{
	char text[ADDR_TEXT_SIZE];

	for (unsigned i = 0; i < iface_locals(all); i++) {
		const struct addr *a = &iface_local(all, i)->addr;

		if (!addr_is_none(a))
			buf_printf(b, "%s%s", b->len > 0 ? " " : "", addr_text(a, text));
	}
}

enum err announce_write(struct announce *a, struct rds *redis, const struct relay *r, uint64_t wall_ms)
{
	struct rkey key = rkey_relay(str_from(a->name));
	char mem[6][NUMBER_SIZE], addresses[LOCAL_MAX * ADDR_TEXT_SIZE];
	struct buf list = buf_fixed(addresses, sizeof(addresses));
	struct redisReply *replies[3];

	put_addresses(&list, &r->ifaces);
	enum err e = RDS_QUEUE(redis, STR("HSET"), rkey_str(&key), STR("version"), STR(DUPLEX_VERSION), STR("state"),
			       relay_draining(r) ? STR("draining") : STR("serving"), STR("addresses"), buf_view(&list), STR("allocations"),
			       number(table_count(r->table), mem[0]), STR("capacity"), number(table_capacity(r->table), mem[1]), STR("workers"),
			       number(r->workers, mem[2]), STR("busy"), number(busy_share(a, r), mem[3]), STR("started"),
			       number(a->start_ms, mem[4]));
	if (e == ERR_OK)
		e = RDS_QUEUE(redis, STR("PEXPIRE"), rkey_str(&key), number(RELAY_LEASE_MS, mem[0]));
	if (e == ERR_OK)
		e = RDS_QUEUE(redis, STR("ZADD"), STR(RKEY_RELAYS), number(wall_ms + RELAY_LEASE_MS, mem[5]), str_from(a->name));
	if (e == ERR_OK)
		e = rds_collect(redis, replies, ARRAY_LEN(replies));
	for (size_t i = 0; e == ERR_OK && i < ARRAY_LEN(replies); i++)
		rds_reply_free(replies[i]);
	return e;
}

void announce_end(const struct announce *a, struct rds *redis)
{
	struct rkey key = rkey_relay(str_from(a->name));
	struct redisReply *replies[2];

	if (RDS_QUEUE(redis, STR("ZREM"), STR(RKEY_RELAYS), str_from(a->name)) == ERR_OK &&
	    RDS_QUEUE(redis, STR("DEL"), rkey_str(&key)) == ERR_OK && rds_collect(redis, replies, ARRAY_LEN(replies)) == ERR_OK) {
		rds_reply_free(replies[0]);
		rds_reply_free(replies[1]);
	}
}
