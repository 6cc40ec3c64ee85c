/* Any frame: nothing outside it is read or written, and what is completed has a right checksum. */
#include <stdlib.h>

#include "relay/partial.h"
#include "relay/vlan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *frame = malloc(size + 1); /* never of size 0, and its end is its end */
	struct pkt p = { .data = frame, .len = (uint32_t)size };

	if (frame == NULL)
		abort();
	uint8_t *exact = realloc(frame, size > 0 ? size : 1);
	if (exact == NULL)
		abort();
	p.data = exact;
	if (size > 0)
		memcpy(exact, data, size);
	if (partial_complete(&p)) {
		uint32_t at = ETH_LEN + (be16_get(exact + ETH_LEN - 2) == ETHERTYPE_VLAN ? VLAN_TAG_LEN : 0);

		if (exact[at] >> 4 == 4 ? !udp_sum_ok(exact + at) : !udp6_sum_ok(exact + at))
			abort();
	}
	free(exact);
	return 0;
}
