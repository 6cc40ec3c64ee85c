/* Character classes and the scanners that look at sixteen bytes at once: each class is what the RFC's grammar says, and
 * each scanner gives, for every length, position and neighbour, what a loop over single bytes gives, and reads nothing
 * outside its text. */
#include <stdlib.h>

#include "signalling/sip_char.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define MARK  "-_.!~*'()"

static const struct {
	unsigned bits;
	const char *members; /* RFC 3261 §25.1 */
} classes[] = {
	{ SIP_C_TOKEN, ALNUM "-.!%*_+`'~" },
	{ SIP_C_USER, ALNUM MARK "&=+$,;?/" },
	{ SIP_C_PARAM, ALNUM MARK "[]/:&+$" },
	{ SIP_C_HEADER, ALNUM MARK "[]/?:+$" },
	{ SIP_C_HOST, ALNUM "-." },
	{ SIP_C_WORD, ALNUM "-.!%*_+`'~()<>:\\\"/[]?{}" },
	{ SIP_C_HEX, "0123456789abcdefABCDEF" },
	{ SIP_C_DIGIT, "0123456789" },
	{ SIP_C_VALUE, ALNUM "-.!%*_+`'~:[]" },
};

static void classes_are_the_grammar(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(classes); k++)
		for (unsigned c = 0; c < 256; c++)
			if (sip_is((char)c, classes[k].bits) != (c != 0 && strchr(classes[k].members, (int)c) != NULL))
				fail_msg("class %zu, character %u", k, c);
	for (unsigned c = 0; c < 256; c++)
		assert_int_equal(sip_is((char)c, SIP_C_URI),
				 c > ' ' && c != 0x7f && c != '<' && c != '>' && c != '"');
}

static size_t slow_run(const char *p, size_t len, unsigned bits)
{
	size_t i = 0;

	while (i < len && sip_is(p[i], bits))
		i++;
	return i;
}

/* A run of a member, broken by each character at each place, in front of a page without access. */
static void runs_end_where_the_class_ends(void **state)
{
	struct guard g = guard_new(80);
	char text[80];

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(classes); k++) {
		for (size_t len = 0; len < 40; len++) {
			memset(text, classes[k].members[k], len);
			for (size_t at = 0; at <= len; at++) {
				for (unsigned c = 0; c < 256; c++) {
					char was = text[at];

					text[at] = (char)c;
					const char *p = guard_put(&g, text, len);
					size_t got = sip_run(p, len, classes[k].bits);

					if (got != slow_run(p, len, classes[k].bits))
						fail_msg("class %zu length %zu, %u at %zu: %zu", k, len, c, at, got);
					text[at] = was;
				}
			}
		}
	}
	guard_free(&g);
}

static void finds_the_first_of_four(void **state)
{
	struct guard g = guard_new(80);
	char text[80];

	(void)state;
	for (size_t len = 0; len < 60; len++) {
		memset(text, 'x', sizeof(text));
		for (size_t at = 0; at < len + 1; at++) {
			/* one that is found, and a second one behind it */
			text[at] = "\"<>,"[at % 4];
			for (size_t other = at; other < len + 1; other += 7) {
				char was = text[other];

				text[other] = ',';
				const char *p = guard_put(&g, text, len);

				assert_int_equal(sip_find_any(p, len, '"', '<', '>', ','), MIN(at, len));
				text[other] = was;
			}
			text[at] = 'x';
		}
	}
	guard_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_are_the_grammar),
		cmocka_unit_test(runs_end_where_the_class_ends),
		cmocka_unit_test(finds_the_first_of_four),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
