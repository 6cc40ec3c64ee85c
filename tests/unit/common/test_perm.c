/* common/perm: permissions as data, deny by default. */
#include "common/perm.h"
#include "tests/lib/cm.h"

static void every_name_finds_itself(void **state)
{
	(void)state;
	for (size_t i = 0; i < PERM_COUNT; i++) {
		enum perm p = PERM_COUNT;

		assert_ok(perm_from(str_from(perm_name((enum perm)i)), &p));
		assert_int_equal(p, i);
	}
	enum perm p = PERM_COUNT;
	assert_err(perm_from(STR("call.audi"), &p), ERR_NOT_FOUND);
	assert_err(perm_from(STR("CALL.AUDIO"), &p), ERR_NOT_FOUND);
	assert_err(perm_from(STR(""), &p), ERR_NOT_FOUND);
	assert_int_equal(p, PERM_COUNT);
}

static void lists_round_trip(void **state)
{
	char mem[512];

	(void)state;
	for (perm_set s = 0; s < 1u << PERM_COUNT; s++) {
		struct buf b = buf_fixed(mem, sizeof(mem));

		perm_put(&b, s);
		assert_err(buf_err(&b), ERR_OK);
		assert_int_equal(perm_parse(buf_view(&b)), s);
	}
}

static void unknown_names_grant_nothing(void **state)
{
	perm_set audio = 1u << PERM_CALL_AUDIO;

	(void)state;
	assert_int_equal(perm_parse(STR("call.audio,call.hologram")), audio);
	assert_int_equal(perm_parse(STR(" call.audio , chat.sendx")), audio);
	assert_int_equal(perm_parse(STR("*")), 0);
	assert_int_equal(perm_parse(STR("")), 0);
	assert_int_equal(perm_parse(STR_NONE), 0);
	assert_int_equal(perm_parse(STR(",,, ,")), 0);
	assert_int_equal(perm_parse(STR("call.audio call.video")), audio | 1u << PERM_CALL_VIDEO);
}

static void roles(void **state)
{
	perm_set user = 0, admin = 0, other = 77;

	(void)state;
	assert_ok(perm_role(STR("user"), &user));
	assert_ok(perm_role(STR("admin"), &admin));
	assert_true(perm_has(user, PERM_CALL_AUDIO) && perm_has(user, PERM_CALL_VIDEO) && perm_has(user, PERM_CHAT_SEND));
	assert_false(perm_has(user, PERM_USERS_READ) || perm_has(user, PERM_USERS_WRITE));
	assert_false(perm_has(user, PERM_CALLS_READ) || perm_has(user, PERM_CALLS_HANGUP));
	assert_int_equal(admin, (1u << PERM_COUNT) - 1);
	assert_err(perm_role(STR("root"), &other), ERR_NOT_FOUND);
	assert_err(perm_role(STR(""), &other), ERR_NOT_FOUND);
	assert_int_equal(other, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_finds_itself),
		cmocka_unit_test(lists_round_trip),
		cmocka_unit_test(unknown_names_grant_nothing),
		cmocka_unit_test(roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
