/* POST /sessions, POST /sessions/certificate, DELETE /sessions/current: logging in and out. */
#include "api/app.h"
#include "api/auth.h"
#include "api/certs.h"
#include "api/handlers.h"
#include "api/input.h"
#include "api/profile.h"
#include "api/reply.h"
#include "api/throttle.h"
#include "api/tickets.h"
#include "common/clock.h"
#include "common/log.h"

struct login {
	struct str username, password, ticket;
};

static const struct field fields[] = {
	{ "username", INPUT_TEXT, false, check_username, offsetof(struct login, username) },
	{ "password", INPUT_TEXT, false, check_password_given, offsetof(struct login, password) },
	{ "ticket", INPUT_TEXT, false, check_ticket, offsetof(struct login, ticket) },
};

static enum err open_session(struct req *r, struct user *u, struct str password, struct str serial)
{
	struct session_new n = {
		.user = str_from(u->name),
		.password = password,
		.certificate = serial,
		.address = r->http->address,
		.agent = r->http->agent,
		.now_ms = r->now_ms,
		.idle_ms = r->set->session_idle_s * MS_PER_S,
		.absolute_ms = r->set->session_absolute_s * MS_PER_S,
	};
	char cookie[SESSION_COOKIE_MAX];
	struct session s;

	enum err e = sessions_create(r->rds, &n, cookie, &s);
	if (e == ERR_FORBIDDEN)
		return problem_send(r, PROBLEM_USER_DISABLED, NULL);
	if (e == ERR_CONFLICT)
		return problem_send(r, serial.len > 0 ? PROBLEM_CERTIFICATE_REFUSED : PROBLEM_BAD_CREDENTIALS, NULL);
	if (e != ERR_OK)
		return e;
	auth_set_cookie(r, cookie);
	explicit_bzero(cookie, sizeof(cookie));
	stats_add(r->app->stats, STAT_LOGIN_OK);
	log_event(LOG_INFO, "login", "user=%s session=%s method=%s address=%s", u->name, s.id, s.method, log_value(r->http->address));
	return reply_json(r, 201, json_pack("{s:{s:s, s:o, s:o, s:s}, s:o}", "session", "id", s.id, "created_at",
					    reply_time_json(s.created_ms), "expires_at", reply_time_json(s.expires_ms), "method",
					    s.method, "user", profile_json(u)));
}

/* The costs were raised since the password was hashed: hash it again while it is at hand. Failing to do so does
 * not matter. */
static void rehash(struct req *r, struct user *u, struct str password)
{
	char fresh[HASH_SIZE];

	if (hash_make(r->app->hash, password, fresh) != ERR_OK)
		return;
	if (users_rehash(r->rds, str_from(u->name), u->password, fresh) == ERR_OK)
		memcpy(u->password, fresh, sizeof(fresh));
	explicit_bzero(fresh, sizeof(fresh));
}

/* Whether the password is right. The same work and the same answer whether the user is unknown or the password
 * wrong. */
static enum err verify(struct req *r, const struct login *in, struct user *u)
{
	bool stale = false;
	enum err found = users_get(r->rds, in->username, u);

	if (found != ERR_OK && found != ERR_NOT_FOUND)
		return found;
	enum err e = hash_verify(r->app->hash, found == ERR_OK ? u->password : NULL, in->password, &stale);
	if (e == ERR_OK && stale)
		rehash(r, u, in->password);
	return e;
}

static enum err by_password(struct req *r, const struct login *in)
{
	char prefix[64];
	struct user u = { 0 };
	uint64_t wait;

	throttle_prefix(r->http->address, prefix);
	enum err e = throttle_login(r->rds, in->username, str_from(prefix), r->now_ms, r->set->login_failures, &wait);
	if (e != ERR_OK)
		return e;
	if (wait > 0) {
		stats_add(r->app->stats, STAT_LOGIN_THROTTLED);
		return problem_retry(r, PROBLEM_THROTTLED, "Wait a little before the next attempt", wait);
	}
	e = verify(r, in, &u);
	if (e == ERR_UNAUTHENTICATED) {
		stats_add(r->app->stats, STAT_LOGIN_FAILED);
		log_event(LOG_INFO, "login-failed", "user=%s address=%s", log_value(in->username), log_value(r->http->address));
		e = problem_send(r, PROBLEM_BAD_CREDENTIALS, NULL);
	} else if (e == ERR_OK) {
		e = throttle_login_done(r->rds, in->username, str_from(prefix));
		if (e == ERR_OK)
			e = open_session(r, &u, str_from(u.password), STR(""));
	} else if (e == ERR_BUSY) {
		stats_add(r->app->stats, STAT_HASH_BUSY);
	}
	users_wipe(&u);
	return e;
}

static enum err by_ticket(struct req *r, struct str text)
{
	struct ticket t;
	struct user u;

	enum err e = tickets_take(r->rds, text, &t);
	if (e == ERR_NOT_FOUND || (e == ERR_OK && t.serial[0] == '\0'))
		return problem_send(r, PROBLEM_BAD_TICKET, NULL);
	if (e == ERR_OK)
		e = users_get(r->rds, str_from(t.user), &u);
	if (e == ERR_NOT_FOUND)
		return problem_send(r, PROBLEM_BAD_TICKET, NULL);
	if (e != ERR_OK)
		return e;
	users_wipe(&u);
	return open_session(r, &u, STR(""), str_from(t.serial));
}

enum err h_login(struct req *r)
{
	struct login in = { 0 };

	if (!INPUT_READ(r, fields, &in))
		return ERR_OK;
	if (in.ticket.p != NULL && (in.username.p != NULL || in.password.p != NULL))
		return problem_field(r, "/ticket", "excludes username and password");
	if (in.ticket.p != NULL)
		return by_ticket(r, in.ticket);
	if (in.username.p == NULL)
		return problem_field(r, "/username", "is missing");
	if (in.password.p == NULL)
		return problem_field(r, "/password", "is missing");
	return by_password(r, &in);
}

enum err h_login_certificate(struct req *r)
{
	struct ticket t = { 0 };
	char text[TICKET_SIZE];

	if (str_eq(r->http->cert_verify, STR("NONE")) || r->http->cert_verify.len == 0)
		return problem_send(r, PROBLEM_CERTIFICATE_MISSING, NULL);
	enum err e = str_eq(r->http->cert_verify, STR("SUCCESS"))
			     ? certs_owner(r->rds, r->http->cert_subject, r->http->cert_serial, r->now_ms, t.user, t.serial)
			     : ERR_FORBIDDEN;
	if (e == ERR_FORBIDDEN) {
		log_event(LOG_INFO, "certificate-refused", "verify=%s subject=%s address=%s", log_value(r->http->cert_verify),
			  log_value(r->http->cert_subject), log_value(r->http->address));
		return problem_send(r, PROBLEM_CERTIFICATE_REFUSED, NULL);
	}
	if (e == ERR_OK)
		e = tickets_make(r->rds, &t, text);
	if (e != ERR_OK)
		return e;
	json_t *doc = json_pack("{s:s, s:o}", "ticket", text, "expires_at", reply_time_json(r->now_ms + TICKET_TTL_S * MS_PER_S));
	explicit_bzero(text, sizeof(text));
	return reply_json(r, 201, doc);
}

enum err h_logout(struct req *r)
{
	enum err e = sessions_end(r->rds, req_user(r), str_from(r->who.session));

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	auth_clear_cookie(r);
	log_event(LOG_INFO, "logout", "user=%s session=%s", r->who.user, r->who.session);
	return reply_empty(r, 204);
}
