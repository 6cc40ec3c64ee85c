#include "signalling/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum err peer_address_parse(struct str text, unsigned offset, struct peer_address *out)
{
	struct peer_address a = { .len = 0 };
	bool v6 = text.len > 0 && text.p[0] == '[';
	size_t host_end = v6 ? str_find(text, ']') : str_find(text, ':');
	size_t colon = v6 ? host_end + 1 : host_end;
	char host[INET6_ADDRSTRLEN];
	uint64_t port;

	if (colon >= text.len || text.p[colon] != ':' || str_copy(str_sub(text, v6 ? 1 : 0, v6 ? host_end - 1 : host_end), host, sizeof(host)) != ERR_OK ||
	    str_to_u64(str_sub(text, colon + 1, text.len), UINT16_MAX, &port) != ERR_OK || port == 0 || port + offset > UINT16_MAX)
		return ERR_INVALID;
	struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;
	in_port_t net_port = htons((uint16_t)(port + offset));

	if (v6) {
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = net_port };
		a.len = sizeof(*in6);
	} else {
		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = net_port };
		a.len = sizeof(*in);
	}
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, v6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) != 1)
		return ERR_INVALID;
	*out = a;
	return ERR_OK;
}

void peer_address_put(struct buf *to, const struct peer_address *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;
	bool v6 = a->sa.ss_family == AF_INET6;
	char host[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(a->sa.ss_family, v6 ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr, host, sizeof(host));
	buf_printf(to, v6 ? "[%s]:%u" : "%s:%u", host, ntohs(v6 ? in6->sin6_port : in->sin_port));
}

bool peer_address_any(const struct peer_address *a)
{
	if (a->sa.ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->sa)->sin6_addr);
	return ((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr == htonl(INADDR_ANY);
}
