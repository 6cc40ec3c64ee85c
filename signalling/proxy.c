/* The front door of the SIP layer: see proxy.h. Parse, check, identity, transaction, then by method. Owner: the
 * worker's thread. */
#include "signalling/proxy_int.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "common/log.h"
#include "signalling/account.h"
#include "signalling/overload.h"
#include "signalling/sip_check.h"

COUNTER_NAMES(proxy_counter_names, PROXY_COUNTERS);

#define ALLOW "Allow: INVITE, ACK, BYE, CANCEL, REGISTER, OPTIONS, SUBSCRIBE, NOTIFY, MESSAGE, INFO, UPDATE, REFER\r\n"

static const struct txn_user handler_user;

enum err proxy_new(const struct proxy_config *config, struct timers *timers, const struct proxy_host *ops, void *host,
		   struct proxy **out)
{
	struct proxy *p = calloc(1, sizeof(*p));
	enum err e;

	if (p == NULL)
		return ERR_NO_MEMORY;
	p->config = *config;
	p->timers = timers;
	p->ops = ops;
	p->host = host;
	list_init(&p->relays);
	list_init(&p->byes);
	e = txn_layer_new(timers, &ops->txn, host, config->sent_by, &config->times,
			  config->txn_max, config->txn_per_flow, &p->txns);
	if (e == ERR_OK)
		e = calls_new(ops, host, timers, config->worker, config->calls_max, &p->calls);
	if (e != ERR_OK) {
		txn_layer_free(p->txns);
		free(p);
		return e;
	}
	*out = p;
	return ERR_OK;
}

void proxy_free(struct proxy *p)
{
	if (p == NULL)
		return;
	p->ending = true;
	proxy_calls_free_all(p);
	proxy_dialog_free_all(p);
	proxy_bye_free_all(p);
	txn_layer_free(p->txns);
	calls_free(p->calls);
	free(p);
}

void proxy_set_handler(struct proxy *p, enum sip_method method, proxy_handler fn, void *arg)
{
	p->handler[method].fn = fn;
	p->handler[method].arg = arg;
}

struct txn_layer *proxy_txns(struct proxy *p)
{
	return p->txns;
}

struct calls *proxy_calls(struct proxy *p)
{
	return p->calls;
}

const uint64_t *proxy_counters(const struct proxy *p)
{
	return p->counter;
}

void proxy_tag(char tag[17])
{
	uint8_t random[8];
	struct buf b = buf_fixed(tag, 16);

	crypto_random(random, sizeof(random));
	hex_put(&b, random, sizeof(random));
	tag[16] = '\0';
}

/* --- answers ---------------------------------------------------------------------------------- */

static enum err reply_put(struct buf *out, const struct sip_msg *m, unsigned status, const char *phrase,
			  struct str headers)
{
	char tag[17], mem[1024];
	struct buf all = buf_fixed(mem, sizeof(mem));
	struct sip_session_id id;

	/* RFC 7989 §6: who answers in another's place has no Session-ID of its own. */
	if (status > 100 && m->first[SIP_H_SESSION_ID] != 0 && sip_msg_session_id(m, &id) == ERR_OK) {
		buf_printf(&all, "%.*sSession-ID: " SIP_SESSION_NIL ";remote=%.*s\r\n", STR_FMT(headers), STR_FMT(id.local));
		if (!all.overflow)
			headers = buf_view(&all);
	}

	proxy_tag(tag);
	return sip_reply_put(out, m,
			     &(struct sip_reply){ .status = status,
						  .phrase = phrase,
						  .headers = headers,
						  .to_tag = status > 100 ? str_of(tag, 16) : STR_NONE });
}

void proxy_refuse(struct proxy *p, const struct flow *flow, const struct sip_msg *m, unsigned status,
		  const char *phrase, struct str headers)
{
	struct account *a = txn_layer_account(p->txns);
	struct buf out = buf_growing(SIP_MSG_MAX);

	if (m->method == SIP_ACK) {
		account_settle(a, FATE_DROP_ACK);
		return;
	}
	/* A client that does not take its answer is noticed by its connection. */
	if (reply_put(&out, m, status, phrase, headers) == ERR_OK) {
		(void)p->ops->txn.send(p->host, flow, buf_view(&out));
		if (!a->settled)
			account_passed(a, m->method, false);
		account_settle(a, FATE_ANSWERED);
	} else {
		account_settle(a, FATE_DROP_NO_MEMORY);
	}
	buf_fini(&out);
}

void proxy_reply(struct proxy *p, struct txn *server, unsigned status, const char *phrase, struct str headers)
{
	struct buf out = buf_growing(SIP_MSG_MAX);

	if (p->ending)
		return;
	if (reply_put(&out, txn_request(server), status, phrase, headers) == ERR_OK)
		(void)txn_respond(server, buf_view(&out)); /* its failure reaches the transaction's user */
	buf_fini(&out);
}

struct txn *proxy_server_txn(struct proxy *p, const struct origin *from, const struct sip_msg *m,
			     const struct txn_user *user, void *ctx)
{
	struct txn *t;
	enum err e = txn_server_new(p->txns, &from->flow, m, user, ctx, &t);

	if (e == ERR_OK)
		return t;
	proxy_count(p, e == ERR_BUSY ? PROXY_C_TOO_MANY : PROXY_C_NO_MEMORY);
	proxy_refuse(p, &from->flow, m, 503, NULL, STR("Retry-After: 5\r\n"));
	return NULL;
}

/* --- receiving -------------------------------------------------------------------------------- */

/* A worker's name if this is its sent-by. */
static bool worker_of(struct str host, struct str *worker)
{
	struct str suffix = STR(WORKER_HOST_SUFFIX);

	if (host.len <= suffix.len || !str_ieq(str_sub(host, host.len - suffix.len, suffix.len), suffix))
		return false;
	*worker = str_sub(host, 0, host.len - suffix.len);
	return true;
}

/* A device answers a new call whose worker is gone, and the caller with it: it would wait half a minute for its ACK. An answer to a re-INVITE has no
 * Record-Route (RFC 3261 §16.6 step 4): that call is up, and goes on. */
static void end_orphan(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	if (m->status >= 200 && m->status < 300 && m->first[SIP_H_RECORD_ROUTE] != 0 && str_eq(m->method_text, STR("INVITE")))
		proxy_end_phantom(p, m, &from->flow, STR("SIP;cause=487;text=\"Caller is gone\""));
}

static void receive_response(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	struct account *a = txn_layer_account(p->txns);
	struct sip_via via;
	struct str worker;

	a->in_response = true;
	proxy_count(p, PROXY_C_RESPONSE);
	if (sip_check_response(m) != ERR_OK || sip_msg_via(m, &via) != ERR_OK) {
		proxy_count(p, PROXY_C_BAD_RESPONSE);
		account_settle(a, FATE_DROP_RESPONSE);
		return;
	}
	/* The transaction may be another worker's (§18.1.2: by sent-by). */
	if (from->peer.len == 0 && worker_of(via.host, &worker) && !str_eq(worker, p->config.worker)) {
		p->ops->answered(p->host, &from->flow, m);
		if (proxy_hand_on(p, from, m, worker) != ERR_OK) {
			proxy_count(p, PROXY_C_STRAY_RESPONSE);
			end_orphan(p, from, m);
		}
		account_settle(a, FATE_DROP_STRAY_RESPONSE);
		return;
	}
	p->responder = from;
	bool stray = txn_layer_receive(p->txns, &from->flow, m) == TXN_STRAY_RESPONSE;
	p->responder = NULL;
	if (stray)
		proxy_count(p, PROXY_C_STRAY_RESPONSE);
	account_settle(a, stray ? FATE_DROP_STRAY_RESPONSE : FATE_TAKEN);
}

static void to_handler(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	proxy_handler fn = p->handler[m->method].fn;
	struct txn *t;

	if (fn == NULL) {
		proxy_count(p, PROXY_C_NO_HANDLER);
		proxy_refuse(p, &from->flow, m, m->method == SIP_METHOD_OTHER ? 501 : 405, NULL, STR(ALLOW));
		return;
	}
	t = proxy_server_txn(p, from, m, &handler_user, NULL);
	if (t != NULL)
		fn(p->handler[m->method].arg, t, m, from);
}

/* False: there is too much to do for a request of this kind; it was refused. What another worker has let in is not refused here. */
static bool admitted(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	static const enum proxy_counter counters[OVERLOAD_CLASS_COUNT] = {
		[OVERLOAD_DIALOG] = PROXY_C_OVERLOAD_DIALOG,	   [OVERLOAD_REFRESH] = PROXY_C_OVERLOAD_REFRESH,
		[OVERLOAD_REGISTER] = PROXY_C_OVERLOAD_REGISTER,   [OVERLOAD_BEGINNING] = PROXY_C_OVERLOAD_BEGINNING,
		[OVERLOAD_SUBSCRIBE] = PROXY_C_OVERLOAD_SUBSCRIBE,
	};
	unsigned pressure = p->ops->pressure != NULL && from->peer.len == 0 ? p->ops->pressure(p->host) : 0;
	struct sip_addr to;
	char line[32];
	struct buf b = buf_fixed(line, sizeof(line));
	uint32_t random;

	/* Nearly always. */
	if (pressure < overload_limit(OVERLOAD_SUBSCRIBE))
		return true;
	bool in_dialog = sip_msg_addr(m, SIP_H_TO, &to) == ERR_OK && to.tag.len > 0;
	bool registered = m->method == SIP_REGISTER && p->ops->registered(p->host, from);
	enum overload_class class = overload_class_of(m->method, in_dialog, registered);
	if (pressure < overload_limit(class))
		return true;
	crypto_random(&random, sizeof(random));
	buf_printf(&b, "Retry-After: %u\r\n", overload_retry_after(pressure, random));
	proxy_count(p, counters[class]);
	proxy_refuse(p, &from->flow, m, 503, "Busy", buf_view(&b));
	return false;
}

/* Requests that make no sense outside a dialog (§12.2, RFC 3311, RFC 6086, RFC 3262). */
static bool needs_dialog(enum sip_method m)
{
	return m == SIP_BYE || m == SIP_UPDATE || m == SIP_INFO || m == SIP_PRACK || m == SIP_NOTIFY;
}

/* Requests that are inside a dialog of ours with a client, not of two clients: their R-URI is our own contact. */
static bool ours_in_dialog(enum sip_method m)
{
	return m == SIP_SUBSCRIBE || m == SIP_REGISTER || m == SIP_PUBLISH;
}

static void route_request(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	struct sip_addr to;
	bool in_dialog = sip_msg_addr(m, SIP_H_TO, &to) == ERR_OK && to.tag.len > 0;

	if (m->method == SIP_CANCEL) {
		proxy_cancel(p, from, m);
	} else if (in_dialog && !ours_in_dialog(m->method)) {
		proxy_dialog(p, from, m);
	} else if (m->method == SIP_INVITE) {
		proxy_invite(p, from, m);
	} else if (m->method == SIP_ACK) {
		proxy_count(p, PROXY_C_STRAY_ACK);
		account_settle(txn_layer_account(p->txns), FATE_DROP_ACK);
	} else if (needs_dialog(m->method)) {
		proxy_count(p, PROXY_C_NO_CALL);
		proxy_refuse(p, &from->flow, m, 481, NULL, STR_NONE);
	} else {
		to_handler(p, from, m);
	}
}

/* §16.3 step 4: below its sender's Via there is one of ours. Nothing that we send comes back to us by design. */
static bool loops(const struct proxy *p, const struct sip_msg *m)
{
	struct sip_list it = sip_list(m, SIP_H_VIA);
	struct sip_via via;
	struct str v;

	for (bool first = true; sip_list_next(&it, &v); first = false)
		if (!first && sip_via_parse(v, &via) == ERR_OK && str_ieq(via.host, p->config.sent_by))
			return true;
	return false;
}

static void receive_request(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	char mem[512];
	struct buf headers = buf_fixed(mem, sizeof(mem));
	struct sip_refusal why;

	proxy_count(p, PROXY_C_REQUEST);
	if (sip_check_request(m, &why, &headers) != ERR_OK) {
		proxy_count(p, PROXY_C_CHECK);
		proxy_refuse(p, &from->flow, m, why.status, why.phrase,
			     headers.overflow ? STR_NONE : buf_view(&headers));
		return;
	}
	/* Retransmissions and the ACK of a failure need no second look. */
	if (txn_layer_receive(p->txns, &from->flow, m) == TXN_ABSORBED) {
		account_settle(txn_layer_account(p->txns), FATE_ABSORBED);
		return;
	}
	if (loops(p, m)) {
		proxy_count(p, PROXY_C_LOOP);
		proxy_refuse(p, &from->flow, m, 482, NULL, STR_NONE);
		return;
	}
	if (from->peer.len == 0 && proxy_check_identity(p, from, m) != ERR_OK)
		return;
	if (!admitted(p, from, m))
		return;
	route_request(p, from, m);
}

static bool receive(struct proxy *p, const struct origin *from, struct str message)
{
	struct account *a = txn_layer_account(p->txns);
	struct sip_msg m;
	struct sip_refusal why;

	if (sip_msg_parse(message, &m, &why) != ERR_OK) {
		if (m.response) {
			proxy_count(p, PROXY_C_BAD_RESPONSE);
			account_settle(a, FATE_DROP_RESPONSE);
			return true;
		}
		if (!sip_msg_answerable(&m)) {
			proxy_count(p, m.method == SIP_ACK ? PROXY_C_MALFORMED : PROXY_C_GARBAGE);
			account_settle(a, m.method == SIP_ACK ? FATE_DROP_ACK : FATE_DROP_GARBAGE);
			return m.method == SIP_ACK;
		}
		proxy_count(p, PROXY_C_MALFORMED);
		proxy_refuse(p, &from->flow, &m, why.status, why.phrase, STR_NONE);
		return true;
	}
	if (m.request)
		receive_request(p, from, &m);
	else
		receive_response(p, from, &m);
	return true;
}

static bool receive_cut(struct proxy *p, const struct origin *from, struct str head)
{
	struct account *a = txn_layer_account(p->txns);
	struct sip_msg m;
	struct sip_refusal why;
	const char *end = memmem(head.p, head.len, "\r\n\r\n", 4);

	if (end == NULL) {
		account_settle(a, FATE_DROP_GARBAGE);
		return false;
	}
	/* Without the body its length is wrong, which is looked at last. */
	(void)!sip_msg_parse(str_sub(head, 0, (size_t)(end - head.p) + 4), &m, &why);
	if (m.response || m.method == SIP_ACK) {
		proxy_count(p, m.response ? PROXY_C_BAD_RESPONSE : PROXY_C_MALFORMED);
		account_settle(a, m.response ? FATE_DROP_RESPONSE : FATE_DROP_ACK);
		return true;
	}
	if (!sip_msg_answerable(&m)) {
		proxy_count(p, PROXY_C_GARBAGE);
		account_settle(a, FATE_DROP_GARBAGE);
		return false;
	}
	proxy_count(p, PROXY_C_MALFORMED);
	proxy_refuse(p, &from->flow, &m, 513, NULL, STR_NONE);
	return true;
}

bool proxy_receive(struct proxy *p, const struct origin *from, struct str message)
{
	account_begin(txn_layer_account(p->txns));
	if (from->peer.len == 0 && p->ops->seen != NULL)
		p->ops->seen(p->host, from, message);
	bool sip = receive(p, from, message);
	account_end(txn_layer_account(p->txns));
	return sip;
}

bool proxy_receive_cut(struct proxy *p, const struct origin *from, struct str head)
{
	account_begin(txn_layer_account(p->txns));
	bool sip = receive_cut(p, from, head);
	account_end(txn_layer_account(p->txns));
	return sip;
}

/* --- requests of our own ---------------------------------------------------------------------- */

struct str proxy_via(struct proxy *p, char *mem, size_t size)
{
	struct buf b = buf_fixed(mem, size);

	txn_via_put(p->txns, &b);
	return buf_view(&b);
}

enum err proxy_send(struct proxy *p, const struct flow *flow, const struct sip_request *r, const struct txn_user *user,
		    void *ctx, struct txn **out)
{
	char via[256];
	struct buf b = buf_growing(2 * SIP_MSG_MAX);
	struct sip_request with = *r;

	with.via = proxy_via(p, via, sizeof(via));
	enum err e = sip_request_put(&b, &with);

	if (e == ERR_OK)
		e = txn_client_new(p->txns, flow, buf_view(&b), user, ctx, out);
	buf_fini(&b);
	return e;
}

enum err proxy_fork(struct proxy *p, const struct sip_msg *m, struct str caller, const struct binding *b, size_t count,
		    struct str extra, const struct fork_user *user, void *ctx, uint64_t timeout_ms, struct fork **out)
{
	struct sip_edit edit;
	struct buf text = buf_growing(2 * SIP_MSG_MAX);
	struct fork *f = NULL;

	sip_edit_init(&edit, m);
	sip_edit_max_forwards(&edit);
	proxy_edit_identity(p, &edit, caller);
	if (extra.len > 0)
		sip_edit_append(&edit, "%.*s", STR_FMT(extra));
	enum err e = sip_edit_put(&edit, &text);

	if (e == ERR_OK)
		e = fork_new(p->txns, p->timers, buf_view(&text), user, ctx, &f);
	buf_fini(&text);
	if (e != ERR_OK)
		return e;
	*out = f;
	for (size_t i = 0; i < count; i++) {
		struct fork_target t = { b[i].flow, str_from(b[i].contact), str_from(b[i].instance) };

		/* Without room for a transaction nothing is known of the device. */
		e = fork_add(f, &t);
		if ((e == ERR_CLOSED || e == ERR_FULL) && user->branch_dead != NULL)
			user->branch_dead(f, &t);
	}
	fork_begin(f, timeout_ms);
	return ERR_OK;
}
