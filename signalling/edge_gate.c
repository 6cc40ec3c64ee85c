/* What may come in from phones, and as whom. A stranger gets challenges and nothing else; his first login makes a line. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/device.h"
#include "common/events.h"
#include "common/log.h"
#include "common/rkeys.h"
#include "common/sip_token.h"
#include "signalling/conn_int.h"
#include "signalling/conn_line.h"
#include "signalling/edge_int.h"
#include "signalling/proxy.h"
#include "signalling/sip_build.h"
#include "signalling/sip_uri.h"

#define CHALLENGE_COST 2u   /* of a source's budget, besides the message itself */
#define WRONG_COST 20u
#define UDP_LINE_SLACK_MS 32000u
#define STORE_AWAY "Retry-After: 5\r\n"
#define HELD_MAX 131072u    /* bytes that may wait for a token to be confirmed */

/* Credentials whose secret is being looked up. */
struct attempt {
	struct edge *edge;
	struct link *link;
	struct list by_link;
	char user[USER_NAME_SIZE], device[DEVICE_ID_LEN + 1];
	bool running;   /* its answer is being given: it is freed by that, whatever becomes of the link meanwhile */
	size_t len;
	char message[]; /* as link_in put it: it is judged again when the secret is there */
};

/* KEYS device, user -> sha256, md5, state, role, denied, rev ("" for what is not there) */
static struct rds_script login_script = {
	.source = "local d = redis.call('HMGET', KEYS[1], 'sha256', 'md5')\n"
		  "local u = redis.call('HMGET', KEYS[2], 'state', 'role', 'denied', 'rev')\n"
		  "return { d[1] or '', d[2] or '', u[1] or '', u[2] or '', u[3] or '', u[4] or '' }\n",
};

/* KEYS device; ARGV now. Never brings a device back that was taken away. */
static struct rds_script used_script = {
	.source = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'used', ARGV[1]) end\n"
		  "return 0\n",
};

static struct worker *worker_of(const struct link *l)
{
	return l->edge->w;
}

static void count(const struct link *l, enum reject why)
{
	worker_of(l)->count->reject[why]++;
}

/* --- answers --- */

void gate_refuse(struct link *l, const struct sip_msg *m, unsigned status, const char *phrase, struct str headers)
{
	struct buf out = buf_growing(SIP_MSG_MAX);
	struct sip_reply r = { .status = status, .phrase = phrase, .headers = headers, .to_tag = STR("edge") };

	if (m->method == SIP_ACK || sip_reply_put(&out, m, &r) != ERR_OK)
		goto done;
	/* Whoever does not take his answer is noticed by the link. */
	if (l->kind == LINK_UDP && !l->dead)
		(void)!udp_write(l, buf_view(&out), edge_response_port(m));
	else
		(void)!link_write(l, buf_view(&out));
done:
	buf_fini(&out);
}

/* Where a nonce is good: this connection; or this address at this worker, which alone remembers what was used with it. */
static struct str place_put(struct buf *to, const struct link *l)
{
	const struct worker *w = worker_of(l);

	buf_printf(to, "%u %s %u %llx", (unsigned)l->kind, l->ip, address_port(&l->remote), (unsigned long long)l->salt);
	if (l->kind == LINK_UDP)
		buf_printf(to, " %s %llx", w->name, (unsigned long long)w->epoch);
	return buf_view(to);
}

/* 401 of the registrar, 407 of the proxy (RFC 3261 §22.2, §22.3): one challenge a scheme, best first (RFC 8760 §2.3). */
static void challenge(struct link *l, const struct sip_msg *m, bool stale)
{
	struct worker *w = worker_of(l);
	char place_mem[192], nonce_mem[DIGEST_NONCE_LEN];
	struct buf place = buf_fixed(place_mem, sizeof(place_mem)), nonce = buf_fixed(nonce_mem, sizeof(nonce_mem)), lines = buf_growing(4096);
	bool ours = m->method == SIP_REGISTER;

	if (m->method == SIP_ACK || m->method == SIP_CANCEL) {
		count(l, REJ_NO_LINE);
		if (m->method == SIP_CANCEL)
			gate_refuse(l, m, 481, NULL, STR_NONE);
		return;
	}
	/* On a stream the sender is who he is, and has a budget of his own. */
	if (l->kind == LINK_UDP && !sources_take(l->edge->sources, &l->remote, CHALLENGE_COST, worker_now(w))) {
		count(l, REJ_SOURCE);
		return;
	}
	digest_nonce_put(&nonce, w->nonce_key, place_put(&place, l), clock_wall_ms());
	for (size_t i = 0; i < l->edge->schemes; i++) {
		/* A token that is overheard can be used (RFC 8898 §5). */
		if (l->edge->scheme[i] == AUTH_BEARER && l->kind != LINK_TLS)
			continue;
		buf_z(&lines, ours ? "WWW-Authenticate: " : "Proxy-Authenticate: ");
		if (l->edge->scheme[i] == AUTH_BEARER)
			buf_printf(&lines, "Bearer realm=\"%.*s\"", STR_FMT(w->domain));
		else
			digest_challenge_put(&lines, l->edge->scheme[i] == AUTH_SHA256 ? DIGEST_SHA256 : DIGEST_MD5, w->domain, buf_view(&nonce), stale);
		buf_z(&lines, "\r\n");
	}
	w->count->stat[STAT_CHALLENGED]++;
	gate_refuse(l, m, ours ? 401 : 407, NULL, buf_view(&lines));
	buf_fini(&lines);
}

/* --- letting it in --- */

/* With a callback, because a script that Redis does not know is sent again only then. */
static void on_noted(void *user_data, enum err e, const struct redisReply *reply)
{
	(void)user_data;
	(void)e;
	(void)reply;
}

/* A token says who somebody was when it was made. Whether he still may is asked of Redis when its line opens, and until then nothing he sends is
 * done; a digest was judged by what Redis said. */
static bool must_wait(const struct conn *c)
{
	return !c->admitted && c->line->ha1[DIGEST_SHA256][0] == '\0' && c->line->ha1[DIGEST_MD5][0] == '\0';
}

static void hold(struct conn *c, const struct sip_msg *m)
{
	struct link *l = c->line->link;
	struct buf *b = &c->line->held;
	size_t len = m->raw.len, before = b->len;

	if (b->max == 0)
		*b = buf_growing(HELD_MAX);
	buf_put(b, &len, sizeof(len));
	buf_str(b, m->raw);
	if (!b->overflow)
		return;
	b->len = before;
	b->overflow = false;
	count(l, REJ_REDIS);
	gate_refuse(l, m, 503, NULL, STR(STORE_AWAY));
}

void gate_admitted(struct conn *c)
{
	struct worker *w = c->w;
	struct link *l = c->line->link;
	struct buf held = c->line->held;
	uint32_t slot = c->flow.slot;

	c->line->held = (struct buf){ 0 };
	/* What is handled may end the line; the link lasts until the end of the turn. */
	for (size_t at = 0, len; at < held.len && link_line_at(l, slot) == c; at += sizeof(len) + len) {
		struct origin from = conn_origin(c);

		memcpy(&len, held.p + at, sizeof(len));
		w->count->stat[STAT_MSG_IN]++;
		if (!proxy_receive(w->proxy, &from, str_of(held.p + at + sizeof(len), len)))
			count(l, REJ_PARSE);
	}
	buf_fini(&held);
}

static void deliver(struct conn *c, const struct sip_msg *m)
{
	if (must_wait(c)) {
		hold(c, m);
		return;
	}

	struct worker *w = c->w;
	struct link *l = c->line->link;
	struct origin from = conn_origin(c);

	if (l->kind == LINK_UDP)
		timer_arm(loop_timers(w->loop), &c->timer, w->conf->register_max_s * MS_PER_S + UDP_LINE_SLACK_MS);
	w->count->stat[STAT_MSG_IN]++;
	if (!proxy_receive(w->proxy, &from, m->raw))
		count(l, REJ_PARSE);
}

static void log_in(struct link *l, const struct login *who, const struct sip_msg *m, const struct digest *d, uint64_t nonce_made)
{
	struct worker *w = worker_of(l);
	struct conn *c = link_line_of(l, who->user);
	struct str device;

	/* Another of the user's devices, or one that was made anew. */
	if (c != NULL && !str_eq(c->session, who->session)) {
		conn_close(c, WS_CLOSE_SUPERSEDED, "logged in as another device");
		c = NULL;
	}
	if (c == NULL) {
		if (conn_line_open(w->conns, l, who, &c) != ERR_OK) {
			gate_refuse(l, m, 503, NULL, STR(STORE_AWAY));
			return;
		}
		if (l->kind != LINK_UDP)
			stream_known(l);
		else if (list_empty(&l->by_remote))
			udp_keep(l);
		if (device_of_session(who->session, &device)) {
			struct rkey key = rkey_device(who->user, device);
			char digits[24];
			struct buf now = buf_fixed(digits, sizeof(digits));

			buf_u64(&now, clock_wall_ms());
			RDS_ASYNC_EVAL(w->rds, &used_script, on_noted, NULL, 1, rkey_str(&key), buf_view(&now));
		}
	}
	if (d != NULL && !nonces_use(&c->line->nonces, nonce_made, d->nc)) {
		count(l, REJ_AUTH_STALE);
		challenge(l, m, true);
		return;
	}
	w->count->stat[STAT_LOGINS]++;
	deliver(c, m);
}

/* --- digest --- */

static bool offered(const struct edge *e, enum auth_scheme scheme)
{
	for (size_t i = 0; i < e->schemes; i++) {
		if (e->scheme[i] == scheme)
			return true;
	}
	return false;
}

/* The first credentials for our realm of a scheme that we take. ERR_NOT_FOUND, or ERR_INVALID for broken ones. */
static enum err credentials(const struct link *l, const struct sip_msg *m, struct digest *out)
{
	static const enum sip_hdr where[] = { SIP_H_PROXY_AUTHORIZATION, SIP_H_AUTHORIZATION };
	enum err worst = ERR_NOT_FOUND;

	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		for (const struct sip_field *f = sip_msg_first(m, where[i]); f != NULL; f = sip_msg_next(m, f)) {
			enum err e = digest_parse(sip_field_value(m, f), out);

			if (e == ERR_OK && str_eq(out->realm, worker_of(l)->domain) &&
			    offered(l->edge, out->algorithm == DIGEST_SHA256 ? AUTH_SHA256 : AUTH_MD5))
				return ERR_OK;
			if (e == ERR_INVALID)
				worst = e;
		}
	}
	return worst;
}

/* Right for this secret? Answers, or lets it in. */
static void judge(struct link *l, const struct sip_msg *m, const struct digest *d, const struct login *who, uint64_t nonce_made)
{
	struct worker *w = worker_of(l);
	struct str ha1 = d->algorithm == DIGEST_SHA256 ? who->sha256 : who->md5;

	if (ha1.len == 0 || !digest_ok(d, ha1, m->method_text)) {
		count(l, REJ_AUTH_WRONG);
		(void)sources_take(l->edge->sources, &l->remote, WRONG_COST, worker_now(w));
		log_event(LOG_INFO, "phone-login-wrong", "login=%s address=%s", log_value(d->username), l->ip);
		challenge(l, m, false);
		return;
	}
	log_in(l, who, m, d, nonce_made);
}

static perm_set perms_of(struct str role, struct str denied)
{
	perm_set set;

	return perm_role(role, &set) == ERR_OK ? set & ~perm_parse(denied) : 0;
}

static void attempt_free(struct attempt *a)
{
	list_remove(&a->by_link);
	a->edge->logins--;
	free(a);
}

static void on_secret(void *user_data, enum err e, const struct redisReply *reply)
{
	struct attempt *a = user_data;
	struct link *made = a->link, *kept = made->kind == LINK_UDP ? udp_find(a->edge, made->socket, &made->remote) : NULL;
	struct link *l = kept != NULL ? kept : made; /* the phone may have logged in by another datagram meanwhile */
	char session[DEVICE_SESSION_LEN + 1] = DEVICE_SESSION_PREFIX, place_mem[192];
	struct buf place = buf_fixed(place_mem, sizeof(place_mem));
	struct sip_msg m;
	struct sip_refusal why;
	struct digest d;
	uint64_t nonce_made;

	a->running = true;
	memcpy(session + 2, a->device, sizeof(a->device));
	const struct login who = { .user = str_from(a->user), .session = str_from(session), .sha256 = rds_text(rds_at(reply, 0)),
				   .md5 = rds_text(rds_at(reply, 1)), .revision = rds_text(rds_at(reply, 5)),
				   .perms = perms_of(rds_text(rds_at(reply, 3)), rds_text(rds_at(reply, 4))) };
	bool active = str_eq(rds_text(rds_at(reply, 2)), STR("active"));
	if (sip_msg_parse(str_of(a->message, a->len), &m, &why) != ERR_OK || credentials(l, &m, &d) != ERR_OK) {
		/* It was good when it was asked for. */
		count(l, REJ_AUTH_BAD);
		goto done;
	}
	struct conn *c = link_line_of(l, who.user);
	if (c != NULL && txn_layer_knows(proxy_txns(worker_of(l)->proxy), conn_flow(c), &m)) {
		deliver(c, &m); /* it was sent again meanwhile, and that was let in */
	} else if (e != ERR_OK) {
		count(l, REJ_REDIS);
		gate_refuse(l, &m, 500, "Store Not Available", STR(STORE_AWAY));
	} else if (!active || digest_nonce_get(d.nonce, worker_of(l)->nonce_key, place_put(&place, l), clock_wall_ms(), &nonce_made) != ERR_OK) {
		count(l, active ? REJ_AUTH_STALE : REJ_AUTH_WRONG);
		challenge(l, &m, active);
	} else {
		judge(l, &m, &d, &who, nonce_made);
	}
done:
	attempt_free(a);
	/* Made for one datagram, and nobody has logged in by it. */
	if (made->kind == LINK_UDP && list_empty(&made->by_remote) && list_empty(&made->logins))
		udp_free(made);
}

/* True if the link is held by the look-up now. */
static bool look_up(struct link *l, const struct sip_msg *m, struct str user, struct str device)
{
	struct edge *e = l->edge;
	struct attempt *a = NULL;
	size_t under_way = 0;

	for (struct list *it = l->logins.next; it != &l->logins; it = it->next)
		under_way++;
	if (e->logins < EDGE_LOGINS_MAX && under_way < EDGE_LOGINS_PER_LINK)
		a = calloc(1, sizeof(*a) + m->raw.len);
	if (a == NULL || str_copy(user, a->user, sizeof(a->user)) != ERR_OK || str_copy(device, a->device, sizeof(a->device)) != ERR_OK) {
		free(a);
		gate_refuse(l, m, 503, NULL, STR(STORE_AWAY));
		return false;
	}
	a->edge = e;
	a->link = l;
	a->len = m->raw.len;
	memcpy(a->message, m->raw.p, m->raw.len);
	list_init(&a->by_link);
	list_append(&l->logins, &a->by_link);
	e->logins++;
	struct rkey key = rkey_device(user, device), account = rkey_user(user);
	RDS_ASYNC_EVAL(e->w->rds, &login_script, on_secret, a, 2, rkey_str(&key), rkey_str(&account));
	return true;
}

void gate_forget(struct link *l)
{
	while (!list_empty(&l->logins)) {
		struct attempt *a = CONTAINER_OF(l->logins.next, struct attempt, by_link);

		list_remove(&a->by_link);
		if (a->running)
			continue;
		if (l->edge->w->rds != NULL)
			rds_async_forget(l->edge->w->rds, a);
		attempt_free(a);
	}
}

/* --- bearer tokens (RFC 8898) --- */

/* The token of the request, or an empty slice: TLS only, and only where it is configured. */
static struct str bearer_of(const struct link *l, const struct sip_msg *m)
{
	static const enum sip_hdr where[] = { SIP_H_PROXY_AUTHORIZATION, SIP_H_AUTHORIZATION };

	if (l->kind != LINK_TLS || !offered(l->edge, AUTH_BEARER))
		return STR_NONE;
	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		for (const struct sip_field *f = sip_msg_first(m, where[i]); f != NULL; f = sip_msg_next(m, f)) {
			struct str value = sip_field_value(m, f);

			if (value.len > 7 && str_ieq(str_sub(value, 0, 6), STR("Bearer")) && value.p[6] == ' ')
				return str_trim(str_sub(value, 7, value.len));
		}
	}
	return STR_NONE;
}

static void by_token(struct link *l, const struct sip_msg *m, struct str text, struct str name)
{
	struct worker *w = worker_of(l);
	struct sip_token t;
	char digits[24];
	struct buf revision = buf_fixed(digits, sizeof(digits));
	enum err e = sip_token_get(text, str_from(w->conf->turn_secret), clock_wall_ms() / MS_PER_S, &t);

	if (e == ERR_OK && !str_eq(str_from(t.user), name)) {
		count(l, REJ_AUTH_WRONG);
		gate_refuse(l, m, 403, "Token is not that of From", STR_NONE);
		return;
	}
	if (e != ERR_OK) {
		count(l, e == ERR_EXPIRED ? REJ_AUTH_STALE : REJ_AUTH_WRONG);
		(void)sources_take(l->edge->sources, &l->remote, e == ERR_EXPIRED ? 0 : WRONG_COST, worker_now(w));
		challenge(l, m, false);
		return;
	}
	buf_u64(&revision, t.revision);
	const struct login who = { .user = str_from(t.user), .session = str_from(t.session), .revision = buf_view(&revision), .perms = t.perms };
	/* The line asks Redis whether the session is still there, as a WebSocket does, and the request waits for the answer. */
	log_in(l, &who, m, NULL, 0);
}

/* --- who is it --- */

/* The Request-URI that was hashed must be the one that is asked for (RFC 7616 §3.4.6), or a login could be turned to another purpose. */
static bool same_uri(const struct digest *d, const struct sip_msg *m)
{
	struct sip_uri a, b;

	return str_eq(d->uri, m->uri) ||
	       (sip_uri_parse(d->uri, &a) == ERR_OK && sip_uri_parse(m->uri, &b) == ERR_OK && sip_uri_equal(&a, &b));
}

/* A request that must show credentials. True if the link is held now. */
static bool authenticate(struct link *l, const struct sip_msg *m, struct str name)
{
	struct worker *w = worker_of(l);
	char place_mem[192];
	struct buf place = buf_fixed(place_mem, sizeof(place_mem));
	struct digest d;
	struct str user, device;
	uint64_t made;
	struct str token = bearer_of(l, m);

	if (token.len > 0) {
		by_token(l, m, token, name);
		return false;
	}
	enum err e = credentials(l, m, &d);
	if (e == ERR_INVALID || (e == ERR_OK && !same_uri(&d, m))) {
		count(l, REJ_AUTH_BAD);
		gate_refuse(l, m, 400, "Bad Credentials", STR_NONE);
		return false;
	}
	if (e != ERR_OK) {
		challenge(l, m, false);
		return false;
	}
	/* Its own login, and no other's: From is compared here, the rest as for any connection. */
	if (device_login_get(d.username, &user, &device) != ERR_OK || !str_eq(user, name)) {
		count(l, REJ_AUTH_WRONG);
		gate_refuse(l, m, 403, "Login is not that of From", STR_NONE);
		return false;
	}
	if (digest_nonce_get(d.nonce, w->nonce_key, place_put(&place, l), clock_wall_ms(), &made) != ERR_OK) {
		count(l, REJ_AUTH_STALE);
		challenge(l, m, true);
		return false;
	}
	struct conn *c = link_line_of(l, user);
	struct str known;
	if (c == NULL || !device_of_session(c->session, &known) || !str_eq(known, device) || c->line->ha1[0][0] == '\0')
		return look_up(l, m, user, device);
	/* The line's own device: an end of it would have ended the line. */
	const struct login who = { .user = user, .session = c->session, .sha256 = str_from(c->line->ha1[DIGEST_SHA256]),
				   .md5 = str_from(c->line->ha1[DIGEST_MD5]) };
	judge(l, m, &d, &who, made);
	return false;
}

/* --- what came --- */

/* Whether a request on a line needs no credentials of its own. */
static bool free_pass(const struct link *l, const struct conn *c, const struct sip_msg *m)
{
	struct proxy *p = worker_of(l)->proxy;
	struct sip_addr to;

	if (l->kind != LINK_UDP || m->method == SIP_ACK || m->method == SIP_CANCEL || txn_layer_knows(proxy_txns(p), conn_flow(c), m))
		return true;
	return sip_msg_addr(m, SIP_H_TO, &to) == ERR_OK && to.tag.len > 0 && proxy_route_ours(p, m);
}

static bool take_request(struct link *l, const struct sip_msg *m)
{
	struct worker *w = worker_of(l);
	char name[USER_NAME_SIZE];
	struct sip_addr from;
	struct sip_uri uri;

	if (sip_msg_addr(m, SIP_H_FROM, &from) != ERR_OK || sip_uri_parse(from.uri, &uri) != ERR_OK ||
	    sip_uri_user_name(&uri, w->domain, name, sizeof(name)) != ERR_OK) {
		count(l, REJ_FORGED);
		gate_refuse(l, m, 403, "From is not of this domain", STR_NONE);
		return false;
	}
	struct conn *c = link_line_of(l, str_from(name));
	if (c != NULL && free_pass(l, c, m)) {
		deliver(c, m);
		return false;
	}
	/* An ACK cannot be challenged (RFC 3261 §22.1); by our Route it can only reach the two whom that was made for. */
	if (c == NULL && m->method == SIP_ACK && proxy_route_ours(w->proxy, m)) {
		const struct origin origin = { .user = str_from(name), .address = str_from(l->ip), .phone = true };

		(void)proxy_receive(w->proxy, &origin, m->raw);
		return false;
	}
	return authenticate(l, m, str_from(name));
}

static void take_response(struct link *l, const struct sip_msg *m, const struct edge_names *names)
{
	struct worker *w = worker_of(l);
	struct buf inner = buf_growing(2 * SIP_MSG_MAX);
	struct edge_answer to;
	struct sip_msg got;
	struct sip_refusal why;

	if (edge_response_in_put(&inner, m, names, &to) != ERR_OK || sip_msg_parse(buf_view(&inner), &got, &why) != ERR_OK) {
		count(l, REJ_NO_LINE);
		buf_fini(&inner);
		return;
	}
	struct conn *c = link_line_at(l, to.slot);
	if (c != NULL) {
		deliver(c, &got);
	} else if (l->kind == LINK_UDP) {
		/* The kernel may give an address to another worker when one of them starts or ends. Who knows the branch has seen the request. */
		const struct origin origin = { .address = str_from(l->ip), .phone = true };

		(void)proxy_receive(w->proxy, &origin, got.raw);
	} else {
		count(l, REJ_NO_LINE);
	}
	buf_fini(&inner);
}

/* In a datagram what lies behind the body is not part of it (RFC 3261 §18.3). */
static struct str cut(const struct link *l, struct str bytes)
{
	size_t skip = 0, len = 0;

	if (l->kind != LINK_UDP || sip_msg_measure(bytes, &skip, &len) != ERR_OK || len == 0)
		return bytes;
	return str_sub(bytes, skip, len);
}

bool gate_receive(struct link *l, struct str bytes)
{
	struct edge_names names = link_names(l);
	struct sip_msg m, got;
	struct sip_refusal why = { 400, NULL };
	struct buf inner = buf_growing(2 * SIP_MSG_MAX);
	bool held = false;
	enum err e = sip_msg_parse(cut(l, bytes), &m, &why);

	if (e != ERR_OK && !sip_msg_answerable(&m)) {
		count(l, l->kind == LINK_UDP ? REJ_DATAGRAM : REJ_PARSE);
		/* A broken ACK or response is dropped; what is no SIP at all ends a stream. */
		if (l->kind != LINK_UDP && m.status == 0 && m.method != SIP_ACK)
			stream_finish(l);
		return false;
	}
	if (e == ERR_OK && !m.request) {
		take_response(l, &m, &names);
		return !list_empty(&l->by_remote);
	}
	if (e == ERR_OK)
		e = edge_request_in_put(&inner, &m, &names);
	if (e == ERR_OK)
		e = sip_msg_parse(buf_view(&inner), &got, &why);
	if (e == ERR_OK) {
		held = take_request(l, &got);
	} else {
		count(l, REJ_SANITY);
		if (l->kind != LINK_UDP || sources_take(l->edge->sources, &l->remote, CHALLENGE_COST, worker_now(worker_of(l))))
			gate_refuse(l, &m, why.status, why.phrase, STR_NONE);
	}
	buf_fini(&inner);
	return held || !list_empty(&l->by_remote);
}
