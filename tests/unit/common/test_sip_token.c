/* common/sip_token: tokens that only our secret makes, for a while. */
#include "common/sip_token.h"

#include "tests/lib/cm.h"

#define NOW 1790000000u

static const struct str secret = { "a secret", 8 }, other = { "another", 7 };

static struct sip_token example(void)
{
	return (struct sip_token){ .user = "alice", .session = "0123456789abcdef0123456789abcdef", .revision = 7, .expires_s = NOW + 300,
				   .perms = 1u << PERM_CALL_AUDIO | 1u << PERM_CHAT_SEND };
}

static struct str made(char mem[SIP_TOKEN_MAX])
{
	struct buf b = buf_fixed(mem, SIP_TOKEN_MAX);
	struct sip_token t = example();

	sip_token_put(&b, &t, secret);
	assert_false(b.overflow);
	return buf_view(&b);
}

static void there_and_back(void **state)
{
	char mem[SIP_TOKEN_MAX];
	struct sip_token want = example(), got;

	(void)state;
	assert_ok(sip_token_get(made(mem), secret, NOW, &got));
	assert_string_equal(got.user, want.user);
	assert_string_equal(got.session, want.session);
	assert_int_equal(got.revision, 7);
	assert_int_equal(got.expires_s, NOW + 300);
	assert_int_equal(got.perms, want.perms);
}

static void it_ends(void **state)
{
	char mem[SIP_TOKEN_MAX];
	struct sip_token got;

	(void)state;
	assert_ok(sip_token_get(made(mem), secret, NOW + 299, &got));
	assert_err(sip_token_get(made(mem), secret, NOW + 300, &got), ERR_EXPIRED);
}

static void nobody_else_makes_one(void **state)
{
	char mem[SIP_TOKEN_MAX];
	struct str token = made(mem);
	struct sip_token got;

	(void)state;
	assert_err(sip_token_get(token, other, NOW, &got), ERR_INVALID);
	for (size_t i = 0; i < token.len; i++) {
		char was = mem[i];

		mem[i] = was == 'A' ? 'B' : 'A';
		assert_err(sip_token_get(token, secret, NOW, &got), ERR_INVALID);
		mem[i] = was;
		assert_err(sip_token_get(str_sub(token, 0, i), secret, NOW, &got), ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(it_ends),
		cmocka_unit_test(nobody_else_makes_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
