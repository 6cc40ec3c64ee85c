#include "relay/rtnl.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#define ATTRS_MAX 32u

/* Attributes by number; those not seen are STR_NONE. */
struct attrs {
	struct str at[ATTRS_MAX];
};

bool rtnl_next(struct str *rest, struct rtnl_msg *out)
{
	struct nlmsghdr h;

	if (rest->len < sizeof(h))
		return false;
	memcpy(&h, rest->p, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > rest->len)
		return false;
	*out = (struct rtnl_msg){ .type = h.nlmsg_type,
				  .seq = h.nlmsg_seq,
				  .body = str_sub(*rest, sizeof(h), h.nlmsg_len - sizeof(h)) };
	*rest = str_sub(*rest, MIN((size_t)NLMSG_ALIGN(h.nlmsg_len), rest->len), rest->len);
	return true;
}

static bool read_attrs(struct str rest, struct attrs *out)
{
	memset(out, 0, sizeof(*out));
	while (rest.len >= sizeof(struct rtattr)) {
		struct rtattr a;

		memcpy(&a, rest.p, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > rest.len)
			return false;
		if ((a.rta_type & NLA_TYPE_MASK) < ATTRS_MAX)
			out->at[a.rta_type & NLA_TYPE_MASK] = str_sub(rest, sizeof(a), a.rta_len - sizeof(a));
		rest = str_sub(rest, MIN((size_t)RTA_ALIGN(a.rta_len), rest.len), rest.len);
	}
	return true;
}

static bool read_addr(uint8_t family, struct str s, struct addr *out)
{
	uint32_t v4;

	if (family == AF_INET && s.len == sizeof(v4)) {
		memcpy(&v4, s.p, sizeof(v4));
		*out = addr_v4(v4);
		return true;
	}
	if (family == AF_INET6 && s.len == sizeof(out->w)) {
		memcpy(out->w, s.p, sizeof(out->w));
		return true;
	}
	return false;
}

static uint32_t read_u32(struct str s, uint32_t otherwise)
{
	if (s.len == sizeof(otherwise))
		memcpy(&otherwise, s.p, sizeof(otherwise));
	return otherwise;
}

/* The fixed part of a message of one of two types, and its attributes. */
static enum err open_message(const struct rtnl_msg *m, uint16_t type, uint16_t or_type, void *fixed, size_t size, struct attrs *a)
{
	if (m->type != type && m->type != or_type)
		return ERR_UNSUPPORTED;
	if (m->body.len < size)
		return ERR_INVALID;
	memcpy(fixed, m->body.p, size);
	return read_attrs(str_sub(m->body, NLMSG_ALIGN(size), m->body.len), a) ? ERR_OK : ERR_INVALID;
}

enum err rtnl_read_addr(const struct rtnl_msg *m, struct rtnl_addr *out)
{
	const uint32_t passing = IFA_F_SECONDARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED;
	struct ifaddrmsg h;
	struct attrs a;
	struct addr addr;
	enum err e = open_message(m, RTM_NEWADDR, RTM_DELADDR, &h, sizeof(h), &a);

	if (e != ERR_OK)
		return e;
	if (h.ifa_family != AF_INET && h.ifa_family != AF_INET6)
		return ERR_UNSUPPORTED;
	/* On a link between two hosts IFA_ADDRESS is the other end. */
	struct str text = a.at[IFA_LOCAL].len > 0 ? a.at[IFA_LOCAL] : a.at[IFA_ADDRESS];
	if (!read_addr(h.ifa_family, text, &addr) || h.ifa_prefixlen > (h.ifa_family == AF_INET ? 32 : 128))
		return ERR_INVALID;
	*out = (struct rtnl_addr){ .addr = addr,
				   .bits = h.ifa_prefixlen,
				   .ifindex = h.ifa_index,
				   .lasting = h.ifa_scope == RT_SCOPE_UNIVERSE &&
					      (read_u32(a.at[IFA_FLAGS], h.ifa_flags) & passing) == 0 };
	return ERR_OK;
}

/* The first of several gateways that is on this interface. */
static void read_multipath(struct str rest, uint8_t family, uint32_t ifindex, struct rtnl_route *r)
{
	while (rest.len >= sizeof(struct rtnexthop)) {
		struct rtnexthop h;
		struct attrs a;

		memcpy(&h, rest.p, sizeof(h));
		if (h.rtnh_len < sizeof(h) || h.rtnh_len > rest.len)
			return;
		if ((uint32_t)h.rtnh_ifindex == ifindex && read_attrs(str_sub(rest, sizeof(h), h.rtnh_len - sizeof(h)), &a)) {
			r->ifindex = ifindex;
			if (!read_addr(family, a.at[RTA_GATEWAY], &r->gateway))
				r->gateway = (struct addr){ 0 };
			return;
		}
		rest = str_sub(rest, MIN((size_t)RTNH_ALIGN(h.rtnh_len), rest.len), rest.len);
	}
}

enum err rtnl_read_route(const struct rtnl_msg *m, uint32_t ifindex, struct rtnl_route *out)
{
	struct rtnl_route r = { 0 };
	struct rtmsg h;
	struct attrs a;
	enum err e = open_message(m, RTM_NEWROUTE, RTM_DELROUTE, &h, sizeof(h), &a);

	if (e != ERR_OK)
		return e;
	if ((h.rtm_family != AF_INET && h.rtm_family != AF_INET6) || h.rtm_type != RTN_UNICAST)
		return ERR_UNSUPPORTED;
	if (h.rtm_dst_len > (h.rtm_family == AF_INET ? 32 : 128))
		return ERR_INVALID;
	r.to.bits = (uint8_t)(h.rtm_family == AF_INET ? h.rtm_dst_len + 96 : h.rtm_dst_len);
	if (!read_addr(h.rtm_family, a.at[RTA_DST], &r.to.net)) {
		if (h.rtm_dst_len > 0)
			return ERR_INVALID;
		r.to.net = h.rtm_family == AF_INET ? addr_v4(0) : (struct addr){ 0 };
	}
	r.metric = read_u32(a.at[RTA_PRIORITY], 0);
	r.main = read_u32(a.at[RTA_TABLE], h.rtm_table) == RT_TABLE_MAIN;
	r.ifindex = read_u32(a.at[RTA_OIF], 0);
	if (a.at[RTA_MULTIPATH].len > 0)
		read_multipath(a.at[RTA_MULTIPATH], h.rtm_family, ifindex, &r);
	else if (!read_addr(h.rtm_family, a.at[RTA_GATEWAY], &r.gateway))
		r.gateway = (struct addr){ 0 };
	*out = r;
	return ERR_OK;
}

enum err rtnl_read_neigh(const struct rtnl_msg *m, struct rtnl_neigh *out)
{
	const uint16_t good = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
	struct rtnl_neigh n = { 0 };
	struct ndmsg h;
	struct attrs a;
	enum err e = open_message(m, RTM_NEWNEIGH, RTM_DELNEIGH, &h, sizeof(h), &a);

	if (e != ERR_OK)
		return e;
	if (h.ndm_family != AF_INET && h.ndm_family != AF_INET6)
		return ERR_UNSUPPORTED;
	if (!read_addr(h.ndm_family, a.at[NDA_DST], &n.ip))
		return ERR_INVALID;
	n.ifindex = (uint32_t)h.ndm_ifindex;
	/* A MAC with the group bit would not be that of a host. */
	if (a.at[NDA_LLADDR].len == ETH_ADDR_LEN && (a.at[NDA_LLADDR].p[0] & 1) == 0) {
		memcpy(n.mac, a.at[NDA_LLADDR].p, ETH_ADDR_LEN);
		n.usable = m->type == RTM_NEWNEIGH && (h.ndm_state & good) != 0;
	}
	*out = n;
	return ERR_OK;
}

static size_t put_header(uint8_t *out, size_t body, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr h = { .nlmsg_len = (uint32_t)(sizeof(h) + body),
			      .nlmsg_type = type,
			      .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
			      .nlmsg_seq = seq };

	memset(out, 0, RTNL_QUESTION_MAX);
	memcpy(out, &h, sizeof(h));
	return h.nlmsg_len;
}

size_t rtnl_ask_all(uint8_t out[RTNL_QUESTION_MAX], uint16_t type, uint8_t family, uint32_t seq)
{
	/* All three kinds begin with the family; the rest is zero, which asks for all. */
	static_assert(sizeof(struct rtmsg) == sizeof(struct ndmsg), "routes and neighbours have headers of one size");
	size_t body = type == RTM_GETADDR ? sizeof(struct ifaddrmsg) : sizeof(struct rtmsg);
	size_t len = put_header(out, body, type, NLM_F_DUMP, seq);

	out[sizeof(struct nlmsghdr)] = family;
	return len;
}

size_t rtnl_ask_use(uint8_t out[RTNL_QUESTION_MAX], uint32_t ifindex, const struct addr *ip, uint32_t seq)
{
	bool v4 = addr_is_v4(ip);
	struct ndmsg n = { .ndm_family = v4 ? AF_INET : AF_INET6, .ndm_ifindex = (int)ifindex, .ndm_flags = NTF_USE };
	struct rtattr a = { .rta_type = NDA_DST, .rta_len = (uint16_t)RTA_LENGTH(v4 ? 4 : 16) };
	size_t len = put_header(out, sizeof(n) + a.rta_len, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, seq);
	uint8_t *p = out + sizeof(struct nlmsghdr);

	memcpy(p, &n, sizeof(n));
	memcpy(p + sizeof(n), &a, sizeof(a));
	memcpy(p + sizeof(n) + sizeof(a), v4 ? &ip->w[3] : ip->w, v4 ? 4 : 16);
	return len;
}
