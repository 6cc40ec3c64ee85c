#include "signalling/edge_rewrite.h"

#include "signalling/sip_build.h"
#include "signalling/sip_uri.h"

#define INNER_SUFFIX ".invalid" /* of our sent-by: worker.h */
#define MARK '~'                /* parts branch, worker and slot; also inside our Record-Route's user part (proxy_route.c) */
#define SIP_PORT 5060u

/* --- Via of a request that comes in --- */

static bool is_param(struct str part, struct str name)
{
	return str_ieq(str_trim(str_sub(part, 0, str_find(part, '='))), name);
}

/* `rest` from the first ';' on, without what only we may say. Quoted strings do not occur in a Via that sip_via_parse has taken apart into tokens; one that
 * has them is copied like any other text. */
static bool params_put(struct buf *out, struct str rest)
{
	bool rport = false;

	if (rest.len > 0)
		(void)str_cut(&rest, ';');
	while (rest.p != NULL && rest.len > 0) {
		struct str part = str_cut(&rest, ';');

		if (is_param(part, STR("rport"))) {
			rport = true;
			continue;
		}
		if (is_param(part, STR("received")))
			continue;
		buf_char(out, ';');
		buf_str(out, part);
	}
	return rport;
}

static void via_in(struct sip_edit *e, const struct sip_via *via, const struct edge_names *n)
{
	char mem[2048];
	struct buf params = buf_fixed(mem, sizeof(mem));
	bool rport = params_put(&params, via->params);

	buf_printf(&params, ";received=%.*s", STR_FMT(n->source));
	if (rport)
		buf_printf(&params, ";rport=%u", n->source_port);
	if (params.overflow)
		e->failed = true;
	sip_edit_pop(e, SIP_H_VIA);
	sip_edit_prepend(e, "Via: SIP/2.0/%.*s %.*s%.*s\r\n", STR_FMT(via->transport), STR_FMT(via->sent_by), STR_FMT(buf_view(&params)));
}

/* --- Route and Record-Route --- */

/* The host without its port. */
static struct str host_of(struct str host)
{
	size_t end = host.len > 0 && host.p[0] == '[' ? str_find(host, ']') + 1 : str_find(host, ':');

	return str_sub(host, 0, end);
}

static bool names_us(const struct sip_uri *u, const struct edge_names *n)
{
	return str_ieq(u->host, n->domain) || str_ieq(u->host, host_of(n->host));
}

static bool is_token(const struct sip_uri *u)
{
	return str_find(u->user, MARK) < u->user.len;
}

/* All values of `h` in one line. `inner`: in the form inside Duplex, else in that of the link. */
static void routes_put(struct buf *out, const struct sip_msg *m, enum sip_hdr h, const struct edge_names *n, bool inner)
{
	struct sip_list it = sip_list(m, h);
	const char *sep = "";
	bool first = true;
	struct str value;

	for (; sip_list_next(&it, &value); first = false) {
		struct sip_addr a;
		struct sip_uri u;
		bool ours = sip_addr_parse(value, &a) == ERR_OK && sip_uri_parse(a.uri, &u) == ERR_OK && names_us(&u, n);

		if (ours && inner && h == SIP_H_ROUTE && first && !is_token(&u))
			continue;
		buf_z(out, sep);
		sep = ", ";
		if (!ours || !is_token(&u))
			buf_str(out, value);
		else if (inner)
			buf_printf(out, "<sip:%.*s@%.*s;lr>", STR_FMT(u.user), STR_FMT(n->domain));
		else
			buf_printf(out, "<sip:%.*s@%.*s;transport=%s;lr>", STR_FMT(u.user), STR_FMT(n->host),
				   n->transport[1] == 'D' ? "udp" : n->transport[1] == 'C' ? "tcp" : "tls");
	}
}

static void edit_routes(struct sip_edit *e, enum sip_hdr h, const struct edge_names *n, bool inner)
{
	struct buf line = buf_growing(SIP_EDIT_TEXT);

	if (sip_msg_first(e->m, h) == NULL)
		return;
	routes_put(&line, e->m, h, n, inner);
	sip_edit_drop(e, h);
	if (line.overflow)
		e->failed = true;
	else if (line.len > 0)
		sip_edit_prepend(e, "%s: %.*s\r\n", sip_hdr_name(h), STR_FMT(buf_view(&line)));
	buf_fini(&line);
}

/* --- in --- */

enum err edge_request_in_put(struct buf *out, const struct sip_msg *m, const struct edge_names *n)
{
	struct sip_edit e;
	struct sip_via via;

	if (sip_msg_via(m, &via) != ERR_OK)
		return ERR_INVALID;
	sip_edit_init(&e, m);
	via_in(&e, &via, n);
	edit_routes(&e, SIP_H_ROUTE, n, true);
	return sip_edit_put(&e, out);
}

/* The text behind the last MARK, which is cut off. */
static struct str cut_last(struct str *s)
{
	size_t at = s->len;

	while (at > 0 && s->p[at - 1] != MARK)
		at--;
	struct str last = str_sub(*s, at, s->len);
	s->len = at > 0 ? at - 1 : 0;
	return last;
}

static bool worker_valid(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
	}
	return name.len > 0;
}

enum err edge_response_in_put(struct buf *out, const struct sip_msg *m, const struct edge_names *n, struct edge_answer *to)
{
	struct edge_answer answer;
	struct sip_edit e;
	struct sip_via via;
	uint64_t slot;

	if (sip_msg_via(m, &via) != ERR_OK)
		return ERR_INVALID;
	struct str branch = via.branch, slot_text = cut_last(&branch), worker = cut_last(&branch);
	if (branch.len == 0 || !worker_valid(worker) || str_copy(worker, answer.worker, sizeof(answer.worker)) != ERR_OK ||
	    str_to_u64(slot_text, UINT32_MAX, &slot) != ERR_OK)
		return ERR_INVALID;
	answer.slot = (uint32_t)slot;
	sip_edit_init(&e, m);
	sip_edit_pop(&e, SIP_H_VIA);
	sip_edit_prepend(&e, "Via: SIP/2.0/WSS %s" INNER_SUFFIX ";branch=%.*s\r\n", answer.worker, STR_FMT(branch));
	edit_routes(&e, SIP_H_RECORD_ROUTE, n, true);
	enum err err = sip_edit_put(&e, out);
	if (err == ERR_OK)
		*to = answer;
	return err;
}

/* --- out --- */

enum err edge_out_put(struct buf *out, const struct sip_msg *m, const struct edge_names *n, uint32_t slot)
{
	struct sip_edit e;
	struct sip_via via;

	sip_edit_init(&e, m);
	if (m->request) {
		struct str suffix = STR(INNER_SUFFIX);

		if (sip_msg_via(m, &via) != ERR_OK || via.host.len <= suffix.len)
			return ERR_INVALID;
		sip_edit_pop(&e, SIP_H_VIA);
		sip_edit_prepend(&e, "Via: SIP/2.0/%s %.*s;branch=%.*s%c%.*s%c%u;rport\r\n", n->transport, STR_FMT(n->host), STR_FMT(via.branch), MARK,
				 STR_FMT(str_sub(via.host, 0, via.host.len - suffix.len)), MARK, slot);
	}
	edit_routes(&e, SIP_H_RECORD_ROUTE, n, false);
	/* A browser need not say how long its body is (RFC 7118 §5), a stream needs it. */
	if (sip_msg_first(m, SIP_H_CONTENT_LENGTH) == NULL)
		sip_edit_append(&e, "Content-Length: %zu\r\n", m->body.len);
	return sip_edit_put(&e, out);
}

uint16_t edge_response_port(const struct sip_msg *m)
{
	struct sip_via via;
	struct str text;
	uint64_t port;

	if (sip_msg_via(m, &via) != ERR_OK)
		return SIP_PORT;
	if (sip_param(via.params, STR("rport"), &text) && str_to_u64(text, 65535, &port) == ERR_OK && port > 0)
		return (uint16_t)port;
	return via.port != 0 ? via.port : (uint16_t)SIP_PORT;
}
