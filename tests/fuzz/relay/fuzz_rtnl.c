/* What comes over rtnetlink, and the kernel's files about ports (first byte: which). Nothing is read outside, whatever it is. */
#include <stdlib.h>

#include "relay/kports.h"
#include "relay/rtnl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void messages(struct str rest)
{
	struct rtnl_msg m;
	struct rtnl_addr a;
	struct rtnl_route r;
	struct rtnl_neigh n;

	while (rtnl_next(&rest, &m)) {
		if (rtnl_read_addr(&m, &a) == ERR_OK && a.bits > 128)
			abort();
		if (rtnl_read_route(&m, 2, &r) == ERR_OK && r.to.bits > 128)
			abort();
		if (rtnl_read_neigh(&m, &n) == ERR_OK && n.usable && (n.mac[0] & 1) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kports k;
	struct str text = str_of(data + 1, size > 0 ? size - 1 : 0);

	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		messages(text);
		break;
	case 1:
		if (kports_parse_range(text, &k) == ERR_OK && k.first > k.last)
			abort();
		break;
	case 2:
		(void)kports_parse_reserved(text, &k);
		break;
	case 3:
		(void)kports_parse_sockets(text, &k);
		break;
	}
	return 0;
}
