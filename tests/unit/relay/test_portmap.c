#include "relay/portmap.h"
#include "tests/lib/cm.h"

static void every_port_once(void **state)
{
	static const uint16_t ranges[][2] = {
		{ 49152, 65535 }, { 50000, 50000 }, { 50001, 50130 }, { 1024, 1087 }, { 65535, 65535 }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		uint32_t count = ranges[i][1] - ranges[i][0] + 1u;
		static bool seen[65536];
		struct portmap m;
		uint16_t port;

		memset(seen, 0, sizeof(seen));
		portmap_init(&m, ranges[i][0], ranges[i][1]);
		for (uint32_t n = 0; n < count; n++) {
			assert_ok(portmap_take(&m, PORT_ANY, n * 2654435761u, &port));
			assert_in_range(port, ranges[i][0], ranges[i][1]);
			assert_false(seen[port]);
			seen[port] = true;
		}
		assert_int_equal(m.free, 0);
		assert_err(portmap_take(&m, PORT_ANY, 5, &port), ERR_FULL);
		for (uint32_t p = ranges[i][0]; p <= ranges[i][1]; p++)
			portmap_give(&m, (uint16_t)p);
		assert_int_equal(m.free, count);
	}
}

static void even_and_pairs(void **state)
{
	struct portmap m;
	uint16_t port;
	unsigned n = 0;

	(void)state;
	portmap_init(&m, 50001, 50010); /* 50001 is odd: five even ones, and 50010 has no successor */
	while (portmap_take(&m, PORT_EVEN_PAIR, n * 77777u, &port) == ERR_OK) {
		assert_int_equal(port % 2, 0);
		assert_true(portmap_taken(&m, port) && portmap_taken(&m, (uint16_t)(port + 1)));
		n++;
	}
	assert_int_equal(n, 4);
	assert_ok(portmap_take(&m, PORT_EVEN, 9, &port));
	assert_int_equal(port, 50010);
	assert_err(portmap_take(&m, PORT_EVEN, 9, &port), ERR_FULL);
	assert_ok(portmap_take(&m, PORT_ANY, 9, &port));
	assert_int_equal(port, 50001);
	assert_err(portmap_take(&m, PORT_ANY, 9, &port), ERR_FULL);
}

/* Ports of different starts spread: they are not counted up from one another. */
static void spread(void **state)
{
	struct portmap m;
	uint16_t port, low = UINT16_MAX, high = 0;

	(void)state;
	portmap_init(&m, 49152, 65535);
	for (uint32_t i = 1; i <= 64; i++) {
		assert_ok(portmap_take(&m, PORT_ANY, i * 2654435761u, &port));
		low = MIN(low, port);
		high = MAX(high, port);
	}
	assert_true(high - low > 8192);
}

static void a_port_by_its_number(void **state)
{
	struct portmap m, none = { 0 };
	uint16_t port;

	(void)state;
	portmap_init(&m, 50000, 50003);
	assert_ok(portmap_take_this(&m, 50002));
	assert_err(portmap_take_this(&m, 50002), ERR_EXISTS);
	assert_err(portmap_take_this(&m, 49999), ERR_NOT_FOUND);
	assert_err(portmap_take_this(&m, 50004), ERR_NOT_FOUND);
	assert_err(portmap_take_this(&none, 0), ERR_NOT_FOUND);
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(portmap_take(&m, PORT_ANY, i, &port));
		assert_int_not_equal(port, 50002);
	}
	assert_err(portmap_take(&m, PORT_ANY, 0, &port), ERR_FULL);
	portmap_give(&m, 50002);
	assert_ok(portmap_take_this(&m, 50002));
}

/* Ports of a kind as long as there are any, then others; never one twice. */
static void preferred_ones_first(void **state)
{
	const uint64_t like = UINT64_C(0x8888888888888888); /* p % 4 == 3 */
	static struct portmap m;
	uint16_t port;

	(void)state;
	portmap_init(&m, 50000, 50099);
	for (unsigned n = 0; n < 100; n++) {
		assert_ok(portmap_take_like(&m, PORT_ANY, like, n * 2654435761u, &port));
		assert_int_equal(port % 4 == 3, n < 25);
	}
	assert_err(portmap_take_like(&m, PORT_ANY, like, 1, &port), ERR_FULL);
	portmap_give(&m, 50003);
	assert_err(portmap_take_like(&m, PORT_EVEN, like, 1, &port), ERR_FULL);
	assert_ok(portmap_take_like(&m, PORT_ANY, like, 1, &port));
	assert_int_equal(port, 50003);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_port_once), cmocka_unit_test(even_and_pairs), cmocka_unit_test(spread),
					    cmocka_unit_test(a_port_by_its_number),
		cmocka_unit_test(preferred_ones_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
