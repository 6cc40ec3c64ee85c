/* The PROXY header over any bytes: what is accepted lies inside what there is, is accepted at exactly its length and not
 * before, and does not change with what follows. */
#include "relay/proxy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h, again;
	enum err e = proxy_parse(data, size, &h);

	if (e == ERR_AGAIN)
		must(size < PROXY_HEADER_MAX);
	if (e != ERR_OK)
		return 0;
	must(h.len <= size && h.len <= PROXY_HEADER_MAX && h.len > 0);
	must(proxy_parse(data, h.len, &again) == ERR_OK && again.len == h.len && again.known == h.known);
	must(addr_eq(&h.client, &again.client) && h.client_port == again.client_port && h.server_port == again.server_port);
	for (size_t have = 0; have < h.len; have++)
		must(proxy_parse(data, have, &again) == ERR_AGAIN);
	return 0;
}
