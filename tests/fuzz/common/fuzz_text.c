/* The small parsers of texts that come from outside: encodings of tokens, user names, permission lists, TURN user names, numbers, and the
 * escaping of the log. What is accepted must also come out again as it went in. */
#include <stdlib.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/perm.h"
#include "common/turn_cred.h"
#include "common/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void encodings(struct str s)
{
	uint8_t bytes[512];
	char text[1100];
	struct buf b = buf_fixed(text, sizeof(text));
	size_t len;

	if (base64url_get(s, bytes, sizeof(bytes), &len) == ERR_OK) {
		base64url_put(&b, bytes, len);
		require(str_eq(buf_view(&b), s));
	}
	buf_reset(&b);
	if (hex_get(s, bytes, sizeof(bytes), &len) == ERR_OK) {
		hex_put(&b, bytes, len);
		require(str_ieq(buf_view(&b), s));
	}
}

static void names(struct str s)
{
	char text[512];
	struct buf b = buf_fixed(text, sizeof(text));
	struct turn_cred c;
	uint64_t n;

	if (user_name_valid(s))
		require(s.len >= 2 && s.len <= USER_NAME_MAX && memchr(s.p, '}', s.len) == NULL);
	perm_set set = perm_parse(s);
	perm_put(&b, set);
	require(perm_parse(buf_view(&b)) == set);
	if (turn_cred_parse(s, 0, &c) == ERR_OK)
		require(c.expires_s > 0 && c.user.len + c.call.len < s.len);
	if (str_to_u64(s, UINT64_MAX, &n) == ERR_OK)
		require(s.len > 0);
}

static void log_line(struct str s)
{
	const char *v = log_value(s);

	require(strlen(v) < 256);
	for (; *v != '\0'; v++)
		require(*v >= ' ' && *v <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_of(data, size);

	encodings(s);
	names(s);
	log_line(s);
	return 0;
}
