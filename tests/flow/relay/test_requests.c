/* Requests and their answers: RFC 8489 §9.2, RFC 8656 §7 to §12, one relay, a virtual clock. */
#include "tests/flow/relay/rig.h"

static int set_up(void **state)
{
	*state = rig_new(1, 50000, 50099, rig_policy());
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static void binding_tells_the_address(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	uint8_t out[64];
	struct wr w = client_begin(r, out, sizeof(out), STUN_BINDING);
	struct stun_addr a;
	struct stun_msg m;

	size_t len = stun_end(&w);
	assert_int_equal(client_exchange(r, &c, out, len, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_MAPPED_ADDRESS, &a));
	assert_int_equal(a.port, 1234);
	assert_memory_equal(a.ip, &c.ip, 4);
	assert_true(m.len * 10 <= len * 16); /* no amplifier */
	assert_false(stun_has(&m, STUN_SOFTWARE));
}

static void fingerprint_is_answered_in_kind(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	uint8_t out[64];
	struct wr w = client_begin(r, out, sizeof(out), STUN_BINDING);
	struct stun_msg m;

	stun_put_fingerprint(&w);
	size_t len = stun_end(&w);
	assert_int_equal(client_exchange(r, &c, out, len, &m), 0);
	assert_int_equal(m.fingerprint, STUN_FP_GOOD);
	out[len - 1] ^= 1;
	assert_int_equal(client_exchange(r, &c, out, len, &m), -1);
	assert_int_equal(rig_drops(r, DROP_STUN_FINGERPRINT), 1);
}

static void allocate_works(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_addr a;
	struct stun_msg m;

	assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_udp, NULL, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &a));
	assert_in_range(a.port, 50000, 50099);
	uint32_t ip = RELAY_IP;
	assert_memory_equal(a.ip, &ip, 4);
	assert_ok(stun_address(&m, STUN_XOR_MAPPED_ADDRESS, &a));
	assert_int_equal(a.port, 1234);
	assert_int_equal(stun_u32(&m, STUN_LIFETIME), 600);
	assert_int_equal(table_count(r->relay->table), 1);
}

static void lifetime_is_clamped(void **state)
{
	static const uint32_t wish[][2] = { { 0, 600 },	    { 1, 600 },	    { 600, 600 },	 { 601, 601 },
					    { 3600, 3600 }, { 3601, 3600 }, { UINT32_MAX, 3600 } };
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(wish); i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(2000 + i), "alice", "");
		struct stun_msg m;

		assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_udp, &wish[i][0], &m), 0);
		assert_int_equal(stun_u32(&m, STUN_LIFETIME), wish[i][1]);
	}
}

static void retransmission_gets_the_same_answer(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	uint8_t out[512], first[512];
	struct stun_msg m;

	client_get_nonce(r, &c);
	struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
	put_udp(&w, NULL);
	size_t len = client_seal(&c, &w);
	assert_int_equal(client_exchange(r, &c, out, len, &m), 0);
	size_t first_len = m.len;
	memcpy(first, m.p, m.len);
	rig_pass(r, 500);
	assert_int_equal(client_exchange(r, &c, out, len, &m), 0);
	assert_int_equal(m.len, first_len);
	assert_memory_equal(m.p, first, first_len);
	assert_int_equal(table_count(r->relay->table), 1);
	/* Another transaction on the 5-tuple is a mistake. */
	assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_udp, NULL, &m), 437);
}

/* What an Allocate may be wrong in, and the answer. */
static void put_nothing(struct wr *w, const void *arg)
{
	(void)w;
	(void)arg;
}

static void put_tcp(struct wr *w, const void *arg)
{
	(void)arg;
	stun_put_u32(w, STUN_REQUESTED_TRANSPORT, 6u << 24);
}

static void put_v6(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	stun_put_u32(w, STUN_REQUESTED_ADDRESS_FAMILY, 2u << 24);
}

static void put_v4(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	stun_put_u32(w, STUN_REQUESTED_ADDRESS_FAMILY, 1u << 24);
}

static void put_token_and_even(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	stun_put(w, STUN_RESERVATION_TOKEN, STR("12345678"));
	stun_put(w, STUN_EVEN_PORT, STR("\x80"));
}

static void put_token_and_family(struct wr *w, const void *arg)
{
	put_v4(w, arg);
	stun_put(w, STUN_RESERVATION_TOKEN, STR("12345678"));
}

static void put_token(struct wr *w, const void *arg)
{
	put_udp(w, NULL);
	stun_put(w, STUN_RESERVATION_TOKEN, arg != NULL ? str_of(arg, 8) : STR("12345678"));
}

static void put_unknown(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	wr_u32(w, 0x7abc0000);
}

static void put_optional(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	wr_u32(w, 0xfabc0000);
}

static void put_short_lifetime(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	stun_put(w, STUN_LIFETIME, STR("\0\0"));
}

static void put_dont_fragment(struct wr *w, const void *arg)
{
	put_udp(w, arg);
	stun_put(w, STUN_DONT_FRAGMENT, STR_NONE);
}

static void allocate_errors(void **state)
{
	static const struct {
		void (*put)(struct wr *w, const void *arg);
		int code;
	} cases[] = {
		{ put_nothing, 400 },
		{ put_tcp, 442 },
		{ put_v6, 440 },
		{ put_v4, 0 },
		{ put_token_and_even, 400 },
		{ put_token_and_family, 400 },
		{ put_token, 508 },
		{ put_unknown, 420 },
		{ put_optional, 0 },
		{ put_short_lifetime, 400 },
		{ put_dont_fragment, 0 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(3000 + i), "alice", "");
		struct stun_msg m;

		assert_int_equal(client_request(r, &c, STUN_ALLOCATE, cases[i].put, NULL, &m), cases[i].code);
		if (cases[i].code == 420) {
			assert_int_equal(stun_bytes(&m, STUN_UNKNOWN_ATTRIBUTES).len, 2);
			assert_int_equal(be16_get((const uint8_t *)stun_bytes(&m, STUN_UNKNOWN_ATTRIBUTES).p), 0x7abc);
		}
	}
	assert_int_equal(table_count(r->relay->table), 3);
}

static void put_even(struct wr *w, const void *arg)
{
	put_udp(w, NULL);
	stun_put(w, STUN_EVEN_PORT, str_of(arg, 1));
}

static void even_ports_and_reservations(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "alice", ""),
		      d = client_new(CLIENT_IP, 3, "alice", "");
	struct stun_addr first, second;
	struct stun_msg m;
	uint8_t token[8];

	assert_int_equal(client_request(r, &a, STUN_ALLOCATE, put_even, "\x80", &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &first));
	assert_int_equal(first.port % 2, 0);
	assert_int_equal(stun_bytes(&m, STUN_RESERVATION_TOKEN).len, 8);
	memcpy(token, stun_bytes(&m, STUN_RESERVATION_TOKEN).p, 8);

	assert_int_equal(client_request(r, &b, STUN_ALLOCATE, put_token, token, &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &second));
	assert_int_equal(second.port, first.port + 1);
	/* A token is good once. */
	assert_int_equal(client_request(r, &d, STUN_ALLOCATE, put_token, token, &m), 508);
	assert_int_equal(client_request(r, &d, STUN_ALLOCATE, put_even, "\x00", &m), 0);
	assert_ok(stun_address(&m, STUN_XOR_RELAYED_ADDRESS, &second));
	assert_int_equal(second.port % 2, 0);
	assert_false(stun_has(&m, STUN_RESERVATION_TOKEN));
}

static void reservation_ends(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "alice", ""), b = client_new(CLIENT_IP, 2, "alice", "");
	struct stun_msg m;
	uint8_t token[8];

	assert_int_equal(client_request(r, &a, STUN_ALLOCATE, put_even, "\x80", &m), 0);
	memcpy(token, stun_bytes(&m, STUN_RESERVATION_TOKEN).p, 8);
	rig_pass(r, 31000);
	assert_int_equal(client_request(r, &b, STUN_ALLOCATE, put_token, token, &m), 508);
	assert_int_equal(client_refresh(r, &a, 0), 0);
	rig_pass(r, 2000);
	/* Both ports are free again: all hundred can be had. */
	for (unsigned i = 0; i < 100; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(4000 + i), "alice", "");

		assert_int_equal(client_allocate(r, &c), 0);
	}
}

static void without_allocation_437(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");

	assert_int_equal(client_refresh(r, &c, 600), 437);
	assert_int_equal(client_refresh(r, &c, 0), 437);
	assert_int_equal(client_permit(r, &c, PEER_IP), 437);
	assert_int_equal(client_bind(r, &c, 0x4000, PEER_IP, 9), 437);
}

/* --- credentials --- */

static void wrong_password_401(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_msg m;

	c.key[3] ^= 1;
	assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_udp, NULL, &m), 401);
	assert_true(stun_has(&m, STUN_NONCE));
	assert_false(stun_has(&m, STUN_MESSAGE_INTEGRITY));
}

static void missing_parts_400(void **state)
{
	struct rig *r = *state;

	for (unsigned without = 0; without < 3; without++) {
		struct client c = client_new(CLIENT_IP, 1234, "alice", "");
		uint8_t out[512];
		struct stun_msg m;

		client_get_nonce(r, &c);
		struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
		put_udp(&w, NULL);
		if (without != 0)
			stun_put(&w, STUN_USERNAME, str_from(c.username));
		if (without != 1)
			stun_put(&w, STUN_REALM, STR(RIG_REALM));
		if (without != 2)
			stun_put(&w, STUN_NONCE, str_of(c.nonce, c.nonce_len));
		stun_put_integrity(&w, str_of(c.key, sizeof(c.key)));
		assert_int_equal(client_exchange(r, &c, out, stun_end(&w), &m), 400);
	}
}

static void expired_credential_401(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");

	rig_pass(r, 1000);
	r->clock.wall_s += 86400;
	assert_int_equal(client_allocate(r, &c), 401);
}

static void user_names_of_other_forms_401(void **state)
{
	static const char *const names[] = { "alice", ":alice", "99999999999999999999999:alice", "18x:alice", " 1900000000:alice" };
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct client c = client_new(CLIENT_IP, 1234, "alice", "");

		(void)str_copy(str_from(names[i]), c.username, sizeof(c.username));
		assert_ok(turn_cred_key(STR(RIG_SECRET), str_from(c.username), STR(RIG_REALM), c.key));
		assert_int_equal(client_allocate(r, &c), 401);
	}
}

static void stale_nonce_438(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_msg m;

	assert_int_equal(client_allocate(r, &c), 0);
	r->clock.wall_s += 3601;
	assert_int_equal(client_request(r, &c, STUN_REFRESH, NULL, NULL, &m), 438);
	client_take_nonce(&c, &m);
	assert_int_equal(client_request(r, &c, STUN_REFRESH, NULL, NULL, &m), 0);
}

static void nonce_of_another_client_438(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1234, "alice", ""), b = client_new(CLIENT_IP, 1235, "alice", "");

	client_get_nonce(r, &a);
	memcpy(b.nonce, a.nonce, sizeof(a.nonce));
	b.nonce_len = a.nonce_len;
	assert_int_equal(client_allocate(r, &b), 438);
	a.nonce[5] = a.nonce[5] == 'A' ? 'B' : 'A';
	assert_int_equal(client_allocate(r, &a), 438);
	a.nonce_len--;
	assert_int_equal(client_allocate(r, &a), 438);
}

static void other_user_441(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1234, "alice", ""), b = client_new(CLIENT_IP, 1234, "bob", "");

	assert_int_equal(client_allocate(r, &a), 0);
	assert_int_equal(client_refresh(r, &b, 600), 441);
	assert_int_equal(client_permit(r, &b, PEER_IP), 441);
	assert_int_equal(client_bind(r, &b, 0x4000, PEER_IP, 9), 441);
	assert_int_equal(client_refresh(r, &a, 600), 0);
}

/* Whose the 5-tuple is comes before whose the allocation is (RFC 8656 §7.2): 437, also with the transaction id of
 * the Allocate that made it. */
static void allocate_by_other_user_437(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1234, "alice", ""), b = client_new(CLIENT_IP, 1234, "bob", "");
	uint8_t out[512], tid[STUN_TID_LEN];
	struct stun_msg m;

	client_get_nonce(r, &a);
	struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
	memcpy(tid, out + 8, sizeof(tid));
	put_udp(&w, NULL);
	size_t len = client_seal(&a, &w);
	assert_int_equal(client_exchange(r, &a, out, len, &m), 0);
	assert_int_equal(client_request(r, &b, STUN_ALLOCATE, put_udp, NULL, &m), 437);
	w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
	memcpy(out + 8, tid, sizeof(tid));
	put_udp(&w, NULL);
	len = client_seal(&b, &w);
	assert_int_equal(client_exchange(r, &b, out, len, &m), 437);
	assert_int_equal(table_count(r->relay->table), 1);
	assert_int_equal(client_refresh(r, &a, 600), 0);
}

static void live_allocation_outlives_its_credential(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");

	assert_int_equal(client_allocate(r, &c), 0);
	r->clock.wall_s += 90000;
	c.nonce_len = 0;
	assert_int_equal(client_refresh(r, &c, 600), 0);
	/* By configuration it does not. */
	struct policy *p = rig_policy();
	p->expiry_ends = true;
	rcu_offline(r->relay->rcu, 0);
	relay_set_policy(r->relay, p);
	rcu_online(r->relay->rcu, 0);
	assert_int_equal(client_refresh(r, &c, 600), 401);
}

/* --- permissions and channels --- */

static void put_peers(struct wr *w, const void *arg)
{
	const uint32_t *ips = arg;

	for (; *ips != 0; ips++)
		put_peer(w, &(struct rig_peer){ .ip = *ips, .port = 5 });
}

static void permissions_all_or_nothing(void **state)
{
	static const uint32_t good[] = { IPV4(9, 9, 9, 9), IPV4(9, 9, 9, 10), IPV4(9, 9, 9, 11), IPV4(9, 9, 9, 9), 0 };
	static const uint32_t bad[] = { IPV4(9, 9, 9, 12), IPV4(127, 0, 0, 1), 0 };
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_msg m;

	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_request(r, &c, STUN_CREATE_PERMISSION, put_peers, bad, &m), 403);
	client_send_indication(r, &c, bad[0], 7, "x", 1);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_NO_PERMISSION), 1);
	assert_int_equal(client_request(r, &c, STUN_CREATE_PERMISSION, put_peers, good, &m), 0);
	for (unsigned i = 0; i < 3; i++) {
		client_send_indication(r, &c, good[i], 7, "x", 1);
		rig_expect(r, RELAY_IP, c.relayed, good[i], 7, "x", 1);
	}
	assert_int_equal(client_request(r, &c, STUN_CREATE_PERMISSION, NULL, NULL, &m), 400);
}

static void channel_conflicts(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");

	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_bind(r, &c, 0x4000, PEER_IP, 9), 0);
	assert_int_equal(client_bind(r, &c, 0x4000, PEER_IP, 9), 0);   /* refresh */
	assert_int_equal(client_bind(r, &c, 0x4000, PEER_IP, 10), 400); /* number is another's */
	assert_int_equal(client_bind(r, &c, 0x4001, PEER_IP, 9), 400);  /* peer has another */
	assert_int_equal(client_bind(r, &c, 0x4001, PEER_IP, 10), 0);
	assert_int_equal(client_bind(r, &c, 0x3fff, PEER_IP, 11), 400);
	assert_int_equal(client_bind(r, &c, 0x4fff, PEER_IP, 11), 0);
	assert_int_equal(client_bind(r, &c, 0x5000, PEER_IP, 12), 400);
	assert_int_equal(client_bind(r, &c, 0x4002, PEER_IP, 0), 400);
	assert_int_equal(client_bind(r, &c, 0x4002, RELAY_IP, TURN_PORT), 403);
	assert_int_equal(client_bind(r, &c, 0x4002, RELAY_IP, 49999), 403);
	assert_int_equal(client_bind(r, &c, 0x4002, RELAY_IP, 50042), 0);
}

static void peers_are_limited(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");

	assert_int_equal(client_allocate(r, &c), 0);
	for (uint16_t i = 0; i < 64; i++)
		assert_int_equal(client_bind(r, &c, (uint16_t)(0x4000 + i), IPV4(9, 9, 8, i + 1), 9), 0);
	assert_int_equal(client_bind(r, &c, 0x4100, PEER_IP, 9), 508);
	assert_int_equal(client_permit(r, &c, PEER_IP), 508);
	assert_int_equal(client_permit(r, &c, IPV4(9, 9, 8, 1)), 0);
}

static void put_v6_peer(struct wr *w, const void *arg)
{
	struct stun_addr s = { .family = STUN_IPV6, .port = 9, .ip = { 0x26, 0x20 } };

	if (arg != NULL)
		stun_put_u32(w, STUN_CHANNEL_NUMBER, 0x40000000);
	stun_put_address(w, STUN_XOR_PEER_ADDRESS, &s);
}

static void v6_peers_443(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_msg m;

	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(client_request(r, &c, STUN_CREATE_PERMISSION, put_v6_peer, NULL, &m), 443);
	assert_int_equal(client_request(r, &c, STUN_CHANNEL_BIND, put_v6_peer, "", &m), 443);
}

static void denied_peers_403(void **state)
{
	static const uint32_t ips[] = {
		IPV4(127, 0, 0, 1),	  IPV4(0, 0, 0, 0),	 IPV4(169, 254, 169, 254), IPV4(224, 0, 0, 1),
		IPV4(255, 255, 255, 255), IPV4(10, 1, 2, 3),	 IPV4(192, 168, 0, 1),	   IPV4(172, 31, 0, 1),
		IPV4(100, 64, 0, 1),	  IPV4(198, 41, 0, 255), IPV4(198, 41, 0, 0),
	};
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");

	assert_int_equal(client_allocate(r, &c), 0);
	for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
		assert_int_equal(client_permit(r, &c, ips[i]), 403);
		assert_int_equal(client_bind(r, &c, 0x4000, ips[i], 53), 403);
		client_send_indication(r, &c, ips[i], 53, "x", 1);
		assert_int_equal(r->outs, 0);
	}
	assert_int_equal(client_permit(r, &c, RELAY_IP), 0);
	assert_int_equal(client_permit(r, &c, IPV4(198, 41, 0, 7)), 0);
}

/* --- limits --- */

static void user_quota_486(void **state)
{
	struct policy *p = rig_policy();
	struct rig *r;

	rig_free(*state);
	p->user_allocations = 3;
	*state = r = rig_new(1, 50000, 50099, p);
	for (uint16_t i = 0; i < 3; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(100 + i), "alice", "");

		assert_int_equal(client_allocate(r, &c), 0);
	}
	struct client more = client_new(CLIENT_IP, 200, "alice", "other call"), bob = client_new(CLIENT_IP, 201, "bob", "");
	assert_int_equal(client_allocate(r, &more), 486);
	assert_int_equal(client_allocate(r, &bob), 0);
	struct client first = client_new(CLIENT_IP, 100, "alice", "");
	assert_int_equal(client_refresh(r, &first, 0), 0);
	assert_int_equal(client_allocate(r, &more), 0);
}

/* A reload may name more allocations than memory was set aside for at start: that is the limit then. */
static void no_more_than_there_is_memory_for(void **state)
{
	struct rig *r = rig_new(1, 50000, 51999, rig_policy());
	struct stun_msg m;
	char name[16];

	(void)state;
	for (unsigned i = 0; i <= RIG_ALLOCATIONS; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		struct client c = client_new(CLIENT_IP, (uint16_t)(2000 + i), name, "");
		assert_int_equal(client_request(r, &c, STUN_ALLOCATE, put_udp, NULL, &m), i < RIG_ALLOCATIONS ? 0 : 508);
	}
	assert_int_equal(table_count(r->relay->table), RIG_ALLOCATIONS);
	rig_free(r);
}

static void challenges_are_limited(void **state)
{
	struct policy *p = rig_policy();
	unsigned answered = 0;
	struct rig *r;

	rig_free(*state);
	p->challenge_rate = 10;
	p->challenge_burst = 20;
	*state = r = rig_new(1, 50000, 50099, p);
	for (unsigned i = 0; i < 100; i++) {
		struct client c = client_new(IPV4(8, 8, 1, i), 1234, "alice", "");
		uint8_t out[64];
		struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);
		struct stun_msg m;

		answered += client_exchange(r, &c, out, stun_end(&w), &m) == 401;
	}
	assert_int_equal(answered, 20);
	assert_int_equal(rig_drops(r, DROP_CHALLENGE_LIMIT), 80);
	/* Others are not concerned, and the prefix recovers. */
	struct client other = client_new(IPV4(8, 8, 2, 1), 1234, "alice", ""),
		      same = client_new(IPV4(8, 8, 1, 1), 1234, "alice", "");
	client_get_nonce(r, &other);
	rig_pass(r, 200);
	client_get_nonce(r, &same);
}

static void calls_and_users_are_revoked(void **state)
{
	struct rig *r = *state;
	struct client a = client_new(CLIENT_IP, 1, "alice", "0123456789abcdef0123456789abcdef");
	struct client b = client_new(CLIENT_IP, 2, "alice", "ffffffffffffffffffffffffffffffff");
	struct client c = client_new(CLIENT_IP, 3, "bob", "0123456789abcdef0123456789abcdef");

	assert_int_equal(client_allocate(r, &a), 0);
	assert_int_equal(client_allocate(r, &b), 0);
	assert_int_equal(client_allocate(r, &c), 0);
	assert_int_equal(table_remove_user(r->relay->table, STR("alice"), STR("0123456789abcdef0123456789abcdef")), 1);
	assert_int_equal(client_refresh(r, &a, 600), 437);
	assert_int_equal(client_refresh(r, &b, 600), 0);
	assert_int_equal(client_refresh(r, &c, 600), 0);
	assert_int_equal(table_remove_user(r->relay->table, STR("alice"), STR_NONE), 1);
	assert_int_equal(table_remove_user(r->relay->table, STR("alice"), STR_NONE), 0);
	assert_int_equal(table_remove_user(r->relay->table, STR("nobody"), STR_NONE), 0);
	assert_int_equal(client_refresh(r, &b, 600), 437);
	assert_int_equal(table_count(r->relay->table), 1);
}

static void many_of_a_user_are_revoked(void **state)
{
	struct rig *r = *state;

	for (uint16_t i = 0; i < 100; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(100 + i), "alice", "");

		assert_int_equal(client_allocate(r, &c), 0);
	}
	assert_int_equal(table_remove_user(r->relay->table, STR("alice"), STR_NONE), 100);
	assert_int_equal(table_count(r->relay->table), 0);
}

/* --- what is not answered --- */

static void junk_is_not_answered(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum drop reason;
	} cases[] = {
		{ "", 0, DROP_NOT_TURN },
		{ "\x00", 1, DROP_STUN_MALFORMED },
		{ "\x00\x01", 2, DROP_STUN_MALFORMED },
		{ "\x16\xfe\xfd\x00", 4, DROP_NOT_TURN },           /* DTLS */
		{ "\x80\x60\x00\x01", 4, DROP_NOT_TURN },           /* RTP */
		{ "GET / HTTP/1.1\r\n\r\n", 18, DROP_NO_ALLOCATION }, /* 'G' looks like channel data */
		{ "\x40\x00", 2, DROP_NOT_TURN },
		{ "\x40\x00\x00\x04zzzz", 8, DROP_NO_ALLOCATION },
		{ "\x01\x01\x00\x00\x21\x12\xa4\x42zzzzzzzzzzzz", 20, DROP_STUN_UNEXPECTED }, /* a response */
		{ "\x00\x11\x00\x00\x21\x12\xa4\x42zzzzzzzzzzzz", 20, DROP_STUN_UNEXPECTED }, /* Binding indication */
		{ "\x00\x02\x00\x00\x21\x12\xa4\x42zzzzzzzzzzzz", 20, DROP_STUN_UNEXPECTED }, /* no such method */
		{ "\x00\x16\x00\x00\x21\x12\xa4\x42zzzzzzzzzzzz", 20, DROP_NO_ALLOCATION },   /* Send */
		{ "\x00\x01\x00\x00\x21\x12\xa4\x43zzzzzzzzzzzz", 20, DROP_STUN_MALFORMED },  /* cookie */
	};
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t before = rig_drops(r, cases[i].reason);

		client_datagram(r, &c, cases[i].bytes, cases[i].len);
		assert_int_equal(r->outs, 0);
		assert_int_equal(rig_drops(r, cases[i].reason), before + 1);
	}
}

static void damaged_request_is_dropped(void **state)
{
	struct rig *r = *state;
	uint8_t frame[256], out[64];
	struct wr w = client_begin(r, out, sizeof(out), STUN_BINDING);
	size_t len = rig_udp(frame, CLIENT_IP, 1234, RELAY_IP, TURN_PORT, out, stun_end(&w));

	frame[len - 1] ^= 0x10;
	rig_send(r, 0, frame, len);
	assert_int_equal(r->outs, 0);
	assert_int_equal(rig_drops(r, DROP_UDP_CHECKSUM), 1);
	/* No checksum is no damage. */
	frame[len - 1] ^= 0x10;
	ne16_set(frame + ETH_LEN + UDP_SUM, 0);
	rig_send(r, 0, frame, len);
	assert_int_equal(r->outs, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(binding_tells_the_address), T(fingerprint_is_answered_in_kind), T(allocate_works), T(lifetime_is_clamped),
		T(retransmission_gets_the_same_answer), T(allocate_errors), T(even_ports_and_reservations), T(reservation_ends),
		T(without_allocation_437), T(wrong_password_401), T(missing_parts_400), T(expired_credential_401), T(user_names_of_other_forms_401),
		T(stale_nonce_438), T(nonce_of_another_client_438), T(other_user_441), T(allocate_by_other_user_437),
		T(live_allocation_outlives_its_credential),
		T(permissions_all_or_nothing), T(channel_conflicts), T(peers_are_limited), T(v6_peers_443), T(denied_peers_403), T(user_quota_486),
		cmocka_unit_test(no_more_than_there_is_memory_for),
		T(challenges_are_limited), T(calls_and_users_are_revoked), T(many_of_a_user_are_revoked), T(junk_is_not_answered),
		T(damaged_request_is_dropped),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
