/* /admin/nodes: the signalling nodes that are up, as their workers announce themselves (common/rkeys.h), and emptying one. */
#include <stdio.h>
#include <stdlib.h>

#include "api/check.h"
#include "api/event.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/reply.h"
#include "common/log.h"
#include "common/rkeys.h"

#define WORKERS_MAX 256u

/* The workers of one node, summed up. */
struct node {
	struct str name, version; /* borrow from the replies */
	bool draining;
	uint64_t workers, connections, registrations, calls, started_ms;
};

/* Names of workers whose lease has not run out. */
static enum err workers(struct req *r, struct redisReply **out)
{
	char now[24];

	(void)snprintf(now, sizeof(now), "%llu", (unsigned long long)r->now_ms);
	return RDS(r->rds, out, STR("ZRANGEBYSCORE"), STR(RKEY_WORKERS), str_from(now), STR("+inf"), STR("LIMIT"), STR("0"), STR("256"));
}

static struct str node_of(struct str worker)
{
	return str_sub(worker, 0, str_find(worker, '.'));
}

static uint64_t number(const struct redisReply *hash, const char *field)
{
	uint64_t n = 0;

	(void)str_to_u64(rds_field(hash, field), INT64_MAX, &n);
	return n;
}

static void add(struct node *nodes, size_t *count, struct str worker, const struct redisReply *hash)
{
	struct str name = node_of(worker);
	uint64_t started = number(hash, "started");
	size_t i = 0;

	while (i < *count && !str_eq(nodes[i].name, name))
		i++;
	struct node *n = &nodes[i];
	if (i == *count) {
		*n = (struct node){ .name = name, .version = rds_field(hash, "version"), .started_ms = started };
		(*count)++;
	}
	n->workers++;
	n->draining = n->draining || str_eq(rds_field(hash, "state"), STR("draining"));
	n->connections += number(hash, "connections");
	n->registrations += number(hash, "registrations");
	n->calls += number(hash, "calls");
	n->started_ms = MIN(n->started_ms, started);
}

static int by_name(const void *a, const void *b)
{
	const struct node *x = a, *y = b;
	size_t len = MIN(x->name.len, y->name.len);
	int order = len > 0 ? memcmp(x->name.p, y->name.p, len) : 0;

	return order != 0 ? order : (int)(x->name.len > y->name.len) - (int)(x->name.len < y->name.len);
}

static json_t *one_node(const struct node *n)
{
	return json_pack("{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:o}", "name", reply_str(n->name), "state", n->draining ? "draining" : "serving",
			 "version", reply_str(n->version), "workers", (json_int_t)n->workers, "connections", (json_int_t)n->connections,
			 "registrations", (json_int_t)n->registrations, "calls", (json_int_t)n->calls, "started_at", reply_time_json(n->started_ms));
}

enum err h_admin_nodes(struct req *r)
{
	struct redisReply *list, *hash[WORKERS_MAX];
	struct node nodes[WORKERS_MAX];
	size_t node_count = 0;
	enum err e = workers(r, &list);

	if (e != ERR_OK)
		return e;
	size_t count = MIN(rds_len(list), (size_t)WORKERS_MAX);
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct rkey key = rkey_worker(rds_text(rds_at(list, i)));

		e = RDS_QUEUE(r->rds, STR("HGETALL"), rkey_str(&key));
	}
	if (e == ERR_OK && count > 0)
		e = rds_collect(r->rds, hash, count);
	if (e != ERR_OK) {
		rds_reply_free(list);
		return e;
	}
	json_t *items = json_array();
	for (size_t i = 0; i < count; i++) {
		/* One that has just gone is not counted. */
		if (rds_len(hash[i]) > 0)
			add(nodes, &node_count, rds_text(rds_at(list, i)), hash[i]);
	}
	qsort(nodes, node_count, sizeof(nodes[0]), by_name);
	for (size_t i = 0; i < node_count; i++)
		(void)json_array_append_new(items, one_node(&nodes[i]));
	for (size_t i = 0; i < count; i++)
		rds_reply_free(hash[i]);
	rds_reply_free(list);
	return reply_list(r, items, STR(""));
}

static enum err is_up(struct req *r, struct str name)
{
	struct redisReply *list;
	enum err e = workers(r, &list);
	bool up = false;

	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < rds_len(list) && !up; i++)
		up = str_eq(node_of(rds_text(rds_at(list, i))), name);
	rds_reply_free(list);
	return up ? ERR_OK : ERR_NOT_FOUND;
}

struct patch {
	struct str state;
};

static const struct field fields[] = {
	{ "state", INPUT_TEXT, true, check_drain_state, offsetof(struct patch, state) },
};

enum err h_admin_node_patch(struct req *r)
{
	struct patch in = { 0 };
	size_t queued = 0;

	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	bool draining = str_eq(in.state, STR("draining"));
	enum err e = is_up(r, r->param[0]);
	/* The set is for workers that start later, the event for those that are up. */
	if (e == ERR_OK)
		e = RDS(r->rds, NULL, draining ? STR("SADD") : STR("SREM"), STR(RKEY_NODES_DRAINING), r->param[0]);
	if (e == ERR_OK)
		e = event_queue_node_drain(r->rds, r->param[0], draining, &queued);
	if (e == ERR_OK)
		e = event_collect(r->rds, queued);
	if (e != ERR_OK)
		return e;
	log_event(LOG_INFO, "node-drain", "node=%s state=%s by=%s", log_value(r->param[0]), log_value(in.state), r->who.user);
	return reply_empty(r, 202);
}
