/* ARP: what is answered, what is learned, and what is not. */
#include "relay/claimed.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define IP(d) __builtin_bswap32(0x0a535400u | (d))

static const uint8_t host[6] = { 2, 0, 0, 0, 0, 9 }, other[6] = { 2, 0, 0, 0, 0, 7 };
static struct neigh n;
static struct iface self;

static int set_up(void **state)
{
	(void)state;
	neigh_init(&n);
	memset(&self, 0, sizeof(self));
	memcpy(self.net.mac, (const uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 6);
	self.net.ip = IP(2);
	assert_ok(addr_parse_interface(STR("10.83.84.2/24"), &self.ip[0].addr, &self.ip[0].subnet));
	return 0;
}

/* An ARP frame; op 1 request, 2 reply. */
static void arp(uint8_t f[64], unsigned op, const uint8_t *mac, uint32_t spa, uint32_t tpa)
{
	struct iface sender = { .net.ip = spa };

	memset(f, 0, 64);
	memcpy(sender.net.mac, mac, 6);
	neigh_request(f, &sender, tpa, NULL);
	be16_put(f + 20, (uint16_t)op);
}

static struct pkt handle(uint8_t *f, size_t len, uint32_t now_s)
{
	struct pkt p = { .data = f, .len = (uint32_t)len, .in_if = 0 };

	neigh_arp(&n, &p, &self, now_s);
	return p;
}

static uint32_t get(uint32_t ip, uint32_t now_s)
{
	struct addr a = addr_v4(ip);

	return neigh_get(&n, 0, &a, now_s);
}

static bool known(uint32_t ip, const uint8_t *mac)
{
	uint8_t got[8], iface;

	for (unsigned i = 0; i < NEIGH_SIZE; i++) {
		if (n.e[i].ip.w[3] != ip || (n.e[i].link & 0xf) != NEIGH_READY)
			continue;
		return neigh_mac(&n, (uint32_t)(n.e[i].link & 0xffff) << 16 | i, 1, got, &iface) && memcmp(got, mac, 6) == 0;
	}
	return false;
}

static void who_asks_is_answered_and_known(void **state)
{
	uint8_t f[64];

	(void)state;
	arp(f, 1, host, IP(1), IP(2));
	struct pkt p = handle(f, 60, 1);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_int_equal(p.len, ARP_LEN);
	assert_memory_equal(f, host, 6);
	assert_memory_equal(f + 6, self.net.mac, 6);
	assert_int_equal(be16_get(f + 20), 2);
	assert_memory_equal(f + 22, self.net.mac, 6);
	assert_int_equal(ne32(f + 28), IP(2));
	assert_memory_equal(f + 32, host, 6);
	assert_int_equal(ne32(f + 38), IP(1));
	assert_true(known(IP(1), host));
}

static void address_probe_is_answered_and_teaches_nothing(void **state)
{
	uint8_t f[64];

	(void)state;
	arp(f, 1, host, 0, IP(2));
	assert_int_equal(handle(f, ARP_LEN, 1).verdict, PKT_SEND);
	assert_false(known(0, host));
}

static void what_teaches_nothing(void **state)
{
	uint8_t f[64];

	(void)state;
	/* Not asked for: reply, gratuitous, question for somebody else; and a sender that is not on the subnet. */
	arp(f, 2, host, IP(5), IP(2));
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_ARP_DONE);
	arp(f, 1, host, IP(5), IP(5));
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_ARP_DONE);
	arp(f, 1, host, IP(5), IP(6));
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_ARP_DONE);
	assert_false(known(IP(5), host));
	arp(f, 1, host, __builtin_bswap32(0x08080808), IP(2));
	assert_int_equal(handle(f, ARP_LEN, 1).verdict, PKT_SEND);
	assert_false(known(__builtin_bswap32(0x08080808), host));
}

static void is_claimed_by(const uint8_t mac[6])
{
	uint64_t who = atomic_load(&n.claimed[0]);

	assert_memory_equal(&who, mac, 6);
}

static void what_is_malformed(void **state)
{
	static const struct {
		uint8_t at, value;
	} spoil[] = { { 15, 6 }, { 16, 0x86 }, { 18, 8 }, { 19, 16 }, { 22, 3 }, { 27, 8 } };
	uint8_t f[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spoil); i++) {
		arp(f, 1, host, IP(1), IP(2));
		f[spoil[i].at] = spoil[i].value;
		assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_ARP_MALFORMED);
	}
	/* Someone who says to be us, by address or by MAC. */
	arp(f, 2, host, IP(2), IP(1));
	assert_true(n.claimed[0] == 0);
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_ADDRESS_CLAIMED);
	is_claimed_by(host);
	arp(f, 1, self.net.mac, IP(1), IP(2));
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_ARP_MALFORMED);
	/* A group address as sender. */
	arp(f, 1, (const uint8_t[]){ 1, 0, 0x5e, 0, 0, 1 }, IP(1), IP(2));
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_ARP_MALFORMED);
	assert_false(known(IP(1), host));
}

/* Who has our address answers a probe, as we do; ours is announced against that every ten seconds at most. */
static void duplicates(void **state)
{
	uint8_t f[64] = { 0 };
	struct iface twin = self;

	(void)state;
	neigh_init(&n);
	neigh_probe(f, &self);
	assert_int_equal(ne32(f + 28), 0);
	assert_int_equal(ne32(f + 38), self.net.ip);
	twin.net.mac[5] ^= 0x40;
	struct pkt p = { .data = f, .start = f, .end = f + sizeof(f), .len = ARP_LEN };
	neigh_arp(&n, &p, &twin, 1);
	assert_int_equal(p.verdict, PKT_SEND);
	neigh_arp(&n, &p, &self, 1);
	assert_int_equal(p.reason, DROP_ADDRESS_CLAIMED);
	is_claimed_by(twin.net.mac);
	assert_true(neigh_defend_due(&n, 5));
	assert_false(neigh_defend_due(&n, 5));
	assert_false(neigh_defend_due(&n, 14));
	assert_true(neigh_defend_due(&n, 15));

	/* What the control thread says of it: each one at once, the same again after a minute. */
	struct ifaces all = { .count = 1, .at = { self } };
	struct claimed told = { 0 };
	neigh_note_claim(&n, host, 1);
	assert_int_equal(claimed_tell(&told, &n, &all, 1000), 2);
	assert_false(claimed_tell(&told, &n, &all, 1500));
	neigh_note_claim(&n, twin.net.mac, 0);
	assert_false(claimed_tell(&told, &n, &all, 60999));
	neigh_note_claim(&n, host, 0);
	assert_true(claimed_tell(&told, &n, &all, 61000));
	neigh_note_claim(&n, host, 0);
	assert_true(claimed_tell(&told, &n, &all, 121000));
}

/* Others ask for their own addresses with 0.0.0.0 as sender: on a port without IPv4 that claims nothing and asks for nobody. */
static void without_ipv4_arp_is_nobodys(void **state)
{
	uint8_t f[64];

	(void)state;
	self.net.ip = 0;
	arp(f, 1, host, 0, IP(9));
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_NOT_OURS);
	arp(f, 1, host, IP(1), 0);
	assert_int_equal(handle(f, ARP_LEN, 1).reason, DROP_NOT_OURS);
	assert_true(n.claimed[0] == 0);
}

static void every_prefix(void **state)
{
	struct guard g = guard_new(64);
	uint8_t f[64];

	(void)state;
	for (size_t len = ETH_LEN; len < ARP_LEN; len++) {
		arp(f, 1, host, IP(1), IP(2));
		assert_int_equal(handle(guard_put(&g, f, len), len, 1).reason, DROP_ARP_MALFORMED);
	}
	guard_free(&g);
}

static void wanted_neighbour_resolves_and_moves(void **state)
{
	uint8_t f[64], mac[8], iface;
	uint32_t hop = get(IP(5), 1);

	(void)state;
	assert_int_not_equal(hop, HOP_NONE);
	assert_int_equal(get(IP(5), 1), hop);
	assert_false(neigh_mac(&n, hop, 1, mac, &iface));
	assert_true(neigh_probe_due(&n, hop, 1000));
	assert_false(neigh_probe_due(&n, hop, 1000));
	assert_false(neigh_probe_due(&n, hop, 1999));
	assert_true(neigh_probe_due(&n, hop, 2000));
	arp(f, 2, host, IP(5), IP(2));
	(void)handle(f, ARP_LEN, 1);
	assert_true(neigh_mac(&n, hop, 1, mac, &iface));
	assert_memory_equal(mac, host, 6);
	assert_false(neigh_probe_due(&n, hop, 9000));
	/* It moves to another MAC, by a gratuitous request. */
	arp(f, 1, other, IP(5), IP(5));
	(void)handle(f, ARP_LEN, 2);
	assert_true(neigh_mac(&n, hop, 1, mac, &iface));
	assert_memory_equal(mac, other, 6);
	assert_false(neigh_mac(&n, HOP_NONE, 1, mac, &iface));
}

static unsigned asked_unicast, asked_broadcast;

static bool ask(void *user, unsigned iface, const struct addr *ip, const uint8_t *mac)
{
	(void)user;
	(void)iface;
	(void)ip;
	asked_unicast += mac != NULL;
	asked_broadcast += mac == NULL;
	return true;
}

static bool ask_ten(void *user, unsigned iface, const struct addr *ip, const uint8_t *mac)
{
	unsigned *left = user;

	if (*left == 0)
		return false;
	(*left)--;
	return ask(NULL, iface, ip, mac);
}

/* Many at once, and room for few questions: each is asked once, as soon as there is room. */
static void who_found_no_room_is_asked_next(void **state)
{
	unsigned left, turns = 0;
	bool all;

	(void)state;
	neigh_init(&n);
	asked_broadcast = 0;
	for (unsigned i = 0; i < 35; i++) {
		struct addr a = addr_v4(IP(10 + i));

		(void)neigh_get(&n, 0, &a, 10);
	}
	do {
		left = 10;
		all = neigh_sweep(&n, 10, UINT32_MAX / 2 + 5 + turns, ask_ten, &left);
		turns++;
	} while (!all && turns < 100);
	assert_int_equal(turns, 4);
	assert_int_equal(asked_broadcast, 35);
}

static void silent_neighbour_is_given_up(void **state)
{
	uint8_t f[64], mac[8], iface;
	uint32_t hop, s = 1;

	(void)state;
	asked_unicast = asked_broadcast = 0;
	arp(f, 1, host, IP(5), IP(2));
	(void)handle(f, ARP_LEN, s);
	hop = get(IP(5), s);
	for (; s < 1 + NEIGH_STALE_S; s++) {
		assert_true(neigh_mac(&n, hop, s, mac, &iface));
		(void)neigh_sweep(&n, s, s * 1000, ask, NULL);
	}
	assert_int_equal(asked_unicast + asked_broadcast, 0);
	for (; s < 1 + NEIGH_STALE_S + NEIGH_PROBES; s++) {
		assert_true(neigh_mac(&n, hop, s, mac, &iface));
		(void)neigh_sweep(&n, s, s * 1000, ask, NULL);
	}
	assert_int_equal(asked_unicast, 1);
	assert_int_equal(asked_broadcast, NEIGH_PROBES - 1);
	(void)neigh_sweep(&n, s, s * 1000, ask, NULL);
	assert_false(neigh_mac(&n, hop, s, mac, &iface));
	assert_int_equal(asked_broadcast, NEIGH_PROBES);
	/* It comes back under the same handle. */
	arp(f, 2, other, IP(5), IP(2));
	(void)handle(f, ARP_LEN, s);
	assert_true(neigh_mac(&n, hop, s, mac, &iface));
	assert_memory_equal(mac, other, 6);
}

static void unused_entry_goes_and_its_handle_dies(void **state)
{
	uint8_t f[64], mac[8], iface;
	uint32_t hop;

	(void)state;
	arp(f, 1, host, IP(5), IP(2));
	(void)handle(f, ARP_LEN, 1);
	hop = get(IP(5), 1);
	(void)neigh_sweep(&n, 1 + 10 * NEIGH_IDLE_S, 1000, ask, NULL);
	assert_false(neigh_mac(&n, hop, 1, mac, &iface));
	uint32_t again = get(IP(5), 1000);
	assert_int_not_equal(again, hop);
	assert_false(neigh_mac(&n, hop, 1000, mac, &iface));
}

/* Another worker's clock may already show the next second: what it has just used is no old entry. */
static void an_entry_used_by_a_clock_ahead_stays(void **state)
{
	uint8_t f[64], mac[8], iface;
	uint32_t hop;

	(void)state;
	arp(f, 1, host, IP(5), IP(2));
	(void)handle(f, ARP_LEN, 1);
	hop = get(IP(5), 1);
	assert_true(neigh_mac(&n, hop, 11, mac, &iface));
	(void)neigh_sweep(&n, 10, 10000, ask, NULL);
	assert_true(neigh_mac(&n, hop, 11, mac, &iface));
	arp(f, 1, host, IP(5), IP(2));
	(void)handle(f, ARP_LEN, 12); /* confirmed ahead, too */
	asked_unicast = asked_broadcast = 0;
	assert_true(neigh_mac(&n, hop, 12, mac, &iface));
	(void)neigh_sweep(&n, 11, 11000, ask, NULL);
	assert_int_equal(asked_unicast + asked_broadcast, 0);
	/* Nor does it make room for another when the cache is full. */
	for (unsigned i = 0; i < 4096; i++) {
		uint32_t other_hop = get(__builtin_bswap32(0x0a000000u + i), 11);

		assert_true(other_hop == HOP_NONE || (other_hop & (NEIGH_SIZE - 1)) != (hop & (NEIGH_SIZE - 1)));
	}
	assert_true(neigh_mac(&n, hop, 12, mac, &iface));
}

/* More hosts than there is room: those in use stay, the rest is not learned. */
static void full_cache_keeps_who_is_in_use(void **state)
{
	uint32_t hops[4096];
	unsigned made = 0;

	(void)state;
	for (unsigned i = 0; i < 4096; i++) {
		hops[i] = get(__builtin_bswap32(0x0a000000u + i), 100);
		made += hops[i] != HOP_NONE;
	}
	assert_true(made <= NEIGH_SIZE && made > NEIGH_SIZE / 2);
	for (unsigned i = 0; i < 4096; i++) {
		if (hops[i] != HOP_NONE)
			assert_int_equal(get(__builtin_bswap32(0x0a000000u + i), 100), hops[i]);
	}
	/* Unused for long enough, they make room. */
	assert_int_not_equal(get(IP(77), 100 + NEIGH_IDLE_S), HOP_NONE);
}

#define T(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_asks_is_answered_and_known), T(address_probe_is_answered_and_teaches_nothing), T(what_teaches_nothing), T(what_is_malformed),
		T(every_prefix), T(duplicates), T(without_ipv4_arp_is_nobodys),
		T(wanted_neighbour_resolves_and_moves), T(who_found_no_room_is_asked_next), T(silent_neighbour_is_given_up), T(unused_entry_goes_and_its_handle_dies),
		T(an_entry_used_by_a_clock_ahead_stays), T(full_cache_keeps_who_is_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
