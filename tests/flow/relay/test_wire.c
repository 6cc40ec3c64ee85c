/* What lies between the relay and its clients: a VLAN, a 1:1 NAT; datagrams that are too large, come in parts or do not
 * arrive. */
#include "relay/vlan.h"
#include "tests/flow/relay/rig.h"

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct rig *start(unsigned ports, void (*change)(struct ifaces *all))
{
	struct ifaces ifaces = rig_ifaces_dual(ports);

	if (change != NULL)
		change(&ifaces);
	return rig_new_ifaces(1, &ifaces, 50000, 50019, rig_policy());
}

/* --- VLAN --- */

static void in_vlan(struct ifaces *all)
{
	all->at[0].vlan = 100;
	all->tagged = true;
}

static int set_up_vlan(void **state)
{
	*state = start(2, in_vlan);
	return 0;
}

/* Runs one frame, and says what became of it; what came out is in `out`, *outs frames. */
static struct pkt run(struct rig *r, const uint8_t *frame, size_t len, struct rig_frame *out, unsigned *outs)
{
	struct pkt p = { 0 };

	(void)rig_new_buf(r, &p);
	memcpy(p.data, frame, len);
	p.len = (uint32_t)len;
	p.in_if = (uint8_t)r->in_if;
	path_burst(&r->path[0], &p, 1, &r->clock);
	*outs = 0;
	struct pkt all[1 + PATH_EXTRA];
	unsigned n = 0;
	if (p.verdict != PKT_HOLD)
		all[n++] = p;
	for (unsigned i = 0; i < r->path[0].extras; i++)
		all[n++] = r->path[0].extra[i];
	r->path[0].extras = 0;
	for (unsigned i = 0; i < n; i++) {
		if (all[i].verdict == PKT_SEND) {
			memcpy(out[*outs].bytes, all[i].data, all[i].len);
			out[*outs].len = all[i].len;
			out[(*outs)++].iface = all[i].out_if;
		}
		rig_free_buf(r, &all[i]);
	}
	return p;
}

static size_t tagged(uint8_t *to, const uint8_t *frame, size_t len, uint16_t tci)
{
	memcpy(to, frame, 12);
	be16_put(to + 12, ETHERTYPE_VLAN);
	be16_put(to + 14, tci);
	memcpy(to + 16, frame + 12, len - 12);
	return len + 4;
}

static void tags_come_off_and_on(void **state)
{
	struct rig *r = *state;
	static struct rig_frame out[8];
	uint8_t plain[RIG_FRAME], f[RIG_FRAME], binding[64];
	struct wr w = client_begin(r, binding, sizeof(binding), STUN_BINDING);
	size_t len = rig_udp(plain, IPV4(198, 41, 0, 9), 1000, RELAY_IP, TURN_PORT, binding, stun_end(&w));
	unsigned outs;

	/* Priority bits are the sender's own affair. */
	struct pkt p = run(r, f, tagged(f, plain, len, 0xe000 | 100), out, &outs);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_int_equal(outs, 1);
	assert_int_equal(be16_get(out[0].bytes + 12), ETHERTYPE_VLAN);
	assert_int_equal(be16_get(out[0].bytes + 14), 100);
	assert_int_equal(be16_get(out[0].bytes + 16), ETHERTYPE_V4);
	assert_memory_equal(out[0].bytes, rig_host_mac, 6);
	assert_memory_equal(out[0].bytes + 6, rig_mac, 6);
	assert_true(udp_sum_ok(out[0].bytes + 18));
	assert_int_equal(out[0].len, 4 + 34 + 8 + 32);
	/* ARP as well, and what the relay sends of itself. */
	struct iface host = { .net.ip = IPV4(198, 41, 0, 9) };
	memcpy(host.net.mac, rig_host_mac, 6);
	neigh_request(plain, &host, RELAY_IP, NULL);
	p = run(r, f, tagged(f, plain, ARP_LEN, 100), out, &outs);
	assert_int_equal(p.verdict, PKT_SEND);
	assert_int_equal(be16_get(out[0].bytes + 14), 100);
	assert_int_equal(be16_get(out[0].bytes + 16), ETHERTYPE_ARP);
	r->clock.mono_ms += 100;
	path_tick(&r->path[0], &r->clock); /* says who it is, on both ports */
	unsigned with = 0, without = 0;
	for (unsigned i = 0; i < r->path[0].extras; i++) {
		struct pkt *e = &r->path[0].extra[i];
		bool tag = be16_get(e->data + 12) == ETHERTYPE_VLAN;

		assert_int_equal(tag, e->out_if == 0);
		with += tag;
		without += !tag;
		rig_free_buf(r, e);
	}
	r->path[0].extras = 0;
	assert_true(with >= 3 && without >= 3);
}

static void other_tags_are_counted(void **state)
{
	struct rig *r = *state;
	static struct rig_frame out[8];
	uint8_t plain[RIG_FRAME], f[RIG_FRAME];
	size_t len = rig_udp(plain, IPV4(198, 41, 0, 9), 1000, RELAY_IP, TURN_PORT, "\0\1", 2);
	unsigned outs;

	assert_int_equal(run(r, plain, len, out, &outs).reason, DROP_VLAN);
	assert_int_equal(run(r, f, tagged(f, plain, len, 101), out, &outs).reason, DROP_VLAN);
	assert_int_equal(run(r, f, tagged(f, plain, len, 0), out, &outs).reason, DROP_VLAN);
	for (size_t cut = 0; cut < 18; cut++)
		assert_int_equal(run(r, f, MIN(cut, tagged(f, plain, len, 100)), out, &outs).reason, DROP_VLAN);
	assert_int_equal(run(r, f, MIN((size_t)18, tagged(f, plain, len, 100)), out, &outs).reason, DROP_FRAME_SHORT);
	/* Within: another tag. */
	uint8_t twice[RIG_FRAME];
	size_t n = tagged(f, plain, len, 200);
	assert_int_equal(run(r, twice, tagged(twice, f, n, 100), out, &outs).reason, DROP_ETHERTYPE);
	/* The other port has no VLAN. */
	r->in_if = 1;
	assert_int_equal(run(r, f, tagged(f, plain, len, 100), out, &outs).reason, DROP_ETHERTYPE);
	r->in_if = 0;
}

/* A burst in which ours and others' are mixed: each frame has its own fate. */
static void mixed_burst(void **state)
{
	struct rig *r = *state;
	struct pkt p[6] = { 0 };
	uint8_t plain[RIG_FRAME], binding[64];
	struct wr w = client_begin(r, binding, sizeof(binding), STUN_BINDING);
	size_t len = rig_udp(plain, IPV4(198, 41, 0, 9), 1000, RELAY_IP, TURN_PORT, binding, stun_end(&w));
	unsigned sent = 0, dropped = 0;

	for (unsigned i = 0; i < 6; i++) {
		(void)rig_new_buf(r, &p[i]);
		p[i].len = (uint32_t)tagged(p[i].data, plain, len, i % 2 == 0 ? 7 : 100);
	}
	path_burst(&r->path[0], p, 6, &r->clock);
	for (unsigned i = 0; i < 6; i++) {
		sent += p[i].verdict == PKT_SEND;
		dropped += p[i].verdict == PKT_DROP && p[i].reason == DROP_VLAN;
		rig_free_buf(r, &p[i]);
	}
	assert_int_equal(sent, 3);
	assert_int_equal(dropped, 3);
}

/* --- 1:1 NAT --- */

#define SHOWN_IP IPV4(203, 0, 113, 7)

static void behind_nat(struct ifaces *all)
{
	all->at[0].ip[0].shown = addr_v4(SHOWN_IP);
	all->at[0].ip[1].shown = rig_ip("2a00:77::7");
}

static int set_up_nat(void **state)
{
	*state = start(2, behind_nat);
	return 0;
}

static void clients_are_told_the_external_address(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 10, "a", "");
	struct stun_addr relayed;
	struct stun_msg m;

	assert_int_equal(client_request(r, &a, STUN_ALLOCATE, put_udp, NULL, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed));
	struct addr got = addr_from_stun(&relayed);
	assert_int_equal(addr_v4_of(&got), SHOWN_IP);
	a.relayed = relayed.port;
	/* Packets carry the address that the NAT knows. */
	assert_int_equal(client_bind(r, &a, 0x4001, PEER_IP, 9), 0);
	client_channel_data(r, &a, 0x4001, "x", 1, 0);
	rig_expect(r, RELAY_IP, a.relayed, PEER_IP, 9, "x", 1);
	peer_datagram(r, 0, PEER_IP, 9, a.relayed, "y", 1);
	rig_expect_channel(r, &a, 0x4001, "y", 1);
}

/* Two clients meet by what they were told; also when one is on another port that no NAT stands before. */
static void clients_meet_by_external_addresses(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 10, "a", ""), b = client_new(CLIENT_IP, 11, "b", ""), d = client_new(IPV4(198, 41, 1, 50), 2, "d", "");

	d.server = SECOND_IP;
	assert_int_equal(client_allocate(r, &a), 0);
	assert_int_equal(client_allocate(r, &b), 0);
	assert_int_equal(client_allocate(r, &d), 0);
	assert_int_equal(client_bind(r, &a, 0x4001, SHOWN_IP, b.relayed), 0);
	assert_int_equal(client_permit(r, &b, SHOWN_IP), 0);
	client_channel_data(r, &a, 0x4001, "over", 4, 0);
	rig_expect_data(r, &b, SHOWN_IP, a.relayed, "over", 4);
	assert_int_equal(client_bind(r, &b, 0x4002, SHOWN_IP, a.relayed), 0);
	client_send_indication(r, &a, SHOWN_IP, b.relayed, "more", 4);
	rig_expect_channel(r, &b, 0x4002, "more", 4);
	assert_int_equal(client_bind(r, &a, 0x4003, SECOND_IP, d.relayed), 0);
	assert_int_equal(client_bind(r, &d, 0x4004, SHOWN_IP, a.relayed), 0);
	client_channel_data(r, &a, 0x4003, "there", 5, 0);
	rig_expect_channel(r, &d, 0x4004, "there", 5);
	client_channel_data(r, &d, 0x4004, "back", 4, 0);
	rig_expect_channel(r, &a, 0x4003, "back", 4);
	/* The service is no peer under either name. */
	assert_int_equal(client_bind(r, &a, 0x4005, SHOWN_IP, TURN_PORT), 403);
	assert_int_equal(client_bind(r, &a, 0x4005, RELAY_IP, TURN_PORT), 403);
}

#define VLAN(f) cmocka_unit_test_setup_teardown(f, set_up_vlan, tear_down)
#define NAT(f) cmocka_unit_test_setup_teardown(f, set_up_nat, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VLAN(tags_come_off_and_on), VLAN(other_tags_are_counted), VLAN(mixed_burst),
		NAT(clients_are_told_the_external_address), NAT(clients_meet_by_external_addresses),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
