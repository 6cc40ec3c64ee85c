#include "signalling/node.h"

#include "common/rkeys.h"
#include "signalling/call.h"
#include "signalling/conn.h"
#include "signalling/proxy.h"
#include "signalling/worker.h"

#define DIGITS 24u

static void on_draining(void *user_data, enum err e, const struct redisReply *reply)
{
	struct worker *w = user_data;

	if (e == ERR_OK)
		worker_set_serving(w, rds_int(reply) == 0);
}

void node_ask(struct worker *w)
{
	RDS_ASYNC(w->rds, on_draining, w, STR("SISMEMBER"), STR(RKEY_NODES_DRAINING), str_from(w->conf->node));
}

static struct str number(uint64_t n, char mem[DIGITS])
{
	struct buf b = buf_fixed(mem, DIGITS);

	buf_u64(&b, n);
	return buf_view(&b);
}

void node_announce(struct worker *w, struct str address)
{
	struct rkey key = rkey_worker(str_from(w->name));
	const uint64_t *now = calls_stats(proxy_calls(w->proxy))->now;
	char mem[5][DIGITS];

	RDS_ASYNC(w->rds, NULL, NULL, STR("HSET"), rkey_str(&key), STR("version"), STR(DUPLEX_VERSION), STR("state"),
		  w->draining || w->emptied ? STR("draining") : STR("serving"), STR("address"), address, STR("connections"),
		  number(conns_count(w->conns), mem[0]), STR("registrations"), number(w->count->registrations, mem[1]), STR("calls"),
		  number(now[CALL_TRYING] + now[CALL_RINGING] + now[CALL_ANSWERED], mem[2]), STR("started"), number(w->epoch, mem[3]));
	RDS_ASYNC(w->rds, NULL, NULL, STR("PEXPIRE"), rkey_str(&key), number(WORKER_LEASE_MS, mem[4]));
}

void node_leave(struct worker *w)
{
	struct rkey key = rkey_worker(str_from(w->name));

	RDS_ASYNC(w->rds, NULL, NULL, STR("DEL"), rkey_str(&key));
}
