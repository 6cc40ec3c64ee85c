/* A connection is its user: what a client may say about who it is (RFC 3325 §4, §9.1), and what we say in its name.
 * Owner: the worker's thread. */
#include "signalling/proxy_int.h"

#include "common/log.h"

enum err proxy_user_of(const struct proxy *p, const struct sip_msg *m, enum sip_hdr h, char name[USER_NAME_SIZE])
{
	struct sip_addr a;
	struct sip_uri u;
	enum err e = sip_msg_addr_uri(m, h, &a, &u);

	return e == ERR_OK ? sip_uri_user_name(&u, p->config.domain, name, USER_NAME_SIZE) : e;
}

static bool is_user(const struct proxy *p, struct str value, struct str user)
{
	char name[USER_NAME_SIZE];
	struct sip_addr a;
	struct sip_uri u;

	return sip_addr_uri_parse(value, &a, &u) == ERR_OK &&
	       sip_uri_user_name(&u, p->config.domain, name, sizeof(name)) == ERR_OK && str_eq(str_from(name), user);
}

/* Every value of a list header must be the user. */
static bool all_are_user(const struct proxy *p, const struct sip_msg *m, enum sip_hdr h, struct str user)
{
	struct sip_list it = sip_list(m, h);
	struct str v;

	while (sip_list_next(&it, &v))
		if (!is_user(p, v, user))
			return false;
	return true;
}

/* A Contact in our domain (a GRUU) must be the user's own. One in .invalid is a browser's that has no GRUU (RFC 7118
 * §5): it names nobody. A phone's is its own address, which we never go by: requests to it take its flow.
 * "*" belongs to REGISTER. */
static bool contacts_are_user(const struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	struct sip_list it = sip_list(m, SIP_H_CONTACT);
	struct str v, suffix = STR(".invalid");
	struct sip_addr a;
	struct sip_uri u;

	while (sip_list_next(&it, &v)) {
		if (m->method == SIP_REGISTER && str_eq(v, STR("*")))
			continue;
		if (sip_addr_uri_parse(v, &a, &u) != ERR_OK)
			return false;
		if (u.host.len > suffix.len && str_ieq(str_sub(u.host, u.host.len - suffix.len, suffix.len), suffix))
			continue;
		if (from->phone && !str_ieq(u.host, p->config.domain))
			continue;
		if (!is_user(p, v, from->user))
			return false;
	}
	return true;
}

static enum err forged(struct proxy *p, const struct origin *from, const struct sip_msg *m, enum proxy_counter counter,
		       const char *phrase)
{
	proxy_count(p, counter);
	log_event(LOG_INFO, "request-forged", "user=%s method=%s why=%s", log_value(from->user),
		  log_value(m->method_text), log_value(str_from(phrase)));
	proxy_refuse(p, &from->flow, m, 403, phrase, STR_NONE);
	return ERR_FORBIDDEN;
}

enum err proxy_check_identity(struct proxy *p, const struct origin *from, const struct sip_msg *m)
{
	char name[USER_NAME_SIZE];
	struct sip_list vias = sip_list(m, SIP_H_VIA);
	struct str v;

	if (proxy_user_of(p, m, SIP_H_FROM, name) != ERR_OK || !str_eq(str_from(name), from->user))
		return forged(p, from, m, PROXY_C_FORGED_FROM, "From is not you");
	if (!all_are_user(p, m, SIP_H_P_ASSERTED_IDENTITY, from->user) ||
	    !all_are_user(p, m, SIP_H_P_PREFERRED_IDENTITY, from->user) ||
	    !all_are_user(p, m, SIP_H_REMOTE_PARTY_ID, from->user))
		return forged(p, from, m, PROXY_C_FORGED_IDENTITY, "Identity is not you");
	if (!contacts_are_user(p, from, m))
		return forged(p, from, m, PROXY_C_FORGED_IDENTITY, "Contact is not you");
	/* A browser is the first hop: below its Via there is nothing, so nothing that it wrote there can steer a
	 * response. */
	if (sip_list_next(&vias, &v) && sip_list_next(&vias, &v))
		return forged(p, from, m, PROXY_C_FORGED_ROUTE, "More than one Via");
	return ERR_OK;
}

void proxy_edit_identity(struct proxy *p, struct sip_edit *e, struct str user)
{
	static const enum sip_hdr ours[] = { SIP_H_ROUTE,         SIP_H_RECORD_ROUTE,        SIP_H_PATH,
					     SIP_H_SERVICE_ROUTE, SIP_H_P_ASSERTED_IDENTITY, SIP_H_P_PREFERRED_IDENTITY,
					     SIP_H_REMOTE_PARTY_ID, SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION };

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		sip_edit_drop(e, ours[i]);
	sip_edit_drop_prefix(e, STR("X-Duplex-"));
	sip_edit_append(e, "P-Asserted-Identity: <sip:%.*s@%.*s>\r\n", STR_FMT(user), STR_FMT(p->config.domain));
}
