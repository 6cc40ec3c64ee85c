/* signalling/source: what an address may cost, without anything being kept for it. */
#include "signalling/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "tests/lib/cm.h"

static struct sockaddr_storage address(const char *ip, uint16_t port)
{
	struct sockaddr_storage a = { .ss_family = strchr(ip, ':') != NULL ? AF_INET6 : AF_INET };

	if (a.ss_family == AF_INET6) {
		((struct sockaddr_in6 *)&a)->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, ip, &((struct sockaddr_in6 *)&a)->sin6_addr), 1);
	} else {
		((struct sockaddr_in *)&a)->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, ip, &((struct sockaddr_in *)&a)->sin_addr), 1);
	}
	return a;
}

static void ports_of_an_address_share_its_budget(void **state)
{
	struct sockaddr_storage one = address("192.0.2.1", 1000), two = address("192.0.2.1", 2000);
	struct sources *s;

	(void)state;
	assert_ok(sources_new(10, 20, 0, &s));
	for (unsigned i = 0; i < 10; i++)
		assert_true(sources_take(s, &one, 1, 0) && sources_take(s, &two, 1, 0));
	assert_false(sources_take(s, &one, 1, 0));
	assert_false(sources_take(s, &two, 1, 0));
	/* It comes back with time, up to the burst. */
	assert_true(sources_take(s, &one, 1, 200));
	assert_true(sources_take(s, &two, 20, 1000000));
	assert_false(sources_take(s, &two, 1, 1000000));
	sources_free(s);
}

static void a_64_of_ipv6_is_one_source(void **state)
{
	struct sockaddr_storage one = address("2001:db8:1:2::1", 1), two = address("2001:db8:1:2:ffff::9", 2);
	struct sources *s;

	(void)state;
	assert_ok(sources_new(1, 10, 0, &s));
	assert_true(sources_take(s, &one, 10, 0));
	assert_false(sources_take(s, &two, 1, 0));
	sources_free(s);
}

static void others_are_not_hurt(void **state)
{
	struct sources *s;
	unsigned good = 0;

	(void)state;
	assert_ok(sources_new(1, 10, 0, &s));
	struct sockaddr_storage flood = address("192.0.2.1", 1);
	while (sources_take(s, &flood, 1, 0))
		;
	for (unsigned i = 0; i < 200; i++) {
		char ip[32];

		(void)snprintf(ip, sizeof(ip), "198.51.100.%u", i);
		struct sockaddr_storage a = address(ip, 1);
		good += sources_take(s, &a, 1, 0);
	}
	assert_true(good >= 198); /* two of 200 in one bucket of 4096 happen now and then */
	sources_free(s);
}

static void streams_are_counted(void **state)
{
	struct sockaddr_storage a = address("192.0.2.1", 1);
	struct sources *s;

	(void)state;
	assert_ok(sources_new(1, 10, 0, &s));
	assert_int_equal(sources_streams(s, &a, 1), 1);
	assert_int_equal(sources_streams(s, &a, 1), 2);
	assert_int_equal(sources_streams(s, &a, -1), 1);
	sources_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_of_an_address_share_its_budget),
		cmocka_unit_test(a_64_of_ipv6_is_one_source),
		cmocka_unit_test(others_are_not_hurt),
		cmocka_unit_test(streams_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
