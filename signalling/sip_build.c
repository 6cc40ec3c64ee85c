/* Edit lists over received messages, and messages of our own (RFC 3261 §8.2.6, §9.1, §16.6, §17.1.1.3). Owner: the
 * worker's thread; no state. */
#include "signalling/sip_build.h"

#include <stdarg.h>
#include <stdio.h>

#include "signalling/sip_char.h"

/* --- edits ------------------------------------------------------------------------------------ */

void sip_edit_init(struct sip_edit *e, const struct sip_msg *m)
{
	e->m = m;
	e->count = 0;
	e->failed = false;
	e->used = 0;
}

/* Opens an edit at `at`, behind those that are there already: edits of one place come out in the order they were made.
 */
static void add(struct sip_edit *e, uint32_t at, uint32_t cut, size_t text, size_t len)
{
	unsigned i = e->count;

	if (e->count == SIP_EDIT_MAX) {
		e->failed = true;
		return;
	}
	while (i > 0 && e->op[i - 1].at > at) {
		e->op[i] = e->op[i - 1];
		i--;
	}
	e->op[i].at = at;
	e->op[i].cut = cut;
	e->op[i].text = (uint32_t)text;
	e->op[i].len = (uint32_t)len;
	e->count++;
}

/* Writes into the edit's memory; false if there is no room. */
static PRINTF(4, 0) bool text_v(struct sip_edit *e, size_t *at, size_t *len, const char *fmt, va_list ap)
{
	struct buf b = buf_fixed(e->mem + e->used, sizeof(e->mem) - e->used);

	buf_vprintf(&b, fmt, ap);
	if (b.overflow) {
		e->failed = true;
		return false;
	}
	*at = e->used;
	*len = b.len;
	e->used += b.len;
	return true;
}

static void insert(struct sip_edit *e, uint32_t at, uint32_t cut, const char *fmt, va_list ap) PRINTF(4, 0);
static void insert(struct sip_edit *e, uint32_t at, uint32_t cut, const char *fmt, va_list ap)
{
	size_t text, len;

	if (text_v(e, &text, &len, fmt, ap))
		add(e, at, cut, text, len);
}

static void insert_f(struct sip_edit *e, uint32_t at, uint32_t cut, const char *fmt, ...) PRINTF(4, 5);
static void insert_f(struct sip_edit *e, uint32_t at, uint32_t cut, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	insert(e, at, cut, fmt, ap);
	va_end(ap);
}

void sip_edit_uri(struct sip_edit *e, struct str uri)
{
	insert_f(e, (uint32_t)(e->m->uri.p - e->m->raw.p), (uint32_t)e->m->uri.len, "%.*s", STR_FMT(uri));
}

void sip_edit_prepend(struct sip_edit *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	insert(e, e->m->start_end, 0, fmt, ap);
	va_end(ap);
}

void sip_edit_append(struct sip_edit *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	insert(e, e->m->headers_end, 0, fmt, ap);
	va_end(ap);
}

void sip_edit_drop(struct sip_edit *e, enum sip_hdr h)
{
	for (const struct sip_field *f = sip_msg_first(e->m, h); f != NULL; f = sip_msg_next(e->m, f))
		add(e, f->at, f->end - f->at, 0, 0);
}

void sip_edit_drop_prefix(struct sip_edit *e, struct str prefix)
{
	for (unsigned i = 0; i < e->m->count; i++) {
		const struct sip_field *f = &e->m->field[i];

		if (f->id == SIP_H_OTHER && str_ieq(str_sub(sip_field_name(e->m, f), 0, prefix.len), prefix))
			add(e, f->at, f->end - f->at, 0, 0);
	}
}

void sip_edit_pop(struct sip_edit *e, enum sip_hdr h)
{
	struct str rest, value;

	for (const struct sip_field *f = sip_msg_first(e->m, h); f != NULL; f = sip_msg_next(e->m, f)) {
		rest = sip_field_value(e->m, f);
		if (!sip_comma_next(&rest, &value))
			continue;
		sip_skip_blanks(&rest);
		if (rest.p == NULL || rest.len == 0)
			add(e, f->at, f->end - f->at, 0, 0);
		else
			add(e, f->value_at, (uint32_t)(rest.p - e->m->raw.p) - f->value_at, 0, 0);
		return;
	}
}

void sip_edit_set(struct sip_edit *e, enum sip_hdr h, const char *fmt, ...)
{
	const struct sip_field *f = sip_msg_first(e->m, h);
	va_list ap;

	va_start(ap, fmt);
	if (f != NULL) {
		insert(e, f->value_at, f->value_len, fmt, ap);
	} else {
		insert_f(e, e->m->headers_end, 0, "%s: ", sip_hdr_name(h));
		insert(e, e->m->headers_end, 0, fmt, ap);
		insert_f(e, e->m->headers_end, 0, "\r\n");
	}
	va_end(ap);
}

void sip_edit_param(struct sip_edit *e, enum sip_hdr h, const char *fmt, ...)
{
	const struct sip_field *f = sip_msg_first(e->m, h);
	struct str rest = f != NULL ? sip_field_value(e->m, f) : STR_NONE, value;
	va_list ap;

	if (!sip_comma_next(&rest, &value))
		return;
	va_start(ap, fmt);
	insert(e, (uint32_t)(value.p + value.len - e->m->raw.p), 0, fmt, ap);
	va_end(ap);
}

void sip_edit_max_forwards(struct sip_edit *e)
{
	uint32_t hops = 71;

	/* sip_check has refused what is no number, and 0. */
	if (e->m->first[SIP_H_MAX_FORWARDS] != 0 && sip_msg_number(e->m, SIP_H_MAX_FORWARDS, 255, &hops) != ERR_OK)
		hops = 1;
	sip_edit_set(e, SIP_H_MAX_FORWARDS, "%u", hops > 0 ? hops - 1 : 0);
}

enum err sip_edit_iov(const struct sip_edit *e, struct iovec *iov, size_t max, size_t *count)
{
	struct str raw = e->m->raw;
	size_t n = 0, at = 0;

	if (e->failed)
		return ERR_TOO_LARGE;
	for (unsigned i = 0; i <= e->count; i++) {
		size_t until = i < e->count ? e->op[i].at : raw.len;

		if (n + 2 > max)
			return ERR_TOO_LARGE;
		/* Two edits that cut the same bytes: the second one starts inside what is gone. */
		if (until > at) {
			iov[n++] = (struct iovec){ (void *)(uintptr_t)(raw.p + at), until - at };
			at = until;
		}
		if (i == e->count)
			break;
		if (e->op[i].len > 0)
			iov[n++] = (struct iovec){ (void *)(uintptr_t)(e->mem + e->op[i].text), e->op[i].len };
		at = MAX(at, (size_t)e->op[i].at + e->op[i].cut);
	}
	*count = n;
	return ERR_OK;
}

enum err sip_edit_put(const struct sip_edit *e, struct buf *out)
{
	struct iovec iov[2 * SIP_EDIT_MAX + 2];
	size_t count;
	enum err err = sip_edit_iov(e, iov, ARRAY_LEN(iov), &count);

	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < count; i++)
		buf_put(out, iov[i].iov_base, iov[i].iov_len);
	return buf_err(out);
}

/* --- messages of our own ---------------------------------------------------------------------- */

/* Values are copied without folds: one line in, one line out. */
static void put_value(struct buf *out, struct str v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] != '\r' && v.p[i] != '\n') {
			buf_char(out, v.p[i]);
			continue;
		}
		while (i + 1 < v.len && sip_is_blank(v.p[i + 1]))
			i++;
		buf_char(out, ' ');
	}
}

static void put_line(struct buf *out, enum sip_hdr h, struct str value)
{
	buf_z(out, sip_hdr_name(h));
	buf_put(out, ": ", 2);
	put_value(out, value);
	buf_put(out, "\r\n", 2);
}

static void copy_all(struct buf *out, const struct sip_msg *m, enum sip_hdr h)
{
	for (const struct sip_field *f = sip_msg_first(m, h); f != NULL; f = sip_msg_next(m, f))
		put_line(out, h, sip_field_value(m, f));
}

static void put_body(struct buf *out, struct str type, struct str body)
{
	if (body.len > 0)
		put_line(out, SIP_H_CONTENT_TYPE, type);
	buf_z(out, "Content-Length: ");
	buf_u64(out, body.len);
	buf_put(out, "\r\n\r\n", 4);
	buf_str(out, body);
}

static void put_to(struct buf *out, const struct sip_msg *req, struct str tag)
{
	struct str to = sip_msg_value(req, SIP_H_TO);
	struct sip_addr addr;

	buf_z(out, "To: ");
	put_value(out, to);
	/* A To that does not parse (a 400 for it) gets a tag as well: nothing else tells that it has none. */
	if (tag.len > 0 && (sip_addr_parse(to, &addr) != ERR_OK || addr.tag.len == 0)) {
		buf_z(out, ";tag=");
		buf_str(out, tag);
	}
	buf_put(out, "\r\n", 2);
}

enum err sip_reply_put(struct buf *out, const struct sip_msg *req, const struct sip_reply *r)
{
	buf_z(out, "SIP/2.0 ");
	buf_u64(out, r->status);
	buf_char(out, ' ');
	buf_z(out, r->phrase != NULL ? r->phrase : sip_status_phrase(r->status));
	buf_put(out, "\r\n", 2);
	copy_all(out, req, SIP_H_VIA);
	if (r->record_route)
		copy_all(out, req, SIP_H_RECORD_ROUTE);
	put_line(out, SIP_H_FROM, sip_msg_value(req, SIP_H_FROM));
	put_to(out, req, r->to_tag);
	put_line(out, SIP_H_CALL_ID, sip_msg_value(req, SIP_H_CALL_ID));
	put_line(out, SIP_H_CSEQ, sip_msg_value(req, SIP_H_CSEQ));
	buf_str(out, r->headers);
	put_body(out, r->content_type, r->body);
	return buf_err(out);
}

enum err sip_request_put(struct buf *out, const struct sip_request *r)
{
	buf_z(out, sip_method_name(r->method));
	buf_char(out, ' ');
	buf_str(out, r->uri);
	buf_z(out, " SIP/2.0\r\n");
	if (r->via.len > 0)
		put_line(out, SIP_H_VIA, r->via);
	buf_z(out, "Max-Forwards: 70\r\n");
	put_line(out, SIP_H_FROM, r->from);
	put_line(out, SIP_H_TO, r->to);
	put_line(out, SIP_H_CALL_ID, r->call_id);
	buf_z(out, "CSeq: ");
	buf_u64(out, r->cseq);
	buf_char(out, ' ');
	buf_z(out, sip_method_name(r->method));
	buf_put(out, "\r\n", 2);
	buf_str(out, r->headers);
	put_body(out, r->content_type, r->body);
	return buf_err(out);
}

static enum err put_like_invite(struct buf *out, const struct sip_msg *invite, const char *method, struct str to,
				struct str headers)
{
	struct sip_list vias = sip_list(invite, SIP_H_VIA);
	struct str via;

	if (!sip_list_next(&vias, &via))
		return ERR_INVALID;
	buf_z(out, method);
	buf_char(out, ' ');
	buf_str(out, invite->uri);
	buf_z(out, " SIP/2.0\r\n");
	put_line(out, SIP_H_VIA, via);
	buf_z(out, "Max-Forwards: 70\r\n");
	copy_all(out, invite, SIP_H_ROUTE);
	put_line(out, SIP_H_FROM, sip_msg_value(invite, SIP_H_FROM));
	put_line(out, SIP_H_TO, to);
	put_line(out, SIP_H_CALL_ID, invite->call_id);
	buf_z(out, "CSeq: ");
	buf_u64(out, invite->cseq);
	buf_char(out, ' ');
	buf_z(out, method);
	buf_put(out, "\r\n", 2);
	buf_str(out, headers);
	put_body(out, STR_NONE, STR_NONE);
	return buf_err(out);
}

enum err sip_cancel_put(struct buf *out, const struct sip_msg *invite, struct str headers)
{
	return put_like_invite(out, invite, "CANCEL", sip_msg_value(invite, SIP_H_TO), headers);
}

enum err sip_ack_put(struct buf *out, const struct sip_msg *invite, const struct sip_msg *response)
{
	return put_like_invite(out, invite, "ACK", sip_msg_value(response, SIP_H_TO), STR_NONE);
}
