/* Our Record-Route, and messages that are for another worker (RFC 3261 §16.6 step 4, §16.12). Owner: the worker's
 * thread.
 *
 * Record-Route: <sip:WORKER~EPOCH~TIME~MAC@DOMAIN;lr>: whose call it is, that worker's boot, when the call began (s).
 * MAC: 120 bits of HMAC-SHA256 over these, Call-ID and both users, so that it serves these two in this one dialog and
 * for nothing else, even when nobody remembers the call. */
#include "signalling/proxy_int.h"

#include "signalling/account.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/crypto.h"

#define MAC_BYTES 15u
#define MAC_CHARS 20u

static void put_part(struct buf *text, struct str part)
{
	buf_str(text, part);
	buf_char(text, '\0');
}

/* `head` is all before the MAC. */
static void mac_put(struct proxy *p, struct str head, struct str call_id, const char *a, const char *b, struct buf *out)
{
	struct buf text = buf_growing(2 * SIP_MSG_MAX);
	uint8_t mac[SHA256_LEN];
	bool swap = strcmp(a, b) > 0; /* the same for requests of either side */

	put_part(&text, STR("record-route"));
	put_part(&text, head);
	put_part(&text, str_from(swap ? b : a));
	put_part(&text, str_from(swap ? a : b));
	put_part(&text, call_id);
	crypto_hmac_sha256(p->config.secret, buf_view(&text), mac);
	/* Without memory: a MAC that nobody accepts. */
	if (text.overflow)
		crypto_random(mac, sizeof(mac));
	buf_fini(&text);
	base64url_put(out, mac, MAC_BYTES);
}

void proxy_record_route_put(struct proxy *p, struct str call_id, const char *caller, const char *callee,
			    struct buf *out)
{
	char mem[128];
	struct buf head = buf_fixed(mem, sizeof(mem));

	buf_printf(&head, "%.*s~%" PRIu64 "~%" PRIu64, STR_FMT(p->config.worker), p->config.epoch,
		   p->ops->wall_ms(p->host) / MS_PER_S);
	buf_printf(out, "<sip:%.*s~", STR_FMT(buf_view(&head)));
	mac_put(p, buf_view(&head), call_id, caller, callee, out);
	buf_printf(out, "@%.*s;lr>", STR_FMT(p->config.domain));
}

/* ERR_FORBIDDEN unless `uri` is a Route of ours for this dialog. */
static enum err route_of(struct proxy *p, const struct sip_msg *m, struct str uri, struct proxy_route *out)
{
	char mem[MAC_CHARS], from[USER_NAME_SIZE], to[USER_NAME_SIZE];
	struct buf mac = buf_fixed(mem, sizeof(mem));
	struct proxy_route route;
	struct sip_uri u;

	if (sip_uri_parse(uri, &u) != ERR_OK || !str_ieq(u.host, p->config.domain) || u.user.len <= MAC_CHARS + 1 ||
	    str_find(u.user, '~') == u.user.len || proxy_user_of(p, m, SIP_H_FROM, from) != ERR_OK ||
	    proxy_user_of(p, m, SIP_H_TO, to) != ERR_OK)
		return ERR_FORBIDDEN;
	struct str head = str_sub(u.user, 0, u.user.len - MAC_CHARS - 1);
	struct str given = str_sub(u.user, head.len + 1, MAC_CHARS);

	mac_put(p, head, m->call_id, from, to, &mac);
	if (mac.overflow || u.user.p[head.len] != '~' || !crypto_equal(given.p, mem, MAC_CHARS))
		return ERR_FORBIDDEN;
	/* It is ours, so it is well formed. */
	route.worker = str_cut(&head, '~');
	if (head.p == NULL || str_to_u64(str_cut(&head, '~'), UINT64_MAX, &route.epoch) != ERR_OK || head.p == NULL ||
	    str_to_u64(head, UINT64_MAX, &route.made_s) != ERR_OK)
		return ERR_FORBIDDEN;
	*out = route;
	return ERR_OK;
}

enum err proxy_route_get(struct proxy *p, const struct sip_msg *m, struct proxy_route *out)
{
	struct sip_addr a;
	enum err e = sip_msg_addr(m, SIP_H_ROUTE, &a);

	if (e != ERR_OK)
		return e == ERR_NOT_FOUND ? e : ERR_FORBIDDEN;
	return route_of(p, m, a.uri, out);
}

bool proxy_route_strict(struct proxy *p, const struct sip_msg *m)
{
	struct proxy_route route;

	return m->first[SIP_H_ROUTE] != 0 && route_of(p, m, m->uri, &route) == ERR_OK;
}

bool proxy_route_ours(struct proxy *p, const struct sip_msg *m)
{
	struct proxy_route route;

	return proxy_route_get(p, m, &route) == ERR_OK;
}

enum err proxy_hand_on(struct proxy *p, const struct origin *from, const struct sip_msg *m, struct str worker)
{
	struct sip_edit e;
	char mem[256];
	struct buf permissions = buf_fixed(mem, sizeof(mem)), out = buf_growing(2 * SIP_MSG_MAX);

	sip_edit_init(&e, m);
	sip_edit_drop_prefix(&e, STR("X-Duplex-"));

	perm_put(&permissions, from->perms);
	sip_edit_append(&e, SESSION_HEADER ": %.*s\r\n" PERMISSIONS_HEADER ": %.*s\r\n", STR_FMT(from->session),
			STR_FMT(buf_view(&permissions)));
	enum err err = sip_edit_put(&e, &out);

	if (err == ERR_OK)
		err = p->ops->send_worker(p->host, worker, &from->flow, buf_view(&out));
	buf_fini(&out);
	if (err == ERR_OK) {
		account_passed(txn_layer_account(p->txns), m->request ? m->method : sip_method_from(m->method_text), !m->request);
		account_settle(txn_layer_account(p->txns), FATE_RELAYED);
	}
	return err;
}

struct str proxy_session(const struct origin *from, const struct sip_msg *m)
{
	return from->peer.len > 0 ? sip_msg_other(m, STR(SESSION_HEADER)) : from->session;
}

perm_set proxy_permissions(const struct origin *from, const struct sip_msg *m)
{
	return from->peer.len > 0 ? perm_parse(sip_msg_other(m, STR(PERMISSIONS_HEADER))) : from->perms;
}
