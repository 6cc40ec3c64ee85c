/* The operations: what is sent, what must come back. Every answer is compared with what was asked: status, Call-ID, CSeq, tags, Via, body. */
#include "bench/sipload.h"

#include <stdio.h>
#include <stdlib.h>

#define CALL_ID_SIZE 24u
#define ROUTES_MAX 4u
#define SUPPORTED "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\nSupported: path,gruu,outbound\r\n"

static const char chat[] = "The meeting is at ten in the small room on the third floor; please bring the figures of last week with you.";

struct str ops_user(const struct load_ua *u, char mem[LOAD_USER_SIZE])
{
	int n = snprintf(mem, LOAD_USER_SIZE, "load%06u", u->n);

	return str_of(mem, (size_t)n);
}

struct str ops_session(const struct load_ua *u, char mem[33])
{
	int n = snprintf(mem, 33, "%032x", u->n + 1);

	return str_of(mem, (size_t)n);
}

/* Call-ID: who began it, what it is, its number. */
static struct str call_id(const struct load_ua *u, enum load_kind k, uint64_t serial, char mem[CALL_ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint32_t n = (uint32_t)(u - u->load->ua);

	mem[0] = "rcm"[k];
	for (int i = 6; i >= 1; i--, n >>= 4)
		mem[i] = digits[n & 15];
	for (int i = 20; i >= 7; i--, serial >>= 4)
		mem[i] = digits[serial & 15];
	return str_of(mem, 21);
}

/* False: not a Call-ID of ours. */
static bool who(struct load *L, struct str id, struct load_ua **u, enum load_kind *k, uint64_t *serial)
{
	uint64_t n[2] = { 0, 0 };

	if (id.len != 21)
		return false;
	for (size_t i = 1; i < 21; i++) {
		char c = id.p[i];
		uint64_t digit = c >= '0' && c <= '9' ? (uint64_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10) : 99;

		if (digit == 99)
			return false;
		n[i > 6] = n[i > 6] << 4 | digit;
	}
	if (n[0] >= L->users || (id.p[0] != 'r' && id.p[0] != 'c' && id.p[0] != 'm'))
		return false;
	*u = &L->ua[n[0]];
	*k = id.p[0] == 'r' ? LOAD_REGISTER : id.p[0] == 'c' ? LOAD_CALL : LOAD_MESSAGE;
	*serial = n[1];
	return true;
}

static struct load_ua *partner(const struct load_ua *u)
{
	return &u->load->ua[u - u->load->ua + 1];
}

static struct str put_host(const struct load_ua *u, char mem[32])
{
	int n = snprintf(mem, 32, "h%08x.invalid", u->n * 2654435761u);

	return str_of(mem, (size_t)n);
}

/* The address where this device is reached, without brackets: the GRUU if it was given one, as JsSIP does. */
static void contact_put(struct buf *b, const struct load_ua *u, bool gruu)
{
	char host[32];

	if (gruu && u->gruu != NULL) {
		buf_z(b, u->gruu);
		return;
	}
	buf_printf(b, "sip:d%08x@%.*s;transport=", u->n * 40503u, STR_FMT(put_host(u, host)));
	buf_z(b, u->load->target.websocket ? "ws" : "tcp");
}

/* --- failures and ends --- */

static void op_over(struct load_ua *u, enum load_kind k)
{
	struct load_op *op = &u->op[k];
	struct load_stream *s = &u->load->stream[k];

	free(op->dialog);
	*op = (struct load_op){ .kind = k, .node = op->node };
	list_remove(&op->node);
	list_append(&s->idle, &op->node);
	s->running--;
	s->stuck = false;
}

static void note(struct load *L, enum load_failure why, struct str evidence)
{
	L->failed[why]++;
	if (L->first_failure[0] == '\0')
		(void)snprintf(L->first_failure, sizeof(L->first_failure), "%s: %.*s", load_failure_names[why].name,
			       (int)MIN(evidence.len, (size_t)400), evidence.p != NULL ? evidence.p : "");
}

void ops_fail(struct load_ua *u, enum load_kind k, enum load_failure why, struct str evidence)
{
	struct load *L = u->load;

	note(L, why, evidence);
	if (u->op[k].serial == 0)
		return;
	L->stream[k].failed[why]++;
	op_over(u, k);
}

static void op_done(struct load_ua *u, enum load_kind k)
{
	struct load_stream *s = &u->load->stream[k];

	s->completed++;
	op_over(u, k);
}

void ops_lost(struct load_ua *u)
{
	for (unsigned k = 0; k < LOAD_KINDS; k++) {
		if (u->op[k].serial != 0)
			ops_fail(u, (enum load_kind)k, FAIL_LOST, STR_NONE);
	}
	u->leg_serial = 0;
}

/* --- sending --- */

static struct out_msg request(const struct load_ua *u, const char *method, char user[2][LOAD_USER_SIZE], char host[32])
{
	struct load *L = u->load;

	return (struct out_msg){ .method = str_from(method), .transport = L->transport, .host = put_host(u, host),
				 .from_user = ops_user(u, user[0]), .domain = L->domain };
}

static enum err send_out(struct load_ua *u, const struct out_msg *m)
{
	struct buf b = link_out(&u->load->target);

	out_put(&b, m);
	return link_send(&u->link, &b);
}

static void put_user_uri(struct buf *b, struct str user, struct str domain)
{
	buf_z(b, "sip:");
	buf_str(b, user);
	buf_char(b, '@');
	buf_str(b, domain);
}

static enum err send_register(struct load_ua *u, uint32_t cseq, uint64_t branch)
{
	char user[2][LOAD_USER_SIZE], host[32], id[CALL_ID_SIZE], uri[128], contact[256];
	struct buf target = buf_fixed(uri, sizeof(uri)), c = buf_fixed(contact, sizeof(contact));
	struct out_msg m = request(u, "REGISTER", user, host);

	buf_z(&target, "sip:");
	buf_str(&target, u->load->domain);
	buf_char(&c, '<');
	contact_put(&c, u, false);
	buf_printf(&c, ">;+sip.ice;reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-%012x>\";expires=600", u->n);
	m.uri = buf_view(&target);
	m.to_user = m.from_user;
	m.branch = branch;
	m.from_tag = u->reg_serial;
	m.call_id = call_id(u, LOAD_REGISTER, u->reg_serial, id);
	m.cseq = cseq;
	m.contact = buf_view(&c);
	m.headers = STR("Expires: 600\r\n" SUPPORTED);
	return send_out(u, &m);
}

static enum err send_to_partner(struct load_ua *u, enum load_kind k)
{
	char user[2][LOAD_USER_SIZE], host[32], id[CALL_ID_SIZE], uri[128], contact[256];
	struct buf target = buf_fixed(uri, sizeof(uri)), c = buf_fixed(contact, sizeof(contact));
	struct load_op *op = &u->op[k];
	struct out_msg m = request(u, k == LOAD_CALL ? "INVITE" : "MESSAGE", user, host);

	m.to_user = ops_user(partner(u), user[1]);
	put_user_uri(&target, m.to_user, m.domain);
	m.uri = buf_view(&target);
	m.branch = op->branch;
	m.from_tag = op->serial;
	m.call_id = call_id(u, k, op->serial, id);
	m.cseq = op->cseq;
	if (k == LOAD_CALL) {
		buf_char(&c, '<');
		contact_put(&c, u, true);
		buf_z(&c, u->gruu != NULL ? ">" : ";ob>");
		m.contact = buf_view(&c);
		m.headers = STR(SUPPORTED);
		m.type = STR("application/sdp");
		m.body = str_from(out_sdp);
	} else {
		m.type = STR("text/plain");
		m.body = str_from(chat);
	}
	return send_out(u, &m);
}

static void sent(struct load_ua *u, enum load_kind k)
{
	struct load *L = u->load;
	struct load_op *op = &u->op[k];

	op->sent_us = L->now_us;
	list_remove(&op->node);
	list_append(&L->busy, &op->node);
}

void ops_start(struct load_ua *u, enum load_kind k, uint64_t due_us)
{
	struct load *L = u->load;
	struct load_op *op = &u->op[k];
	struct load_stream *s = &L->stream[k];

	s->running++;
	s->started++;
	op->serial = L->next_serial++;
	op->due_us = due_us;
	op->branch = L->next_branch++;
	op->cseq = (uint32_t)(op->serial & 0xffff) + 1;
	if (k == LOAD_REGISTER)
		op->cseq = ++u->reg_cseq;
	sent(u, k);
	if ((k == LOAD_REGISTER ? send_register(u, op->cseq, op->branch) : send_to_partner(u, k)) != ERR_OK)
		ops_fail(u, k, FAIL_SEND, STR_NONE);
}

/* The first one of a connection: a new Call-ID. It counts as no stream's. */
void ops_register(struct load_ua *u)
{
	u->reg_serial = u->load->next_serial++;
	u->reg_cseq = 1;
	if (send_register(u, 1, u->reg_serial) != ERR_OK)
		note(u->load, FAIL_SEND, STR_NONE);
}

/* --- answers to registrations and messages --- */

static bool tag_is(struct str value, uint64_t tag)
{
	char mem[10];
	struct buf b = buf_fixed(mem, sizeof(mem));

	out_tag_put(&b, tag);
	return str_eq(view_param(value, STR("tag")), buf_view(&b));
}

/* The callee's tag of a call. */
static struct str callee_tag(uint64_t serial, char mem[11])
{
	struct buf b = buf_fixed(mem, 11);

	buf_char(&b, 't');
	out_tag_put(&b, serial);
	return buf_view(&b);
}

static bool via_is(const struct reply_view *m, uint64_t branch)
{
	char mem[32];
	struct buf b = buf_fixed(mem, sizeof(mem));

	out_branch_put(&b, branch);
	return m->vias == 1 && str_eq(view_param(m->via[0], STR("branch")), buf_view(&b));
}

static bool method_is(const struct reply_view *m, const char *name)
{
	return str_eq(m->method, str_from(name));
}

/* FAIL_COUNT: as it should be. */
static enum load_failure check(const struct reply_view *m, uint32_t cseq, uint64_t branch, uint64_t from_tag)
{
	if (m->cseq != cseq)
		return FAIL_CSEQ;
	if (!via_is(m, branch))
		return FAIL_VIA;
	return tag_is(m->from, from_tag) ? FAIL_COUNT : FAIL_TAG;
}

static void keep_gruu(struct load_ua *u, const struct reply_view *m)
{
	struct str gruu = view_param(m->contact, STR("pub-gruu"));

	if (u->gruu != NULL || gruu.len < 3)
		return;
	u->gruu = strndup(gruu.p + 1, gruu.len - 2); /* without its quotes */
}

static void first_register(struct load_ua *u, const struct reply_view *m, struct str raw)
{
	struct load *L = u->load;
	enum load_failure bad = check(m, 1, u->reg_serial, u->reg_serial);

	if (u->registered || m->status < 200)
		return;
	if (bad != FAIL_COUNT || m->status != 200) {
		/* Overload: it comes again. */
		note(L, bad != FAIL_COUNT ? bad : FAIL_STATUS, raw);
		link_cut(&u->link);
		L->open--;
		L->opening--;
		u->open = false;
		L->refused++;
		list_append(&L->connecting, &u->connect);
		return;
	}
	keep_gruu(u, m);
	u->registered = true;
	L->opening--;
	L->registered++;
}

static void simple_answer(struct load_ua *u, enum load_kind k, const struct reply_view *m, struct str raw)
{
	struct load_op *op = &u->op[k];
	enum load_failure bad = check(m, op->cseq, op->branch, k == LOAD_REGISTER ? u->reg_serial : op->serial);

	if (bad == FAIL_COUNT && m->status < 200)
		return;
	if (bad == FAIL_COUNT && m->status != 200)
		bad = FAIL_STATUS;
	if (bad == FAIL_COUNT && k == LOAD_REGISTER && m->contact.len == 0)
		bad = FAIL_ROUTE;
	if (bad != FAIL_COUNT) {
		ops_fail(u, k, bad, raw);
		return;
	}
	hist_add(&u->load->stream[k].latency, u->load->now_us - op->due_us);
	op_done(u, k);
}

/* --- calls, the caller's side --- */

/* The Record-Route values of an answer, last first (RFC 3261 §12.1.2). */
static size_t route_set(const struct reply_view *m, struct str out[ROUTES_MAX])
{
	size_t n = 0;

	for (size_t i = m->record_routes; i > 0; i--) {
		struct str rest = m->record_route[i - 1], one[ROUTES_MAX];
		size_t k = 0;

		while (rest.p != NULL && k < ROUTES_MAX)
			one[k++] = str_trim(str_cut(&rest, ','));
		while (k > 0 && n < ROUTES_MAX)
			out[n++] = one[--k];
	}
	return n;
}

static enum err send_in_dialog(struct load_ua *u, const char *method, struct str target, const struct str *route, size_t routes, uint32_t cseq,
			       uint64_t branch)
{
	char user[2][LOAD_USER_SIZE], host[32], id[CALL_ID_SIZE], tag[11];
	struct load_op *op = &u->op[LOAD_CALL];
	struct out_msg m = request(u, method, user, host);

	m.uri = target;
	m.to_user = ops_user(partner(u), user[1]);
	m.branch = branch;
	m.from_tag = op->serial;
	m.to_tag = callee_tag(op->serial, tag);
	m.call_id = call_id(u, LOAD_CALL, op->serial, id);
	m.cseq = cseq;
	m.route = route;
	m.routes = routes;
	return send_out(u, &m);
}

static void send_bye(struct load_ua *u, struct str target, const struct str *route, size_t routes)
{
	struct load_op *op = &u->op[LOAD_CALL];

	op->branch = u->load->next_branch++;
	op->cseq++;
	op->bye = true;
	sent(u, LOAD_CALL);
	if (send_in_dialog(u, "BYE", target, route, routes, op->cseq, op->branch) != ERR_OK)
		ops_fail(u, LOAD_CALL, FAIL_SEND, STR_NONE);
}

static void hold(struct load_ua *u, struct str target, const struct str *route, size_t routes)
{
	struct load_op *op = &u->op[LOAD_CALL];
	struct buf b = buf_growing(65536);

	buf_str(&b, target);
	buf_char(&b, '\0');
	for (size_t i = 0; i < routes; i++) {
		buf_str(&b, route[i]);
		buf_char(&b, '\0');
	}
	buf_char(&b, '\0');
	op->dialog = b.p;
	op->sent_us = u->load->now_us;
	list_remove(&op->node);
	list_append(&u->load->held, &op->node);
}

void ops_hang_up(struct load_ua *u)
{
	struct load_op *op = &u->op[LOAD_CALL];
	struct str route[ROUTES_MAX];
	const char *at = op->dialog;
	struct str target = str_from(at);
	size_t n = 0;

	for (at += target.len + 1; *at != '\0' && n < ROUTES_MAX; at += route[n++].len + 1)
		route[n] = str_from(at);
	send_bye(u, target, route, n);
}

static void answered(struct load_ua *u, const struct reply_view *m, struct str raw)
{
	struct load *L = u->load;
	struct load_op *op = &u->op[LOAD_CALL];
	struct str route[ROUTES_MAX], target = view_uri(m->contact);
	size_t n = route_set(m, route);

	if (target.len == 0) {
		ops_fail(u, LOAD_CALL, FAIL_ROUTE, raw);
		return;
	}
	if (!str_eq(m->body, str_from(out_sdp))) {
		ops_fail(u, LOAD_CALL, FAIL_BODY, raw);
		return;
	}
	op->answered = true;
	hist_add(&L->stream[LOAD_CALL].latency, L->now_us - op->due_us);
	if (send_in_dialog(u, "ACK", target, route, n, op->cseq, L->next_branch++) != ERR_OK) {
		ops_fail(u, LOAD_CALL, FAIL_SEND, STR_NONE);
		return;
	}
	if (L->hold_us > 0)
		hold(u, target, route, n);
	else
		send_bye(u, target, route, n);
}

static void call_answer(struct load_ua *u, const struct reply_view *m, struct str raw)
{
	struct load *L = u->load;
	struct load_op *op = &u->op[LOAD_CALL];
	struct load_stream *s = &L->stream[LOAD_CALL];
	enum load_failure bad = check(m, op->cseq, op->branch, op->serial);
	char tag[11];

	if (bad == FAIL_COUNT && m->status >= 300)
		bad = FAIL_STATUS;
	if (bad == FAIL_COUNT && m->status > 100 && !str_eq(view_param(m->to, STR("tag")), callee_tag(op->serial, tag)))
		bad = FAIL_TAG;
	if (bad == FAIL_COUNT && !method_is(m, op->bye ? "BYE" : "INVITE"))
		bad = FAIL_CSEQ;
	if (bad != FAIL_COUNT) {
		ops_fail(u, LOAD_CALL, bad, raw);
	} else if (op->bye) {
		if (m->status != 200)
			return;
		hist_add(&s->bye, L->now_us - op->sent_us);
		if (partner(u)->leg_serial == op->serial && partner(u)->leg_acked && partner(u)->leg_over)
			op_done(u, LOAD_CALL);
		else
			ops_fail(u, LOAD_CALL, FAIL_ORDER, raw);
	} else if (m->status == 180 && !op->rang) {
		op->rang = true;
		hist_add(&s->ringing, L->now_us - op->due_us);
	} else if (m->status == 200 && !op->answered) {
		if (op->rang)
			answered(u, m, raw);
		else
			ops_fail(u, LOAD_CALL, FAIL_ORDER, raw);
	}
}

static void take_response(struct load *L, struct load_ua *at, const struct reply_view *m, struct str raw)
{
	struct load_ua *u;
	enum load_kind k;
	uint64_t serial;

	if (!who(L, m->call_id, &u, &k, &serial) || u != at) {
		note(L, FAIL_UNEXPECTED, raw);
		return;
	}
	if (k == LOAD_REGISTER) {
		if (serial != u->reg_serial)
			note(L, FAIL_UNEXPECTED, raw);
		else if (m->cseq == 1)
			first_register(u, m, raw);
		else if (u->op[k].serial != 0)
			simple_answer(u, k, m, raw);
		else
			note(L, FAIL_UNEXPECTED, raw);
		return;
	}
	if (u->op[k].serial != serial) {
		note(L, FAIL_UNEXPECTED, raw);
		return;
	}
	if (k == LOAD_CALL)
		call_answer(u, m, raw);
	else
		simple_answer(u, k, m, raw);
}

/* --- the other side --- */

static void reply(struct load_ua *u, const struct reply_view *m, unsigned status, const char *phrase, struct str tag, struct str contact,
		  struct str body)
{
	struct buf b = link_out(&u->load->target);

	out_reply_put(&b, m, status, phrase, tag, contact, body);
	if (link_send(&u->link, &b) != ERR_OK)
		note(u->load, FAIL_SEND, STR_NONE);
}

static void rings(struct load_ua *u, const struct reply_view *m, uint64_t serial)
{
	char mem[256], tag[11];
	struct buf c = buf_fixed(mem, sizeof(mem));
	struct str t = callee_tag(serial, tag);

	u->leg_serial = serial;
	u->leg_acked = u->leg_over = false;
	buf_char(&c, '<');
	contact_put(&c, u, true);
	buf_char(&c, '>');
	reply(u, m, 180, "Ringing", t, buf_view(&c), STR_NONE);
	reply(u, m, 200, "OK", t, buf_view(&c), str_from(out_sdp));
}

static enum load_failure check_request(const struct load_ua *u, const struct reply_view *m, enum load_kind k, uint64_t serial)
{
	char mem[256];
	struct buf own = buf_fixed(mem, sizeof(mem));
	bool begins = method_is(m, "INVITE") || method_is(m, "MESSAGE");

	if (!tag_is(m->from, serial))
		return FAIL_TAG;
	if (m->vias < 2 || m->max_forwards == 0 || m->max_forwards >= 69)
		return FAIL_VIA;
	/* The user part of our own contact; a proxy may have put parameters behind. */
	contact_put(&own, u, false);
	struct str want = str_sub(buf_view(&own), 0, str_find(buf_view(&own), '@'));
	if (!str_starts(m->uri, want) && (u->gruu == NULL || !str_starts(m->uri, str_from(u->gruu))))
		return FAIL_ROUTE;
	if (begins && !str_eq(m->body, str_from(k == LOAD_CALL ? out_sdp : chat)))
		return FAIL_BODY;
	return FAIL_COUNT;
}

static void take_request(struct load *L, struct load_ua *u, const struct reply_view *m, struct str raw)
{
	struct load_ua *from;
	enum load_kind k;
	uint64_t serial;

	if (!who(L, m->call_id, &from, &k, &serial) || partner(from) != u || from->op[k].serial != serial) {
		/* An echo of an operation that has failed already: it gets an end. */
		note(L, FAIL_UNEXPECTED, raw);
		if (!method_is(m, "ACK"))
			reply(u, m, 481, "Unknown", STR("none"), STR_NONE, STR_NONE);
		return;
	}
	enum load_failure bad = check_request(u, m, k, serial);
	if (bad != FAIL_COUNT) {
		ops_fail(from, k, bad, raw);
	} else if (method_is(m, "INVITE")) {
		rings(u, m, serial);
	} else if (method_is(m, "ACK")) {
		u->leg_acked = u->leg_serial == serial && !u->leg_over;
	} else if (method_is(m, "BYE") && u->leg_serial == serial) {
		u->leg_over = true;
		reply(u, m, 200, "OK", STR_NONE, STR_NONE, STR_NONE);
	} else if (method_is(m, "MESSAGE")) {
		reply(u, m, 200, "OK", STR("tm"), STR_NONE, STR_NONE);
	} else {
		ops_fail(from, k, FAIL_UNEXPECTED, raw);
	}
}

void ops_message(struct load_ua *u, struct str raw)
{
	struct reply_view m;

	if (view_parse(raw, &m) != ERR_OK) {
		note(u->load, FAIL_MALFORMED, raw);
		return;
	}
	if (m.request)
		take_request(u->load, u, &m, raw);
	else
		take_response(u->load, u, &m, raw);
}
