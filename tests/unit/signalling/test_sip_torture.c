/* The messages of RFC 4475 and RFC 5118 as the RFCs have them (tests/sip/messages; tests/sip/torture.test.mjs sends them to a
 * worker). Each is parsed and checked as a whole, and every prefix of each is parsed next to a page without access. The tables say
 * which status refuses a message in the parser and in the check behind it, 0 = accepted.
 *
 * Where an outcome is sterner than the RFC asks: a branch of RFC 2543 (wsinv, longreq, inv2543) is refused, since no client of ours
 * is that old and transactions are found by their branch. */
#include <stdio.h>
#include <stdlib.h>

#include "signalling/sip_check.h"
#include "signalling/sip_msg.h"
#include "signalling/sip_uri.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define CASES_MAX 64u

static struct message {
	char suite[16], name[40];
	unsigned parse, check;
	char *text; /* owned */
	size_t len;
} cases[CASES_MAX];
static size_t count;

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *text = malloc(SIP_MSG_MAX);

	if (f == NULL || text == NULL) {
		print_error("%s\n", path);
		abort();
	}
	*len = fread(text, 1, SIP_MSG_MAX - 1, f);
	text[*len] = '\0';
	(void)fclose(f);
	return text;
}

/* name, section, parse, check, and columns for others. */
static void add_row(const char *suite, struct str line)
{
	struct message *c = &cases[count++];
	char path[128];
	uint64_t parse, check;

	assert_true(count <= CASES_MAX);
	(void)snprintf(c->suite, sizeof(c->suite), "%s", suite);
	assert_ok(str_copy(str_cut(&line, '\t'), c->name, sizeof(c->name)));
	(void)str_cut(&line, '\t');
	assert_ok(str_to_u64(str_cut(&line, '\t'), 699, &parse));
	assert_ok(str_to_u64(str_cut(&line, '\t'), 699, &check));
	c->parse = (unsigned)parse;
	c->check = (unsigned)check;
	(void)snprintf(path, sizeof(path), "tests/sip/messages/%s/%s.sip", suite, c->name);
	c->text = slurp(path, &c->len);
}

static int load(void **state)
{
	static const char *const suites[] = { "rfc4475", "rfc5118" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
		char path[64];
		size_t len;

		(void)snprintf(path, sizeof(path), "tests/sip/messages/%s.tsv", suites[i]);
		char *table = slurp(path, &len);
		struct str rest = str_of(table, len);

		while (rest.p != NULL) {
			struct str line = str_cut(&rest, '\n');

			if (line.len > 0 && line.p[0] != '#')
				add_row(suites[i], line);
		}
		free(table);
	}
	return 0;
}

static int unload(void **state)
{
	(void)state;
	for (size_t i = 0; i < count; i++)
		free(cases[i].text);
	return 0;
}

static void all_are_there(void **state)
{
	(void)state;
	assert_int_equal(count, 49 + 12);
}

static void each_as_a_whole(void **state)
{
	struct sip_msg m;
	bool bad = false;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct sip_refusal why = { 0, "" };
		char mem[256];
		struct buf headers = buf_fixed(mem, sizeof(mem));
		unsigned parse = sip_msg_parse(str_of(cases[i].text, cases[i].len), &m, &why) == ERR_OK ? 0
													: why.status,
			 check = 0;

		if (parse == 0 && m.request)
			check = sip_check_request(&m, &why, &headers) == ERR_OK ? 0 : why.status;
		else if (parse == 0)
			check = sip_check_response(&m) == ERR_OK ? 0 : 400;
		if (parse == cases[i].parse && check == cases[i].check)
			continue;
		print_error("%s: parse %u, check %u (%s), not %u, %u\n", cases[i].name, parse, check, why.phrase,
			    cases[i].parse, cases[i].check);
		bad = true;
	}
	assert_false(bad);
}

/* Nothing is read behind the end, and no prefix that lacks a byte of headers or body is taken for whole. */
static void every_prefix(void **state)
{
	struct guard g = guard_new(8192);
	struct sip_msg m;
	struct sip_refusal why;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < cases[i].len; n++) {
			char mem[256];
			struct buf headers = buf_fixed(mem, sizeof(mem));
			enum err e = sip_msg_parse(str_of(guard_put(&g, cases[i].text, n), n), &m, &why);

			if (e == ERR_OK && m.request)
				e = sip_check_request(&m, &why, &headers);
			if (e == ERR_OK && m.first[SIP_H_CONTENT_LENGTH] != 0 && n < cases[i].len &&
			    strcmp(cases[i].name, "dblreq") != 0)
				fail_msg("%s: taken for whole at %zu of %zu", cases[i].name, n, cases[i].len);
		}
	}
	guard_free(&g);
}

static void parsed(const char *name, struct sip_msg *m)
{
	struct sip_refusal why;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(cases[i].name, name) != 0)
			continue;
		assert_ok(sip_msg_parse(str_of(cases[i].text, cases[i].len), m, &why));
		return;
	}
	fail_msg("no message %s", name);
}

/* wsinv, value by value: folds, blanks, odd case, compact forms. */
static void the_tortuous_invite(void **state)
{
	struct sip_msg m;
	struct sip_addr a;
	struct sip_via v;
	struct str value;
	uint32_t n;

	(void)state;
	parsed("wsinv", &m);
	assert_ok(sip_msg_addr(&m, SIP_H_TO, &a));
	assert_str(a.uri, "sip:vivekg@chair-dnrc.example.com");
	assert_str(a.tag, "1918181833n");
	assert_ok(sip_msg_addr(&m, SIP_H_FROM, &a));
	assert_str(a.display, "J Rosenberg \\\\\\\"");
	assert_str(a.tag, "98asjd8");
	assert_int_equal(m.cseq, 9);
	assert_ok(sip_msg_number(&m, SIP_H_MAX_FORWARDS, 255, &n));
	assert_int_equal(n, 68);
	assert_int_equal(sip_msg_value(&m, SIP_H_SUBJECT).len, 0);
	assert_non_null(sip_msg_value(&m, SIP_H_SUBJECT).p);
	struct sip_list it = sip_list(&m, SIP_H_VIA);
	const char *want[][3] = { { "UDP", "192.0.2.2", "390skdjuw" },
				  { "TCP", "spindle.example.com", "z9hG4bK9ikj8" },
				  { "UDP", "192.168.255.111", "z9hG4bK30239" } };

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(sip_list_next(&it, &value));
		assert_ok(sip_via_parse(value, &v));
		assert_str(v.transport, want[i][0]);
		assert_str(v.host, want[i][1]);
		assert_str(v.branch, want[i][2]);
	}
	assert_false(sip_list_next(&it, &value));
	assert_ok(sip_msg_addr(&m, SIP_H_CONTACT, &a));
	assert_str(a.uri, "sip:jdrosen@example.com");
	assert_true(sip_param(a.params, STR("newparam"), &value));
	assert_str(value, "newvalue");
	assert_true(sip_param(a.params, STR("secondparam"), &value));
	assert_int_equal(value.len, 0);
	assert_true(sip_param(a.params, STR("Q"), &value));
	assert_str(value, "0.33");
	assert_true(sip_body_has_video(&m));
	assert_int_equal(m.body.len, 150);
}

/* §3.1.1.2: every character that the grammar allows, where it allows it. */
static void odd_characters(void **state)
{
	struct sip_msg m;
	struct sip_addr a;
	struct sip_uri u;
	struct sip_via v;
	struct str value;

	(void)state;
	parsed("intmeth", &m);
	assert_str(m.method_text, "!interesting-Method0123456789_*+`.%indeed'~");
	assert_ok(sip_uri_parse(m.uri, &u));
	assert_str(u.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
	assert_str(u.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
	assert_str(u.host, "example.com");
	assert_ok(sip_msg_via(&m, &v));
	assert_str(v.branch, "z9hG4bK-.!%66*_+`'~");
	assert_ok(sip_msg_addr(&m, SIP_H_TO, &a));
	assert_true(str_eq(a.display, str_of("BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f", 20)));
	assert_ok(sip_msg_addr(&m, SIP_H_FROM, &a));
	assert_str(a.display, "token1~` token2'+_ token3*%!.-");
	assert_str(a.tag, "_token~1'+`*%!-.");
	assert_true(sip_param(a.params, STR("fromParam''~+*_!.-%"), &value));
	assert_str(m.call_id, "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
	assert_str(sip_msg_other(&m, STR("extensionHeader-!.%*+_`'~")), "\xef\xbb\xbf\xe5\xa4\xa7\xe5\x81\x9c\xe9\x9b\xbb");
}

/* §3.1.1.7: values of extreme length, and Via spelt in every way. */
static void long_values(void **state)
{
	struct sip_msg m;
	struct sip_addr a;
	struct sip_via v = { 0 };
	struct str value;
	unsigned vias = 0;

	(void)state;
	parsed("longreq", &m);
	assert_ok(sip_msg_addr(&m, SIP_H_TO, &a));
	assert_int_equal(a.display.len, 22 + 70 + 11);
	assert_ok(sip_msg_addr(&m, SIP_H_FROM, &a));
	assert_int_equal(a.tag.len, 2 + 150 + 3);
	for (struct sip_list it = sip_list(&m, SIP_H_VIA); sip_list_next(&it, &value); vias++)
		assert_ok(sip_via_parse(value, &v));
	assert_int_equal(vias, 34);
	assert_int_equal(v.branch.len, 4 + 200 + 11);
	assert_true(sip_param(v.params, STR("received"), &value));
	assert_str(value, "192.0.2.5");
}

/* §3.1.1.11: the body is taken by its length, zeros and all. */
static void binary_body(void **state)
{
	struct sip_msg m;

	(void)state;
	parsed("mpart01", &m);
	assert_int_equal(m.body.len, 553);
	assert_non_null(memchr(m.body.p, '\0', m.body.len));
	parsed("dblreq", &m);
	assert_int_equal(m.body.len, 0);
}

/* RFC 5118 §4.1 to §4.10. */
static void ipv6(void **state)
{
	struct sip_msg m;
	struct sip_uri u;
	struct sip_via v;
	struct str value;

	(void)state;
	parsed("port-ambiguous", &m);
	assert_ok(sip_uri_parse(m.uri, &u));
	assert_str(u.host, "[2001:db8::10:5070]");
	assert_int_equal(u.port, 0);
	parsed("port-unambiguous", &m);
	assert_ok(sip_uri_parse(m.uri, &u));
	assert_str(u.host, "[2001:db8::10]");
	assert_int_equal(u.port, 5070);
	parsed("via-received-param-with-delim", &m);
	assert_ok(sip_msg_via(&m, &v));
	assert_true(sip_param(v.params, STR("received"), &value));
	assert_str(value, "[2001:db8::9:255]");
	parsed("via-received-param-no-delim", &m);
	assert_ok(sip_msg_via(&m, &v));
	assert_true(sip_param(v.params, STR("received"), &value));
	assert_str(value, "2001:db8::9:255");
	parsed("mult-ip-in-header", &m);
	assert_ok(sip_msg_via(&m, &v));
	assert_str(v.sent_by, "[2001:db8::9:1]:6050");
	parsed("ipv4-mapped-ipv6", &m);
	assert_ok(sip_msg_via(&m, &v));
	assert_str(v.host, "[::ffff:192.0.2.10]");
	assert_int_equal(v.port, 19823);
	parsed("ipv6-bug-abnf-3-colons", &m);
	assert_ok(sip_uri_parse(m.uri, &u));
	assert_str(u.host, "[2001:db8:::192.0.2.1]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_there),
		cmocka_unit_test(each_as_a_whole),
		cmocka_unit_test(every_prefix),
		cmocka_unit_test(the_tortuous_invite),
		cmocka_unit_test(odd_characters),
		cmocka_unit_test(long_values),
		cmocka_unit_test(binary_body),
		cmocka_unit_test(ipv6),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
