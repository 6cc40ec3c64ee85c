/* A bed for SIP flows: several workers with the real proxy and transactions, on a virtual clock, with fake connections,
 * location and store. Clients are scripts: they take what came to them and answer. Nothing is delivered inside a call
 * of the code under test; bed_run() moves messages between workers and the clock forward. */
#ifndef DUPLEX_TESTS_BED_H
#define DUPLEX_TESTS_BED_H

#include <stdio.h>
#include <stdlib.h>

#include "signalling/call.h"
#include "signalling/proxy.h"
#include "signalling/sip_build.h"
#include "tests/lib/cm.h"

#define BED_WORKERS 3u
#define BED_CLIENTS 12u
#define BED_INBOX   64u
#define BED_STORE   256u
#define BED_DOMAIN  "example.com"

struct bed;

struct bed_worker {
	struct bed *bed;
	char name[16], sent_by[32];
	struct proxy *proxy;
	uint64_t epoch; /* grows with each start */
	bool dead;
};

struct bed_client {
	struct bed *bed;
	unsigned worker; /* of its connection */
	char user[USER_NAME_SIZE], instance[64], contact[128], session[40];
	struct flow flow;
	bool open, registered;
	bool dnd; /* its user wants no calls */
	perm_set perms;
	char *inbox[BED_INBOX]; /* messages it got and did not take yet */
	unsigned got;
	uint32_t cseq;
};

struct bed {
	struct timers timers;
	uint64_t wall;
	struct bed_worker worker[BED_WORKERS];
	struct bed_client client[BED_CLIENTS];
	unsigned clients, slots;
	struct {
		unsigned to;
		char from[WORKER_NAME_MAX + 1];
		struct flow flow;
		char *text;
	} wire[BED_INBOX]; /* between workers */
	unsigned wired;
	char *store[BED_STORE]; /* Redis commands, arguments joined by blanks */
	unsigned stored;
	int busy[BED_CLIENTS]; /* by client with the same user */
	unsigned removed;      /* bindings taken out by the proxy */
	bool uncertain;        /* the store did not answer, and the worker itself knows nobody */
	enum err lookup_fails; /* ERR_OK = works */
	bool near;             /* a worker rings its own devices before it asks */
	struct {               /* the look-up that is under way when `near` */
		struct bed_worker *host;
		char user[USER_NAME_SIZE], instance[64];
		location_fn done;
		void *arg;
	} asked;
};

/* --- the host --------------------------------------------------------------------------------- */

static inline struct bed_client *bed_by_flow(struct bed *b, const struct flow *f)
{
	for (unsigned i = 0; i < b->clients; i++)
		if (b->client[i].open && flow_eq(&b->client[i].flow, f))
			return &b->client[i];
	return NULL;
}

static inline char *bed_dup(struct str s)
{
	char *z = malloc(s.len + 1);

	memcpy(z, s.p, s.len);
	z[s.len] = '\0';
	return z;
}

static inline enum err bed_send_op(void *host, const struct flow *flow, struct str message)
{
	struct bed_worker *w = host;
	struct bed_client *c = bed_by_flow(w->bed, flow);

	/* Every byte that leaves must parse. */
	struct sip_msg m;
	struct sip_refusal why;

	assert_ok(sip_msg_parse(message, &m, &why));
	if (c != NULL) {
		assert_true(c->got < BED_INBOX);
		c->inbox[c->got++] = bed_dup(message);
		return ERR_OK;
	}
	if (strcmp(flow->worker, w->name) == 0)
		return ERR_CLOSED;
	/* The other worker finds the flow gone and answers 430 (peer.c). */
	for (unsigned i = 0; i < BED_WORKERS; i++)
		if (strcmp(w->bed->worker[i].name, flow->worker) == 0 && w->bed->worker[i].dead)
			return ERR_CLOSED;
	if (m.request && m.method != SIP_ACK) {
		struct buf out = buf_growing(SIP_MSG_MAX);
		unsigned n = w->bed->wired++;

		assert_ok(sip_reply_put(&out, &m, &(struct sip_reply){ .status = 430, .to_tag = STR("peer") }));
		w->bed->wire[n].to = (unsigned)(w - w->bed->worker);
		(void)snprintf(w->bed->wire[n].from, sizeof(w->bed->wire[n].from), "%s", flow->worker);
		w->bed->wire[n].flow = (struct flow){ 0 };
		w->bed->wire[n].text = bed_dup(buf_view(&out));
		buf_fini(&out);
	}
	return ERR_OK;
}

static inline bool bed_reliable_op(void *host, const struct flow *flow)
{
	(void)host;
	(void)flow;
	return true;
}

static inline enum err bed_send_worker_op(void *host, struct str worker, const struct flow *from, struct str message)
{
	struct bed_worker *w = host;

	for (unsigned i = 0; i < BED_WORKERS; i++) {
		if (!str_eq(worker, str_from(w->bed->worker[i].name)) || w->bed->worker[i].dead)
			continue;
		unsigned n = w->bed->wired++;

		assert_true(n < BED_INBOX);
		w->bed->wire[n].to = i;
		(void)snprintf(w->bed->wire[n].from, sizeof(w->bed->wire[n].from), "%s", w->name);
		w->bed->wire[n].flow = *from;
		w->bed->wire[n].text = bed_dup(message);
		return ERR_OK;
	}
	return ERR_CLOSED;
}

static inline void bed_answered_op(void *host, const struct flow *from, const struct sip_msg *m)
{
	(void)host;
	(void)from;
	(void)m;
}

static inline bool bed_local_op(void *host, const struct flow *flow)
{
	struct bed_worker *w = host;

	return strcmp(flow->worker, w->name) == 0;
}

static inline bool bed_alive_op(void *host, const struct flow *flow)
{
	struct bed_worker *w = host;

	return !bed_local_op(host, flow) || bed_by_flow(w->bed, flow) != NULL;
}

static inline void bed_lookup_op(void *host, struct str user, struct str instance, location_fn done, void *arg)
{
	struct bed_worker *w = host;
	struct bed *b = w->bed;
	struct binding found[BED_CLIENTS];
	struct location loc = { .binding = found };

	if (b->lookup_fails != ERR_OK) {
		done(arg, b->lookup_fails, &loc);
		return;
	}
	loc.uncertain = b->uncertain;
	for (unsigned i = 0; i < b->clients && !b->uncertain; i++) {
		struct bed_client *c = &b->client[i];

		if (!str_eq(user, str_from(c->user)))
			continue;
		loc.known = true;
		loc.dnd |= c->dnd;
		if (!c->registered || (instance.len > 0 && !str_eq(instance, str_from(c->instance))))
			continue;
		struct binding *x = &found[loc.count++];

		*x = (struct binding){ .flow = c->flow, .reg_id = 1 };
		(void)snprintf(x->instance, sizeof(x->instance), "%s", c->instance);
		(void)snprintf(x->contact, sizeof(x->contact), "%s", c->contact);
	}
	done(arg, ERR_OK, &loc);
}

static inline void bed_lookup_soon_op(void *host, struct str user, struct str instance, location_fn done, void *arg)
{
	struct bed *b = ((struct bed_worker *)host)->bed;

	assert_null(b->asked.done);
	assert_ok(str_copy(user, b->asked.user, sizeof(b->asked.user)));
	assert_ok(str_copy(instance, b->asked.instance, sizeof(b->asked.instance)));
	b->asked.host = host;
	b->asked.done = done;
	b->asked.arg = arg;
}

/* The answer to the look-up of a worker that rings already. */
static inline void bed_looked_up(struct bed *b)
{
	location_fn done = b->asked.done;

	assert_non_null(done);
	b->asked.done = NULL;
	bed_lookup_op(b->asked.host, str_from(b->asked.user), str_from(b->asked.instance), done, b->asked.arg);
}

static inline size_t bed_near_op(void *host, struct str user, struct str instance, struct binding *out, size_t max)
{
	struct bed_worker *w = host;
	struct bed *b = w->bed;
	size_t n = 0;

	for (unsigned i = 0; i < b->clients && b->near; i++) {
		struct bed_client *c = &b->client[i];

		if (!str_eq(user, str_from(c->user)) || !c->registered || (instance.len > 0 && !str_eq(instance, str_from(c->instance))) ||
		    strcmp(c->flow.worker, w->name) != 0 || n == max)
			continue;
		if (c->dnd)
			return 0;
		out[n] = (struct binding){ .flow = c->flow, .reg_id = 1 };
		(void)snprintf(out[n].instance, sizeof(out[n].instance), "%s", c->instance);
		(void)snprintf(out[n].contact, sizeof(out[n].contact), "%s", c->contact);
		n++;
	}
	return n;
}

static inline void bed_forget_op(void *host, const void *arg)
{
	(void)host;
	(void)arg;
}

static inline void bed_remove_op(void *host, struct str user, struct str instance, const struct flow *flow)
{
	struct bed *b = ((struct bed_worker *)host)->bed;

	for (unsigned i = 0; i < b->clients; i++) {
		struct bed_client *c = &b->client[i];

		if (str_eq(user, str_from(c->user)) && str_eq(instance, str_from(c->instance)) &&
		    flow_eq(&c->flow, flow)) {
			c->registered = false;
			b->removed++;
		}
	}
}

static inline void bed_busy_op(void *host, struct str user, bool busy)
{
	struct bed *b = ((struct bed_worker *)host)->bed;

	for (unsigned i = 0; i < b->clients; i++)
		if (str_eq(user, str_from(b->client[i].user)))
			b->busy[i] += busy ? 1 : -1;
}

static inline void bed_store_op(void *host, size_t argc, const struct str *argv);

/* As the command that the outbox makes of it. */
static inline void bed_append_op(void *host, struct str key, struct str max, size_t count, const struct str *fields)
{
	struct str argv[48] = { STR("XADD"), key, STR("MAXLEN"), STR("~"), max, STR("*") };

	assert_true(count <= 42);
	memcpy(argv + 6, fields, count * sizeof(*fields));
	bed_store_op(host, 6 + count, argv);
}

static inline void bed_store_op(void *host, size_t argc, const struct str *argv)
{
	struct bed *b = ((struct bed_worker *)host)->bed;
	struct buf line = buf_growing(SIP_MSG_MAX);

	if (str_eq(argv[0], STR("PEXPIRE"))) /* the lease: comes with the clock, says nothing */
		return;
	for (size_t i = 0; i < argc; i++) {
		if (i > 0)
			buf_char(&line, ' ');
		buf_str(&line, argv[i]);
	}
	assert_true(b->stored < BED_STORE);
	b->store[b->stored++] = bed_dup(buf_view(&line));
	buf_fini(&line);
}

static inline uint64_t bed_wall_op(void *host)
{
	struct bed *b = ((struct bed_worker *)host)->bed;

	return b->wall + b->timers.now_ms;
}

static const struct proxy_host bed_host = {
	.txn = { bed_send_op, bed_reliable_op },
	.send_worker = bed_send_worker_op,
	.answered = bed_answered_op,
	.alive = bed_alive_op,
	.local = bed_local_op,
	.lookup = bed_lookup_op,
	.lookup_soon = bed_lookup_soon_op,
	.near = bed_near_op,
	.forget = bed_forget_op,
	.remove = bed_remove_op,
	.busy = bed_busy_op,
	.store = bed_store_op,
	.append = bed_append_op,
	.wall_ms = bed_wall_op,
};

/* --- life ------------------------------------------------------------------------------------- */

static inline void bed_start_worker(struct bed *b, unsigned i)
{
	struct bed_worker *w = &b->worker[i];
	struct proxy_config config = {
		.domain = STR(BED_DOMAIN),
		.worker = str_from(w->name),
		.epoch = ++w->epoch,
		.sent_by = str_from(w->sent_by),
		.secret = STR("0123456789abcdef0123456789abcdef"),
		.ring_timeout_ms = 45000,
		.lost_grace_ms = 30000,
		.late_ms = 4000,
		.session_min_s = 90,
		.calls_per_user = 4,
		.calls_max = 100,
		.txn_max = 1000,
		.txn_per_flow = 64,
		.times = TXN_TIMES_DEFAULT,
	};

	w->dead = false;
	assert_ok(proxy_new(&config, &b->timers, &bed_host, w, &w->proxy));
}

static inline struct bed *bed_new(void)
{
	struct bed *b = calloc(1, sizeof(*b));

	timers_init(&b->timers, 1000);
	b->wall = 1700000000000;
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		struct bed_worker *w = &b->worker[i];

		w->bed = b;
		(void)snprintf(w->name, sizeof(w->name), "n1.%u", i);
		(void)snprintf(w->sent_by, sizeof(w->sent_by), "n1.%u.invalid", i);
		bed_start_worker(b, i);
	}
	return b;
}

static inline void bed_free(struct bed *b)
{
	for (unsigned i = 0; i < BED_WORKERS; i++)
		proxy_free(b->worker[i].proxy);
	for (unsigned i = 0; i < b->clients; i++)
		for (unsigned k = 0; k < b->client[i].got; k++)
			free(b->client[i].inbox[k]);
	for (unsigned i = 0; i < b->wired; i++)
		free(b->wire[i].text);
	for (unsigned i = 0; i < b->stored; i++)
		free(b->store[i]);
	free(b);
}

/* --- clients ---------------------------------------------------------------------------------- */

static inline void bed_connect(struct bed_client *c, unsigned worker)
{
	c->worker = worker;
	c->flow = (struct flow){ .epoch = 7, .slot = ++c->bed->slots, .generation = 1 };
	(void)snprintf(c->flow.worker, sizeof(c->flow.worker), "%s", c->bed->worker[worker].name);
	c->open = c->registered = true;
}

static inline struct bed_client *bed_client(struct bed *b, const char *user, unsigned worker)
{
	struct bed_client *c = &b->client[b->clients];

	c->bed = b;
	c->perms = perm_parse(STR("call.audio,call.video,chat.send"));
	(void)snprintf(c->user, sizeof(c->user), "%s", user);
	(void)snprintf(c->instance, sizeof(c->instance), "urn:uuid:00000000-0000-0000-0000-%012u", b->clients);
	(void)snprintf(c->contact, sizeof(c->contact), "sip:c%u@c%u.invalid;transport=ws", b->clients, b->clients);
	(void)snprintf(c->session, sizeof(c->session), "5e55%028u", b->clients);
	b->clients++;
	bed_connect(c, worker);
	return c;
}

static inline bool bed_raw(struct bed_client *c, struct str message)
{
	struct origin from = {
		.flow = c->flow, .user = str_from(c->user), .session = str_from(c->session), .perms = c->perms
	};

	return proxy_receive(c->bed->worker[c->worker].proxy, &from, message);
}

/* Delivers what is on the wire between workers, and what that brings about. */
static inline void bed_settle(struct bed *b)
{
	while (b->wired > 0) {
		unsigned to = b->wire[0].to;
		char *text = b->wire[0].text, from[WORKER_NAME_MAX + 1];
		struct flow flow = b->wire[0].flow;

		memcpy(from, b->wire[0].from, sizeof(from));
		b->wired--;
		memmove(&b->wire[0], &b->wire[1], b->wired * sizeof(b->wire[0]));
		if (!b->worker[to].dead)
			(void)proxy_receive(b->worker[to].proxy,
					    &(struct origin){ .flow = flow, .peer = str_from(from) }, str_from(text));
		free(text);
	}
}

static inline void bed_say(struct bed_client *c, struct str message)
{
	assert_true(bed_raw(c, message));
	bed_settle(c->bed);
}

static inline void bed_run(struct bed *b, uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 10) {
		timers_run(&b->timers, b->timers.now_ms + 10);
		bed_settle(b);
	}
}

static inline void bed_cut(struct bed_client *c)
{
	struct flow flow = c->flow;

	c->open = false;
	proxy_flow_lost(c->bed->worker[c->worker].proxy, &flow, str_from(c->user));
	bed_settle(c->bed);
}

/* The oldest message it got whose start line begins with `start`, in a static buffer, parsed. Fails the test if there
 * is none. */
static inline const struct sip_msg *bed_take(struct bed_client *c, const char *start)
{
	static char text[16][8192];
	static struct sip_msg m[16];
	static unsigned turn;
	struct sip_refusal why;

	turn = (turn + 1) % 16;
	for (unsigned i = 0; i < c->got; i++) {
		if (strncmp(c->inbox[i], start, strlen(start)) != 0)
			continue;
		(void)snprintf(text[turn], sizeof(text[turn]), "%s", c->inbox[i]);
		free(c->inbox[i]);
		c->got--;
		memmove(&c->inbox[i], &c->inbox[i + 1], (c->got - i) * sizeof(c->inbox[0]));
		assert_ok(sip_msg_parse(str_from(text[turn]), &m[turn], &why));
		return &m[turn];
	}
	print_error("%s got no '%s'; it got:\n", c->user, start);
	for (unsigned i = 0; i < c->got; i++)
		print_error("--\n%s\n", c->inbox[i]);
	fail();
	return NULL;
}

static inline bool bed_has(const struct bed_client *c, const char *start)
{
	for (unsigned i = 0; i < c->got; i++)
		if (strncmp(c->inbox[i], start, strlen(start)) == 0)
			return true;
	return false;
}

static inline void bed_nothing(const struct bed_client *c)
{
	for (unsigned i = 0; i < c->got; i++)
		print_error("%s got unexpectedly:\n%s\n", c->user, c->inbox[i]);
	assert_int_equal(c->got, 0);
}

/* --- messages of a browser -------------------------------------------------------------------- */

#define BED_AUDIO  "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
#define BED_VIDEO  BED_AUDIO "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
#define BED_UUID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BED_UUID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct bed_dialog {
	char call_id[64], local_tag[32], local[128], remote[192], target[192], route[192];
	uint32_t cseq, invite_cseq;
	char branch[64];
};

static inline const char *bed_gruu(const struct bed_client *c)
{
	static char uri[2][192];
	static unsigned turn;

	turn = (turn + 1) % 2;
	(void)snprintf(uri[turn], sizeof(uri[turn]), "sip:%s@" BED_DOMAIN ";gr=%s", c->user, c->instance);
	return uri[turn];
}

static inline const char *bed_branch(void)
{
	static char branch[4][32];
	static unsigned n;

	n++;
	(void)snprintf(branch[n % 4], sizeof(branch[0]), "z9hG4bK%u", n);
	return branch[n % 4];
}

/* A request in (or, with an empty target, starting) a dialog; `headers` are whole lines. */
static inline void bed_request(struct bed_client *c, struct bed_dialog *d, const char *method, const char *headers,
			       const char *body)
{
	char text[8192];
	bool ack = strcmp(method, "ACK") == 0;

	(void)snprintf(d->branch, sizeof(d->branch), "%s", bed_branch());
	if (strcmp(method, "INVITE") == 0)
		d->invite_cseq = d->cseq + 1;
	(void)snprintf(text, sizeof(text),
		       "%s %s SIP/2.0\r\nVia: SIP/2.0/WSS %s.invalid;branch=%s\r\nMax-Forwards: 69\r\nFrom: "
		       "<%s>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\n"
		       "CSeq: %u %s\r\n%s%s%s%s%sContact: <%s>\r\nContent-Length: %zu\r\n\r\n%s",
		       method, d->target, c->user, d->branch, d->local, d->local_tag, d->remote, d->call_id,
		       ack ? d->invite_cseq : ++d->cseq, method, d->route[0] != '\0' ? "Route: " : "", d->route,
		       d->route[0] != '\0' ? "\r\n" : "", headers,
		       body[0] != '\0' ? "Content-Type: application/sdp\r\n" : "", bed_gruu(c), strlen(body), body);
	bed_say(c, str_from(text));
}

static inline struct bed_dialog bed_invite(struct bed_client *c, const char *callee, const char *body)
{
	static unsigned calls;
	struct bed_dialog d = { .cseq = 100 };

	calls++;
	(void)snprintf(d.call_id, sizeof(d.call_id), "call%u", calls);
	(void)snprintf(d.local_tag, sizeof(d.local_tag), "from%u", calls);
	(void)snprintf(d.local, sizeof(d.local), "sip:%s@" BED_DOMAIN, c->user);
	(void)snprintf(d.target, sizeof(d.target), "sip:%s@" BED_DOMAIN, callee);
	(void)snprintf(d.remote, sizeof(d.remote), "<sip:%s@" BED_DOMAIN ">", callee);
	bed_request(c, &d, "INVITE", "Session-ID: " BED_UUID_A ";remote=00000000000000000000000000000000\r\n", body);
	return d;
}

/* CANCEL: the INVITE's branch and CSeq (§9.1). `headers` are whole lines. */
static inline void bed_cancel_with(struct bed_client *c, const struct bed_dialog *d, const char *headers)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
		       "CANCEL %s SIP/2.0\r\nVia: SIP/2.0/WSS %s.invalid;branch=%s\r\nMax-Forwards: 69\r\nFrom: "
		       "<%s>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\n"
		       "CSeq: %u CANCEL\r\n%sContent-Length: 0\r\n\r\n",
		       d->target, c->user, d->branch, d->local, d->local_tag, d->remote, d->call_id, d->cseq, headers);
	bed_say(c, str_from(text));
}

static inline void bed_cancel(struct bed_client *c, const struct bed_dialog *d)
{
	bed_cancel_with(c, d, "");
}

/* It has registered (again), and every worker hears of it. */
static inline void bed_come(struct bed_client *c)
{
	struct bed *b = c->bed;
	struct binding x = { .flow = c->flow, .reg_id = 1 };

	(void)snprintf(x.instance, sizeof(x.instance), "%s", c->instance);
	(void)snprintf(x.contact, sizeof(x.contact), "%s", c->contact);
	proxy_registered(b->worker[c->worker].proxy, str_from(c->user), &x);
	for (unsigned i = 0; i < BED_WORKERS; i++)
		if (!b->worker[i].dead)
			proxy_device_came(b->worker[i].proxy, str_from(c->user));
	bed_settle(b);
}

/* A device's answer to a request it took. A tag for everything but 100. `extra` are whole header lines. */
static inline void bed_answer_with(struct bed_client *c, const struct sip_msg *request, unsigned status, const char *extra,
				   const char *body)
{
	struct buf out = buf_growing(SIP_MSG_MAX);
	char headers[512], tag[32];

	(void)snprintf(tag, sizeof(tag), "tag%s", c->instance + strlen(c->instance) - 3);
	(void)snprintf(headers, sizeof(headers),
		       "Contact: <%s>\r\nSession-ID: " BED_UUID_B ";remote=" BED_UUID_A "\r\n%s", bed_gruu(c), extra);
	assert_ok(sip_reply_put(&out, request,
				&(struct sip_reply){ .status = status,
						     .to_tag = status > 100 ? str_from(tag) : STR_NONE,
						     .headers = str_from(status < 300 ? headers : extra),
						     .record_route = status < 300,
						     .content_type = STR("application/sdp"),
						     .body = str_from(body) }));
	bed_say(c, buf_view(&out));
	buf_fini(&out);
}

static inline void bed_answer(struct bed_client *c, const struct sip_msg *request, unsigned status, const char *body)
{
	bed_answer_with(c, request, status, "", body);
}

static inline void bed_copy(char *to, size_t size, struct str s)
{
	assert_true(s.len < size);
	memcpy(to, s.p, s.len);
	to[s.len] = '\0';
}

/* Caller: the dialog after the 2xx `m`. */
static inline void bed_established(struct bed_dialog *d, const struct sip_msg *m)
{
	struct sip_addr contact;

	bed_copy(d->remote, sizeof(d->remote), sip_msg_value(m, SIP_H_TO));
	assert_ok(sip_msg_addr(m, SIP_H_CONTACT, &contact));
	bed_copy(d->target, sizeof(d->target), contact.uri);
	bed_copy(d->route, sizeof(d->route), sip_msg_value(m, SIP_H_RECORD_ROUTE));
}

/* Callee: its side of the dialog of the INVITE `m` it answered. */
static inline struct bed_dialog bed_answered(const struct bed_client *c, const struct sip_msg *m)
{
	struct bed_dialog d = { .cseq = 500 };
	struct sip_addr contact;

	bed_copy(d.call_id, sizeof(d.call_id), m->call_id);
	(void)snprintf(d.local_tag, sizeof(d.local_tag), "tag%s", c->instance + strlen(c->instance) - 3);
	(void)snprintf(d.local, sizeof(d.local), "sip:%s@" BED_DOMAIN, c->user);
	bed_copy(d.remote, sizeof(d.remote), sip_msg_value(m, SIP_H_FROM));
	assert_ok(sip_msg_addr(m, SIP_H_CONTACT, &contact));
	bed_copy(d.target, sizeof(d.target), contact.uri);
	bed_copy(d.route, sizeof(d.route), sip_msg_value(m, SIP_H_RECORD_ROUTE));
	return d;
}

/* A call that is up: INVITE, 180, 200, ACK, each seen by both. */
static inline void bed_call(struct bed_client *a, struct bed_client *b, struct bed_dialog *da, struct bed_dialog *db)
{
	*da = bed_invite(a, b->user, BED_AUDIO);
	(void)bed_take(a, "SIP/2.0 100 ");
	const struct sip_msg *invite = bed_take(b, "INVITE ");

	*db = bed_answered(b, invite);
	bed_answer(b, invite, 180, "");
	(void)bed_take(a, "SIP/2.0 180 ");
	bed_answer(b, invite, 200, BED_AUDIO);
	bed_established(da, bed_take(a, "SIP/2.0 200 "));
	bed_request(a, da, "ACK", "", "");
	(void)bed_take(b, "ACK ");
	bed_nothing(a);
	bed_nothing(b);
}

/* --- what was written ------------------------------------------------------------------------- */

/* How many commands start with `start` and contain `part`. */
static inline unsigned bed_stored(const struct bed *b, const char *start, const char *part)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->stored; i++)
		if (strncmp(b->store[i], start, strlen(start)) == 0 && strstr(b->store[i], part) != NULL)
			n++;
	return n;
}

static inline void bed_cdr(const struct bed *b, const char *reason, unsigned status, const char *by)
{
	char part[128];

	(void)snprintf(part, sizeof(part), " reason %s status %u by %s", reason, status, by);
	if (bed_stored(b, "XADD cdrs ", part) != 1) {
		print_error("no CDR with '%s' among:\n", part);
		for (unsigned i = 0; i < b->stored; i++)
			print_error("  %s\n", b->store[i]);
		fail();
	}
}

/* Everything is over: no transaction, no call, nobody busy. */
static inline void bed_quiet(struct bed *b)
{
	bed_run(b, 70000);
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		for (int k = 0; k < 4; k++)
			assert_int_equal(txn_layer_count(proxy_txns(b->worker[i].proxy), (enum txn_kind)k), 0);
		assert_int_equal(calls_count(proxy_calls(b->worker[i].proxy)), 0);
	}
	for (unsigned i = 0; i < b->clients; i++)
		assert_int_equal(b->busy[i], 0);
}

#endif
