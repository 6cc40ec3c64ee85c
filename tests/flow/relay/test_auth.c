/* RFC 8489 §9.2 from the outside: what challenges offer, which credentials are taken, how answers are sealed. One
 * relay, a virtual clock, a client that can do everything right and each thing wrong. */
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

/* Replaces the policy in a relay whose only worker is this thread. */
static void set_policy(struct rig *r, struct policy *p)
{
	rcu_offline(r->relay->rcu, 0);
	relay_set_policy(r->relay, p);
	rcu_online(r->relay->rcu, 0);
}

static const uint8_t only_sha256[] = { 0, 2, 0, 0 }, sha256_md5[] = { 0, 2, 0, 0, 0, 1, 0, 0 };

static struct policy *offering(const uint8_t *list, size_t len)
{
	struct policy *p = rig_policy();

	if (len > 0)
		memcpy(p->algorithms, list, len);
	p->algorithms_len = (uint8_t)len;
	return p;
}

/* How a request is sealed. */
struct how {
	uint16_t algorithm;   /* of PASSWORD-ALGORITHM; 0 = left out */
	const uint8_t *list;  /* PASSWORD-ALGORITHMS; NULL = left out */
	size_t list_len;
	uint16_t key;         /* the key is made with; 0 = MD5 */
	bool sha1, sha256;    /* which integrity attributes there are */
	bool wrong_sha1, wrong_sha256;
	size_t cut;           /* length of MESSAGE-INTEGRITY-SHA256, 0 = all of it */
	bool userhash, username_too;
};

static void put_integrities(struct wr *w, const struct how *h, struct str key)
{
	size_t before;

	if (h->sha1)
		stun_put_integrity(w, key);
	if (h->wrong_sha1)
		w->p[-1] ^= 1;
	if (h->sha256 && h->cut == 0) {
		stun_put_integrity256(w, key);
	} else if (h->sha256) {
		uint8_t mac[SHA256_LEN];

		before = wr_len(w);
		be16_put(w->start + 2, (uint16_t)(before + 4 + h->cut - STUN_HEADER_LEN));
		crypto_hmac_sha256(key, str_of(w->start, before), mac);
		stun_put(w, STUN_MESSAGE_INTEGRITY_SHA256, str_of(mac, h->cut));
	}
	if (h->wrong_sha256)
		w->p[-1] ^= 1;
}

/* The code of the answer; `sealed` is 1, 256 or 0: how the answer was, with a right value. */
static int request(struct rig *r, struct client *c, unsigned method, void (*put)(struct wr *w, const void *arg), const void *arg,
		   const struct how *h, unsigned *sealed, struct stun_msg *m)
{
	uint8_t out[1024], hash[SHA256_LEN];
	struct turn_key key;
	struct wr w;

	if (c->nonce_len == 0)
		client_get_nonce(r, c);
	w = client_begin(r, out, sizeof(out), method);
	if (put != NULL)
		put(&w, arg);
	assert_ok(turn_userhash(str_from(c->username), STR(RIG_REALM), hash));
	if (h->userhash)
		stun_put(&w, STUN_USERHASH, str_of(hash, sizeof(hash)));
	if (!h->userhash || h->username_too)
		stun_put(&w, STUN_USERNAME, str_from(c->username));
	stun_put(&w, STUN_REALM, STR(RIG_REALM));
	stun_put(&w, STUN_NONCE, str_of(c->nonce, c->nonce_len));
	if (h->list != NULL)
		stun_put(&w, STUN_PASSWORD_ALGORITHMS, str_of(h->list, h->list_len));
	if (h->algorithm != 0)
		stun_put_u32(&w, STUN_PASSWORD_ALGORITHM, (uint32_t)h->algorithm << 16);
	enum stun_password_algorithm a = h->key != 0 ? (enum stun_password_algorithm)h->key : STUN_PASSWORD_MD5;
	assert_ok(turn_cred_key_as(a, STR(RIG_SECRET), str_from(c->username), STR(RIG_REALM), &key));
	put_integrities(&w, h, turn_key_view(&key));
	int code = client_exchange(r, c, out, stun_end(&w), m);
	*sealed = 0;
	if (code >= 0 && stun_has(m, STUN_MESSAGE_INTEGRITY)) {
		assert_true(stun_integrity_ok(m, turn_key_view(&key)));
		assert_false(stun_has(m, STUN_MESSAGE_INTEGRITY_SHA256));
		*sealed = 1;
	} else if (code >= 0 && stun_has(m, STUN_MESSAGE_INTEGRITY_SHA256)) {
		assert_true(stun_integrity256_ok(m, turn_key_view(&key), 32));
		*sealed = 256;
	}
	return code;
}

#define SHA256_HOW .algorithm = 2, .list = only_sha256, .list_len = 4, .key = 2, .sha256 = true

static const struct how modern = { SHA256_HOW }, old = { .sha1 = true };

/* --- challenges --- */

static size_t challenge_size(struct rig *r, struct stun_msg *m)
{
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	uint8_t out[64];
	struct wr w = client_begin(r, out, sizeof(out), STUN_ALLOCATE);

	stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 17u << 24);
	size_t len = stun_end(&w);
	assert_int_equal(len, 28);
	assert_int_equal(client_exchange(r, &c, out, len, m), 401);
	assert_str(stun_bytes(m, STUN_REALM), RIG_REALM);
	assert_false(stun_has(m, STUN_MESSAGE_INTEGRITY));
	assert_false(stun_has(m, STUN_USERNAME));
	assert_false(stun_has(m, STUN_SOFTWARE));
	assert_int_equal(table_count(r->relay->table), 0);
	return m->len;
}

/* Header 20, code 8, realm of 11 characters 16; the rest is the nonce, and what is offered. For 28 bytes of request. */
static void challenges_are_small(void **state)
{
	struct rig *r = *state;
	struct stun_msg m;

	assert_int_equal(challenge_size(r, &m), 44 + 28 + 8);
	assert_memory_equal(stun_bytes(&m, STUN_NONCE).p, "obMatJos2gAAA", 13);
	assert_memory_equal(stun_bytes(&m, STUN_PASSWORD_ALGORITHMS).p, only_sha256, 4);
	set_policy(r, offering(sha256_md5, 8));
	assert_int_equal(challenge_size(r, &m), 44 + 28 + 12);
	assert_memory_equal(stun_bytes(&m, STUN_PASSWORD_ALGORITHMS).p, sha256_md5, 8);
	struct policy *p = offering(only_sha256, 4);
	p->anonymity = true;
	set_policy(r, p);
	assert_int_equal(challenge_size(r, &m), 44 + 28 + 8);
	assert_memory_equal(stun_bytes(&m, STUN_NONCE).p, "obMatJos2wAAA", 13);
	/* Nothing offered: as a server of RFC 5389. */
	set_policy(r, offering(NULL, 0));
	assert_int_equal(challenge_size(r, &m), 44 + 16);
	assert_false(stun_has(&m, STUN_PASSWORD_ALGORITHMS));
	assert_int_equal(stun_bytes(&m, STUN_NONCE).len, 11);
}

static void stale_nonce_offers_again(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_msg m;
	unsigned sealed;

	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 0);
	r->clock.wall_s += 3601;
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &modern, &sealed, &m), 438);
	assert_true(stun_has(&m, STUN_REALM) && stun_has(&m, STUN_PASSWORD_ALGORITHMS));
	client_take_nonce(&c, &m);
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &modern, &sealed, &m), 0);
}

/* Whoever has not the password learns nothing about nonces (the order of RFC 8489 §9.2.4). */
static void password_comes_before_nonce(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct how wrong = modern;
	struct stun_msg m;
	unsigned sealed;

	client_get_nonce(r, &c);
	r->clock.wall_s += 3601;
	wrong.wrong_sha256 = true;
	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &wrong, &sealed, &m), 401);
	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 438);
}

/* --- nonces --- */

static void nonces_live_as_long_as_they_should(void **state)
{
	struct policy *p = rig_policy();
	struct addr a = addr_v4(CLIENT_IP), other = addr_v4(PEER_IP);
	char nonce[TURN_NONCE_MAX], changed[TURN_NONCE_MAX];
	uint64_t t = RIG_WALL_S, lap = UINT64_C(1) << 24;
	struct str n = str_of(nonce, turn_auth_nonce(p, &a, 7, t, nonce));

	(void)state;
	assert_int_equal(n.len, TURN_NONCE_MAX);
	assert_true(turn_auth_nonce_fresh(p, &a, 7, t, n));
	assert_true(turn_auth_nonce_fresh(p, &a, 7, t + 3599, n));
	assert_false(turn_auth_nonce_fresh(p, &a, 7, t + 3600, n));
	assert_true(turn_auth_nonce_fresh(p, &a, 7, t - 5, n));
	assert_false(turn_auth_nonce_fresh(p, &a, 7, t - 6, n));
	/* The time shows 24 of its bits only; it does not come round again. */
	for (uint64_t laps = 1; laps < 4; laps++) {
		assert_false(turn_auth_nonce_fresh(p, &a, 7, t + laps * lap, n));
		assert_false(turn_auth_nonce_fresh(p, &a, 7, t + laps * lap + 100, n));
	}
	assert_false(turn_auth_nonce_fresh(p, &a, 8, t, n));
	assert_false(turn_auth_nonce_fresh(p, &other, 7, t, n));
	for (size_t i = 0; i < n.len; i++) {
		memcpy(changed, nonce, n.len);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		assert_false(turn_auth_nonce_fresh(p, &a, 7, t, str_of(changed, n.len)));
		assert_false(turn_auth_nonce_fresh(p, &a, 7, t, str_of(nonce, i)));
	}
	/* A second that ends a lap of the 24 bits, and the next. */
	t = (RIG_WALL_S / lap + 1) * lap - 1;
	n.len = turn_auth_nonce(p, &a, 7, t, nonce);
	assert_true(turn_auth_nonce_fresh(p, &a, 7, t + 1, n));
	assert_true(turn_auth_nonce_fresh(p, &a, 7, t + 3599, n));
	/* Without the cookie, with another one, or under another offer it is not the nonce that was sent. */
	assert_false(turn_auth_nonce_fresh(p, &a, 7, t, str_sub(n, TURN_COOKIE_LEN, n.len)));
	p->anonymity = true;
	assert_false(turn_auth_nonce_fresh(p, &a, 7, t, n));
	p->anonymity = false;
	p->algorithms[1] = STUN_PASSWORD_MD5;
	assert_false(turn_auth_nonce_fresh(p, &a, 7, t, n));
	p->algorithms_len = 0;
	assert_false(turn_auth_nonce_fresh(p, &a, 7, t, n));
	policy_free(p);
}

/* --- algorithms and integrity --- */

static const uint8_t only_md5[] = { 0, 1, 0, 0 }, strange[] = { 0, 9, 0, 0 }, short_list[] = { 0, 2, 0 };

static void all_ways_to_seal(void **state)
{
	static const struct {
		const char *name;
		struct how how;
		int code;
		unsigned sealed;
	} cases[] = {
		{ "as in RFC 5389", { .sha1 = true }, 0, 1 },
		{ "MD5 key, but SHA256 integrity", { .sha256 = true }, 0, 1 },
		{ "as in RFC 8489", { SHA256_HOW }, 0, 256 },
		{ "SHA-256 key in MESSAGE-INTEGRITY", { .algorithm = 2, .list = only_sha256, .list_len = 4, .key = 2, .sha1 = true }, 0, 256 },
		{ "both integrities", { SHA256_HOW, .sha1 = true }, 0, 256 },
		{ "both, the weak one wrong", { SHA256_HOW, .sha1 = true, .wrong_sha1 = true }, 0, 256 },
		{ "both, the strong one wrong", { SHA256_HOW, .sha1 = true, .wrong_sha256 = true }, 401, 0 },
		{ "none", { .sha1 = false }, 401, 0 },
		{ "wrong", { SHA256_HOW, .wrong_sha256 = true }, 401, 0 },
		{ "cut", { SHA256_HOW, .cut = 16 }, 401, 0 },
		{ "cut to 28", { SHA256_HOW, .cut = 28 }, 401, 0 },
		{ "cut too short", { SHA256_HOW, .cut = 12 }, 400, 0 },
		{ "no multiple of four", { SHA256_HOW, .cut = 31 }, 401, 0 },
		{ "the key of the other algorithm", { .algorithm = 2, .list = only_sha256, .list_len = 4, .key = 1, .sha256 = true }, 401, 0 },
		{ "algorithm without list", { .algorithm = 2, .key = 2, .sha256 = true }, 400, 0 },
		{ "list without algorithm", { .list = only_sha256, .list_len = 4, .key = 2, .sha256 = true }, 400, 0 },
		{ "list made weaker", { .algorithm = 1, .list = only_md5, .list_len = 4, .sha256 = true }, 400, 0 },
		{ "list made longer", { .algorithm = 2, .list = sha256_md5, .list_len = 8, .key = 2, .sha256 = true }, 400, 0 },
		{ "list cut", { .algorithm = 2, .list = short_list, .list_len = 3, .key = 2, .sha256 = true }, 400, 0 },
		{ "algorithm not on the list", { .algorithm = 1, .list = only_sha256, .list_len = 4, .sha256 = true }, 400, 0 },
		{ "algorithm that does not exist", { .algorithm = 9, .list = strange, .list_len = 4, .sha256 = true }, 400, 0 },
		{ "user name twice", { SHA256_HOW, .userhash = true, .username_too = true }, 400, 0 },
		{ "hash of a user without allocation", { SHA256_HOW, .userhash = true }, 401, 0 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(2000 + i), "alice", "");
		struct stun_msg m;
		unsigned sealed;
		int code = request(r, &c, STUN_ALLOCATE, put_udp, NULL, &cases[i].how, &sealed, &m);

		if (code != cases[i].code || sealed != cases[i].sealed)
			fail_msg("%s: %d sealed %u, not %d sealed %u", cases[i].name, code, sealed, cases[i].code, cases[i].sealed);
		if (code == 401)
			assert_true(stun_has(&m, STUN_PASSWORD_ALGORITHMS) && stun_has(&m, STUN_NONCE) && stun_has(&m, STUN_REALM));
		if (code == 400)
			assert_false(stun_has(&m, STUN_NONCE) || stun_has(&m, STUN_REALM));
	}
}

/* Where MD5 is offered as well: its key, with the new integrity, and the answer in kind. */
static void md5_by_name(void **state)
{
	const struct how how = { .algorithm = 1, .list = sha256_md5, .list_len = 8, .sha256 = true };
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_msg m;
	unsigned sealed;

	set_policy(r, offering(sha256_md5, 8));
	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &how, &sealed, &m), 0);
	assert_int_equal(sealed, 256);
}

/* The nonce carries what was offered with it: none of these is the client's fault, so it gets a new one. */
static void changed_offer_is_a_stale_nonce(void **state)
{
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", "");
	struct stun_msg m;
	unsigned sealed;

	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 0);
	set_policy(r, offering(sha256_md5, 8));
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &modern, &sealed, &m), 438);
	client_take_nonce(&c, &m);
	struct how other = modern;
	other.list = sha256_md5;
	other.list_len = 8;
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &other, &sealed, &m), 0);
	/* Somebody on the way who takes the cookie out gets no further than this. */
	memmove(c.nonce, c.nonce + TURN_COOKIE_LEN, c.nonce_len - TURN_COOKIE_LEN);
	c.nonce_len -= TURN_COOKIE_LEN;
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &old, &sealed, &m), 438);
}

/* Every error and every success of an authenticated request is sealed as its request was. */
static void answers_are_sealed_in_kind(void **state)
{
	static const struct rig_peer good = { .ip = PEER_IP, .port = 5, .channel = 0 };
	struct rig *r = *state;
	const struct how *hows[] = { &old, &modern };

	for (unsigned i = 0; i < 2; i++) {
		struct client c = client_new(CLIENT_IP, (uint16_t)(100 + i), "alice", ""), b = client_new(CLIENT_IP, (uint16_t)(100 + i), "bob", "");
		unsigned sealed, want = i == 0 ? 1 : 256;
		struct stun_msg m;

		assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, hows[i], &sealed, &m), 437);
		assert_int_equal(sealed, want);
		assert_int_equal(request(r, &c, STUN_ALLOCATE, NULL, NULL, hows[i], &sealed, &m), 400);
		assert_int_equal(sealed, want);
		assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, hows[i], &sealed, &m), 0);
		assert_int_equal(sealed, want);
		assert_int_equal(request(r, &c, STUN_CREATE_PERMISSION, put_peer, &good, hows[i], &sealed, &m), 0);
		assert_int_equal(sealed, want);
		/* The key is kept for one algorithm; the other is made anew. */
		assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, hows[1 - i], &sealed, &m), 0);
		assert_int_equal(sealed, i == 0 ? 256 : 1);
		assert_int_equal(request(r, &b, STUN_REFRESH, NULL, NULL, hows[i], &sealed, &m), 441);
		assert_int_equal(sealed, want);
	}
}

/* --- USERHASH --- */

static void userhash_of_a_live_allocation(void **state)
{
	const struct how hidden = { SHA256_HOW, .userhash = true }, hidden_old = { .sha1 = true, .userhash = true };
	struct rig *r = *state;
	struct client c = client_new(CLIENT_IP, 1234, "alice", ""), b = client_new(CLIENT_IP, 1234, "bob", "");
	static const struct rig_peer peer = { .ip = PEER_IP, .port = 5 };
	struct stun_msg m;
	unsigned sealed;

	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 0);
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &hidden, &sealed, &m), 0);
	assert_int_equal(sealed, 256);
	assert_int_equal(request(r, &c, STUN_CREATE_PERMISSION, put_peer, &peer, &hidden_old, &sealed, &m), 0);
	assert_int_equal(sealed, 1);
	assert_int_equal(request(r, &b, STUN_REFRESH, NULL, NULL, &hidden, &sealed, &m), 401);
	/* Also when the credential is over: the allocation keeps its key. */
	r->clock.wall_s += 90000;
	c.nonce_len = 0;
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &hidden, &sealed, &m), 0);
	uint32_t zero = 0;
	assert_int_equal(request(r, &c, STUN_REFRESH, put_lifetime, &zero, &hidden, &sealed, &m), 0);
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &hidden, &sealed, &m), 401);
}

/* --- the file of users --- */

static struct policy *with_users(const char *text)
{
	struct policy *p = rig_policy();
	char why[256];

	assert_ok(accounts_parse(str_from(text), STR(RIG_REALM), &p->accounts, why, sizeof(why)));
	return p;
}

static struct client account_client(uint16_t port, const char *name)
{
	struct client c = client_new(CLIENT_IP, port, name, "");

	(void)str_copy(str_from(name), c.username, sizeof(c.username));
	return c;
}

/* The password of a time-limited user name made of a name without expiry opens nothing, and the one of the file does. */
static void users_of_the_file(void **state)
{
	struct rig *r = *state;
	struct client c = account_client(1234, "carol"), other = account_client(1235, "mallory");
	char text[256], password[TURN_PASSWORD_LEN + 1];
	struct stun_msg m;
	unsigned sealed;

	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 401);
	/* The helper seals with the HMAC of the name: so that is carol's password here. */
	turn_cred_password(STR(RIG_SECRET), STR("carol"), password);
	(void)snprintf(text, sizeof(text), "carol:%s\nmallory:something else\n", password);
	set_policy(r, with_users(text));
	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 0);
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &old, &sealed, &m), 0);
	assert_int_equal(request(r, &other, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 401);
	assert_int_equal(request(r, &other, STUN_ALLOCATE, put_udp, NULL, &old, &sealed, &m), 401);
	/* Revocation goes by the name. */
	assert_int_equal(table_remove_user(r->relay->table, STR("carol"), STR_NONE), 1);
}

/* A user of the file is known by his hash before he has an allocation. */
static void userhash_of_the_file(void **state)
{
	const struct how hidden = { SHA256_HOW, .userhash = true };
	struct rig *r = *state;
	struct client c = account_client(1234, "carol"), rest = client_new(CLIENT_IP, 1235, "alice", "");
	char text[256], password[TURN_PASSWORD_LEN + 1];
	struct stun_msg m;
	unsigned sealed;

	turn_cred_password(STR(RIG_SECRET), STR("carol"), password);
	(void)snprintf(text, sizeof(text), "bob:x\ncarol:%s\n", password);
	struct policy *p = with_users(text);
	p->anonymity = true;
	p->user_allocations = 1;
	set_policy(r, p);
	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &hidden, &sealed, &m), 0);
	assert_int_equal(sealed, 256);
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &hidden, &sealed, &m), 0);
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &modern, &sealed, &m), 0);
	assert_int_equal(request(r, &rest, STUN_ALLOCATE, put_udp, NULL, &hidden, &sealed, &m), 401);
	assert_int_equal(request(r, &rest, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 0);
	/* The quota is that of the name, shown or hidden. */
	struct client again = account_client(1236, "carol");
	assert_int_equal(request(r, &again, STUN_ALLOCATE, put_udp, NULL, &hidden, &sealed, &m), 486);
	assert_int_equal(request(r, &again, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 486);
}

/* A user with one key is served by that algorithm alone. A user who was taken out keeps what is alive, unless
 * credentials must be valid with every request. */
static void keys_and_removal(void **state)
{
	struct rig *r = *state;
	struct client c = account_client(1234, "carol");
	struct turn_key key;
	char text[256];
	struct buf b = buf_fixed(text, sizeof(text) - 1);
	struct stun_msg m;
	unsigned sealed;

	assert_ok(turn_cred_key_as(STUN_PASSWORD_MD5, STR(RIG_SECRET), STR("carol"), STR(RIG_REALM), &key));
	buf_z(&b, "carol:md5=");
	hex_put(&b, key.bytes, key.len);
	text[b.len] = '\0';
	set_policy(r, with_users(text));
	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &modern, &sealed, &m), 401);
	assert_int_equal(request(r, &c, STUN_ALLOCATE, put_udp, NULL, &old, &sealed, &m), 0);
	set_policy(r, with_users("bob:x\n"));
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &old, &sealed, &m), 0);
	struct policy *p = with_users("bob:x\n");
	p->expiry_ends = true;
	set_policy(r, p);
	assert_int_equal(request(r, &c, STUN_REFRESH, NULL, NULL, &old, &sealed, &m), 401);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(challenges_are_small), T(stale_nonce_offers_again), T(password_comes_before_nonce),
		cmocka_unit_test(nonces_live_as_long_as_they_should), T(all_ways_to_seal), T(md5_by_name),
		T(changed_offer_is_a_stale_nonce), T(answers_are_sealed_in_kind), T(userhash_of_a_live_allocation), T(users_of_the_file),
		T(userhash_of_the_file), T(keys_and_removal),
	};

	return cmocka_run_group_tests(tests, rig_eal, NULL);
}
