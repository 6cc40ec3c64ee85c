/* common/rkeys: the names of Redis keys; other programs and stored data depend on every byte of them. */
#include "common/rkeys.h"
#include "tests/lib/cm.h"

#define assert_key(call, want)                     \
	do {                                       \
		struct rkey key_ = (call);         \
		assert_str(rkey_str(&key_), want); \
	} while (0)

static void names_are_as_documented(void **state)
{
	struct str u = STR("alice"), id = STR("00112233445566778899aabbccddeeff");

	(void)state;
	assert_key(rkey_user(u), "user:{alice}");
	assert_key(rkey_contacts(u), "contacts:{alice}");
	assert_key(rkey_history(u), "history:{alice}");
	assert_key(rkey_messages(u), "messages:{alice}");
	assert_key(rkey_certs(u), "cert:{alice}");
	assert_key(rkey_revoked(u), "revoked:{alice}");
	assert_key(rkey_session(u, id), "session:{alice}:00112233445566778899aabbccddeeff");
	assert_key(rkey_sessions(u), "sessions:{alice}");
	assert_key(rkey_ticket(STR("ff")), "ticket:ff");
	assert_key(rkey_location(u), "location:{alice}");
	assert_key(rkey_live(STR("n1.0")), "live:n1.0");
	assert_key(rkey_media(u, id), "media:{alice}:00112233445566778899aabbccddeeff");
	assert_key(rkey_answer(id), "answer:00112233445566778899aabbccddeeff");
	assert_key(rkey_peer(STR("n1.0")), "peers:n1.0");
	assert_key(rkey_rate("login", STR("192.0.2.1")), "rate:login:{192.0.2.1}");
}

/* All keys of a user share a hash tag, so that one script may touch them on a cluster: the text between the first { and the next }. */
static void keys_of_a_user_share_their_slot(void **state)
{
	struct str u = STR("a.b-c_d");
	struct rkey keys[] = { rkey_user(u),	 rkey_contacts(u),	  rkey_history(u),  rkey_messages(u), rkey_certs(u),
			       rkey_revoked(u), rkey_session(u, STR("00")), rkey_sessions(u), rkey_location(u) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct str k = rkey_str(&keys[i]);
		struct str tag = str_sub(k, str_find(k, '{') + 1, k.len);

		tag.len = str_find(tag, '}');
		assert_str(tag, "a.b-c_d");
		assert_int_equal(strlen(keys[i].z), keys[i].len);
	}
}

static void the_longest_user_fits(void **state)
{
	char name[USER_NAME_MAX];

	(void)state;
	memset(name, 'x', sizeof(name));
	struct rkey k = rkey_session(str_of(name, sizeof(name)), STR("00112233445566778899aabbccddeeff"));
	assert_true(k.len < RKEY_SIZE - 1);
	assert_int_equal(k.len, strlen("session:{}:") + USER_NAME_MAX + 32);
}

static void too_long_a_part_is_cut_not_overrun(void **state)
{
	char big[4 * RKEY_SIZE];

	(void)state;
	memset(big, 'y', sizeof(big));
	struct rkey k = rkey_ticket(str_of(big, sizeof(big)));
	assert_int_equal(k.len, RKEY_SIZE - 1);
	assert_int_equal(k.z[RKEY_SIZE - 1], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_as_documented),
		cmocka_unit_test(keys_of_a_user_share_their_slot),
		cmocka_unit_test(the_longest_user_fits),
		cmocka_unit_test(too_long_a_part_is_cut_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
