#include "relay/proxy.h"

#include <arpa/inet.h>

#define V2_HEADER 16u
#define V1_MAX 107u /* with CR LF */

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

enum { V2_LOCAL = 0, V2_PROXY = 1, V2_INET = 1, V2_INET6 = 2, V2_STREAM = 1 };

static struct addr read_v4(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);
	uint32_t ip = 0;

	if (p != NULL)
		memcpy(&ip, p, sizeof(ip));
	return addr_v4(ip);
}

static struct addr read_v6(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 16);
	struct addr a = { 0 };

	if (p != NULL)
		memcpy(&a, p, sizeof(a));
	return a;
}

static enum err parse_v2(const uint8_t *p, size_t have, struct proxy_header *out)
{
	struct proxy_header h = { 0 };

	if (have < V2_HEADER)
		return ERR_AGAIN;
	unsigned command = p[12] & 15, family = p[13] >> 4, transport = p[13] & 15;
	uint32_t body = be16_get(p + 14);
	if (p[12] >> 4 != 2 || command > V2_PROXY)
		return ERR_INVALID;
	h.len = V2_HEADER + body;
	if (h.len > PROXY_HEADER_MAX)
		return ERR_TOO_LARGE;
	if (have < h.len)
		return ERR_AGAIN;
	if (command == V2_PROXY && transport == V2_STREAM && (family == V2_INET || family == V2_INET6)) {
		struct rd r = rd_of(p + V2_HEADER, body);

		h.client = family == V2_INET ? read_v4(&r) : read_v6(&r);
		h.server = family == V2_INET ? read_v4(&r) : read_v6(&r);
		h.client_port = rd_u16(&r);
		h.server_port = rd_u16(&r);
		if (r.bad)
			return ERR_INVALID;
		h.known = true;
	}
	*out = h;
	return ERR_OK;
}

static enum err text_addr(struct str word, int family, struct addr *out)
{
	char z[ADDR_TEXT_SIZE];
	struct in_addr v4;

	if (str_copy(word, z, sizeof(z)) != ERR_OK)
		return ERR_INVALID;
	if (family == AF_INET6)
		return inet_pton(AF_INET6, z, out) == 1 ? ERR_OK : ERR_INVALID;
	if (inet_pton(AF_INET, z, &v4) != 1)
		return ERR_INVALID;
	*out = addr_v4(v4.s_addr);
	return ERR_OK;
}

static enum err text_port(struct str word, uint16_t *out)
{
	uint64_t n;

	if (str_to_u64(word, UINT16_MAX, &n) != ERR_OK)
		return ERR_INVALID;
	*out = (uint16_t)n;
	return ERR_OK;
}

/* "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443" or "PROXY UNKNOWN …". */
static enum err parse_line(struct str line, struct proxy_header *h)
{
	(void)str_cut(&line, ' ');
	struct str family = str_cut(&line, ' ');
	int af = str_eq(family, STR("TCP4")) ? AF_INET : AF_INET6;

	if (str_eq(family, STR("UNKNOWN")))
		return ERR_OK;
	if (af == AF_INET6 && !str_eq(family, STR("TCP6")))
		return ERR_INVALID;
	if (text_addr(str_cut(&line, ' '), af, &h->client) != ERR_OK || text_addr(str_cut(&line, ' '), af, &h->server) != ERR_OK ||
	    text_port(str_cut(&line, ' '), &h->client_port) != ERR_OK || text_port(str_cut(&line, ' '), &h->server_port) != ERR_OK ||
	    line.p != NULL)
		return ERR_INVALID;
	h->known = true;
	return ERR_OK;
}

static enum err parse_v1(const uint8_t *p, size_t have, struct proxy_header *out)
{
	struct proxy_header h = { 0 };
	struct str text = str_of(p, MIN(have, (size_t)V1_MAX));
	size_t end = str_find(text, '\n');

	if (end == text.len)
		return have < V1_MAX ? ERR_AGAIN : ERR_TOO_LARGE;
	if (end == 0 || text.p[end - 1] != '\r')
		return ERR_INVALID;
	enum err e = parse_line(str_sub(text, 0, end - 1), &h);
	if (e != ERR_OK)
		return e;
	h.len = (uint32_t)end + 1;
	*out = h;
	return ERR_OK;
}

enum err proxy_parse(const uint8_t *p, size_t have, struct proxy_header *out)
{
	static const char text[] = "PROXY ";

	if (memcmp(p, signature, MIN(have, sizeof(signature))) == 0)
		return parse_v2(p, have, out);
	if (memcmp(p, text, MIN(have, sizeof(text) - 1)) == 0)
		return have < sizeof(text) - 1 ? ERR_AGAIN : parse_v1(p, have, out);
	return ERR_INVALID;
}
