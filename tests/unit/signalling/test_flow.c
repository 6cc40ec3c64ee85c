/* signalling/flow: tokens that only our key makes and that name exactly one flow. */
#include "signalling/flow.h"

#include "common/crypto.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

static const uint8_t key[FLOW_KEY_LEN] = { 1, 2, 3 }, other_key[FLOW_KEY_LEN] = { 1, 2, 4 };

static struct flow example(void)
{
	return (struct flow){ .worker = "n1.0", .epoch = 1790000000123, .slot = 70000, .generation = 9 };
}

static struct str token_of(const struct flow *f, char mem[FLOW_TOKEN_MAX])
{
	struct buf b = buf_fixed(mem, FLOW_TOKEN_MAX);

	flow_token_put(&b, f, key);
	assert_false(b.overflow);
	return buf_view(&b);
}

static void there_and_back(void **state)
{
	char mem[FLOW_TOKEN_MAX];
	struct flow f = example(), longest = { .epoch = UINT64_MAX, .slot = UINT32_MAX, .generation = UINT32_MAX }, got;

	(void)state;
	assert_ok(flow_token_get(token_of(&f, mem), key, &got));
	assert_true(flow_eq(&f, &got));
	memset(longest.worker, 'w', WORKER_NAME_MAX);
	assert_ok(flow_token_get(token_of(&longest, mem), key, &got));
	assert_true(flow_eq(&longest, &got));
	assert_false(flow_eq(&f, &longest));
}

/* It goes into a SIP URI's user part, a Redis hash and a line of text as it is. */
static void it_needs_no_escape(void **state)
{
	char mem[FLOW_TOKEN_MAX];
	struct flow f = example();
	struct str token = token_of(&f, mem);

	(void)state;
	for (size_t i = 0; i < token.len; i++)
		assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", token.p[i]));
}

static void any_change_is_noticed(void **state)
{
	char mem[FLOW_TOKEN_MAX], changed[FLOW_TOKEN_MAX];
	struct flow f = example(), got;
	struct str token = token_of(&f, mem);
	struct guard g = guard_new(FLOW_TOKEN_MAX);

	(void)state;
	assert_err(flow_token_get(token, other_key, &got), ERR_INVALID);
	for (size_t i = 0; i < token.len; i++) {
		memcpy(changed, token.p, token.len);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		assert_err(flow_token_get(str_of(changed, token.len), key, &got), ERR_INVALID);
		assert_err(flow_token_get(str_of(guard_put(&g, token.p, i), i), key, &got), ERR_INVALID);
	}
	guard_free(&g);
}

/* A right MAC over nonsense: another version, no name, too long a name, a NUL in it. */
static void content_is_checked_behind_the_mac(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "\2" "12345678" "1234" "1234" "n1.0", 21 },
		{ "\1" "12345678" "1234" "1234", 17 },
		{ "\1" "12345678" "1234" "12", 15 },
		{ "\1" "12345678" "1234" "1234" "n1\0x", 21 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char mem[FLOW_TOKEN_MAX], raw[64];
		uint8_t sum[SHA256_LEN];
		struct buf b = buf_fixed(mem, sizeof(mem));
		struct flow got;

		crypto_hmac_sha256(str_of(key, sizeof(key)), str_of(cases[i].bytes, cases[i].len), sum);
		memcpy(raw, cases[i].bytes, cases[i].len);
		memcpy(raw + cases[i].len, sum, 10);
		base64url_put(&b, raw, cases[i].len + 10);
		assert_err(flow_token_get(buf_view(&b), key, &got), ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(it_needs_no_escape),
		cmocka_unit_test(any_change_is_noticed),
		cmocka_unit_test(content_is_checked_behind_the_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
