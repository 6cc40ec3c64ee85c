/* GET /me/call-config: all that a page needs for one call. The TURN credentials carry the call's Session-ID
 * (RFC 7989), new each time. */
#include <stdio.h>

#include "api/handlers.h"
#include "api/profile.h"
#include "api/reply.h"
#include "common/clock.h"
#include "common/turn_cred.h"

static json_t *ice_servers(const struct settings *set, struct str user, struct str call, uint64_t expires_s)
{
	char name[TURN_USERNAME_MAX], password[TURN_PASSWORD_LEN + 1];
	struct buf b = buf_fixed(name, sizeof(name));
	json_t *urls = json_array();

	for (size_t i = 0; i < set->turn_url_count; i++)
		(void)json_array_append_new(urls, reply_str(set->turn_url[i]));
	if (set->turn_url_count == 0) {
		json_decref(urls);
		return json_array();
	}
	turn_cred_username(&b, expires_s, user, call);
	turn_cred_password(str_from(set->turn_secret), buf_view(&b), password);
	json_t *servers = json_pack("[{s:o, s:o, s:s}]", "urls", urls, "username", reply_str(buf_view(&b)), "credential", password);
	explicit_bzero(password, sizeof(password));
	return servers;
}

enum err h_call_config(struct req *r)
{
	const struct settings *set = r->set;
	uint64_t expires_s = r->now_ms / MS_PER_S + set->turn_ttl_s;
	uint8_t id[TURN_CALL_LEN / 2];
	char call[TURN_CALL_LEN];
	struct buf b = buf_fixed(call, sizeof(call));

	crypto_random(id, sizeof(id));
	hex_put(&b, id, sizeof(id));
	return reply_json(
		r, 200,
		json_pack("{s:o, s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:I, s:o}", "address_of_record",
			  json_sprintf("sip:%s@%s", r->who.user, set->domain), "domain", set->domain, "websocket_url", set->websocket,
			  "contacts_uri", json_sprintf("sip:contacts@%s", set->domain), "ice_servers",
			  ice_servers(set, req_user(r), buf_view(&b), expires_s), "ice_transport_policy",
			  strcmp(set->media_policy, "relay") == 0 ? "relay" : "all", "media_policy", set->media_policy, "session_id",
			  reply_str(buf_view(&b)), "expires_at", reply_time_json(expires_s * MS_PER_S), "ring_timeout_s",
			  (json_int_t)set->ring_timeout_s, "permissions", profile_perms(r->who.perms)));
}
