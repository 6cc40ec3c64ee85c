#include "bench/sipload_sip.h"

#include <inttypes.h>

const char out_sdp[] =
	"v=0\r\n"
	"o=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n"
	"s=-\r\n"
	"t=0 0\r\n"
	"a=group:BUNDLE 0 1\r\n"
	"a=extmap-allow-mixed\r\n"
	"a=msid-semantic: WMS 6c1a0d5e-stream\r\n"
	"m=audio 50012 UDP/TLS/RTP/SAVPF 111 9 0 8 110 126\r\n"
	"c=IN IP4 10.83.84.2\r\n"
	"a=rtcp:9 IN IP4 0.0.0.0\r\n"
	"a=candidate:842163049 1 udp 41885439 10.83.84.2 50012 typ relay raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\n"
	"a=ice-ufrag:h9Xy\r\n"
	"a=ice-pwd:4kB2b8rW7sT1nQ5vE0mZ6cLp\r\n"
	"a=ice-options:trickle\r\n"
	"a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:3F:7D:8C:1E:2A:90:77:4F:6D:11:0B:C2\r\n"
	"a=setup:actpass\r\n"
	"a=mid:0\r\n"
	"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
	"a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
	"a=sendrecv\r\n"
	"a=rtcp-mux\r\n"
	"a=rtpmap:111 opus/48000/2\r\n"
	"a=rtcp-fb:111 transport-cc\r\n"
	"a=fmtp:111 minptime=10;useinbandfec=1\r\n"
	"a=rtpmap:9 G722/8000\r\n"
	"a=rtpmap:0 PCMU/8000\r\n"
	"a=rtpmap:8 PCMA/8000\r\n"
	"a=rtpmap:110 telephone-event/48000\r\n"
	"m=video 50012 UDP/TLS/RTP/SAVPF 96 97\r\n"
	"c=IN IP4 10.83.84.2\r\n"
	"a=rtcp:9 IN IP4 0.0.0.0\r\n"
	"a=ice-ufrag:h9Xy\r\n"
	"a=ice-pwd:4kB2b8rW7sT1nQ5vE0mZ6cLp\r\n"
	"a=mid:1\r\n"
	"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
	"a=msid:6c1a0d5e-stream 0b1f4c1e-55a7-4a55-9b1e-video\r\n"
	"a=ssrc:2231627014 cname:Wd3mX0cV9sJq1Zrt\r\n"
	"a=sendrecv\r\n"
	"a=rtcp-mux\r\n"
	"a=rtcp-rsize\r\n"
	"a=rtpmap:96 VP8/90000\r\n"
	"a=rtcp-fb:96 goog-remb\r\n"
	"a=rtcp-fb:96 ccm fir\r\n"
	"a=rtcp-fb:96 nack\r\n"
	"a=rtpmap:97 rtx/90000\r\n"
	"a=fmtp:97 apt=96\r\n";

/* --- reading --- */

static void add(struct str list[SIP_LINES_MAX], size_t *n, struct str v)
{
	if (*n < SIP_LINES_MAX)
		list[(*n)++] = v;
}

static void take_header(struct reply_view *m, struct str name, struct str value)
{
	uint64_t n;

	if (str_ieq(name, STR("Via")) || str_ieq(name, STR("v")))
		add(m->via, &m->vias, value);
	else if (str_ieq(name, STR("Record-Route")))
		add(m->record_route, &m->record_routes, value);
	else if (str_ieq(name, STR("From")) || str_ieq(name, STR("f")))
		m->from = value;
	else if (str_ieq(name, STR("To")) || str_ieq(name, STR("t")))
		m->to = value;
	else if (str_ieq(name, STR("Call-ID")) || str_ieq(name, STR("i")))
		m->call_id = value;
	else if (str_ieq(name, STR("Contact")) || str_ieq(name, STR("m")))
		m->contact = value;
	else if (str_ieq(name, STR("CSeq"))) {
		struct str rest = value, digits = str_cut(&rest, ' ');

		if (str_to_u64(digits, UINT32_MAX, &n) == ERR_OK && rest.p != NULL) {
			m->cseq = n;
			if (!m->request)
				m->method = str_trim(rest);
			else if (!str_eq(str_trim(rest), m->method))
				m->cseq = 0;
		}
	} else if ((str_ieq(name, STR("Content-Length")) || str_ieq(name, STR("l"))) && str_to_u64(value, 1u << 20, &n) == ERR_OK) {
		m->content_length = n;
		m->has_length = true;
	} else if (str_ieq(name, STR("Max-Forwards")) && str_to_u64(value, 255, &n) == ERR_OK) {
		m->max_forwards = n;
	}
}

static enum err take_start(struct reply_view *m, struct str line)
{
	uint64_t status;

	if (str_starts(line, STR("SIP/2.0 "))) {
		if (str_to_u64(str_sub(line, 8, 3), 699, &status) != ERR_OK || status < 100)
			return ERR_INVALID;
		m->status = (unsigned)status;
		return ERR_OK;
	}
	m->request = true;
	m->method = str_cut(&line, ' ');
	if (line.p == NULL)
		return ERR_INVALID;
	m->uri = str_cut(&line, ' ');
	return line.p != NULL && str_eq(line, STR("SIP/2.0")) ? ERR_OK : ERR_INVALID;
}

enum err view_parse(struct str raw, struct reply_view *out)
{
	struct str rest = raw;
	bool start = true;

	*out = (struct reply_view){ 0 };
	for (;;) {
		struct str line = str_cut(&rest, '\n');

		if (rest.p == NULL || line.len == 0 || line.p[line.len - 1] != '\r')
			return ERR_INVALID;
		line.len--;
		if (line.len == 0)
			break;
		if (start) {
			if (take_start(out, line) != ERR_OK)
				return ERR_INVALID;
			start = false;
			continue;
		}
		size_t colon = str_find(line, ':');
		if (colon == line.len)
			return ERR_INVALID;
		take_header(out, str_trim(str_sub(line, 0, colon)), str_trim(str_sub(line, colon + 1, line.len)));
	}
	out->body = rest;
	if (start || out->vias == 0 || out->call_id.len == 0 || out->from.len == 0 || out->to.len == 0 || out->cseq == 0)
		return ERR_INVALID;
	return out->has_length && out->content_length != out->body.len ? ERR_INVALID : ERR_OK;
}

enum err view_measure(struct str in, size_t *skip, size_t *len)
{
	*skip = 0;
	*len = 0;
	while (*skip < in.len && (in.p[*skip] == '\r' || in.p[*skip] == '\n'))
		++*skip;
	struct str m = str_sub(in, *skip, in.len);
	const char *end = m.len > 0 ? memmem(m.p, m.len, "\r\n\r\n", 4) : NULL;
	if (end == NULL)
		return m.len > 65536 ? ERR_INVALID : ERR_OK;
	size_t head = (size_t)(end - m.p) + 4;
	struct str rest = str_of(m.p, head);
	uint64_t body;

	while (rest.p != NULL) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		size_t colon = str_find(line, ':');
		struct str name = str_trim(str_sub(line, 0, colon));

		if (!str_ieq(name, STR("Content-Length")) && !str_ieq(name, STR("l")))
			continue;
		if (str_to_u64(str_trim(str_sub(line, colon + 1, line.len)), 1u << 20, &body) != ERR_OK)
			return ERR_INVALID;
		*len = m.len >= head + body ? head + body : 0;
		return ERR_OK;
	}
	return ERR_INVALID;
}

struct str view_uri(struct str value)
{
	size_t open = str_find(value, '<');

	if (open == value.len)
		return str_sub(value, 0, str_find(value, ';'));
	struct str inside = str_sub(value, open + 1, value.len);
	return str_sub(inside, 0, str_find(inside, '>'));
}

/* Up to the next ';' outside quotes. */
static struct str param_cut(struct str *rest)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < rest->len && (quoted || rest->p[i] != ';'); i++)
		quoted ^= rest->p[i] == '"';
	struct str one = str_sub(*rest, 0, i);
	*rest = i < rest->len ? str_sub(*rest, i + 1, rest->len) : STR_NONE;
	return one;
}

struct str view_param(struct str value, struct str name)
{
	size_t close = str_find(value, '>');
	struct str rest = close < value.len ? str_sub(value, close + 1, value.len) : value;

	(void)param_cut(&rest);
	while (rest.p != NULL) {
		struct str one = param_cut(&rest);
		size_t eq = str_find(one, '=');

		if (str_ieq(str_trim(str_sub(one, 0, eq)), name))
			return str_trim(str_sub(one, eq + 1, one.len));
	}
	return STR_NONE;
}

/* --- writing --- */

void out_tag_put(struct buf *b, uint64_t n)
{
	static const char digits[] = "0123456789abcdef";
	char text[10];

	for (int i = 9; i >= 0; i--, n >>= 4)
		text[i] = digits[n & 15];
	buf_put(b, text, sizeof(text));
}

void out_branch_put(struct buf *b, uint64_t branch)
{
	buf_str(b, STR("z9hG4bK"));
	out_tag_put(b, branch);
}

static void address_put(struct buf *b, const char *name, struct str user, struct str domain)
{
	buf_z(b, name);
	buf_str(b, STR("<sip:"));
	buf_str(b, user);
	buf_char(b, '@');
	buf_str(b, domain);
	buf_char(b, '>');
}

static void body_put(struct buf *b, struct str type, struct str body)
{
	if (body.len > 0) {
		buf_str(b, STR("Content-Type: "));
		buf_str(b, type);
		buf_str(b, STR("\r\n"));
	}
	buf_str(b, STR("Content-Length: "));
	buf_u64(b, body.len);
	buf_str(b, STR("\r\n\r\n"));
	buf_str(b, body);
}

void out_put(struct buf *b, const struct out_msg *m)
{
	buf_str(b, m->method);
	buf_char(b, ' ');
	buf_str(b, m->uri);
	buf_str(b, STR(" SIP/2.0\r\nVia: SIP/2.0/"));
	buf_str(b, m->transport);
	buf_char(b, ' ');
	buf_str(b, m->host);
	buf_str(b, STR(";branch="));
	out_branch_put(b, m->branch);
	buf_str(b, STR("\r\nMax-Forwards: 69\r\n"));
	for (size_t i = 0; i < m->routes; i++) {
		buf_str(b, STR("Route: "));
		buf_str(b, m->route[i]);
		buf_str(b, STR("\r\n"));
	}
	address_put(b, "To: ", m->to_user, m->domain);
	if (m->to_tag.len > 0) {
		buf_str(b, STR(";tag="));
		buf_str(b, m->to_tag);
	}
	buf_str(b, STR("\r\nFrom: \""));
	buf_str(b, m->from_user);
	address_put(b, "\" ", m->from_user, m->domain);
	buf_str(b, STR(";tag="));
	out_tag_put(b, m->from_tag);
	buf_str(b, STR("\r\nCall-ID: "));
	buf_str(b, m->call_id);
	buf_str(b, STR("\r\nCSeq: "));
	buf_u64(b, m->cseq);
	buf_char(b, ' ');
	buf_str(b, m->method);
	buf_str(b, STR("\r\n"));
	if (m->contact.len > 0) {
		buf_str(b, STR("Contact: "));
		buf_str(b, m->contact);
		buf_str(b, STR("\r\n"));
	}
	buf_str(b, m->headers);
	buf_str(b, STR("User-Agent: JsSIP 3.13.8\r\n"));
	body_put(b, m->type, m->body);
}

void out_reply_put(struct buf *b, const struct reply_view *req, unsigned status, const char *phrase, struct str tag, struct str contact,
		   struct str body)
{
	buf_str(b, STR("SIP/2.0 "));
	buf_u64(b, status);
	buf_char(b, ' ');
	buf_z(b, phrase);
	buf_str(b, STR("\r\n"));
	for (size_t i = 0; i < req->vias; i++) {
		buf_str(b, STR("Via: "));
		buf_str(b, req->via[i]);
		buf_str(b, STR("\r\n"));
	}
	for (size_t i = 0; i < req->record_routes; i++) {
		buf_str(b, STR("Record-Route: "));
		buf_str(b, req->record_route[i]);
		buf_str(b, STR("\r\n"));
	}
	buf_str(b, STR("To: "));
	buf_str(b, req->to);
	if (tag.len > 0 && view_param(req->to, STR("tag")).len == 0) {
		buf_str(b, STR(";tag="));
		buf_str(b, tag);
	}
	buf_str(b, STR("\r\nFrom: "));
	buf_str(b, req->from);
	buf_str(b, STR("\r\nCall-ID: "));
	buf_str(b, req->call_id);
	buf_str(b, STR("\r\nCSeq: "));
	buf_u64(b, req->cseq);
	buf_char(b, ' ');
	buf_str(b, req->method);
	buf_str(b, STR("\r\n"));
	if (contact.len > 0) {
		buf_str(b, STR("Contact: "));
		buf_str(b, contact);
		buf_str(b, STR("\r\n"));
	}
	buf_str(b, STR("Supported: outbound\r\n"));
	body_put(b, STR("application/sdp"), body);
}
