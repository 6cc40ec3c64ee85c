/* Our parser beside another one, Debian's libosip2. Both get the messages of RFC 4475 and RFC 5118, ordinary traffic, and
 * thousands of mutations of these (from a seed, so that each can be made again). Where both accept, the fields must be the
 * same. Where they disagree, the reason must stand in one of the tables below, and each reason must occur: a table that
 * has more than it needs would hide something. docs/sip-parser.md tells what is behind them. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <osipparser2/osip_parser.h>

#include "signalling/sip_check.h"
#include "signalling/sip_uri.h"
#include "tests/lib/cm.h"

#define TEXT_MAX  8192u
#define MUTATIONS 1000u /* of each message */
#define FACTS_MAX 32u
#define SHOWN     10u       /* unexplained differences that are printed */

static char *texts[96];
static size_t lens[96], count;
static uint64_t seed = 88172645463325252u;
static unsigned unexplained, both, neither;

static uint32_t roll(size_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % (uint32_t)below;
}

static void add_text(const char *p, size_t len)
{
	assert_true(count < ARRAY_LEN(texts));
	texts[count] = malloc(len + 1);
	assert_non_null(texts[count]);
	memcpy(texts[count], p, len);
	texts[count][len] = '\0';
	lens[count++] = len;
}

static void add_folder(const char *folder)
{
	struct dirent **entries;
	char path[512];
	static char text[TEXT_MAX];
	int n = scandir(folder, &entries, NULL, alphasort);

	assert_true(n > 2);
	for (int i = 0; i < n; i++) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && (f = fopen(path, "re")) != NULL) {
			add_text(text, fread(text, 1, sizeof(text), f));
			(void)fclose(f);
		}
		free(entries[i]);
	}
	free(entries);
}

/* --- the fields of both ----------------------------------------------------------------------- */

struct facts {
	bool ok;
	const char *why; /* our phrase */
	size_t count;
	struct fact {
		const char *name;
		char value[1100];
	} fact[FACTS_MAX];
};

static void fact(struct facts *f, const char *name, struct str value)
{
	struct fact *one = &f->fact[f->count++];

	assert_true(f->count <= FACTS_MAX);
	one->name = name;
	(void)snprintf(one->value, sizeof(one->value), "%.*s", STR_FMT(value));
}

static void fact_z(struct facts *f, const char *name, const char *value)
{
	fact(f, name, str_from(value != NULL ? value : ""));
}

static void uri_fact(struct facts *f, const char *name, const char *user, struct str host, unsigned long port)
{
	char text[1100];

	(void)snprintf(text, sizeof(text), "%s at %.*s port %lu", user, STR_FMT(host), port);
	fact_z(f, name, text);
}

/* As libosip2 gives it: the user with its escapes undone, IPv6 without brackets. */
static void our_uri(struct facts *f, const char *name, struct str text)
{
	struct sip_uri u;
	char user[SIP_URI_MAX + 1];

	/* A response's addresses are not looked at: what they say is for the client that asked. */
	if (sip_uri_parse(text, &u) != ERR_OK || u.scheme > SIP_SCHEME_SIPS) {
		fact_z(f, name, "?");
		return;
	}
	struct str host = u.host.p[0] == '[' ? str_sub(u.host, 1, u.host.len - 2) : u.host;

	(void)snprintf(user, sizeof(user), "%.*s", STR_FMT(u.user));
	__osip_uri_unescape(user);
	uri_fact(f, name, user, host, u.port);
}

static void their_uri(struct facts *f, const char *name, const osip_uri_t *u)
{
	if (u == NULL || u->host == NULL || u->string != NULL)
		fact_z(f, name, "?");
	else
		uri_fact(f, name, u->username != NULL ? u->username : "", str_from(u->host),
			 u->port != NULL ? strtoul(u->port, NULL, 10) : 0);
}

static void our_addr(struct facts *f, const struct sip_msg *m, enum sip_hdr h)
{
	struct sip_addr a;

	if (sip_msg_addr(m, h, &a) != ERR_OK) {
		fact_z(f, sip_hdr_name(h), "?");
		return;
	}
	our_uri(f, sip_hdr_name(h), a.uri);
	if (h != SIP_H_CONTACT)
		fact(f, h == SIP_H_TO ? "To tag" : "From tag", a.tag);
}

static void our_facts(struct str text, struct facts *f)
{
	static struct sip_msg m;
	struct sip_refusal why = { 0, NULL };
	char mem[512], number[16];
	struct buf headers = buf_fixed(mem, sizeof(mem));
	struct sip_via v;
	struct str value;
	unsigned vias = 0, contacts = 0;
	uint32_t length;

	f->count = 0;
	enum err e = sip_msg_parse(text, &m, &why);

	if (e == ERR_OK && m.request)
		e = sip_check_request(&m, &why, &headers);
	else if (e == ERR_OK && (e = sip_check_response(&m)) != ERR_OK)
		why.phrase = "Bad Via";
	f->ok = e == ERR_OK;
	f->why = why.phrase;
	if (!f->ok)
		return;
	fact(f, "method", m.method_text);
	if (m.request)
		our_uri(f, "uri", m.uri);
	fact(f, "call-id", m.call_id);
	(void)snprintf(number, sizeof(number), "%u", m.cseq);
	fact_z(f, "cseq", number);
	our_addr(f, &m, SIP_H_FROM);
	our_addr(f, &m, SIP_H_TO);
	our_addr(f, &m, SIP_H_CONTACT);
	for (struct sip_list it = sip_list(&m, SIP_H_VIA); sip_list_next(&it, &value);)
		vias++;
	for (struct sip_list it = sip_list(&m, SIP_H_CONTACT); sip_list_next(&it, &value);)
		contacts++;
	if (sip_msg_via(&m, &v) == ERR_OK) {
		fact(f, "via", v.host.p[0] == '[' ? str_sub(v.host, 1, v.host.len - 2) : v.host);
		(void)snprintf(number, sizeof(number), "%u", v.port);
		fact_z(f, "via port", number);
		fact(f, "branch", v.branch);
		fact(f, "transport", v.transport);
	}
	(void)snprintf(number, sizeof(number), "%u %u", vias, contacts);
	fact_z(f, "vias, contacts", number);
	if (sip_msg_number(&m, SIP_H_CONTENT_LENGTH, UINT32_MAX, &length) == ERR_OK) {
		(void)snprintf(number, sizeof(number), "%u", length);
		fact_z(f, "length", number);
	} else {
		fact_z(f, "length", "?");
	}
}

static void their_from(struct facts *f, const char *name, osip_from_t *a)
{
	osip_generic_param_t *tag = NULL;

	if (a == NULL) {
		fact_z(f, name, "?");
		return;
	}
	their_uri(f, name, a->url);
	if (osip_uri_param_get_byname(&a->gen_params, (char *)(uintptr_t) "tag", &tag) != 0)
		tag = NULL;
	if (strcmp(name, "Contact") != 0)
		fact_z(f, strcmp(name, "To") == 0 ? "To tag" : "From tag", tag != NULL ? tag->gvalue : NULL);
}

static void number_fact(struct facts *f, const char *name, const char *value)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%lu", strtoul(value, NULL, 10));
	fact_z(f, name, number);
}

static void their_facts(struct str text, struct facts *f)
{
	osip_message_t *m;
	osip_via_t *v;
	osip_generic_param_t *branch = NULL;
	char call_id[2048];

	f->count = 0;
	assert_int_equal(osip_message_init(&m), 0);
	f->ok = osip_message_parse(m, text.p, text.len) == 0 && m->call_id != NULL && m->cseq != NULL && m->from != NULL &&
		m->to != NULL && osip_list_size(&m->vias) > 0;
	if (f->ok) {
		fact_z(f, "method", m->cseq->method);
		if (MSG_IS_REQUEST(m))
			their_uri(f, "uri", m->req_uri);
		(void)snprintf(call_id, sizeof(call_id), "%s%s%s", m->call_id->number, m->call_id->host != NULL ? "@" : "",
			       m->call_id->host != NULL ? m->call_id->host : "");
		fact_z(f, "call-id", call_id);
		number_fact(f, "cseq", m->cseq->number);
		their_from(f, "From", m->from);
		their_from(f, "To", m->to);
		their_from(f, "Contact", osip_list_get(&m->contacts, 0));
		v = osip_list_get(&m->vias, 0);
		fact_z(f, "via", v->host);
		number_fact(f, "via port", v->port != NULL ? v->port : "0");
		(void)osip_uri_param_get_byname(&v->via_params, (char *)(uintptr_t) "branch", &branch);
		fact_z(f, "branch", branch != NULL ? branch->gvalue : NULL);
		fact_z(f, "transport", v->protocol);
		(void)snprintf(call_id, sizeof(call_id), "%d %d", osip_list_size(&m->vias), osip_list_size(&m->contacts));
		fact_z(f, "vias, contacts", call_id);
		if (m->content_length != NULL && m->content_length->value != NULL)
			number_fact(f, "length", m->content_length->value);
		else
			fact_z(f, "length", "?");
	}
	osip_message_free(m);
}

/* --- what may differ -------------------------------------------------------------------------- */

/* Our reasons to refuse what libosip2 takes: it splits, and leaves it to others to look at the parts. */
static struct {
	const char *phrase;
	unsigned seen;
} sterner[] = {
	{ "Bad Via", 0 },
	{ "Bad CSeq", 0 },
	{ "CSeq method does not match", 0 },
	{ "Bad header name", 0 },
	{ "Bad Via branch", 0 },
	{ "Bad Call-ID", 0 },
	{ "Bad From", 0 },
	{ "Bad line end", 0 },
	{ "Bad Contact", 0 },
	{ "Bad Content-Length", 0 },
	{ "Bad status line", 0 },
	{ "Bad Request-URI", 0 },
	{ "Version Not Supported", 0 },
	{ "Bad To", 0 },
	{ "Headers in Request-URI", 0 },
	{ "Bad Extension", 0 },
	{ "Unsupported URI Scheme", 0 },
	{ "Bad method", 0 },
	{ "Bad Max-Forwards", 0 },
	{ "Bad start line", 0 },
	{ "Header given twice", 0 },
	{ "Body without Content-Type", 0 },
	{ "Bad Content-Type", 0 },
	{ "Unsupported Media Type", 0 },
	{ "Too Many Hops", 0 },
	{ "Bad Expires", 0 },
	{ "Bad request line", 0 },
	{ "No empty line behind the headers", 0 },
	{ "Body shorter than Content-Length", 0 },
	{ "Bad Route", 0 },
};

static const struct fact *fact_named(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->fact[i].name, name) == 0)
			return &f->fact[i];
	return NULL;
}

/* The first field that both know and in which they differ. */
static const char *difference(const struct facts *ours, const struct facts *theirs)
{
	for (size_t i = 0; i < ours->count; i++) {
		const struct fact *a = &ours->fact[i], *b = fact_named(theirs, a->name);

		if (b != NULL && strcmp(a->value, "?") != 0 && strcmp(b->value, "?") != 0 && strcmp(a->value, b->value) != 0)
			return a->name;
	}
	return NULL;
}

/* Why we take what libosip2 refuses. */
enum laxer { LAX_RESPONSE, LAX_SCHEME, LAX_PASSWORD, LAX_DISPLAY, LAX_ACCEPT, LAX_TYPE, LAX_TAB, LAX_HOST, LAX_COUNT };
static unsigned laxer[LAX_COUNT];

static void look_at_uri(const struct sip_uri *u, bool found[LAX_COUNT])
{
	/* Any URI may be in From, To and the Contact of a REGISTER (RFC 3261 §10.2.2, RFC 4475 §3.3.4). */
	found[LAX_SCHEME] |= u->scheme > SIP_SCHEME_SIPS;
	/* password = *( … ): none is one, too (§25.1). */
	found[LAX_PASSWORD] |= u->password.p != NULL && u->password.len == 0;
	/* a host of one letter */
	found[LAX_HOST] |= u->host.len == 1;
}

/* In any value of this header. */
static void look_at(const struct sip_msg *m, enum sip_hdr h, bool found[LAX_COUNT])
{
	struct sip_list it = sip_list(m, h);
	struct sip_addr a;
	struct sip_uri u;
	struct str v;

	while (sip_list_next(&it, &v)) {
		if (sip_addr_uri_parse(v, &a, &u) != ERR_OK)
			continue;
		look_at_uri(&u, found);
		/* UTF-8 outside quotes: not the grammar, but names of people come like this. */
		for (size_t i = 0; i < a.display.len; i++)
			found[LAX_DISPLAY] |= (unsigned char)a.display.p[i] >= 0x80;
	}
}

static bool explained(const struct facts *ours, const struct facts *theirs, struct str text)
{
	static struct sip_msg m;
	struct sip_refusal why;
	bool found[LAX_COUNT] = { false }, any = false;

	for (size_t i = 0; i < ARRAY_LEN(sterner) && !ours->ok && theirs->ok; i++) {
		if (strcmp(sterner[i].phrase, ours->why) != 0)
			continue;
		sterner[i].seen++;
		return true;
	}
	if (!ours->ok || theirs->ok || sip_msg_parse(text, &m, &why) != ERR_OK)
		return false;
	struct sip_uri u;

	if (m.request && sip_uri_parse(m.uri, &u) == ERR_OK)
		look_at_uri(&u, found);
	look_at(&m, SIP_H_FROM, found);
	look_at(&m, SIP_H_TO, found);
	look_at(&m, SIP_H_CONTACT, found);
	/* Of a response we read no more than we need; what a client accepts, and more of a body than its type, is for the other client. */
	found[LAX_RESPONSE] = !m.request;
	found[LAX_ACCEPT] = m.first[SIP_H_ACCEPT] != 0;
	found[LAX_TYPE] = str_find(sip_msg_value(&m, SIP_H_CONTENT_TYPE), ';') < sip_msg_value(&m, SIP_H_CONTENT_TYPE).len;
	/* Wherever a blank may be, a tab may be (LWS). */
	found[LAX_TAB] = memchr(text.p, '\t', m.headers_end) != NULL;
	for (size_t i = 0; i < LAX_COUNT; i++) {
		laxer[i] += found[i];
		any |= found[i];
	}
	return any;
}

static void show(const char *who, const struct facts *f)
{
	print_error("--- %s: %s\n", who, f->ok ? "takes it" : f->why);
	for (size_t i = 0; f->ok && i < f->count; i++)
		print_error("%s=%s\n", f->fact[i].name, f->fact[i].value);
}

static void compare(struct str text)
{
	static struct facts ours, theirs;

	/* The other one works on strings that end with a NUL. */
	if (memchr(text.p, '\0', text.len) != NULL)
		return;
	our_facts(text, &ours);
	their_facts(text, &theirs);
	if (!ours.ok && !theirs.ok) {
		neither++;
		return;
	}
	if (ours.ok && theirs.ok) {
		both++;
		if (difference(&ours, &theirs) == NULL)
			return;
	}
	if (explained(&ours, &theirs, text) || ++unexplained > SHOWN)
		return;
	show("ours", &ours);
	show("theirs", &theirs);
	print_error("--- of:\n%.*s\n", STR_FMT(text));
}

/* --- mutations -------------------------------------------------------------------------------- */

static const char *const bits[] = {
	"\r\n ", "\r\n\t", " ", "\t", ",", ";", "<", ">", "\"", "\\", "@", ":", "=", "%", "%41", "?", "[", "]", "/", "\r\n", "\n", "\r", "\xc3\xa9", "0", "9", "*",
	";tag=x", ";branch=z9hG4bKx", ";lr", "sip:", "sips:", "tel:", "z9hG4bK", "Via", "From: ", "v: ", "l: 3\r\n", "Route: <sip:x;lr>\r\n", "INVITE", "SIP/2.0", "a@b",
};

static size_t mutate(char *t, size_t len)
{
	size_t head = len > 600 ? 600 : len, at = roll(head + 1);

	switch (roll(5)) {
	case 0: /* another byte */
		if (at < len)
			t[at] = (char)(1 + roll(255));
		return len;
	case 1: { /* something between */
		const char *b = bits[roll(ARRAY_LEN(bits))];
		size_t n = strlen(b);

		if (len + n >= TEXT_MAX)
			return len;
		memmove(t + at + n, t + at, len - at);
		memcpy(t + at, b, n);
		return len + n;
	}
	case 2: { /* some bytes less */
		size_t n = 1 + roll(8);

		if (at + n > len)
			return len;
		memmove(t + at, t + at + n, len - at - n);
		return len - n;
	}
	case 3: /* another case */
		if (at < len && ((t[at] | 0x20) >= 'a' && (t[at] | 0x20) <= 'z'))
			t[at] ^= 0x20;
		return len;
	default: { /* a stretch twice */
		size_t n = 1 + roll(40);

		if (at + n > len || len + n >= TEXT_MAX)
			return len;
		memmove(t + at + n, t + at, len - at);
		return len + n;
	}
	}
}

static void silent(const char *file, int line, osip_trace_level_t level, const char *format, va_list args)
{
	(void)file;
	(void)line;
	(void)level;
	(void)format;
	(void)args;
}

#define TAIL "Max-Forwards: 70\r\nTo: <sip:bob@example.test>\r\nFrom: \"Alice\" <sip:alice@example.test>;tag=k2j3h4g5f6\r\nCall-ID: 8f7d6c5b4a3s2d1f0g9h\r\n"
#define TOP  "Via: SIP/2.0/WSS 0q9v2k3m4n5b.invalid;branch=z9hG4bK6318374\r\n"
#define GRUU "Contact: <sip:alice@example.test;gr=urn:uuid:6f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0;ob>\r\n"

/* What browsers, phones and we send, and a few things that break one rule each. */
static const char *const ordinary[] = {
	"INVITE sip:bob@example.test SIP/2.0\r\n" TOP TAIL "CSeq: 4821 INVITE\r\n" GRUU "Content-Type: application/sdp\r\nSession-Expires: 600;refresher=uac\r\n"
	"Session-ID: 0123456789abcdef0123456789abcdef;remote=00000000000000000000000000000000\r\nSupported: timer,gruu,ice,replaces,outbound\r\n"
	"User-Agent: JsSIP 3.13.8\r\nContent-Length: 26\r\n\r\nv=0\r\nm=audio 9 RTP/AVP 0\r\n",
	"REGISTER sip:example.test SIP/2.0\r\n" TOP TAIL "CSeq: 2 REGISTER\r\nContact: <sip:x@0q9v2k3m4n5b.invalid;transport=ws>;+sip.instance=\"<urn:uuid:6f1e2d3c>\""
	";reg-id=1;expires=600\r\nExpires: 600\r\nSupported: path,gruu,outbound\r\nContent-Length: 0\r\n\r\n",
	"MESSAGE sip:bob@example.test SIP/2.0\r\n" TOP TAIL "CSeq: 3 MESSAGE\r\nContent-Type: text/plain;charset=utf-8\r\nContent-Length: 5\r\n\r\nhello",
	"BYE sip:bob@[2001:db8::1]:5061;transport=tls SIP/2.0\r\n" TOP "Route: <sip:n1.0~5~6~abc@example.test;lr>, <sip:p2.example.com;lr>\r\n" TAIL "CSeq: 4 BYE\r\n"
	"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\nContent-Length: 0\r\n\r\n",
	"SIP/2.0 180 Ringing\r\n" TOP "Via: SIP/2.0/UDP 192.0.2.1:5060;received=192.0.2.9;rport=40000;branch=z9hG4bKa\r\n" TAIL "CSeq: 4821 INVITE\r\n" GRUU
	"Record-Route: <sip:n1.0~5~6~abc@example.test;lr>\r\nContent-Length: 0\r\n\r\n",
	"INVITE sip:bob@example.test SIP/2.0\r\n" TOP TAIL "CSeq: 1 INVITE\r\n" GRUU "Content-Encoding: gzip\r\nContent-Type: application/sdp\r\nContent-Length: 1\r\n\r\nx",
	"INVITE sip:bob@example.test SIP/2.0\r\n" TOP "Max-Forwards: 0\r\nTo: <sip:b@x>\r\nFrom: <sip:a@x>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n" GRUU "Content-Length: 0\r\n\r\n",
	"REGISTER sip:example.test SIP/2.0\r\n" TOP TAIL "CSeq: 2 REGISTER\r\nExpires: soon\r\nContent-Length: 0\r\n\r\n",
	"OPTIONS sip:x SIP/2.0\r\n" TOP TAIL "CSeq: 2\tOPTIONS\r\nContent-Length: 0\r\n\r\n",
	"MESSAGE sip:x SIP/2.0\r\n" TOP TAIL "CSeq: 2 MESSAGE\r\nContent-Type: text/plain;;\r\nContent-Length: 1\r\n\r\nx",
	"OPTIONS sip:example.test SIP/2.0\r\n" TOP TAIL "CSeq: 2 OPTIONS\r\nRoute: sip:x;lr\r\nContent-Length: 0\r\n\r\n",
};

static void compare_mutations(const char *original, size_t size)
{
	static char text[TEXT_MAX + 1];

	for (unsigned k = 0; k < MUTATIONS; k++) {
		size_t len = size;

		memcpy(text, original, len);
		for (unsigned n = 1 + roll(3); n > 0; n--)
			len = mutate(text, len);
		text[len] = '\0';
		compare(str_of(text, len));
	}
}

static void both_say_the_same(void **state)
{
	(void)state;
	assert_int_equal(parser_init(), 0);
	osip_trace_initialize_func(TRACE_LEVEL0, silent);
	add_folder("tests/sip/messages/rfc4475");
	add_folder("tests/sip/messages/rfc5118");
	for (size_t i = 0; i < ARRAY_LEN(ordinary); i++)
		add_text(ordinary[i], strlen(ordinary[i]));
	for (size_t i = 0; i < count; i++) {
		compare(str_of(texts[i], lens[i]));
		compare_mutations(texts[i], lens[i]);
		free(texts[i]);
	}
	print_message("# %u taken by both, %u by neither\n", both, neither);
	assert_int_equal(unexplained, 0);
	assert_true(both > 5000 && neither > 5000);
	/* What no longer occurs has no place in the tables. */
	for (size_t i = 0; i < ARRAY_LEN(sterner); i++)
		if (sterner[i].seen == 0)
			fail_msg("'%s' has not occurred", sterner[i].phrase);
	for (size_t i = 0; i < LAX_COUNT; i++)
		if (laxer[i] == 0)
			fail_msg("lax reason %zu has not occurred", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_say_the_same) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
