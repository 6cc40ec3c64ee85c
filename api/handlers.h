/* Every handler of the route table. A handler reads its input, decides, acts and ends with one reply or
 * problem; what it returns as an error instead becomes a problem by problem_from. */
#ifndef DUPLEX_API_HANDLERS_H
#define DUPLEX_API_HANDLERS_H

#include "api/req.h"

enum err h_signup(struct req *r);

enum err h_login(struct req *r);
enum err h_login_certificate(struct req *r);
enum err h_logout(struct req *r);

enum err h_me(struct req *r);
enum err h_me_patch(struct req *r);
enum err h_me_password(struct req *r);
enum err h_me_sessions(struct req *r);
enum err h_me_session_end(struct req *r);
enum err h_me_ticket(struct req *r);
enum err h_call_config(struct req *r);

enum err h_certificates(struct req *r);
enum err h_certificate_issue(struct req *r);
enum err h_certificate_revoke(struct req *r);

enum err h_contacts(struct req *r);
enum err h_contact_add(struct req *r);
enum err h_contact_remove(struct req *r);

enum err h_directory(struct req *r);
enum err h_calls(struct req *r);

enum err h_admin_users(struct req *r);
enum err h_admin_user(struct req *r);
enum err h_admin_user_patch(struct req *r);
enum err h_admin_calls(struct req *r);
enum err h_admin_call_end(struct req *r);
enum err h_admin_relays(struct req *r);
enum err h_admin_relay_patch(struct req *r);

enum err h_live(struct req *r);
enum err h_ready(struct req *r);
enum err h_version(struct req *r);
enum err h_openapi(struct req *r);
enum err h_authorize(struct req *r);

#endif
