#include <stdlib.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/events.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "signalling/conn.h"
#include "signalling/conn_line.h"
#include "signalling/message.h"
#include "signalling/presence.h"
#include "signalling/proxy.h"
#include "signalling/refusal.h"
#include "signalling/reg_script.h"
#include "signalling/registrar.h"
#include "signalling/sip_build.h"
#include "signalling/sip_uri.h"
#include "signalling/worker.h"

#define REPLY_MAX 32768u
#define FLOW_TIMER_S "120" /* keep-alives at least so often (RFC 5626 §5.4): NATs forget sooner than we do */
#define CAPABILITIES "Supported: path, outbound, gruu\r\n"

/* What a REGISTER asks for. Slices borrow from the message. */
struct wish {
	bool query, all;          /* no Contact; Contact: * */
	uint64_t expires_s;       /* 0: remove */
	bool outbound;            /* instance and reg-id were given: RFC 5626 §6 */
	struct stored s;
};

/* A REGISTER whose script is under way. */
struct reg_op {
	struct worker *w;
	struct txn *server;       /* NULL when the transaction has ended */
	struct flow flow;
	bool save, outbound;
	char user[USER_NAME_SIZE];
	char token[FLOW_TOKEN_MAX + 1];
	struct stored s;          /* slices lie in text */
	char text[];
};

static void answer(struct worker *w, struct txn *server, unsigned status, const char *phrase, const char *headers)
{
	proxy_reply(w->proxy, server, status, phrase, str_from(headers));
}

static void contact_put(struct buf *out, struct worker *w, struct str user, const struct stored *s, uint64_t wall_ms)
{
	buf_printf(out, "Contact: <%.*s>;expires=%llu", STR_FMT(s->contact),
		   s->expires_ms > wall_ms ? (unsigned long long)((s->expires_ms - wall_ms + 999) / 1000) : 0ull);
	if (!str_eq(s->instance, s->contact)) {
		buf_printf(out, ";+sip.instance=\"<%.*s>\"", STR_FMT(s->instance));
		if (s->reg_id > 0)
			buf_printf(out, ";reg-id=%u", s->reg_id);
		buf_z(out, ";pub-gruu=\"");
		location_gruu_put(out, w->domain, user, s->instance);
		buf_char(out, '"');
	}
	buf_z(out, "\r\n");
}

/* 200 with all bindings: those in `reply` from element `from` on. */
static void answer_ok(struct worker *w, struct txn *server, struct str user, bool outbound, const struct redisReply *reply, size_t from,
		      const struct stored *alone)
{
	struct buf b = buf_growing(REPLY_MAX);
	uint64_t wall = clock_wall_ms();

	buf_z(&b, CAPABILITIES);
	if (outbound)
		buf_z(&b, "Require: outbound\r\nFlow-Timer: " FLOW_TIMER_S "\r\n");
	for (size_t i = from; i + 1 < rds_len(reply); i += 2) {
		struct stored s;

		if (stored_get(rds_text(rds_at(reply, i)), rds_text(rds_at(reply, i + 1)), &s) == ERR_OK)
			contact_put(&b, w, user, &s, wall);
	}
	if (alone != NULL)
		contact_put(&b, w, user, alone, wall);
	if (b.overflow)
		answer(w, server, 500, NULL, "");
	else
		proxy_reply(w->proxy, server, 200, NULL, buf_view(&b));
	buf_fini(&b);
}

static void on_server_ended(struct txn *t)
{
	((struct reg_op *)txn_ctx(t))->server = NULL;
}

static const struct txn_user server_user = { .ended = on_server_ended }, nobody;

static struct txn *op_finish(struct reg_op *op)
{
	struct txn *server = op->server;

	if (server != NULL)
		txn_set_user(server, &nobody, NULL);
	return server;
}

/* The connection knows its device from now on. */
static void note_device(const struct reg_op *op)
{
	struct conn *c = conn_of(op->w->conns, &op->flow);

	if (c != NULL)
		conn_line_registered(c, op->s.instance);
}

/* Redis does not answer: our own clients stay registered with us, and the rest of the world learns of it when Redis is back. */
static void save_locally(struct reg_op *op)
{
	struct worker *w = op->w;
	struct txn *server = op_finish(op);

	w->count->reject[REJ_REDIS]++;
	if (conn_of(w->conns, &op->flow) == NULL || reg_local_put(w, str_from(op->user), &op->flow, &op->s, true) != ERR_OK) {
		if (server != NULL)
			answer(w, server, 500, "Store Not Available", "Retry-After: 5\r\n");
		return;
	}
	note_device(op);
	if (server != NULL)
		answer_ok(w, server, str_from(op->user), op->outbound, NULL, 0, &op->s);
}

static void end_session(struct reg_op *op)
{
	struct txn *server = op_finish(op);
	struct conn *c = conn_of(op->w->conns, &op->flow);

	op->w->count->reject[REJ_SESSION]++;
	if (server != NULL)
		answer(op->w, server, 403, "Session Ended", "");
	if (c != NULL)
		conn_close(c, WS_CLOSE_SESSION_ENDED, "session ended");
}

struct seek {
	const struct reg_op *op;
	bool found;
};

static void same_flow(const struct stored *s, const struct flow *flow, void *arg)
{
	struct seek *k = arg;

	k->found |= flow_eq(flow, &k->op->flow) && str_eq(s->instance, k->op->s.instance);
}

/* The connection before was that of a worker that has died: watchers may have been told that the user is offline. */
static bool of_dead_worker(const struct worker *w, struct str token)
{
	struct flow f;

	return token.len > 0 && flow_token_get(token, w->flow_key, &f) == ERR_OK && f.epoch != w->epoch && !flow_alive(w, &f);
}

/* A device, or a new connection of one, that a call under way does not know: whoever rings the user is told. A refresh is none. */
static void tell_of_device(const struct reg_op *op, size_t others, struct str superseded)
{
	struct seek k = { .op = op };

	if (others == 0 || of_dead_worker(op->w, superseded)) {
		presence_publish(op->w, str_from(op->user), PRESENCE_ONLINE);
		return;
	}
	reg_local_each(op->w, str_from(op->user), same_flow, &k);
	if (!k.found)
		RDS_ASYNC(op->w->rds, NULL, NULL, STR("XADD"), STR(RKEY_EV_SIGNAL), STR("MAXLEN"), STR("~"), STR(EVENTS_MAX), STR("*"), STR("t"),
			  STR(EV_DEVICE_NEW), STR("user"), str_from(op->user));
}

static void saved(struct reg_op *op, const struct redisReply *reply)
{
	struct worker *w = op->w;
	struct str user = str_from(op->user);
	struct str token = str_from(op->token);

	w->count->stat[STAT_REGISTERED]++;
	if (conn_of(w->conns, &op->flow) == NULL) {
		/* The client left while Redis worked: what was just written is taken back. */
		reg_drop(w, user, STR("*"), token, STR_NONE, 0);
		return;
	}
	tell_of_device(op, (size_t)rds_int(rds_at(reply, 4)), rds_text(rds_at(reply, 1)));
	if (reg_local_put(w, user, &op->flow, &op->s, false) != ERR_OK)
		log_event(LOG_ERROR, "out-of-memory", "what=binding");
	note_device(op);
	reg_local_dnd(w, user, str_eq(rds_text(rds_at(reply, 0)), STR(REG_DND)));
	reg_close_token(w, rds_text(rds_at(reply, 1)));
	if (rds_text(rds_at(reply, 2)).len > 0) {
		w->count->reject[REJ_DEVICES]++;
		reg_close_token(w, rds_text(rds_at(reply, 2)));
	}

	struct txn *server = op_finish(op);
	if (server != NULL)
		answer_ok(w, server, user, op->outbound, reply, 5, NULL);
	struct binding b;
	if (stored_to_binding(&op->s, w->flow_key, &b) == ERR_OK) {
		proxy_registered(w->proxy, user, &b);
		if (rds_int(rds_at(reply, 3)) > 0)
			message_deliver(w, user, &b);
	}
}

static void removed(struct reg_op *op, const struct redisReply *reply)
{
	struct worker *w = op->w;
	struct txn *server = op_finish(op);
	bool left = rds_len(reply) > 2;

	if (rds_int(rds_at(reply, 1)) > 0) {
		w->count->stat[STAT_UNREGISTERED]++;
		if (!left)
			presence_publish(w, str_from(op->user), PRESENCE_OFFLINE);
	}
	reg_local_remove(w, str_from(op->user), op->s.instance, op->s.reg_id);
	if (server != NULL)
		answer_ok(w, server, str_from(op->user), op->outbound, reply, 2, NULL);
}

static void on_script(void *user_data, enum err e, const struct redisReply *reply)
{
	struct reg_op *op = user_data;
	struct str status = rds_text(rds_at(reply, 0));

	if (e != ERR_OK && op->save) {
		save_locally(op);
	} else if (e != ERR_OK) {
		struct txn *server = op_finish(op);

		/* The binding dies with its flow at the latest. */
		op->w->count->reject[REJ_REDIS]++;
		if (server != NULL)
			answer(op->w, server, 500, "Store Not Available", "Retry-After: 5\r\n");
	} else if (str_eq(status, STR(REG_SESSION))) {
		end_session(op);
	} else if (str_eq(status, STR(REG_STALE))) {
		struct txn *server = op_finish(op);

		op->w->count->reject[REJ_STALE_REGISTER]++;
		if (server != NULL)
			answer(op->w, server, 500, "CSeq Out Of Order", "");
	} else if (op->save) {
		saved(op, reply);
	} else {
		removed(op, reply);
	}
	free(op);
}

static struct reg_op *op_new(struct worker *w, struct txn *server, const struct origin *from, const struct wish *wish)
{
	const struct stored *s = &wish->s;
	struct reg_op *op = calloc(1, sizeof(*op) + s->instance.len + s->session.len + s->call_id.len + s->contact.len);
	struct buf token;

	if (op == NULL || str_copy(from->user, op->user, sizeof(op->user)) != ERR_OK) {
		free(op);
		return NULL;
	}
	char *at = op->text;
	op->w = w;
	op->server = server;
	op->flow = from->flow;
	op->save = wish->expires_s > 0 && !wish->all;
	op->outbound = wish->outbound;
	token = buf_fixed(op->token, sizeof(op->token) - 1);
	flow_token_put(&token, &from->flow, w->flow_key);
	op->s = *s;
	op->s.token = buf_view(&token);
	op->s.instance = str_keep(&at, s->instance);
	op->s.session = str_keep(&at, s->session);
	op->s.call_id = str_keep(&at, s->call_id);
	op->s.contact = str_keep(&at, s->contact);
	txn_set_user(server, &server_user, op);
	return op;
}

static void send_remove(struct reg_op *op, bool all)
{
	struct rkey location = rkey_location(str_from(op->user));
	char field_text[BINDING_FIELD_MAX], numbers[48];
	struct buf field = buf_fixed(field_text, sizeof(field_text)), now = buf_fixed(numbers, 24), cseq = buf_fixed(numbers + 24, 24);

	stored_field_put(&field, &op->s);
	buf_u64(&now, clock_wall_ms());
	buf_u64(&cseq, op->s.cseq);
	RDS_ASYNC_EVAL(op->w->rds, &reg_script_remove, on_script, op, 1, rkey_str(&location), buf_view(&now),
		       all ? STR("*") : buf_view(&field), op->s.call_id, buf_view(&cseq));
}

/* --- reading the request --- */

/* "<urn:uuid:…>" with the quotes -> urn:uuid:…; it must survive in a quoted string, a URI parameter and a Redis field. */
static enum err instance_of(struct str quoted, struct str *out)
{
	if (quoted.len < 5 || !str_starts(quoted, STR("\"<")) || quoted.p[quoted.len - 1] != '"' || quoted.p[quoted.len - 2] != '>')
		return ERR_INVALID;
	struct str s = str_sub(quoted, 2, quoted.len - 4);
	if (s.len > INSTANCE_MAX)
		return ERR_INVALID;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr(":-._~", c))))
			return ERR_INVALID;
	}
	*out = s;
	return ERR_OK;
}

/* Shorter by something at random: those who came together shall not come together again. Never longer than asked for (RFC 3261 §10.3). */
static uint64_t vary(const struct worker *w, uint64_t s)
{
	uint64_t spread = s * w->conf->register_vary / 100;
	uint32_t random;

	crypto_random(&random, sizeof(random));
	return s - spread < w->conf->register_min_s ? s : s - random % (spread + 1);
}

static enum err expires_of(struct worker *w, const struct sip_msg *m, struct str params, uint64_t *out, struct refusal *why)
{
	struct str text;
	uint32_t header;
	uint64_t wanted = w->conf->register_max_s;

	if (sip_param(params, STR("expires"), &text)) {
		/* A malformed one counts as 3600 (RFC 3261 §10.2.1.1), which is cut to our longest. */
		if (str_to_u64(text, UINT32_MAX, &wanted) != ERR_OK)
			wanted = 3600;
	} else {
		enum err e = sip_msg_number(m, SIP_H_EXPIRES, UINT32_MAX, &header);

		if (e == ERR_OK)
			wanted = header;
		else if (e != ERR_NOT_FOUND)
			return refuse(why, 400, "Bad Expires", STR_NONE, REJ_SANITY);
	}
	if (wanted > 0 && wanted < w->conf->register_min_s) {
		char mem[REFUSAL_HEADERS_MAX];
		struct buf b = buf_fixed(mem, sizeof(mem));

		buf_printf(&b, "Min-Expires: %llu\r\n", (unsigned long long)w->conf->register_min_s);
		return refuse(why, 423, NULL, buf_view(&b), REJ_SANITY);
	}
	*out = vary(w, MIN(wanted, w->conf->register_max_s));
	return ERR_OK;
}

static enum err read_contact(struct worker *w, const struct sip_msg *m, struct str value, struct wish *out, struct refusal *why)
{
	struct sip_addr a;
	struct sip_uri uri;
	struct str text;
	uint64_t reg_id = 0;

	if (sip_addr_parse(value, &a) != ERR_OK || sip_uri_parse(a.uri, &uri) != ERR_OK || uri.scheme != SIP_SCHEME_SIP ||
	    a.uri.len > CONTACT_MAX)
		return refuse(why, 400, "Bad Contact", STR_NONE, REJ_SANITY);
	out->s.contact = a.uri;
	out->s.instance = a.uri;
	if (sip_param(a.params, STR("+sip.instance"), &text)) {
		if (instance_of(text, &out->s.instance) != ERR_OK)
			return refuse(why, 400, "Bad Instance", STR_NONE, REJ_SANITY);
		if (sip_param(a.params, STR("reg-id"), &text)) {
			if (str_to_u64(text, INT32_MAX, &reg_id) != ERR_OK || reg_id == 0)
				return refuse(why, 400, "Bad Reg-Id", STR_NONE, REJ_SANITY);
			out->outbound = true;
		}
	} else if (a.uri.len > INSTANCE_MAX) {
		return refuse(why, 400, "Contact Without Instance Too Long", STR_NONE, REJ_SANITY);
	}
	out->s.reg_id = (uint32_t)reg_id;
	out->s.video = sip_param(a.params, STR("video"), &text);
	return expires_of(w, m, a.params, &out->expires_s, why);
}

static enum err read_contacts(struct worker *w, const struct sip_msg *m, struct wish *out, struct refusal *why)
{
	struct sip_list it = sip_list(m, SIP_H_CONTACT);
	struct str value, more;
	uint32_t expires;

	if (!sip_list_next(&it, &value)) {
		out->query = true;
		return ERR_OK;
	}
	if (sip_list_next(&it, &more))
		return refuse(why, 400, "One Contact a REGISTER", STR_NONE, REJ_SANITY);
	if (!str_eq(value, STR("*")))
		return read_contact(w, m, value, out, why);
	/* RFC 3261 §10.2.2: the star goes with Expires: 0 only. */
	if (sip_msg_number(m, SIP_H_EXPIRES, UINT32_MAX, &expires) != ERR_OK || expires != 0)
		return refuse(why, 400, "Contact * Needs Expires 0", STR_NONE, REJ_SANITY);
	out->all = true;
	out->s.contact = out->s.instance = STR("*");
	return ERR_OK;
}

static enum err read_register(struct worker *w, const struct sip_msg *m, const struct origin *from, struct wish *out, struct refusal *why)
{
	struct wish wish = { 0 };
	struct sip_addr to;
	struct sip_uri uri;
	char name[USER_NAME_SIZE];
	uint64_t wall = clock_wall_ms();

	if (sip_uri_parse(m->uri, &uri) != ERR_OK || !str_ieq(uri.host, w->domain))
		return refuse(why, 404, "Not Our Domain", STR_NONE, REJ_SANITY);
	/* RFC 3261 §10.3 step 4: nobody registers another's address. */
	if (sip_msg_addr(m, SIP_H_TO, &to) != ERR_OK || sip_uri_parse(to.uri, &uri) != ERR_OK ||
	    sip_uri_user_name(&uri, w->domain, name, sizeof(name)) != ERR_OK || !str_eq(str_from(name), from->user))
		return refuse(why, 403, "Not Your Address", STR_NONE, REJ_FORGED);
	if (m->call_id.len > CALL_ID_MAX)
		return refuse(why, 400, "Call-ID Too Long", STR_NONE, REJ_SANITY);
	enum err e = read_contacts(w, m, &wish, why);
	if (e != ERR_OK)
		return e;
	wish.s.call_id = m->call_id;
	wish.s.cseq = m->cseq;
	wish.s.session = from->session;
	wish.s.phone = from->phone;
	wish.s.updated_ms = wall;
	wish.s.expires_ms = wall + wish.expires_s * MS_PER_S;
	*out = wish;
	return ERR_OK;
}

/* --- a query --- */

static void on_query(void *user_data, enum err e, const struct redisReply *reply)
{
	struct reg_op *op = user_data;
	struct txn *server = op_finish(op);

	if (server != NULL && e == ERR_OK)
		answer_ok(op->w, server, str_from(op->user), false, reply, 0, NULL);
	else if (server != NULL)
		answer(op->w, server, 500, "Store Not Available", "Retry-After: 5\r\n");
	free(op);
}

void registrar_on_register(void *arg, struct txn *server, const struct sip_msg *m, const struct origin *from)
{
	struct worker *w = arg;
	struct refusal why;
	struct wish wish;

	if (from->peer.len > 0 || from->user.len == 0) {
		answer(w, server, 403, NULL, "");
		return;
	}
	if (w->draining) {
		w->count->reject[REJ_DRAINING]++;
		answer(w, server, 503, "Restarting", "Retry-After: 2\r\n");
		return;
	}
	if (read_register(w, m, from, &wish, &why) != ERR_OK) {
		w->count->reject[why.reason]++;
		answer(w, server, why.status, why.phrase, why.headers);
		return;
	}
	struct reg_op *op = op_new(w, server, from, &wish);
	if (op == NULL) {
		answer(w, server, 500, NULL, "");
		return;
	}
	if (wish.query) {
		struct rkey location = rkey_location(from->user);

		RDS_ASYNC(w->rds, on_query, op, STR("HGETALL"), rkey_str(&location));
	} else if (op->save) {
		reg_send_save(w, str_from(op->user), &op->s, false, on_script, op);
	} else {
		send_remove(op, wish.all);
	}
}
