/* signalling/presence_doc: RLMI and PIDF of full and partial states, and lists that do not fit. */
#include "signalling/presence_doc.h"

#include <stdio.h>

#include "common/rkeys.h"
#include "tests/lib/cm.h"

static size_t count_of(struct str in, const char *what)
{
	size_t n = 0, len = strlen(what);

	for (size_t i = 0; i + len <= in.len; i++)
		n += memcmp(in.p + i, what, len) == 0;
	return n;
}

static void a_full_state(void **state)
{
	struct presence_item items[] = {
		{ STR("bob"), PRESENCE_BUSY, true, false },
		{ STR("eve"), PRESENCE_OFFLINE, false, false },
	};
	struct buf out = buf_growing(65536), type = buf_growing(512);

	(void)state;
	assert_ok(presence_doc_put(&out, STR("d.test"), 3, true, items, 2));
	assert_true(items[0].told);
	assert_false(items[1].told);
	assert_str(buf_view(&out),
		   "--duplex-presence-part\r\n"
		   "Content-Transfer-Encoding: binary\r\n"
		   "Content-ID: <contacts@d.test>\r\n"
		   "Content-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n"
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:contacts@d.test\" version=\"3\" fullState=\"true\">\n"
		   "<resource uri=\"sip:bob@d.test\"><instance id=\"1\" state=\"active\" cid=\"bob@d.test\"/></resource>\n"
		   "<resource uri=\"sip:eve@d.test\"/>\n"
		   "</list>\r\n"
		   "--duplex-presence-part\r\n"
		   "Content-Transfer-Encoding: binary\r\n"
		   "Content-ID: <bob@d.test>\r\n"
		   "Content-Type: application/pidf+xml;charset=\"UTF-8\"\r\n\r\n"
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:bob@d.test\"><tuple id=\"t1\"><status><basic>open</basic>"
		   "</status><note>busy</note></tuple></presence>\r\n"
		   "--duplex-presence-part--\r\n");
	presence_doc_type_put(&type, STR("d.test"));
	assert_str(buf_view(&type), "multipart/related;type=\"application/rlmi+xml\";start=\"<contacts@d.test>\";boundary=\"duplex-presence-part\"");
	buf_fini(&out);
	buf_fini(&type);
}

static void a_partial_state_names_only_what_it_tells(void **state)
{
	struct presence_item items[] = {
		{ STR("bob"), PRESENCE_ONLINE, false, false },
		{ STR("eve"), PRESENCE_OFFLINE, true, false },
	};
	struct buf out = buf_growing(65536);

	(void)state;
	assert_ok(presence_doc_put(&out, STR("d.test"), 4, false, items, 2));
	assert_int_equal(count_of(buf_view(&out), "<resource"), 1);
	assert_int_equal(count_of(buf_view(&out), "bob"), 0);
	assert_int_equal(count_of(buf_view(&out), "<basic>closed</basic></status><note>offline</note>"), 1);
	assert_int_equal(count_of(buf_view(&out), "fullState=\"false\""), 1);
	buf_fini(&out);
}

static void an_empty_list_is_a_list(void **state)
{
	struct buf out = buf_growing(65536);

	(void)state;
	assert_ok(presence_doc_put(&out, STR("d.test"), 0, true, NULL, 0));
	assert_int_equal(count_of(buf_view(&out), "</list>"), 1);
	buf_fini(&out);
}

/* The limit of contacts with the longest names: all named, as many told as fit, the rest in later ones; each is told once. With a domain so long that
 * not even the names fit into one, the later ones add them. */
static void told_in_turns(struct str domain, bool all_named)
{
	static struct presence_item items[CONTACTS_MAX];
	static char names[CONTACTS_MAX][33];
	size_t told = 0, rounds = 0;

	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%032zu", i);
		items[i] = (struct presence_item){ str_from(names[i]), PRESENCE_ONLINE, true, false };
	}
	for (; told < ARRAY_LEN(items); rounds++) {
		struct buf out = buf_growing(65536);
		size_t before = told;

		assert_true(rounds < 30);
		assert_ok(presence_doc_put(&out, domain, (uint32_t)rounds, rounds == 0, items, ARRAY_LEN(items)));
		assert_true(out.len <= PRESENCE_DOC_MAX);
		if (rounds == 0 && all_named)
			assert_int_equal(count_of(buf_view(&out), "<resource "), ARRAY_LEN(items));
		for (size_t i = 0; i < ARRAY_LEN(items); i++) {
			if (!items[i].told)
				continue;
			told++;
			items[i].tell = false;
		}
		assert_int_equal(count_of(buf_view(&out), "<presence "), told - before);
		assert_true(told > before || (rounds == 0 && !all_named));
		buf_fini(&out);
	}
}

static void a_long_list_is_told_in_turns(void **state)
{
	(void)state;
	told_in_turns(STR("a-rather-long-domain-name-of-a-company.example.test"), true);
	char domain[253];
	memset(domain, 'd', sizeof(domain));
	told_in_turns(str_of(domain, sizeof(domain)), false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_state),
		cmocka_unit_test(a_partial_state_names_only_what_it_tells),
		cmocka_unit_test(an_empty_list_is_a_list),
		cmocka_unit_test(a_long_list_is_told_in_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
