/* api/settings: what follows from the options, and what is refused. */
#include "api/settings.h"

#include <stdlib.h>

#include "tests/lib/cm.h"

static struct settings with(const char *key, const char *value)
{
	struct settings s = { 0 };

	for (size_t i = 0; i < settings_count; i++) {
		const struct conf_option *o = &settings_table[i];
		const char *text = o->preset != NULL                   ? o->preset
				   : strcmp(o->key, "public-url") == 0 ? "https://a.example:8443"
								       : "/x";

		if (o->type == CONF_UINT || o->type == CONF_BOOL)
			continue;
		*(char **)(void *)((char *)&s + o->offset) = strdup(strcmp(o->key, key) == 0 ? value : text);
	}
	return s;
}

static void what_follows_is_worked_out(void **state)
{
	struct settings s = with("public-url", " https://a.example:8443,https://b.example  ");
	char why[256];

	(void)state;
	assert_ok(settings_check(&s, why, sizeof(why)));
	assert_int_equal(s.origins, 2);
	assert_str(s.origin[1], "https://b.example");
	assert_string_equal(s.websocket, "wss://a.example:8443/sip");
	assert_string_equal(s.socket_path, "/x/api.sock");
	assert_string_equal(s.metrics_path, "/x/metrics.api.sock");
	assert_int_equal(s.mode, 0660);
	assert_true(s.signup_open);
	assert_false(s.certificates);
	assert_int_equal(s.turn_url_count, 0);
	settings_free(&s);
}

static void nonsense_is_refused_with_its_name(void **state)
{
	static const char *const rows[][2] = {
		{ "public-url", "" },         { "public-url", "https://a/" }, { "public-url", "a.example" },
		{ "public-url", "https://" }, { "certificate-url", "cert" },  { "turn-urls", "stun:x" },
		{ "media-policy", "bridge" }, { "signup", "maybe" },          { "socket-mode", "rw" },
		{ "socket-mode", "1777" },    { "log-level", "loud" },        { "users-ca-cert", "/x.crt" },
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct settings s = with(rows[i][0], rows[i][1]);

		assert_err(settings_check(&s, why, sizeof(why)), ERR_INVALID);
		if (strstr(why, rows[i][0]) == NULL)
			fail_msg("%s: %s", rows[i][0], why);
		settings_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_follows_is_worked_out),
		cmocka_unit_test(nonsense_is_refused_with_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
