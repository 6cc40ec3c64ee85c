/* URIs: grammar, comparison (RFC 3261 §19.1.4 with its own examples), user names, GRUU. */
#include "common/user.h"
#include "signalling/sip_uri.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static void good(void **state)
{
	static const struct {
		const char *text;
		enum sip_scheme scheme;
		const char *user, *host;
		uint16_t port;
		const char *params, *headers;
	} cases[] = {
		{ "sip:a@x", SIP_SCHEME_SIP, "a", "x", 0, "", "" },
		{ "SIPS:a:pw@x.example:5061;transport=tcp;lr?to=a%40b&c=", SIP_SCHEME_SIPS, "a", "x.example", 5061,
		  ";transport=tcp;lr", "?to=a%40b&c=" },
		{ "sip:x", SIP_SCHEME_SIP, "", "x", 0, "", "" },
		{ "sip:a;b=c,d/e?f@x", SIP_SCHEME_SIP, "a;b=c,d/e?f", "x", 0, "", "" },
		{ "sip:%00%41@[2001:db8::1]:99;gr=urn:uuid:1", SIP_SCHEME_SIP, "%00%41", "[2001:db8::1]", 99,
		  ";gr=urn:uuid:1", "" },
		{ "tel:+1-234", SIP_SCHEME_TEL, "", "", 0, "", "" },
		{ "urn:uuid:1", SIP_SCHEME_OTHER, "", "", 0, "", "" },
	};
	struct guard g = guard_new(256);
	struct sip_uri u;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(sip_uri_parse(str_from(cases[i].text), &u));
		assert_int_equal(u.scheme, cases[i].scheme);
		assert_str(u.user, cases[i].user);
		assert_str(u.host, cases[i].host);
		assert_int_equal(u.port, cases[i].port);
		assert_str(u.params, cases[i].params);
		assert_str(u.headers, cases[i].headers);
		for (size_t n = 0; n < strlen(cases[i].text); n++)
			(void)!sip_uri_parse(str_of(guard_put(&g, cases[i].text, n), n), &u);
	}
	guard_free(&g);
}

static void bad(void **state)
{
	static const char *const cases[] = { "",
					     "sip",
					     "sip:",
					     ":a@x",
					     "sip:@x",
					     "sip:a@",
					     "sip:a@x:",
					     "sip:a@x:65536",
					     "sip:a@x:1x",
					     "sip:a b@x",
					     "sip:a@x y",
					     "sip:a@x;",
					     "sip:a@x;=b",
					     "sip:a@x;;lr",
					     "sip:a@x?",
					     "sip:a@x?a",
					     "sip:a@x?=b",
					     "sip:a%4@x",
					     "sip:a%zz@x",
					     "sip:a@x;b=%",
					     "sip:a@[::1",
					     "sip:a@[]",
					     "sip:a@b@x",
					     "sip:a<b@x",
					     "sip:a\"b@x",
					     "sip:a@x_y",
					     "1 2:a",
					     "sip:a@x;lr;b=1;LR",
					     "sip:a\x01@x",
					     "sip:a\x7f@x",
					     "sip:\xc3\xbc@x" };
	char large[SIP_URI_MAX + 2];
	struct sip_uri u;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (sip_uri_parse(str_from(cases[i]), &u) == ERR_OK)
			fail_msg("taken: %s", cases[i]);
	memset(large, 'x', sizeof(large));
	memcpy(large, "sip:", 4);
	assert_ok(sip_uri_parse(str_of(large, SIP_URI_MAX), &u));
	assert_err(sip_uri_parse(str_of(large, SIP_URI_MAX + 1), &u), ERR_TOO_LARGE);
}

static void equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		/* The RFC's examples. */
		{ "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true },
		{ "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true },
		{ "sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true },
		{ "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true },
		{ "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false },
		{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false },
		{ "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false },
		{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false },
		{ "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false },
		{ "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false },
		{ "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false },
		{ "sip:a@x", "sips:a@x", false },
		{ "sip:x", "sip:a@x", false },
		{ "tel:+1", "TEL:+1", true },
	};
	struct sip_uri a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(sip_uri_parse(str_from(cases[i].a), &a));
		assert_ok(sip_uri_parse(str_from(cases[i].b), &b));
		if (sip_uri_equal(&a, &b) != cases[i].equal || sip_uri_equal(&b, &a) != cases[i].equal)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

static void user_names(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *name;
	} cases[] = {
		{ "sip:alice@Example.com", ERR_OK, "alice" },
		{ "sips:%61lice;x=y@example.com:5061;lr", ERR_OK, "alice" },
		{ "sip:alice@example.org", ERR_NOT_FOUND, "" },
		{ "sip:Alice@example.com", ERR_INVALID, "" },
		{ "sip:a%00lice@example.com", ERR_INVALID, "" },
		{ "sip:alice%7d@example.com", ERR_INVALID, "" },
		{ "sip:example.com", ERR_INVALID, "" },
		{ "sip:aaaaaaaaaabbbbbbbbbbccccccccccddd@example.com", ERR_INVALID, "" },
		{ "tel:alice", ERR_NOT_FOUND, "" },
	};
	char name[USER_NAME_SIZE];
	struct str gr;
	struct sip_uri u;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		name[0] = '\0';
		assert_ok(sip_uri_parse(str_from(cases[i].text), &u));
		assert_err(sip_uri_user_name(&u, STR("example.com"), name, sizeof(name)), cases[i].e);
		assert_string_equal(name, cases[i].name);
	}
	assert_ok(sip_uri_parse(STR("sip:alice@example.com;GR=urn:uuid:0-1"), &u));
	assert_true(sip_uri_gruu(&u, &gr));
	assert_str(gr, "urn:uuid:0-1");
	assert_ok(sip_uri_parse(STR("sip:alice@example.com;grr=x"), &u));
	assert_false(sip_uri_gruu(&u, &gr));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(equal),
					    cmocka_unit_test(user_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
