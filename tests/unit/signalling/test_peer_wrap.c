/* signalling/peer_wrap: the line that workers put into messages, and its removal. */
#include "signalling/peer.h"
#include "signalling/sip_msg.h"

#include "tests/lib/cm.h"

static const uint8_t key[FLOW_KEY_LEN] = { 7 };
static const struct flow flow = { .worker = "n1.1", .epoch = 5, .slot = 6, .generation = 7 };

#define HEAD "MESSAGE sip:b@x SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n"
#define WHOLE HEAD "Content-Length: 2\r\n\r\nhi"

static struct buf wrapped(struct str message, enum peer_kind kind)
{
	struct buf b = buf_growing(4096);

	assert_ok(peer_wrap(&b, message, STR("n1.0"), kind, kind == PEER_PLAIN || kind == PEER_HELLO ? NULL : &flow, key));
	return b;
}

static void there_and_back(void **state)
{
	static const enum peer_kind kinds[] = { PEER_PLAIN, PEER_TO_FLOW, PEER_FROM_FLOW, PEER_HELLO };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct buf b = wrapped(STR(WHOLE), kinds[i]);
		struct peer_envelope env;
		struct str message;
		size_t skip = 0, len = 0;

		assert_ok(sip_msg_measure(buf_view(&b), &skip, &len));
		assert_int_equal(len, b.len);
		assert_ok(peer_unwrap(b.p, b.len, key, &env, &message));
		assert_int_equal(env.kind, kinds[i]);
		assert_str(env.sender, "n1.0");
		assert_str(message, WHOLE);
		assert_int_equal(flow_eq(&env.flow, &flow), kinds[i] == PEER_TO_FLOW || kinds[i] == PEER_FROM_FLOW);
		buf_fini(&b);
	}
}

/* RFC 7118 does not ask clients for a Content-Length; a stream cannot be cut without. */
static void a_length_is_added_if_there_is_none(void **state)
{
	struct buf b = wrapped(STR(HEAD "\r\nhi"), PEER_PLAIN);
	struct peer_envelope env;
	struct str message;
	size_t skip = 0, len = 0;

	(void)state;
	assert_ok(sip_msg_measure(buf_view(&b), &skip, &len));
	assert_int_equal(len, b.len);
	assert_ok(peer_unwrap(b.p, b.len, key, &env, &message));
	assert_str(message, "MESSAGE sip:b@x SIP/2.0\r\nContent-Length: 2\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n\r\nhi");
	buf_fini(&b);
}

/* What a client writes under the name stays where it was: behind ours, where nobody looks. */
static void a_client_cannot_speak_as_a_worker(void **state)
{
	struct buf b = wrapped(STR("MESSAGE sip:b@x SIP/2.0\r\nX-Duplex-Peer: evil - -\r\nContent-Length: 0\r\n\r\n"), PEER_TO_FLOW);
	struct peer_envelope env;
	struct str message;

	(void)state;
	assert_ok(peer_unwrap(b.p, b.len, key, &env, &message));
	assert_str(env.sender, "n1.0");
	assert_str(message, "MESSAGE sip:b@x SIP/2.0\r\nX-Duplex-Peer: evil - -\r\nContent-Length: 0\r\n\r\n");
	buf_fini(&b);
}

static void what_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"Via: x\r\n",
		"X-Duplex-Peer: \r\n",
		"X-Duplex-Peer: n1.0\r\n",
		"X-Duplex-Peer: n1.0 -\r\n",
		"X-Duplex-Peer: n1.0 - x\r\n",
		"X-Duplex-Peer: n1.0 to -\r\n",
		"X-Duplex-Peer: n1.0 to AAAA\r\n",
		"X-Duplex-Peer: n1.0 at -\r\n",
		"X-Duplex-Peer: n1.0 hello\r\n",
		"X-Duplex-Peer: n1.0 hello x\r\n",
		"X-Duplex-Peer:  - -\r\n",
		"X-Duplex-Peer: 12345678901234567890123456789012 - -\r\n",
		"X-Duplex-Peer: n1.0 - -\n",
		"X-Duplex-Peer: n1.0 - -",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct buf b = buf_growing(1024);
		struct peer_envelope env;
		struct str message;

		buf_z(&b, "SIP/2.0 200 OK\r\n");
		buf_z(&b, lines[i]);
		assert_err(peer_unwrap(b.p, b.len, key, &env, &message), ERR_INVALID);
		buf_fini(&b);
	}
	struct buf b = buf_growing(1024);
	assert_err(peer_wrap(&b, STR("no end"), STR("n1.0"), PEER_PLAIN, NULL, key), ERR_INVALID);
	assert_err(peer_wrap(&b, STR(""), STR("n1.0"), PEER_PLAIN, NULL, key), ERR_INVALID);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(a_length_is_added_if_there_is_none),
		cmocka_unit_test(a_client_cannot_speak_as_a_worker),
		cmocka_unit_test(what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
