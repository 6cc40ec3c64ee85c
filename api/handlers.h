/* Every handler of the route table. A handler reads its input, decides, acts and ends with one reply or
 * problem; what it returns as an error instead becomes a problem by problem_from. */
#ifndef DUPLEX_API_HANDLERS_H
#define DUPLEX_API_HANDLERS_H

#include "api/req.h"

/* POST /users: a new account, if signing up is open. */
enum err h_signup(struct req *r);

/* POST /sessions: by password, or by the ticket of a certificate -> the cookie. */
enum err h_login(struct req *r);
/* POST /sessions/certificate, on the host of client certificates only -> a ticket for h_login. */
enum err h_login_certificate(struct req *r);
/* DELETE /sessions/current: the session ends, its sockets are closed. */
enum err h_logout(struct req *r);

/* GET /me: profile, role and permissions. */
enum err h_me(struct req *r);
/* PATCH /me: the display name. */
enum err h_me_patch(struct req *r);
/* PUT /me/password: ends all other sessions. */
enum err h_me_password(struct req *r);
/* GET and PUT /me/presence: do not disturb, or available. */
enum err h_presence(struct req *r);
enum err h_presence_put(struct req *r);
/* GET /me/sessions. */
enum err h_me_sessions(struct req *r);
/* DELETE /me/sessions/{id}. */
enum err h_me_session_end(struct req *r);
/* POST /me/tickets: for a WebSocket of a client that cannot send the cookie. */
enum err h_me_ticket(struct req *r);
/* GET /me/call-config: all that one call needs, with TURN credentials bound to it. */
enum err h_call_config(struct req *r);

/* GET /me/certificates. */
enum err h_certificates(struct req *r);
/* POST /me/certificates: from a CSR, or key and certificate as PKCS#12. */
enum err h_certificate_issue(struct req *r);
/* DELETE /me/certificates/{serial}: ends the sessions that were opened with it. */
enum err h_certificate_revoke(struct req *r);

/* POST /me/sip-tokens: a bearer token for SIP over TLS, bound to the session. */
enum err h_sip_token(struct req *r);
/* GET /me/devices. */
enum err h_devices(struct req *r);
/* POST /me/devices: a desk phone; its secret is told here and nowhere else. */
enum err h_device_add(struct req *r);
/* DELETE /me/devices/{id}: its registration, connections and calls end. */
enum err h_device_remove(struct req *r);

/* GET /contacts: by name, a page at a time. */
enum err h_contacts(struct req *r);
/* POST /contacts: 201, or 200 if it is there already. Watchers are told. */
enum err h_contact_add(struct req *r);
/* DELETE /contacts/{username}. Watchers are told. */
enum err h_contact_remove(struct req *r);

/* GET /users?q=: search by name. */
enum err h_directory(struct req *r);
/* GET /calls: the user's history, newest first. */
enum err h_calls(struct req *r);

/* GET /admin/users. */
enum err h_admin_users(struct req *r);
/* GET /admin/users/{username}, with the revision as ETag. */
enum err h_admin_user(struct req *r);
/* PATCH /admin/users/{username}: state, role, permissions; what changes takes effect on open sockets at once. */
enum err h_admin_user_patch(struct req *r);
/* GET /admin/users/{username}/devices. */
enum err h_admin_devices(struct req *r);
/* DELETE /admin/users/{username}/devices/{id}. */
enum err h_admin_device_remove(struct req *r);
/* GET /admin/calls: live calls of all workers. */
enum err h_admin_calls(struct req *r);
/* GET /admin/calls/{id}: one of them, with its media as the relays measure it now. */
enum err h_admin_call(struct req *r);
/* DELETE /admin/calls/{id}: forced hang-up; 202, for the worker does it. */
enum err h_admin_call_end(struct req *r);
enum err h_admin_relays(struct req *r);
enum err h_admin_relay_patch(struct req *r);
/* GET /admin/nodes: signalling nodes that are up, by name. */
enum err h_admin_nodes(struct req *r);
/* PATCH /admin/nodes/{name}: empties the node, or lets it serve again; 202, for its workers do it. */
enum err h_admin_node_patch(struct req *r);

/* GET /health/live: the process answers. */
enum err h_live(struct req *r);
/* GET /health/ready: … and Redis does, and nobody empties this node. */
enum err h_ready(struct req *r);
/* GET /version. */
enum err h_version(struct req *r);
/* GET /openapi.json: the contract, as compiled in. */
enum err h_openapi(struct req *r);
/* GET /internal/authorize: nginx asks before an upgrade; h_internal.c. */
enum err h_authorize(struct req *r);

#endif
