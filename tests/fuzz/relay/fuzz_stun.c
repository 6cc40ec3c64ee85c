/* The STUN codec over any bytes: nothing is read outside, and what was read and is written again reads the same. */
#include <stdlib.h>

#include "common/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void write_again(const struct stun_msg *m)
{
	uint8_t out[STUN_MESSAGE_MAX];
	struct wr w = wr_of(out, sizeof(out));
	struct stun_msg back;

	stun_begin(&w, m->class, m->method, stun_tid(m));
	for (unsigned a = 0; a < STUN_ATTR_COUNT; a++) {
		if (stun_has(m, (enum stun_attr)a) && a != STUN_MESSAGE_INTEGRITY &&
		    a != STUN_MESSAGE_INTEGRITY_SHA256 && a != STUN_FINGERPRINT)
			stun_put(&w, (enum stun_attr)a, stun_bytes(m, (enum stun_attr)a));
	}
	stun_put_integrity(&w, STR("key"));
	stun_put_integrity256(&w, STR("key"));
	stun_put_fingerprint(&w);
	size_t len = stun_end(&w);
	if (len == 0)
		return;
	must(stun_parse(out, len, &back) == ERR_OK);
	must(back.fingerprint == STUN_FP_GOOD && stun_integrity_ok(&back, STR("key")) && !stun_integrity_ok(&back, STR("kez")));
	must(stun_integrity256_ok(&back, STR("key"), SHA256_LEN) && !stun_integrity256_ok(&back, STR("kez"), 16));
	for (unsigned a = 0; a < STUN_ATTR_COUNT; a++) {
		if (a != STUN_MESSAGE_INTEGRITY && a != STUN_MESSAGE_INTEGRITY_SHA256 && a != STUN_FINGERPRINT)
			must(str_eq(stun_bytes(m, (enum stun_attr)a), stun_bytes(&back, (enum stun_attr)a)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t types[STUN_UNKNOWN_MAX + STUN_ATTR_COUNT];
	struct stun_msg m;
	struct stun_addr addr;
	size_t cursor = 0;

	if (stun_parse(data, size, &m) != ERR_OK)
		return 0;
	for (unsigned a = 0; a < STUN_ATTR_COUNT; a++) {
		struct str v = stun_bytes(&m, (enum stun_attr)a);

		must(v.len == 0 || ((const uint8_t *)v.p >= data && (const uint8_t *)v.p + v.len <= data + size));
		(void)stun_u8(&m, (enum stun_attr)a);
		(void)stun_u32(&m, (enum stun_attr)a);
	}
	(void)stun_address(&m, STUN_XOR_MAPPED_ADDRESS, &addr);
	(void)stun_address(&m, STUN_MAPPED_ADDRESS, &addr);
	while (stun_next_peer(&m, &cursor, &addr) == ERR_OK)
		;
	must(stun_not_understood(&m, 0, types, ARRAY_LEN(types)) <= ARRAY_LEN(types));
	(void)stun_integrity_ok(&m, STR("key"));
	(void)stun_integrity256_ok(&m, STR("key"), 16);
	must(stun_error_code(&m) < 1000);
	write_again(&m);
	return 0;
}
