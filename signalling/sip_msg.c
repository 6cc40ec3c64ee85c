/* The one-pass index of a SIP message (RFC 3261 §7, §25.1). Owner: the worker's thread; no state of its own but
 * constant tables. Typed values are sip_value.c; rules about what a good message holds are sip_check.c. */
#include "signalling/sip_msg.h"

#include <stdlib.h>

#include "signalling/sip_char.h"

enum kind { ONE, LIST, MANY };

static const struct {
	const char *name;
	uint8_t len;
	char compact;
	uint8_t kind;
} headers[SIP_H_COUNT] = {
#define X(id, text, letter, how) [id] = { text, sizeof(text) - 1, letter, how },
#include "signalling/sip_hdr.def"
#undef X
};

static const char *const methods[SIP_METHOD_COUNT] = {
#define X(id, name) [id] = name,
#include "signalling/sip_method.def"
#undef X
};

/* Open hash of header names; filled before main, constant afterwards. A known name is a token, so that whoever finds it
 * there need not look at its characters again. */
#define NAME_SLOTS 512u
#define NAME_LONG  24u /* bytes of the longest known name that name_eq can compare */
#define X(id, text, letter, how) static_assert(sizeof(text) - 1 <= NAME_LONG, text);
#include "signalling/sip_hdr.def"
#undef X
static uint8_t name_slot[NAME_SLOTS];
static uint8_t compact_of[26];
/* A name equals a known one if, with its letters made small, it is the same: (byte | fold) == small. */
static struct {
	char small[NAME_LONG], fold[NAME_LONG];
} spelling[SIP_H_COUNT];

static bool eq8(const char *p, const char *small, const char *fold)
{
	uint64_t a, b, f;

	memcpy(&a, p, 8);
	memcpy(&b, small, 8);
	memcpy(&f, fold, 8);
	return (a | f) == b;
}

static bool eq4(const char *p, const char *small, const char *fold)
{
	uint32_t a, b, f;

	memcpy(&a, p, 4);
	memcpy(&b, small, 4);
	memcpy(&f, fold, 4);
	return (a | f) == b;
}

static bool name_eq(const char *p, size_t len, unsigned id)
{
	const char *small = spelling[id].small, *fold = spelling[id].fold;

	if (headers[id].len != len)
		return false;
	if (len < 4)
		return (p[0] | fold[0]) == small[0] && (p[1] | fold[1]) == small[1] &&
		       (p[len - 1] | fold[len - 1]) == small[len - 1];
	if (len < 8)
		return eq4(p, small, fold) && eq4(p + len - 4, small + len - 4, fold + len - 4);
	return eq8(p, small, fold) && (len <= 16 || eq8(p + 8, small + 8, fold + 8)) &&
	       eq8(p + len - 8, small + len - 8, fold + len - 8);
}

/* These factors part all of today's names; one more that collides costs a second look. */
static unsigned name_hash(const char *p, size_t len)
{
	unsigned first = (unsigned)(p[0] | 0x20), last = (unsigned)(p[len - 1] | 0x20),
		 mid = (unsigned)(p[len / 2] | 0x20);

	return ((unsigned)len * 72 + first * 270 + last * 335 + mid * 447) % NAME_SLOTS;
}

__attribute__((constructor)) static void fill_names(void)
{
	for (unsigned id = 1; id < SIP_H_COUNT; id++) {
		unsigned at = name_hash(headers[id].name, headers[id].len);

		while (name_slot[at] != 0)
			at = (at + 1) % NAME_SLOTS;
		name_slot[at] = (uint8_t)id;
		for (size_t i = 0; i < headers[id].len; i++) {
			spelling[id].fold[i] = headers[id].name[i] == '-' ? 0 : 0x20;
			spelling[id].small[i] = (char)(headers[id].name[i] | spelling[id].fold[i]);
		}
		if (headers[id].compact != 0)
			compact_of[headers[id].compact - 'a'] = (uint8_t)id;
	}
}

enum sip_hdr sip_hdr_from(struct str name)
{
	if (name.len == 0 || name.len > NAME_LONG)
		return SIP_H_OTHER;
	if (name.len == 1) {
		unsigned letter = (unsigned)(name.p[0] | 0x20) - 'a';

		return letter < 26 ? (enum sip_hdr)compact_of[letter] : SIP_H_OTHER;
	}
	for (unsigned at = name_hash(name.p, name.len); name_slot[at] != 0; at = (at + 1) % NAME_SLOTS) {
		unsigned id = name_slot[at];

		if (name_eq(name.p, name.len, id))
			return (enum sip_hdr)id;
	}
	return SIP_H_OTHER;
}

const char *sip_hdr_name(enum sip_hdr h)
{
	return headers[h].name != NULL ? headers[h].name : "";
}

enum sip_method sip_method_from(struct str name)
{
	for (unsigned i = 1; i < SIP_METHOD_COUNT; i++)
		if (str_eq(name, str_from(methods[i])))
			return (enum sip_method)i;
	return SIP_METHOD_OTHER;
}

const char *sip_method_name(enum sip_method m)
{
	return methods[m] != NULL ? methods[m] : "";
}

static enum err refuse(struct sip_refusal *why, unsigned status, const char *phrase)
{
	*why = (struct sip_refusal){ status, phrase };
	return ERR_INVALID;
}

/* One line's end: its '\n' with a '\r' before it, or NULL. A bare CR or LF anywhere is an error: two parsers that
 * disagree about where a line ends are how headers are smuggled. */
static const char *line_end(const char *p, const char *end)
{
	size_t at = sip_find_any(p, (size_t)(end - p), '\r', '\n', '\r', '\n');

	return at + 1 < (size_t)(end - p) && p[at] == '\r' && p[at + 1] == '\n' ? p + at + 1 : NULL;
}

static bool version_is(struct str v)
{
	return str_ieq(v, STR("SIP/2.0"));
}

static enum err status_line(struct sip_msg *m, struct str line, struct sip_refusal *why)
{
	uint64_t status;
	struct str version = str_cut(&line, ' ');

	m->response = true;
	if (!version_is(version))
		return refuse(why, 505, "Version Not Supported");
	struct str code = str_cut(&line, ' ');

	/* The blank behind the code must be there, the phrase may be empty (§25.1). */
	if (code.len != 3 || line.p == NULL || str_to_u64(code, 699, &status) != ERR_OK || status < 100)
		return refuse(why, 400, "Bad status line");
	m->status = (unsigned)status;
	m->phrase = line;
	return ERR_OK;
}

static enum err request_line(struct sip_msg *m, struct str line, struct sip_refusal *why)
{
	m->request = true;
	m->method_text = sip_take(&line, SIP_C_TOKEN);
	if (m->method_text.len == 0 || (line.len > 0 && line.p[0] != ' '))
		return refuse(why, 400, "Bad method");
	m->method = sip_method_from(m->method_text);
	/* Exactly one blank between the three parts, none at the end (§7.1). */
	if (!sip_take_char(&line, ' '))
		return refuse(why, 400, "Bad request line");
	struct str uri = { line.p, sip_find_any(line.p, line.len, ' ', '\t', ' ', '\t') };

	line = (struct str){ uri.p + uri.len, line.len - uri.len };
	if (uri.len == 0 || !sip_take_char(&line, ' ') || line.len == 0 ||
	    sip_find_any(line.p, line.len, ' ', '\t', ' ', '\t') != line.len)
		return refuse(why, 400, "Bad request line");
	m->uri = uri;
	if (!version_is(line)) {
		if (line.len > 4 && str_ieq(str_sub(line, 0, 4), STR("SIP/")))
			return refuse(why, 505, "Version Not Supported");
		return refuse(why, 400, "Bad request line");
	}
	return ERR_OK;
}

static enum err start_line(struct sip_msg *m, struct sip_refusal *why)
{
	const char *p = m->raw.p, *nl = line_end(p, p + m->raw.len);

	if (nl == NULL)
		return refuse(why, 400, "Bad start line");
	struct str line = { p, (size_t)(nl - 1 - p) };

	m->start_end = (uint32_t)(nl + 1 - p);
	if (line.len >= 4 && str_ieq(str_sub(line, 0, 4), STR("SIP/")))
		return status_line(m, line, why);
	enum err e = request_line(m, line, why);

	return e == ERR_OK && line.len > SIP_START_MAX ? refuse(why, 414, "Request-URI Too Long") : e;
}

static void link_field(struct sip_msg *m, enum sip_hdr id)
{
	m->field[m->count].id = (uint16_t)id;
	m->field[m->count].next = 0;
	m->count++;
	if (id == SIP_H_OTHER)
		return;
	if (m->first[id] == 0) {
		m->first[id] = m->count;
	} else {
		m->field[m->last[id] - 1].next = m->count;
		m->twice |= headers[id].kind == ONE;
	}
	m->last[id] = m->count;
}

/* The name at the front of a line, blanks behind it and the colon (§7.3.1): the blanks belong to neither, so the name
 * that is looked up is what every reader of the RFC sees. Gives what lies behind the colon, NULL if the name is bad. */
static const char *header_name(const char *p, const char *end, struct str *name, enum sip_hdr *id)
{
	const char *from = p;

	/* Usually there are no blanks, and the name is a known one. */
	*name = (struct str){ p, sip_find_any(p, MIN((size_t)(end - p), NAME_LONG + 1), ':', ' ', '\t', ':') };
	*id = sip_hdr_from(*name);
	p += name->len;
	if (*id == SIP_H_OTHER) {
		for (p = from; p < end && sip_is(*p, SIP_C_TOKEN);)
			p++;
		name->len = (size_t)(p - from);
	}
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return name->len > 0 && name->len <= UINT16_MAX && p < end && *p == ':' ? p + 1 : NULL;
}

/* Where a header with its folds ends, like line_end. A fold of nothing but blanks is an error: to another reader it is the
 * empty line, and what follows is the body. */
static const char *header_end(const char *p, const char *end)
{
	const char *nl = line_end(p, end);

	while (nl != NULL && nl + 1 < end && (nl[1] == ' ' || nl[1] == '\t')) {
		for (p = nl + 2; p < end && (*p == ' ' || *p == '\t');)
			p++;
		nl = p < end && *p != '\r' ? line_end(p, end) : NULL;
	}
	return nl;
}

/* One header with its folds. */
static enum err header_line(struct sip_msg *m, const char **at, struct sip_refusal *why)
{
	const char *base = m->raw.p, *end = base + m->raw.len, *nl = header_end(*at, end);
	struct str name;
	enum sip_hdr id;

	const char *value = header_name(*at, nl != NULL ? nl - 1 : end, &name, &id);

	if (value == NULL)
		return refuse(why, 400, "Bad header name");
	if (m->count == SIP_HDR_MAX)
		return refuse(why, 400, "Too many headers");
	if (nl == NULL)
		return refuse(why, 400, "Bad line end");
	struct str v = sip_trim((struct str){ value, (size_t)(nl - 1 - value) });

	m->field[m->count] = (struct sip_field){
		.at = (uint32_t)(name.p - base),
		.value_at = (uint32_t)(v.p - base),
		.value_len = (uint32_t)v.len,
		.end = (uint32_t)(nl + 1 - base),
		.name_len = (uint16_t)name.len,
	};
	link_field(m, id);
	*at = nl + 1;
	return ERR_OK;
}

/* A line that is bad is left out and the rest is read on: the answer needs the other headers. */
static enum err header_lines(struct sip_msg *m, struct sip_refusal *why)
{
	const char *base = m->raw.p, *end = base + m->raw.len, *p = base + m->start_end;
	struct sip_refusal later;
	enum err first = ERR_OK;

	for (;;) {
		if (end - p < 2)
			return first != ERR_OK ? first : refuse(why, 400, "No empty line behind the headers");
		if (p[0] == '\r' && p[1] == '\n')
			break;
		enum err e = header_line(m, &p, first == ERR_OK ? why : &later);

		if (e != ERR_OK) {
			const char *nl = memchr(p, '\n', (size_t)(end - p));

			first = e;
			p = nl != NULL ? nl + 1 : end;
		}
	}
	m->headers_end = (uint32_t)(p - base);
	m->body = (struct str){ p + 2, (size_t)(end - p - 2) };
	return first;
}

/* NUL is legal in one place only: escaped in a quoted string (RFC 4475 §3.1.1.2). */
static bool stray_nul(const struct sip_msg *m)
{
	const char *p = m->raw.p, *end = p + m->headers_end;

	while ((p = memchr(p, '\0', (size_t)(end - p))) != NULL) {
		if (p == m->raw.p || p[-1] != '\\')
			return true;
		p++;
	}
	return false;
}

static enum err content_length(struct sip_msg *m, struct sip_refusal *why)
{
	uint32_t length;

	if (m->first[SIP_H_CONTENT_LENGTH] == 0)
		return ERR_OK;
	if (sip_msg_number(m, SIP_H_CONTENT_LENGTH, UINT32_MAX, &length) != ERR_OK)
		return refuse(why, 400, "Bad Content-Length");
	if (length > m->body.len)
		return refuse(why, 400, "Body shorter than Content-Length");
	/* §18.3: what lies behind the body is not part of the message. */
	m->body.len = length;
	m->raw.len = (size_t)(m->body.p - m->raw.p) + length;
	return ERR_OK;
}

/* word ["@" word] (§25.1) */
static bool call_id_ok(struct str id)
{
	size_t n = sip_run(id.p, id.len, SIP_C_WORD);

	if (n > 0 && n < id.len && id.p[n] == '@') {
		id = (struct str){ id.p + n + 1, id.len - n - 1 };
		n = sip_run(id.p, id.len, SIP_C_WORD);
	}
	return n > 0 && n == id.len;
}

static enum err required(struct sip_msg *m, struct sip_refusal *why)
{
	static const struct {
		enum sip_hdr id;
		const char *phrase;
	} must[] = {
		{ SIP_H_VIA, "Missing Via" },         { SIP_H_FROM, "Missing From" }, { SIP_H_TO, "Missing To" },
		{ SIP_H_CALL_ID, "Missing Call-ID" }, { SIP_H_CSEQ, "Missing CSeq" },
	};
	struct sip_cseq cseq;

	for (size_t i = 0; i < ARRAY_LEN(must); i++)
		if (m->first[must[i].id] == 0)
			return refuse(why, 400, must[i].phrase);
	if (m->twice)
		return refuse(why, 400, "Header given twice");
	m->call_id = sip_msg_value(m, SIP_H_CALL_ID);
	if (m->call_id.len == 0)
		return refuse(why, 400, "Empty Call-ID");
	if (!call_id_ok(m->call_id))
		return refuse(why, 400, "Bad Call-ID");
	if (sip_cseq_parse(sip_msg_value(m, SIP_H_CSEQ), &cseq) != ERR_OK)
		return refuse(why, 400, "Bad CSeq");
	m->cseq = cseq.number;
	if (!m->request) {
		m->method = cseq.method;
		m->method_text = cseq.method_text;
	} else if (!str_eq(m->method_text, cseq.method_text)) {
		return refuse(why, 400, "CSeq method does not match");
	}
	return ERR_OK;
}

enum err sip_msg_parse(struct str raw, struct sip_msg *m, struct sip_refusal *why)
{
	enum err e;

	/* Not the fields: those up to `count` are written before they are read. */
	memset(m, 0, offsetof(struct sip_msg, field));
	while (raw.len >= 2 && raw.p[0] == '\r' && raw.p[1] == '\n')
		raw = str_sub(raw, 2, raw.len);
	m->raw = raw;
	if (raw.len > SIP_MSG_MAX)
		return refuse(why, 513, "Message Too Large");
	if (raw.len == 0)
		return refuse(why, 400, "Empty message");
	enum err start = start_line(m, why);

	/* With a bad start line the headers are still indexed: the answer needs them. */
	if (m->start_end == 0)
		return start;
	struct sip_refusal later;

	e = header_lines(m, start == ERR_OK ? why : &later);
	if (start != ERR_OK || e != ERR_OK)
		return start != ERR_OK ? start : e;
	if (stray_nul(m))
		return refuse(why, 400, "NUL in a header");
	e = required(m, why);
	return e == ERR_OK ? content_length(m, why) : e;
}

static void move(struct str *s, const char *from, const char *to)
{
	if (s->p != NULL)
		s->p = to + (s->p - from);
}

struct sip_msg *sip_msg_copy(const struct sip_msg *m)
{
	/* Only as many fields as there are: the index holds offsets, so it moves as it is. */
	size_t index = offsetof(struct sip_msg, field) + m->count * sizeof(m->field[0]);
	char *mem = malloc(index + m->raw.len);

	if (mem == NULL)
		return NULL;
	memcpy(mem, m, index);
	memcpy(mem + index, m->raw.p, m->raw.len);
	struct sip_msg *copy = (struct sip_msg *)(void *)mem;
	struct str *const slices[] = { &copy->raw,    &copy->method_text, &copy->uri,
				       &copy->phrase, &copy->call_id,     &copy->body };

	for (size_t i = 0; i < ARRAY_LEN(slices); i++)
		move(slices[i], m->raw.p, mem + index);
	return copy;
}

bool sip_msg_answerable(const struct sip_msg *m)
{
	return m->request && m->headers_end != 0 && m->method != SIP_ACK && m->first[SIP_H_VIA] != 0 &&
	       m->first[SIP_H_FROM] != 0 && m->first[SIP_H_TO] != 0 && m->first[SIP_H_CALL_ID] != 0 &&
	       m->first[SIP_H_CSEQ] != 0;
}

enum err sip_msg_measure(struct str in, size_t *skip, size_t *len)
{
	size_t blank = 0;
	uint64_t length = 0;
	bool known = false;

	while (in.len - blank >= 2 && in.p[blank] == '\r' && in.p[blank + 1] == '\n')
		blank += 2;
	struct str rest = str_sub(in, blank, in.len);
	const char *empty = memmem(rest.p, rest.len, "\r\n\r\n", 4);

	if (empty == NULL) {
		if (rest.len > SIP_MSG_MAX)
			return ERR_TOO_LARGE;
		*skip = blank;
		*len = 0;
		return ERR_OK;
	}
	size_t head = (size_t)(empty - rest.p) + 4;

	for (const char *p = (const char *)memchr(rest.p, '\n', head) + 1; p < empty;) {
		const char *nl = memchr(p, '\n', (size_t)(rest.p + head - p));

		/* A fold belongs to its header (§7.3.1): it never starts one, however it looks. */
		while (nl < empty && (nl[1] == ' ' || nl[1] == '\t'))
			nl = memchr(nl + 1, '\n', (size_t)(rest.p + head - nl - 1));
		struct str line = { p, (size_t)(nl - p) };
		size_t colon = str_find(line, ':');

		p = nl + 1;
		if (colon == line.len || sip_hdr_from(str_trim(str_sub(line, 0, colon))) != SIP_H_CONTENT_LENGTH)
			continue;
		if (known || str_to_u64(str_trim(str_sub(line, colon + 1, line.len)), SIP_MSG_MAX, &length) != ERR_OK)
			return ERR_INVALID;
		known = true;
	}
	if (!known)
		return ERR_INVALID;
	if (head + length > SIP_MSG_MAX)
		return ERR_TOO_LARGE;
	*skip = blank;
	*len = rest.len >= head + length ? head + (size_t)length : 0;
	return ERR_OK;
}

struct str sip_msg_value(const struct sip_msg *m, enum sip_hdr h)
{
	return m->first[h] != 0 ? sip_field_value(m, &m->field[m->first[h] - 1]) : STR_NONE;
}

const struct sip_field *sip_msg_first(const struct sip_msg *m, enum sip_hdr h)
{
	return m->first[h] != 0 ? &m->field[m->first[h] - 1] : NULL;
}

const struct sip_field *sip_msg_next(const struct sip_msg *m, const struct sip_field *f)
{
	return f->next != 0 ? &m->field[f->next - 1] : NULL;
}

struct str sip_msg_other(const struct sip_msg *m, struct str name)
{
	for (unsigned i = 0; i < m->count; i++)
		if (m->field[i].id == SIP_H_OTHER && str_ieq(sip_field_name(m, &m->field[i]), name))
			return sip_field_value(m, &m->field[i]);
	return STR_NONE;
}
