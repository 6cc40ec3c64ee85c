/* Peer rules, every range in every encoding. The list of holes that relays have had is the list of cases. */
#include "relay/filter.h"

#include <stdio.h>

#include "tests/lib/cm.h"

static struct filter filter(const char *allow, const char *deny, bool relays_only)
{
	struct filter f;
	struct str bad;

	assert_ok(filter_parse(allow, deny, relays_only, &f, &bad));
	return f;
}

static struct addr parse(const char *text)
{
	struct cidr c;

	assert_ok(addr_parse_cidr(str_from(text), &c));
	return c.net;
}

static void check(const struct filter *f, const char *text, bool want)
{
	struct addr a = parse(text);

	if (filter_permits(f, &a) != want)
		fail_msg("%s: permitted %d", text, !want);
}

static const char *const never[] = {
	"0.0.0.0",
	"0.1.2.3",
	"127.0.0.1",
	"127.255.255.254",
	"169.254.0.1",
	"169.254.169.254",
	"192.0.0.192",
	"100.100.100.200",
	"168.63.129.16",
	"224.0.0.1",
	"239.255.255.255",
	"240.0.0.1",
	"255.255.255.255",
	"::",
	"::1",
	"fe80::1",
	"febf::1",
	"ff02::1",
	"ff0e::1",
	"fd00:ec2::254",
	"fd20:ce::254",
	/* 127.0.0.1 in disguise */
	"::ffff:127.0.0.1",
	"::127.0.0.1",
	"::ffff:0:127.0.0.1",
	"64:ff9b::127.0.0.1",
	"64:ff9b:1::127.0.0.1",
	"2002:7f00:1::",
	"2002:7f00:1::1",
	"2001::80ff:fffe",
	"2001:0:1:2:3:4:80ff:fffe",
	"2607::5efe:7f00:1",
	"2607::200:5efe:7f00:1",
	/* the metadata service in disguise */
	"::ffff:169.254.169.254",
	"64:ff9b::169.254.169.254",
	"2002:a9fe:a9fe::",
};

static const char *const private[] = {
	"10.0.0.1",	   "10.255.255.255",   "172.16.0.1", "172.31.255.255", "192.168.0.1",	 "100.64.0.1",
	"100.127.255.255", "192.0.0.1",	       "192.0.2.1",  "198.18.0.1",     "198.19.255.255", "198.51.100.1",
	"203.0.113.1",	   "fc00::1",	       "fd12::1",    "fec0::1",	       "100::1",	 "2001:db8::1",
	"2002:808:808::",  "64:ff9b::8.8.8.8", "::8.8.8.8",
};

static const char *const public[] = {
	"8.8.8.8",	   "9.255.255.255",  "11.0.0.0",       "126.255.255.255", "128.0.0.1",
	"169.253.255.255", "169.255.0.0",    "172.15.255.255", "172.32.0.0",	  "192.167.255.255",
	"192.169.0.0",	   "100.63.255.255", "100.128.0.0",    "198.17.255.255",  "198.20.0.0",
	"223.255.255.255", "2606:4700::1",   "2a00::1",	       "fbff::1",	  "fe00::1",
};

static void defaults(void **state)
{
	struct filter f = filter("", "", false);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		check(&f, never[i], false);
	for (size_t i = 0; i < ARRAY_LEN(private); i++)
		check(&f, private[i], false);
	for (size_t i = 0; i < ARRAY_LEN(public); i++)
		check(&f, public[i], true);
}

static void nothing_opens_what_is_never(void **state)
{
	struct filter f = filter("0.0.0.0/0, ::/0", "", false);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		check(&f, never[i], false);
	for (size_t i = 0; i < ARRAY_LEN(private); i++)
		check(&f, private[i], true);
}

static void allow_opens_only_its_prefix(void **state)
{
	struct filter f = filter("10.1.0.0/16 192.168.7.7", "", false);

	(void)state;
	check(&f, "10.1.2.3", true);
	check(&f, "::ffff:10.1.2.3", true); /* the same address */
	check(&f, "10.2.0.0", false);
	check(&f, "10.0.255.255", false);
	check(&f, "192.168.7.7", true);
	check(&f, "192.168.7.8", false);
	check(&f, "64:ff9b::10.1.2.3", false); /* 64:ff9b::/96 itself is not allowed */
}

static void deny_beats_allow_and_sees_through_disguise(void **state)
{
	struct filter f = filter("10.0.0.0/8 64:ff9b::/96", "10.9.0.0/16 8.8.8.0/24 2606:4700::/32", false);

	(void)state;
	check(&f, "10.8.0.1", true);
	check(&f, "10.9.0.1", false);
	check(&f, "8.8.8.8", false);
	check(&f, "8.8.9.8", true);
	check(&f, "64:ff9b::8.8.8.8", false);
	check(&f, "64:ff9b::8.8.9.8", true);
	check(&f, "64:ff9b::10.9.0.1", false);
	check(&f, "2606:4700::9", false);
	check(&f, "2606:4701::9", true);
}

static void relays_only(void **state)
{
	struct filter f = filter("0.0.0.0/0", "", true);

	(void)state;
	check(&f, "8.8.8.8", false);
	check(&f, "10.0.0.1", false);
}

static void lists_that_are_wrong(void **state)
{
	static const char *const bad[] = { "10.0.0.0/33", "10.0.0", "::/129",	  "10.0.0.0/", "10.0.0.0/x",
					   "10.0.0.0/-1", "name",   "1.2.3.4,,x", "/8" };
	struct filter f;
	struct str word;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_err(filter_parse(bad[i], "", false, &f, &word), ERR_INVALID);
		assert_err(filter_parse("", bad[i], false, &f, &word), ERR_INVALID);
	}
	char text[FILTER_RULES_MAX * 8 + 32];
	struct buf many = buf_fixed(text, sizeof(text) - 1);
	for (unsigned i = 0; i <= FILTER_RULES_MAX; i++)
		buf_z(&many, "1.2.3.4 ");
	text[many.len] = '\0';
	assert_err(filter_parse(text, "", false, &f, &word), ERR_TOO_LARGE);
}

static void prefixes(void **state)
{
	struct addr host;
	struct cidr net;
	char text[ADDR_TEXT_SIZE];

	(void)state;
	assert_ok(addr_parse_interface(STR("10.83.84.2/24"), &host, &net));
	assert_string_equal(addr_text(&host, text), "10.83.84.2");
	assert_string_equal(addr_text(&net.net, text), "10.83.84.0");
	assert_int_equal(net.bits, 120);
	assert_ok(addr_parse_interface(STR("2001:db8::77/61"), &host, &net));
	assert_string_equal(addr_text(&net.net, text), "2001:db8::");
	for (unsigned bits = 0; bits <= 32; bits++) {
		char z[32];
		struct addr in = parse("255.255.255.255");

		(void)snprintf(z, sizeof(z), "255.255.255.255/%u", bits);
		assert_ok(addr_parse_interface(str_from(z), &host, &net));
		assert_true(addr_in(&in, &net));
		for (unsigned b = 0; b < bits; b++) {
			struct addr out = in;

			out.w[3] ^= __builtin_bswap32(1u << (31 - b));
			assert_false(addr_in(&out, &net));
		}
	}
}

/* What listens on this machine is no peer, though its address be public; `allow` can open it, `deny` closes it again. */
static void own_machine(UNUSED void **state)
{
	struct filter f = filter("", "", false);

	check(&f, "8.8.4.4", true);
	check(&f, "2001:4860::1", true);
	f.host[f.hosts++] = parse("8.8.4.4");
	f.host[f.hosts++] = parse("2001:4860::1");
	check(&f, "8.8.4.4", false);
	check(&f, "::ffff:8.8.4.4", false);
	check(&f, "64:ff9b::8.8.4.4", false);
	check(&f, "2001:4860::1", false);
	check(&f, "8.8.4.5", true);
	f = filter("8.8.4.0/24", "", false);
	f.host[f.hosts++] = parse("8.8.4.4");
	check(&f, "8.8.4.4", true);
	f = filter("8.8.4.0/24", "8.8.4.4", false);
	f.host[f.hosts++] = parse("8.8.4.4");
	check(&f, "8.8.4.4", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),       cmocka_unit_test(nothing_opens_what_is_never),
		cmocka_unit_test(allow_opens_only_its_prefix), cmocka_unit_test(deny_beats_allow_and_sees_through_disguise),
		cmocka_unit_test(relays_only),    cmocka_unit_test(lists_that_are_wrong),
		cmocka_unit_test(own_machine),
		cmocka_unit_test(prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
