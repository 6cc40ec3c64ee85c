/* The index of a message: start line, headers in every disguise, body, limits, streams, copies. */
#include <stdio.h>
#include <stdlib.h>

#include "signalling/sip_msg.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define MUST    "Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\n"
#define OPTIONS "OPTIONS sip:b@x SIP/2.0\r\n" MUST "CSeq: 1 OPTIONS\r\n"

static struct sip_msg m;
static struct sip_refusal why;

static enum err parse(const char *text)
{
	why = (struct sip_refusal){ 0, "" };
	return sip_msg_parse(str_from(text), &m, &why);
}

static void start_lines(void **state)
{
	static const struct {
		const char *line;
		unsigned status;
	} cases[] = {
		{ "OPTIONS sip:b@x SIP/2.0", 0 },
		{ "OPTIONS sip:b@x sip/2.0", 0 },
		{ "OPTIONS sip:b@x SIP/3.0", 505 },
		{ "OPTIONS sip:b@x HTTP/1.1", 400 },
		{ "OPTIONS sip:b@x", 400 },
		{ "OPTIONS  sip:b@x SIP/2.0", 400 },
		{ "OPTIONS sip:b@x SIP/2.0 ", 400 },
		{ " OPTIONS sip:b@x SIP/2.0", 400 },
		{ "OPTIONS sip:b@x\tSIP/2.0", 400 },
		{ "OPT IONS sip:b@x SIP/2.0", 400 },
		{ "OPTI\"ONS sip:b@x SIP/2.0", 400 },
		{ "GET / HTTP/1.1", 400 },
		{ "", 400 },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text), "%s\r\n" MUST "CSeq: 1 OPTIONS\r\n\r\n", cases[i].line);
		enum err e = parse(text);

		if ((e == ERR_OK ? 0 : why.status) != cases[i].status)
			fail_msg("'%s': %u %s", cases[i].line, why.status, why.phrase);
	}
}

static void status_lines(void **state)
{
	static const struct {
		const char *line;
		unsigned status; /* 0 = refused */
	} cases[] = { { "SIP/2.0 200 OK", 200 }, { "SIP/2.0 200 ", 200 }, { "SIP/2.0 200", 0 },
		      { "SIP/2.0 099 X", 0 },    { "SIP/2.0 700 X", 0 },  { "SIP/2.0 20 X", 0 },
		      { "SIP/2.0 2000 X", 0 },   { "SIP/1.0 200 OK", 0 }, { "SIP/2.0  200 OK", 0 },
		      { "SIP/2.0 -12 OK", 0 } };
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text), "%s\r\n" MUST "CSeq: 7 INVITE\r\n\r\n", cases[i].line);
		enum err e = parse(text);

		if (cases[i].status == 0) {
			assert_int_not_equal(e, ERR_OK);
			continue;
		}
		assert_ok(e);
		assert_false(m.request);
		assert_int_equal(m.status, cases[i].status);
		assert_int_equal(m.method, SIP_INVITE);
		assert_int_equal(m.cseq, 7);
	}
}

/* Compact, folded, in odd case, with blanks before the colon: the same header, so that no filter is got round. */
static void disguises(void **state)
{
	static const char *const lines[] = {
		"Subject: x", "s: x", "S: x", "SUBJECT:x", "sUbJeCt \t : x", "Subject:\r\n x", "s\t:\t\r\n\t x  "
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		(void)snprintf(text, sizeof(text), OPTIONS "%s\r\n\r\n", lines[i]);
		assert_ok(parse(text));
		assert_str(sip_msg_value(&m, SIP_H_SUBJECT), "x");
	}
	/* A fold of blanks alone would be the empty line to another reader. */
	assert_err(parse(OPTIONS "s: x\r\n \r\nl: 0\r\n\r\n"), ERR_INVALID);
	assert_err(parse(OPTIONS "s: x\r\n\t \r\n y\r\n\r\n"), ERR_INVALID);
	assert_err(parse(OPTIONS "s: x\r\n \r\n\r\n"), ERR_INVALID);
	assert_ok(parse(OPTIONS "Subjec: x\r\nSubjects: y\r\nz: w\r\n\r\n"));
	assert_null(sip_msg_value(&m, SIP_H_SUBJECT).p);
	assert_str(sip_msg_other(&m, STR("SUBJECTS")), "y");
	assert_null(sip_msg_other(&m, STR("nothing")).p);
}

static void bad_headers(void **state)
{
	static const struct {
		const char *lines, *phrase;
	} cases[] = {
		{ "Subject x", "Bad header name" },
		{ ": x", "Bad header name" },
		{ "Sub ject: x", "Bad header name" },
		{ "Subject: a\nVia: b", "Bad line end" },
		{ "Subject: a\rVia: b", "Bad line end" },
		{ "Subject: a\r\r", "Bad line end" },
		{ "Subject: a\r\nSubject: b", "Header given twice" },
		{ "s: a\r\nSUBJECT : b", "Header given twice" },
		{ "Content-Length: 1", "Body shorter than Content-Length" },
		{ "Content-Length: -1", "Bad Content-Length" },
		{ "Content-Length: 99999999999999999999", "Bad Content-Length" },
		{ "l: 0\r\nContent-Length: 0", "Header given twice" },
		{ "From: <sip:c@x>;tag=2", "Header given twice" },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text), OPTIONS "%s\r\n\r\n", cases[i].lines);
		assert_err(parse(text), ERR_INVALID);
		assert_int_equal(why.status, 400);
		assert_string_equal(why.phrase, cases[i].phrase);
	}
	assert_err(sip_msg_parse(STR(OPTIONS "Subject: a\0b\r\n\r\n"), &m, &why), ERR_INVALID);
	assert_string_equal(why.phrase, "NUL in a header");
}

static void required_headers(void **state)
{
	static const char *const names[] = { "Via", "From", "To", "Call-ID", "CSeq" };
	static const char *const lines[] = { "Via: SIP/2.0/WSS a;branch=z9hG4bK1\r\n", "From: <sip:a@x>;tag=1\r\n",
					     "To: <sip:b@x>\r\n", "Call-ID: c\r\n", "CSeq: 1 OPTIONS\r\n" };
	char text[1024], want[64];

	(void)state;
	for (size_t skip = 0; skip < ARRAY_LEN(lines); skip++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "OPTIONS sip:b@x SIP/2.0\r\n");

		for (size_t i = 0; i < ARRAY_LEN(lines); i++)
			if (i != skip)
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", lines[i]);
		(void)snprintf(text + n, sizeof(text) - n, "\r\n");
		assert_err(parse(text), ERR_INVALID);
		(void)snprintf(want, sizeof(want), "Missing %s", names[skip]);
		assert_string_equal(why.phrase, want);
		assert_false(sip_msg_answerable(&m));
	}
	assert_err(parse("OPTIONS sip:b@x SIP/9.9\r\n" MUST "CSeq: 1 OPTIONS\r\n\r\n"), ERR_INVALID);
	assert_true(sip_msg_answerable(&m));
	assert_err(parse("ACK sip:b@x SIP/9.9\r\n" MUST "CSeq: 1 ACK\r\n\r\n"), ERR_INVALID);
	assert_false(sip_msg_answerable(&m));
}

static void limits(void **state)
{
	struct buf b = buf_growing(2 * SIP_MSG_MAX);

	(void)state;
	buf_z(&b, OPTIONS);
	for (unsigned i = 5; i < SIP_HDR_MAX; i++)
		buf_z(&b, "X-Y: z\r\n");
	size_t fits = b.len;

	buf_z(&b, "\r\n");
	assert_ok(sip_msg_parse(buf_view(&b), &m, &why));
	b.len = fits;
	buf_z(&b, "X-Y: z\r\n\r\n");
	assert_err(sip_msg_parse(buf_view(&b), &m, &why), ERR_INVALID);
	assert_string_equal(why.phrase, "Too many headers");

	buf_reset(&b);
	buf_z(&b, "OPTIONS sip:");
	for (unsigned i = 0; i < SIP_START_MAX; i++)
		buf_char(&b, 'x');
	buf_z(&b, "@x SIP/2.0\r\n" MUST "CSeq: 1 OPTIONS\r\n\r\n");
	assert_err(sip_msg_parse(buf_view(&b), &m, &why), ERR_INVALID);
	assert_int_equal(why.status, 414);
	assert_true(sip_msg_answerable(&m));

	buf_reset(&b);
	buf_z(&b, OPTIONS "\r\n");
	while (b.len < SIP_MSG_MAX)
		buf_char(&b, 'x');
	assert_ok(sip_msg_parse(buf_view(&b), &m, &why));
	buf_char(&b, 'x');
	assert_err(sip_msg_parse(buf_view(&b), &m, &why), ERR_INVALID);
	assert_int_equal(why.status, 513);
	buf_fini(&b);
}

static void bodies(void **state)
{
	(void)state;
	assert_ok(parse("\r\n\r\n" OPTIONS "l: 3\r\n\r\nabcdef"));
	assert_str(m.body, "abc");
	assert_int_equal(m.raw.p[m.raw.len - 1], 'c');
	assert_ok(parse(OPTIONS "\r\nabcdef"));
	assert_str(m.body, "abcdef");
	assert_ok(parse(OPTIONS "l: 0\r\n\r\n"));
	assert_int_equal(m.body.len, 0);
}

static void streams(void **state)
{
	static const char one[] = OPTIONS "Content-Length: 3\r\n\r\nabc";
	size_t skip, len, whole = sizeof(one) - 1;
	char two[1024];
	struct guard g = guard_new(4096);

	(void)state;
	for (size_t n = 0; n < whole; n++) {
		assert_ok(sip_msg_measure(str_of(guard_put(&g, one, n), n), &skip, &len));
		assert_int_equal(len, 0);
	}
	(void)snprintf(two, sizeof(two), "\r\n\r\n%s%s", one, one);
	assert_ok(sip_msg_measure(str_from(two), &skip, &len));
	assert_int_equal(skip, 4);
	assert_int_equal(len, whole);
	assert_ok(sip_msg_measure(STR("\r\n\r\n"), &skip, &len));
	assert_int_equal(skip, 4);
	assert_int_equal(len, 0);
	assert_err(sip_msg_measure(STR(OPTIONS "\r\n"), &skip, &len), ERR_INVALID);
	assert_err(sip_msg_measure(STR(OPTIONS "l: 1\r\nl: 2\r\n\r\n"), &skip, &len), ERR_INVALID);
	assert_err(sip_msg_measure(STR(OPTIONS "l: 99999\r\n\r\n"), &skip, &len), ERR_INVALID);
	assert_err(sip_msg_measure(STR(OPTIONS "l: 65536\r\n\r\n"), &skip, &len), ERR_TOO_LARGE);
	guard_free(&g);
}

/* The stream is cut where the parser sees the end of the message: a fold is no header of its own. */
static void streams_and_folds(void **state)
{
	static const struct {
		const char *text, *body;
	} cases[] = {
		{ OPTIONS "s: x\r\n Content-Length: 0\r\nl: 3\r\n\r\nabc", "abc" },
		{ OPTIONS "l: 3\r\ns: x\r\n\tl: 3\r\n\r\nabc", "abc" },
		{ OPTIONS "Content-Length:\r\n 3\r\n\r\nabc", "abc" },
		{ OPTIONS "l : \r\n \t3\r\n\r\nabc", "abc" },
	};
	size_t skip, len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str text = str_from(cases[i].text);

		assert_ok(parse(cases[i].text));
		assert_str(m.body, cases[i].body);
		assert_ok(sip_msg_measure(text, &skip, &len));
		assert_int_equal(len, text.len);
	}
	assert_err(sip_msg_measure(STR(OPTIONS "s: x\r\n Content-Length: 0\r\n\r\nabc"), &skip, &len), ERR_INVALID);
}

static void copies(void **state)
{
	char text[] = OPTIONS "s: x\r\nl: 3\r\n\r\nabc";

	(void)state;
	assert_ok(parse(text));
	struct sip_msg *c = sip_msg_copy(&m);

	assert_non_null(c);
	memset(text, 'z', sizeof(text));
	assert_str(c->method_text, "OPTIONS");
	assert_str(c->uri, "sip:b@x");
	assert_str(c->call_id, "c");
	assert_str(c->body, "abc");
	assert_str(sip_msg_value(c, SIP_H_SUBJECT), "x");
	free(c);
}

static void names(void **state)
{
	(void)state;
	for (unsigned h = 1; h < SIP_H_COUNT; h++)
		assert_int_equal(sip_hdr_from(str_from(sip_hdr_name((enum sip_hdr)h))), h);
	for (unsigned i = 1; i < SIP_METHOD_COUNT; i++)
		assert_int_equal(sip_method_from(str_from(sip_method_name((enum sip_method)i))), i);
	assert_int_equal(sip_method_from(STR("invite")), SIP_METHOD_OTHER);
	assert_int_equal(sip_hdr_from(STR("1")), SIP_H_OTHER);
	assert_string_equal(sip_status_phrase(486), "Busy Here");
	assert_string_equal(sip_status_phrase(699), "Unknown");
}

/* Every name in any case, and nothing that differs by one bit elsewhere. */
static void names_are_exact(void **state)
{
	(void)state;
	for (unsigned h = 1; h < SIP_H_COUNT; h++) {
		char name[64];
		size_t len = strlen(sip_hdr_name((enum sip_hdr)h));

		memcpy(name, sip_hdr_name((enum sip_hdr)h), len);
		assert_int_equal(sip_hdr_from(str_of(name, len)), h);
		if (len > 2) /* "T" is To */
			assert_int_not_equal(sip_hdr_from(str_of(name, len - 1)), h);
		for (size_t i = 0; i < len; i++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				bool letter = (name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z';

				name[i] ^= (char)(1u << bit);
				if ((sip_hdr_from(str_of(name, len)) == h) != (letter && bit == 5))
					fail_msg("%.*s", (int)len, name);
				name[i] ^= (char)(1u << bit);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_exact),
		cmocka_unit_test(start_lines), cmocka_unit_test(status_lines),     cmocka_unit_test(disguises),
		cmocka_unit_test(bad_headers), cmocka_unit_test(required_headers), cmocka_unit_test(limits),
		cmocka_unit_test(bodies),      cmocka_unit_test(streams),          cmocka_unit_test(copies),
		cmocka_unit_test(streams_and_folds),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
