/* The stream between workers: cutting, the line of ours, and a round trip of whatever passes. Also flow tokens, stored bindings and addresses. */
#include <stdlib.h>

#include "signalling/peer.h"
#include "signalling/peer_address.h"
#include "signalling/reg_binding.h"
#include "signalling/sip_msg.h"

static const uint8_t key[FLOW_KEY_LEN] = { 7 };

static void round_trip(struct str message)
{
	struct flow flow = { .worker = "n1.1", .epoch = 5, .slot = 6, .generation = 7 };
	struct buf b = buf_growing(1u << 20);
	struct peer_envelope env;
	struct str got;

	if (peer_wrap(&b, message, STR("n1.0"), PEER_TO_FLOW, &flow, key) == ERR_OK) {
		if (peer_unwrap(b.p, b.len, key, &env, &got) != ERR_OK || !flow_eq(&env.flow, &flow) || got.len < message.len)
			abort();
	}
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct str in = str_of(p, len);
	size_t at = 0;
	struct flow flow;
	struct stored s;

	for (unsigned i = 0; i < 100 && at < len; i++) {
		size_t skip = 0, one = 0;

		if (sip_msg_measure(str_sub(in, at, len), &skip, &one) != ERR_OK || one == 0)
			break;
		if (skip + one > len - at)
			abort();
		char *copy = malloc(one);
		struct peer_envelope env;
		struct str message;
		if (copy == NULL)
			abort();
		memcpy(copy, p + at + skip, one);
		if (peer_unwrap(copy, one, key, &env, &message) == ERR_OK && message.len > one)
			abort();
		free(copy);
		round_trip(str_sub(in, at + skip, one));
		at += skip + one;
	}
	round_trip(in);
	if (flow_token_get(in, key, &flow) == ERR_OK && flow.worker[0] == '\0')
		abort();
	size_t half = str_find(in, '|');
	(void)!stored_get(str_sub(in, 0, half), str_sub(in, half + 1, len), &s);
	struct peer_address address;
	if (peer_address_parse(in, 1, &address) == ERR_OK) {
		char mem[PEER_ADDRESS_MAX];
		struct buf b = buf_fixed(mem, sizeof(mem));

		peer_address_put(&b, &address);
		if (b.overflow || peer_address_parse(buf_view(&b), 0, &address) != ERR_OK)
			abort();
	}
	return 0;
}
