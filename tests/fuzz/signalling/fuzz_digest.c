/* Credentials of a phone: whatever is accepted has all its parts inside the input, and checking it reads nothing else. Also nonces. */
#include <stdlib.h>

#include "signalling/digest.h"

static const uint8_t key[DIGEST_KEY_LEN] = { 7 };

static void inside(struct str part, struct str all)
{
	if (part.p < all.p || part.p + part.len > all.p + all.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct str in = str_of(p, len);
	struct digest d;
	uint64_t made;

	if (digest_parse(in, &d) == ERR_OK) {
		const struct str parts[] = { d.username, d.realm, d.nonce, d.uri, d.response, d.cnonce, d.nc_text };

		for (size_t i = 0; i < ARRAY_LEN(parts); i++)
			inside(parts[i], in);
		if (digest_ok(&d, STR("0123456789abcdef0123456789abcdef"), STR("INVITE")) && d.response.len != 32)
			abort();
		(void)digest_ok(&d, STR(""), STR("REGISTER"));
	}
	/* Nobody guesses a MAC of 128 bits. */
	if (digest_nonce_get(in, key, STR("place"), 1790000000000, &made) == ERR_OK)
		abort();
	return 0;
}
