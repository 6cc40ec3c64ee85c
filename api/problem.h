/* Every error the API answers, in one list: status, code and title (RFC 9457). The code is the stable name for
 * programs; api/openapi.json lists the same codes. */
#ifndef DUPLEX_API_PROBLEM_H
#define DUPLEX_API_PROBLEM_H

#include <jansson.h>

#include "common/base.h"
#include "common/err.h"

/* id, status, code, title */
#define PROBLEM_LIST(X)                                                                                                         \
	X(PROBLEM_BAD_REQUEST, 400, "bad_request", "The request is malformed")                                                  \
	X(PROBLEM_BAD_JSON, 400, "bad_json", "The body is not valid JSON")                                                      \
	X(PROBLEM_NO_SESSION, 401, "no_session", "You are not signed in")                                                       \
	X(PROBLEM_BAD_CREDENTIALS, 401, "bad_credentials", "User name or password is wrong")                                    \
	X(PROBLEM_BAD_TICKET, 401, "bad_ticket", "The ticket is unknown, used or expired")                                      \
	X(PROBLEM_FORBIDDEN, 403, "forbidden", "You do not have the permission for this")                                       \
	X(PROBLEM_CROSS_SITE, 403, "cross_site", "The request does not come from our page")                                     \
	X(PROBLEM_USER_DISABLED, 403, "user_disabled", "This account is disabled")                                              \
	X(PROBLEM_SIGNUP_CLOSED, 403, "signup_closed", "New accounts are made by an administrator")                             \
	X(PROBLEM_WRONG_PASSWORD, 403, "wrong_password", "The current password is wrong")                                       \
	X(PROBLEM_CERTIFICATE_MISSING, 403, "certificate_missing", "Your browser did not present a certificate")                \
	X(PROBLEM_CERTIFICATE_REFUSED, 403, "certificate_refused", "The certificate is expired, revoked or not ours")           \
	X(PROBLEM_NOT_FOUND, 404, "not_found", "There is nothing here")                                                         \
	X(PROBLEM_NO_SUCH_USER, 404, "no_such_user", "There is no such user")                                                   \
	X(PROBLEM_METHOD, 405, "method_not_allowed", "This resource does not have that method")                                 \
	X(PROBLEM_NOT_ACCEPTABLE, 406, "not_acceptable", "Only application/json can be sent")                                   \
	X(PROBLEM_USER_EXISTS, 409, "user_exists", "The user name is taken")                                                    \
	X(PROBLEM_LIMIT, 409, "limit_reached", "The largest number of these is reached")                                        \
	X(PROBLEM_LAST_ADMIN, 409, "last_administrator", "You cannot take your own administrator rights away")                  \
	X(PROBLEM_CHANGED, 412, "changed", "The resource was changed by someone else")                                          \
	X(PROBLEM_TOO_LARGE, 413, "too_large", "The body is too large")                                                         \
	X(PROBLEM_MEDIA_TYPE, 415, "media_type", "The body must be application/json")                                           \
	X(PROBLEM_WRONG_HOST, 421, "wrong_host", "This works on the host for client certificates only")                         \
	X(PROBLEM_INVALID, 422, "invalid", "Some fields are not valid")                                                         \
	X(PROBLEM_THROTTLED, 429, "throttled", "Too many attempts")                                                             \
	X(PROBLEM_INTERNAL, 500, "internal", "Something went wrong on the server")                                              \
	X(PROBLEM_BUSY, 503, "busy", "The server is busy")                                                                      \
	X(PROBLEM_STORE, 503, "store_unavailable", "The data store cannot be reached")                                          \
	X(PROBLEM_DRAINING, 503, "node_draining", "This node is being emptied; use another one")                                \
	X(PROBLEM_NO_CERTIFICATES, 503, "certificates_unavailable", "This server does not issue certificates")

enum problem {
#define PROBLEM_ENUM(id, status, code, title) id,
	PROBLEM_LIST(PROBLEM_ENUM)
#undef PROBLEM_ENUM
	PROBLEM_COUNT
};

struct req;

unsigned problem_status(enum problem p);
const char *problem_code(enum problem p);
/* The one table from internal errors to problems, for what a handler did not answer itself. */
enum problem problem_from(enum err e);

/* These write the reply and return ERR_OK, so that a handler ends with `return problem_send(…)`. `detail` may
 * be NULL. `errors` is a JSON array of {pointer, detail}; its reference is taken. */
enum err problem_send(struct req *r, enum problem p, const char *detail);
enum err problem_retry(struct req *r, enum problem p, const char *detail, uint64_t retry_after_s);
enum err problem_fields(struct req *r, json_t *errors);
/* One field. */
enum err problem_field(struct req *r, const char *pointer, const char *detail);

#endif
