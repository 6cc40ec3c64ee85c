/* Whole calls driven at random. Two workers, four clients; each pair of input bytes is something that a client, the
 * network or the clock does: invite, answer what came with any status, acknowledge, hang up, cancel, send it again,
 * break it, vanish, come back, transfer, take a call over, want no calls, lose the other worker. Nothing may crash; and when all is quiet no transaction, no call, no busy user is left,
 * and every call has one record. */
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "signalling/call.h"
#include "signalling/proxy.h"
#include "signalling/sip_build.h"

#define WORKERS 2u
#define CLIENTS 4u
#define QUEUE   64u

static struct timers timers;
static struct worker_ {
	char name[8], sent_by[16];
	struct proxy *proxy;
} workers[WORKERS];
static struct client {
	char user[8], instance[16];
	unsigned worker;
	struct flow flow;
	bool open, registered, dnd;
	char *inbox[8]; /* latest messages, a ring */
	unsigned got;
	char *sent; /* its latest request */
} clients[CLIENTS];
static struct {
	unsigned to;
	struct flow flow;
	char *text;
} wire[QUEUE];
static unsigned wired, slots, serial;
/* What clients asked: each must get one final answer, and one only (RFC 3261 §17.2, §16.7 step 5). */
#define ASKED_MAX 256u
static struct asked {
	unsigned number, slot; /* its branch is "z9hG4bK" and the number; of the flow that it came by */
	enum sip_method method;
	unsigned final;
} asked[ASKED_MAX];
static unsigned asked_count;
/* INVITEs that clients got: only of these may they get a CANCEL (§9.1). */
#define RANG_MAX 512u
static struct {
	unsigned slot;
	char branch[80];
} rang[RANG_MAX];
static unsigned rang_count;
static bool lost; /* something on the wire */
static int busy[CLIENTS], live;
static bool store_away;

static char *dup_str(struct str s)
{
	char *z = malloc(s.len + 1);

	if (z == NULL)
		abort();
	memcpy(z, s.p, s.len);
	z[s.len] = '\0';
	return z;
}

static bool number_of(const struct sip_msg *m, unsigned *number)
{
	struct sip_via via;
	struct str prefix = STR("z9hG4bK");
	uint64_t n;

	if (sip_msg_via(m, &via) != ERR_OK || !str_starts(via.branch, prefix) ||
	    str_to_u64(str_sub(via.branch, prefix.len, via.branch.len), UINT32_MAX, &n) != ERR_OK)
		return false;
	*number = (unsigned)n;
	return true;
}

static struct asked *asked_find(unsigned number, enum sip_method method)
{
	for (unsigned i = 0; i < asked_count; i++)
		if (asked[i].number == number && asked[i].method == method)
			return &asked[i];
	return NULL;
}

static void note_request(unsigned slot, const char *text)
{
	static struct sip_msg m;
	struct sip_refusal why;
	unsigned number;

	if (sip_msg_parse(str_from(text), &m, &why) == ERR_OK && m.request && m.method != SIP_ACK && number_of(&m, &number) &&
	    asked_find(number, m.method) == NULL && asked_count < ASKED_MAX)
		asked[asked_count++] = (struct asked){ number, slot, m.method, 0 };
}

/* To a client: the answer to what it asked, or a request for it. */
static void note_sent(const struct client *c, const struct sip_msg *m)
{
	struct sip_via via;
	unsigned number;
	struct asked *a;

	if (m->request && sip_msg_via(m, &via) == ERR_OK && via.branch.len < sizeof(rang[0].branch)) {
		bool known = false;

		if (m->method == SIP_INVITE && rang_count < RANG_MAX) {
			rang[rang_count].slot = c->flow.slot;
			(void)snprintf(rang[rang_count++].branch, sizeof(rang[0].branch), "%.*s", STR_FMT(via.branch));
		}
		for (unsigned i = 0; i < rang_count; i++)
			known |= rang[i].slot == c->flow.slot && str_eq(via.branch, str_from(rang[i].branch));
		if (m->method == SIP_CANCEL && !known && rang_count < RANG_MAX)
			abort();
		return;
	}
	if (m->request || m->status < 200 || !number_of(m, &number) || (a = asked_find(number, m->method)) == NULL)
		return;
	/* The same once more is for a request that came once more. Every 2xx to an INVITE goes through, and nothing else behind one. */
	bool success = m->method == SIP_INVITE && m->status < 300;

	if (a->final != 0 && a->final != m->status && !success)
		abort();
	a->final = m->status;
}

static struct client *by_flow(const struct flow *f)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (clients[i].open && flow_eq(&clients[i].flow, f))
			return &clients[i];
	return NULL;
}

static void put_wire(unsigned to, const struct flow *flow, struct str text)
{
	if (wired == QUEUE) {
		lost = true; /* as with a broken stream */
		return;
	}
	wire[wired].to = to;
	wire[wired].flow = *flow;
	wire[wired++].text = dup_str(text);
}

static enum err host_send(void *host, const struct flow *flow, struct str message)
{
	struct worker_ *w = host;
	struct client *c = by_flow(flow);
	static struct sip_msg m;
	struct sip_refusal why;

	/* An answer to what is malformed repeats what it says (RFC 3261 §8.2.6.2); all else must parse. */
	if (sip_msg_parse(message, &m, &why) != ERR_OK && m.status < 400)
		abort();
	if (c != NULL) {
		if (m.count > 0)
			note_sent(c, &m);
		char **at = &c->inbox[c->got++ % ARRAY_LEN(c->inbox)];

		free(*at);
		*at = dup_str(message);
		return ERR_OK;
	}
	if (strcmp(flow->worker, w->name) == 0 || flow_none(flow))
		return ERR_CLOSED;
	if (m.request && m.method != SIP_ACK) {
		struct buf out = buf_growing(SIP_MSG_MAX);

		if (sip_reply_put(&out, &m, &(struct sip_reply){ .status = 430, .to_tag = STR("t") }) == ERR_OK)
			put_wire((unsigned)(w - workers), &(struct flow){ 0 }, buf_view(&out));
		buf_fini(&out);
	}
	return ERR_OK;
}

static bool host_reliable(void *host, const struct flow *flow)
{
	(void)host;
	(void)flow;
	return true;
}

static enum err host_send_worker(void *host, struct str worker, const struct flow *from, struct str message)
{
	(void)host;
	for (unsigned i = 0; i < WORKERS; i++) {
		if (!str_eq(worker, str_from(workers[i].name)))
			continue;
		put_wire(i, from, message);
		return ERR_OK;
	}
	return ERR_CLOSED;
}

static void host_answered(void *host, const struct flow *from, const struct sip_msg *m)
{
	(void)host;
	(void)from;
	(void)m;
}

static bool host_local(void *host, const struct flow *flow)
{
	return strcmp(flow->worker, ((struct worker_ *)host)->name) == 0;
}

static bool host_alive(void *host, const struct flow *flow)
{
	return !host_local(host, flow) || by_flow(flow) != NULL;
}

static void host_lookup(void *host, struct str user, struct str instance, location_fn done, void *arg)
{
	struct binding found[CLIENTS];
	struct location loc = { .binding = found };

	(void)host;
	if (store_away) {
		done(arg, ERR_TIMEOUT, &loc);
		return;
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *c = &clients[i];

		if (!str_eq(user, str_from(c->user)))
			continue;
		loc.known = true;
		loc.dnd |= c->dnd;
		if (!c->registered || (instance.len > 0 && !str_eq(instance, str_from(c->instance))))
			continue;
		struct binding *b = &found[loc.count++];

		*b = (struct binding){ .flow = c->flow };
		(void)snprintf(b->instance, sizeof(b->instance), "%s", c->instance);
		(void)snprintf(b->contact, sizeof(b->contact), "sip:c%u@c.invalid", i);
	}
	done(arg, ERR_OK, &loc);
}

static void host_forget(void *host, const void *arg)
{
	(void)host;
	(void)arg;
}

static void host_remove(void *host, struct str user, struct str instance, const struct flow *flow)
{
	(void)host;
	(void)user;
	for (unsigned i = 0; i < CLIENTS; i++)
		if (str_eq(instance, str_from(clients[i].instance)) && flow_eq(&clients[i].flow, flow))
			clients[i].registered = false;
}

static void host_busy(void *host, struct str user, bool on)
{
	(void)host;
	for (unsigned i = 0; i < CLIENTS; i++)
		if (str_eq(user, str_from(clients[i].user)))
			busy[i] += on ? 1 : -1;
}

static void host_append(UNUSED void *host, UNUSED struct str key, UNUSED struct str max, UNUSED size_t count,
			UNUSED const struct str *fields)
{
}

static void host_store(void *host, size_t argc, const struct str *argv)
{
	(void)host;
	(void)argc;
	if (str_eq(argv[0], STR("HDEL")))
		live--;
	if (str_eq(argv[0], STR("HSET")) && memmem(argv[3].p, argv[3].len, "trying", 6) != NULL)
		live++;
}

static uint64_t host_wall(void *host)
{
	(void)host;
	return 1700000000000 + timers.now_ms;
}

static const struct proxy_host host = {
	.txn = { host_send, host_reliable },
	.send_worker = host_send_worker,
	.answered = host_answered,
	.alive = host_alive,
	.local = host_local,
	.lookup = host_lookup,
	.forget = host_forget,
	.remove = host_remove,
	.busy = host_busy,
	.store = host_store,
	.append = host_append,
	.wall_ms = host_wall,
};

static void deliver(void)
{
	for (unsigned rounds = 0; wired > 0 && rounds < 1000; rounds++) {
		unsigned to = wire[0].to;
		struct flow flow = wire[0].flow;
		char *text = wire[0].text;

		wired--;
		memmove(&wire[0], &wire[1], wired * sizeof(wire[0]));
		(void)proxy_receive(workers[to].proxy, &(struct origin){ .flow = flow, .peer = STR("peer") },
				    str_from(text));
		free(text);
	}
}

static void say(struct client *c, const char *text, bool keep)
{
	struct origin from = { .flow = c->flow, .user = str_from(c->user), .session = STR("5e55"), .perms = 3 };

	if (!c->open)
		return;
	if (keep) {
		char *copy = dup_str(str_from(text));

		free(c->sent);
		c->sent = copy;
		note_request(c->flow.slot, text);
	}
	(void)proxy_receive(workers[c->worker].proxy, &from, str_from(text));
	deliver();
}

static void connect_client(struct client *c, unsigned worker)
{
	c->worker = worker;
	c->flow = (struct flow){ .epoch = 1, .slot = ++slots, .generation = 1 };
	(void)snprintf(c->flow.worker, sizeof(c->flow.worker), "%s", workers[worker].name);
	c->open = c->registered = true;
}

/* A device has come, or the last one has gone: every worker hears of it. */
static void tell_all(const struct client *c)
{
	struct binding b = { .flow = c->flow, .reg_id = 1 };

	(void)snprintf(b.instance, sizeof(b.instance), "%s", c->instance);
	if (c->registered)
		proxy_registered(workers[c->worker].proxy, str_from(c->user), &b);
	for (unsigned i = 0; i < WORKERS; i++)
		if (c->registered)
			proxy_device_came(workers[i].proxy, str_from(c->user));
		else
			proxy_devices_left(workers[i].proxy, str_from(c->user));
	deliver();
}

/* Takes the place of the call that a 2xx or an INVITE it saw belongs to. */
static void take_over(struct client *c, const char *seen, unsigned whom)
{
	struct sip_msg *m = malloc(sizeof(*m));
	struct sip_refusal why;
	struct sip_addr from, to;
	char text[1024];

	if (m != NULL && sip_msg_parse(str_from(seen), m, &why) == ERR_OK && sip_msg_addr(m, SIP_H_FROM, &from) == ERR_OK &&
	    sip_msg_addr(m, SIP_H_TO, &to) == ERR_OK && from.tag.len > 0) {
		struct str tag = to.tag.len > 0 ? to.tag : STR("none");

		serial++;
		(void)snprintf(text, sizeof(text),
			       "INVITE sip:%s@x SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK%u\r\nFrom: <sip:%s@x>;tag=f%u\r\nTo: <sip:%s@x>\r\n"
			       "Call-ID: c%u\r\nCSeq: 1 INVITE\r\nContact: <sip:%s@x;gr=%s>\r\nReplaces: %.*s;to-tag=%.*s;from-tag=%.*s\r\n\r\n",
			       clients[whom].user, serial, c->user, serial, clients[whom].user, serial, c->user, c->instance, STR_FMT(m->call_id),
			       STR_FMT(tag), STR_FMT(from.tag));
		say(c, text, true);
	}
	free(m);
}

static void invite(struct client *c, unsigned whom, unsigned session)
{
	char text[1024], line[64] = "";

	if (session > 0)
		(void)snprintf(line, sizeof(line), "Supported: timer\r\nSession-Expires: %u\r\n", session);
	serial++;
	(void)snprintf(
		text, sizeof(text),
		"INVITE sip:%s@x SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK%u\r\nFrom: "
		"<sip:%s@x>;tag=f%u\r\nTo: <sip:%s@x>\r\nCall-ID: c%u\r\n"
		"CSeq: 1 INVITE\r\n%sContact: <sip:%s@x;gr=%s>\r\nContent-Type: application/sdp\r\n\r\nm=audio 9 x\r\n",
		clients[whom].user, serial, c->user, serial, clients[whom].user, serial, line, c->user, c->instance);
	say(c, text, true);
}

static void answer(struct client *c, const char *request, unsigned which)
{
	static const unsigned status[] = { 100, 180, 200, 200, 200, 430, 480, 486,
					   487, 500, 503, 600, 603, 183, 302, 200 };
	struct buf out = buf_growing(SIP_MSG_MAX);
	struct sip_msg *m = malloc(sizeof(*m));
	struct sip_refusal why;
	char contact[128], tag[24];

	(void)snprintf(contact, sizeof(contact), "Contact: <sip:%s@x;gr=%s>\r\n", c->user, c->instance);
	(void)snprintf(tag, sizeof(tag), "t%s", c->instance);
	if (m != NULL && sip_msg_parse(str_from(request), m, &why) == ERR_OK && m->request && m->method != SIP_ACK) {
		unsigned s = status[which % ARRAY_LEN(status)];

		if (sip_reply_put(&out, m,
				  &(struct sip_reply){ .status = s,
						       .to_tag = str_from(s > 100 ? tag : ""),
						       .headers = str_from(contact),
						       .record_route = true }) == ERR_OK) {
			buf_char(&out, '\0');
			say(c, out.p, false);
		}
	}
	free(m);
	buf_fini(&out);
}

/* A request inside the dialog of a message that it got: the INVITE (as callee) or its 2xx (as caller). */
static void in_dialog(struct client *c, const char *seen, const char *method)
{
	struct sip_msg *m = malloc(sizeof(*m));
	struct sip_refusal why;
	struct sip_addr contact;
	char text[2048];

	if (m == NULL || sip_msg_parse(str_from(seen), m, &why) != ERR_OK ||
	    sip_msg_addr(m, SIP_H_CONTACT, &contact) != ERR_OK) {
		free(m);
		return;
	}
	struct str from = sip_msg_value(m, m->request ? SIP_H_TO : SIP_H_FROM),
		   to = sip_msg_value(m, m->request ? SIP_H_FROM : SIP_H_TO);
	char tag[24];

	(void)snprintf(tag, sizeof(tag), ";tag=t%s", c->instance);
	serial++;
	(void)snprintf(text, sizeof(text),
		       "%s %.*s SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK%u\r\nRoute: %.*s\r\nFrom: "
		       "%.*s%s\r\nTo: %.*s\r\nCall-ID: %.*s\r\n"
		       "CSeq: %u %s\r\n%sContact: <sip:%s@x;gr=%s>\r\n\r\n",
		       method, STR_FMT(contact.uri), serial, STR_FMT(sip_msg_value(m, SIP_H_RECORD_ROUTE)),
		       STR_FMT(from), m->request ? tag : "", STR_FMT(to), STR_FMT(m->call_id),
		       strcmp(method, "ACK") == 0 ? m->cseq : serial + 1, method,
		       strcmp(method, "REFER") == 0 ? "Refer-To: <sip:cyd@x>\r\n" : strcmp(method, "UPDATE") == 0 ? "Session-Expires: 100\r\n" : "",
		       c->user, c->instance);
	free(m);
	say(c, text, true);
}

static void cancel(struct client *c)
{
	struct sip_msg *m = malloc(sizeof(*m));
	struct sip_refusal why;
	struct buf out = buf_growing(SIP_MSG_MAX);

	if (m != NULL && c->sent != NULL && sip_msg_parse(str_from(c->sent), m, &why) == ERR_OK &&
	    m->method == SIP_INVITE && sip_cancel_put(&out, m, STR_NONE) == ERR_OK) {
		buf_char(&out, '\0');
		say(c, out.p, false);
	}
	free(m);
	buf_fini(&out);
}

static void broken_copy(struct client *c, const char *seen, unsigned at)
{
	char *copy = dup_str(str_from(seen));
	size_t len = strlen(copy);

	if (len > 0)
		copy[at * 7 % len] ^= (char)(1 + at % 30);
	say(c, copy, false);
	free(copy);
}

static void cut(struct client *c)
{
	struct flow flow = c->flow;

	if (!c->open)
		return;
	c->open = false;
	proxy_flow_lost(workers[c->worker].proxy, &flow, str_from(c->user));
	deliver();
}

static void run(uint64_t ms)
{
	uint64_t step = ms > 2000 ? 500 : ms > 100 ? 50 : 1;

	for (uint64_t end = timers.now_ms + ms; timers.now_ms < end;) {
		timers_run(&timers, timers.now_ms + step);
		deliver();
	}
}

static void step(uint8_t op, uint8_t arg)
{
	static const char *const methods[] = {
		"ACK", "BYE", "INVITE", "UPDATE", "INFO", "REFER", "MESSAGE", "OPTIONS"
	};
	struct client *c = &clients[op & 3];
	const char *seen = c->inbox[arg % ARRAY_LEN(c->inbox)];

	switch (op >> 2 & 15) {
	case 0:
		invite(c, arg & 3, (arg >> 2 & 3) * 60u);
		break;
	case 1:
		if ((arg & 4) == 0)
			invite(c, arg & 3, 0);
		else if ((arg & 8) == 0)
			c->dnd = (arg & 1) != 0;
		else if (seen != NULL)
			take_over(c, seen, arg & 3);
		break;
	case 2:
	case 3:
	case 4:
		if (seen != NULL)
			answer(c, seen, arg / ARRAY_LEN(c->inbox));
		break;
	case 5:
	case 6:
	case 7:
		if (seen != NULL)
			in_dialog(c, seen, methods[arg / ARRAY_LEN(c->inbox) % ARRAY_LEN(methods)]);
		break;
	case 8:
		cancel(c);
		break;
	case 9:
		run(1u << (arg % 17));
		break;
	case 10:
		cut(c);
		c->registered = c->registered && (arg & 1) != 0;
		if (!c->registered)
			tell_all(c);
		break;
	case 11:
		if (!c->open)
			connect_client(c, arg & 1);
		tell_all(c);
		break;
	case 12:
		if (c->sent != NULL) {
			char *copy = dup_str(str_from(c->sent));

			say(c, copy, false);
			free(copy);
		}
		break;
	case 13:
		if (seen != NULL)
			broken_copy(c, (arg & 1) != 0 || c->sent == NULL ? seen : c->sent, arg);
		break;
	case 14:
		(void)proxy_hangup_user(workers[arg & 1].proxy, str_from(c->user), STR_NONE);
		deliver();
		break;
	default:
		if ((arg & 2) != 0) {
			/* The stream to the other worker broke: what it is asked is lost. */
			proxy_worker_lost(workers[arg & 1].proxy, str_from(workers[1 - (arg & 1)].name), UINT64_MAX);
			deliver();
		} else {
			store_away = (arg & 1) != 0;
		}
		break;
	}
}

static void begin(void)
{
	static const char *const users[CLIENTS] = { "ann", "bob", "bob", "cyd" };

	log_init("fuzz", LOG_ERROR);
	timers_init(&timers, 1);
	wired = slots = serial = asked_count = rang_count = 0;
	lost = false;
	live = 0;
	store_away = false;
	memset(busy, 0, sizeof(busy));
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker_ *w = &workers[i];

		(void)snprintf(w->name, sizeof(w->name), "n.%u", i);
		(void)snprintf(w->sent_by, sizeof(w->sent_by), "n.%u.invalid", i);
		struct proxy_config config = { .domain = STR("x"),
					       .worker = str_from(w->name),
					       .epoch = 1,
					       .sent_by = str_from(w->sent_by),
					       .secret = STR("secret"),
					       .ring_timeout_ms = 45000,
					       .lost_grace_ms = 30000,
					       .late_ms = 4000,
					       .session_min_s = 90,
					       .calls_per_user = 4,
					       .calls_max = 16,
					       .txn_per_flow = 16,
					       .txn_max = 200,
					       .times = TXN_TIMES_DEFAULT };

		if (proxy_new(&config, &timers, &host, w, &w->proxy) != ERR_OK)
			abort();
	}
	memset(clients, 0, sizeof(clients));
	for (unsigned i = 0; i < CLIENTS; i++) {
		(void)snprintf(clients[i].user, sizeof(clients[i].user), "%s", users[i]);
		(void)snprintf(clients[i].instance, sizeof(clients[i].instance), "i%u", i);
		connect_client(&clients[i], i & 1);
	}
}

/* All go away: whatever is left must end by itself. */
static void finish(void)
{
	store_away = false;
	run(300000);
	for (unsigned i = 0; i < asked_count; i++)
		for (unsigned k = 0; k < CLIENTS; k++)
			if (clients[k].open && clients[k].flow.slot == asked[i].slot && asked[i].final == 0 && !lost)
				abort();
	for (unsigned i = 0; i < CLIENTS; i++) {
		cut(&clients[i]);
		clients[i].registered = false;
	}
	run(300000);
	for (unsigned i = 0; i < WORKERS; i++) {
		for (unsigned kind = 0; kind < 4; kind++)
			if (txn_layer_count(proxy_txns(workers[i].proxy), (enum txn_kind)kind) != 0)
				abort();
		if (calls_count(proxy_calls(workers[i].proxy)) != 0)
			abort();
		proxy_free(workers[i].proxy);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (busy[i] != 0)
			abort();
		for (size_t k = 0; k < ARRAY_LEN(clients[i].inbox); k++)
			free(clients[i].inbox[k]);
		free(clients[i].sent);
	}
	if (live != 0)
		abort();
	for (unsigned i = 0; i < wired; i++)
		free(wire[i].text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 256)
		return 0;
	begin();
	for (size_t i = 0; i + 1 < size; i += 2)
		step(data[i], data[i + 1]);
	finish();
	return 0;
}
