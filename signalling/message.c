#include "signalling/message.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/events.h"
#include "common/rkeys.h"
#include "signalling/cpim.h"
#include "signalling/proxy.h"
#include "signalling/refusal.h"
#include "signalling/reg_binding.h"
#include "signalling/sip_uri.h"
#include "signalling/worker.h"

#define DELIVER_MS 10000u    /* a device that does not answer by then counts as away */
#define OVERLAP_MS 3000u      /* a REGISTER that was under way at our look-up has that time, and clocks of nodes differ */
#define MESSAGE_ENTRY_MAX 47u /* of a stream id */

/* KEYS messages; ARGV limit, from, id, type, body, time. -> the entry's id, or 0 if the mailbox is full */
static struct rds_script store_script = {
	.source = "if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end\n"
		  "return redis.call('XADD', KEYS[1], '*', 'from', ARGV[2], 'id', ARGV[3], 'type', ARGV[4], 'body', ARGV[5], 'time', ARGV[6])\n",
};

/* A MESSAGE on its way. It is there until it is delivered or stored and every device has answered or timed out. */
struct chat_op {
	struct worker *w;
	struct txn *server;   /* NULL when the transaction has ended */
	bool trying;          /* a fork to the devices is under way */
	bool storing, stored; /* Redis is being asked to keep it; it does */
	bool delivered;       /* a device took it */
	uint64_t time_ms;
	char entry[MESSAGE_ENTRY_MAX + 1]; /* in the store */
	char from[USER_NAME_SIZE], to[USER_NAME_SIZE];
	struct str id, type, body; /* lie in text: the sender may leave before it is stored */
	char text[];
};

static void on_server_ended(struct txn *t)
{
	((struct chat_op *)txn_ctx(t))->server = NULL;
}

static const struct txn_user server_user = { .ended = on_server_ended }, nobody;

static void answer(struct chat_op *op, unsigned status, const char *phrase, struct str headers)
{
	struct txn *server = op->server;

	if (server == NULL)
		return;
	op->server = NULL;
	txn_set_user(server, &nobody, NULL);
	proxy_reply(op->w->proxy, server, status, phrase, headers);
}

static void free_if_done(struct chat_op *op)
{
	if (op->trying || op->storing)
		return;
	if (op->server != NULL)
		txn_set_user(op->server, &nobody, NULL);
	free(op);
}

/* --- storing --- */

/* A device took it after all. Should another be getting it from the store just now, it has it twice, under the same Call-ID. */
static void take_out(struct chat_op *op)
{
	struct rkey key = rkey_messages(str_from(op->to));

	op->stored = false;
	RDS_ASYNC(op->w->rds, NULL, NULL, STR("XDEL"), rkey_str(&key), str_from(op->entry));
}

/* A device may have registered between our look-up and now. Those that we have asked already get it with their next REGISTER. */
static void tell_newcomers(struct chat_op *op)
{
	char digits[24];
	struct buf since = buf_fixed(digits, sizeof(digits));

	buf_u64(&since, op->time_ms - OVERLAP_MS);
	RDS_ASYNC(op->w->rds, NULL, NULL, STR("XADD"), STR(RKEY_EV_SIGNAL), STR("MAXLEN"), STR("~"), STR(EVENTS_MAX), STR("*"), STR("t"),
		  STR(EV_MESSAGES_WAITING), STR("user"), str_from(op->to), STR("since"), buf_view(&since));
}

static void on_stored(void *user_data, enum err e, const struct redisReply *reply)
{
	struct chat_op *op = user_data;
	struct worker *w = op->w;

	op->storing = false;
	if (e != ERR_OK) {
		w->count->reject[REJ_REDIS]++;
		answer(op, 500, "Store Not Available", STR("Retry-After: 5\r\n"));
	} else if (str_copy(rds_text(reply), op->entry, sizeof(op->entry)) != ERR_OK || op->entry[0] == '\0') {
		answer(op, 480, "Mailbox Full", STR_NONE);
	} else {
		w->count->stat[STAT_CHAT_STORED]++;
		op->stored = true;
		answer(op, 202, NULL, STR_NONE);
		if (op->delivered)
			take_out(op);
		else
			tell_newcomers(op);
	}
	free_if_done(op);
}

static void store(struct chat_op *op)
{
	struct rkey key = rkey_messages(str_from(op->to));
	char numbers[48];
	struct buf limit = buf_fixed(numbers, 24), time = buf_fixed(numbers + 24, 24);

	buf_u64(&limit, op->w->conf->chat_store_max);
	buf_u64(&time, op->time_ms);
	op->storing = true;
	RDS_ASYNC_EVAL(op->w->rds, &store_script, on_stored, op, 1, rkey_str(&key), buf_view(&limit), str_from(op->from), op->id, op->type,
		       op->body, buf_view(&time));
}

/* --- delivering at once --- */

static void taken(struct chat_op *op)
{
	op->delivered = true;
	op->w->count->stat[STAT_CHAT_DELIVERED]++;
	answer(op, 200, NULL, STR_NONE);
}

/* Every device has answered, or DELIVER_MS are over: the sender is told now, long before its own Timer F. */
static void on_final(struct fork *f, unsigned status, const struct sip_msg *m, const struct fork_target *from)
{
	struct chat_op *op = fork_ctx(f);

	(void)m;
	(void)from;
	if (status >= 200 && status < 300)
		taken(op);
	else
		store(op);
}

static void on_late_success(struct fork *f, const struct sip_msg *m, const struct fork_target *from)
{
	struct chat_op *op = fork_ctx(f);

	(void)m;
	(void)from;
	if (op->delivered)
		return;
	taken(op);
	if (op->stored)
		take_out(op);
}

static void on_branch_dead(struct fork *f, const struct fork_target *t)
{
	struct chat_op *op = fork_ctx(f);

	/* For a connection of this worker its own grace period decides. */
	if (!flow_local(op->w, &t->flow))
		location_remove(op->w, str_from(op->to), t->instance, &t->flow);
}

static void on_fork_ended(struct fork *f)
{
	struct chat_op *op = fork_ctx(f);

	/* Not even a final when the worker stops: the sender, unanswered, tries again. */
	op->trying = false;
	free_if_done(op);
}

static const struct fork_user fork_user = { .final = on_final, .late_success = on_late_success, .branch_dead = on_branch_dead,
					    .ended = on_fork_ended };

/* False: there is no device that could be asked. */
static bool try_devices(struct chat_op *op, const struct location *loc)
{
	struct fork *f;

	if (loc->count == 0 || op->server == NULL)
		return false;
	op->trying = true;
	txn_sending_on(proxy_txns(op->w->proxy), op->server);
	if (proxy_fork(op->w->proxy, txn_request(op->server), str_from(op->from), loc->binding, loc->count, STR_NONE, &fork_user, op,
		       DELIVER_MS, &f) == ERR_OK)
		return true; /* what it came to may be known already, and `op` be gone */
	op->trying = false;
	return false;
}

static void on_location(void *user_data, enum err e, const struct location *loc)
{
	struct chat_op *op = user_data;

	if (e != ERR_OK) {
		op->w->count->reject[REJ_REDIS]++;
		answer(op, 500, "Store Not Available", STR("Retry-After: 5\r\n"));
		free_if_done(op);
	} else if (!loc->known) {
		answer(op, 404, NULL, STR_NONE);
		free_if_done(op);
	} else if (!try_devices(op, loc)) {
		store(op);
	}
}

/* --- the request --- */

#define ACCEPT "Accept: text/plain, message/cpim\r\n"

static bool address_is(struct worker *w, struct str value, struct str user)
{
	char name[USER_NAME_SIZE];
	struct sip_addr a;
	struct sip_uri uri;

	return sip_addr_parse(value, &a) == ERR_OK && sip_uri_parse(a.uri, &uri) == ERR_OK &&
	       sip_uri_user_name(&uri, w->domain, name, sizeof(name)) == ERR_OK && str_eq(str_from(name), user);
}

static bool type_is(struct str type, struct str wanted)
{
	return str_ieq(str_trim(str_sub(type, 0, str_find(type, ';'))), wanted);
}

/* Text, or the receipt of one (RFC 5438 §7), in CPIM: it says itself who it is from, and that must be true. */
static enum err check_wrapped(struct worker *w, struct str body, struct str from, struct str to, struct refusal *why)
{
	struct cpim c;

	if (cpim_parse(body, &c) != ERR_OK)
		return refuse(why, 400, "Bad CPIM Body", STR_NONE, REJ_SANITY);
	if (!address_is(w, c.from, from) || !address_is(w, c.to, to))
		return refuse(why, 403, "CPIM Is Not From You To Them", STR_NONE, REJ_SANITY);
	if (!type_is(c.content_type, STR("text/plain")) && !type_is(c.content_type, STR("message/imdn+xml")))
		return refuse(why, 415, NULL, STR(ACCEPT), REJ_SANITY);
	return ERR_OK;
}

static enum err check(struct worker *w, const struct sip_msg *m, const struct origin *from, char *to, size_t to_size, struct refusal *why)
{
	struct sip_uri uri;

	if (from->peer.len > 0 || from->user.len == 0)
		return refuse(why, 403, NULL, STR_NONE, REJ_SANITY);
	if (!perm_has(from->perms, PERM_CHAT_SEND))
		return refuse(why, 403, "No Permission To Chat", STR_NONE, REJ_PERMISSION);
	if (sip_uri_parse(m->uri, &uri) != ERR_OK || sip_uri_user_name(&uri, w->domain, to, to_size) != ERR_OK)
		return refuse(why, 404, NULL, STR_NONE, REJ_SANITY);
	if (m->body.len > w->conf->chat_body_max)
		return refuse(why, 413, "Message Too Long", STR_NONE, REJ_TOO_LARGE);
	struct str type = sip_msg_token(m, SIP_H_CONTENT_TYPE);
	bool wrapped = str_ieq(type, STR("message/cpim"));
	if ((!wrapped && !str_ieq(type, STR("text/plain"))) || m->body.len == 0)
		return refuse(why, 415, NULL, STR(ACCEPT), REJ_SANITY);
	if (wrapped && check_wrapped(w, m->body, from->user, str_from(to), why) != ERR_OK)
		return ERR_INVALID;
	if (m->call_id.len > CALL_ID_MAX)
		return refuse(why, 400, "Call-ID Too Long", STR_NONE, REJ_SANITY);
	return ERR_OK;
}

void message_on_message(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from)
{
	struct worker *w = arg;
	struct str type = sip_msg_value(m, SIP_H_CONTENT_TYPE);
	struct refusal why;
	char to[USER_NAME_SIZE];

	if (check(w, m, from, to, sizeof(to), &why) != ERR_OK) {
		w->count->reject[why.reason]++;
		proxy_reply(w->proxy, server, why.status, why.phrase, str_from(why.headers));
		return;
	}
	struct chat_op *op = calloc(1, sizeof(*op) + m->call_id.len + type.len + m->body.len);
	if (op == NULL || str_copy(from->user, op->from, sizeof(op->from)) != ERR_OK) {
		free(op);
		proxy_reply(w->proxy, server, 500, NULL, STR_NONE);
		return;
	}
	char *at = op->text;
	op->w = w;
	op->server = server;
	op->time_ms = clock_wall_ms();
	memcpy(op->to, to, sizeof(to));
	op->id = str_keep(&at, m->call_id);
	op->type = str_keep(&at, type);
	op->body = str_keep(&at, m->body);
	txn_set_user(server, &server_user, op);
	location_lookup_soon(w, str_from(op->to), STR_NONE, on_location, op);
}
