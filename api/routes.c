/* The table of routes: the whole surface of the API on one screen. api/openapi.json has the same rows;
 * tests/unit/api/test_openapi.c compares. */
#include "api/handlers.h"
#include "api/route.h"

#define V1 "/api/v1"
#define ANY PERM_COUNT

const struct route route_table[] = {
	{ HTTP_POST, V1 "/users", ACCESS_PUBLIC, ANY, BODY_FORM, h_signup, "signUp" },
	{ HTTP_GET, V1 "/users", ACCESS_SESSION, PERM_DIRECTORY_SEARCH, BODY_NONE, h_directory, "searchUsers" },

	{ HTTP_POST, V1 "/sessions", ACCESS_PUBLIC, ANY, BODY_FORM, h_login, "logIn" },
	{ HTTP_POST, V1 "/sessions/certificate", ACCESS_CERTIFICATE, ANY, BODY_NONE, h_login_certificate, "logInByCertificate" },
	{ HTTP_DELETE, V1 "/sessions/current", ACCESS_SESSION, ANY, BODY_NONE, h_logout, "logOut" },

	{ HTTP_GET, V1 "/me", ACCESS_SESSION, ANY, BODY_NONE, h_me, "getMe" },
	{ HTTP_PATCH, V1 "/me", ACCESS_SESSION, ANY, BODY_FORM, h_me_patch, "changeMe" },
	{ HTTP_PUT, V1 "/me/password", ACCESS_SESSION, ANY, BODY_FORM, h_me_password, "changePassword" },
	{ HTTP_GET, V1 "/me/presence", ACCESS_SESSION, ANY, BODY_NONE, h_presence, "getMyPresence" },
	{ HTTP_PUT, V1 "/me/presence", ACCESS_SESSION, ANY, BODY_FORM, h_presence_put, "setMyPresence" },
	{ HTTP_GET, V1 "/me/sessions", ACCESS_SESSION, ANY, BODY_NONE, h_me_sessions, "listMySessions" },
	{ HTTP_DELETE, V1 "/me/sessions/{id}", ACCESS_SESSION, ANY, BODY_NONE, h_me_session_end, "endMySession" },
	{ HTTP_GET, V1 "/me/call-config", ACCESS_SESSION, ANY, BODY_NONE, h_call_config, "getCallConfig" },
	{ HTTP_POST, V1 "/me/tickets", ACCESS_SESSION, ANY, BODY_NONE, h_me_ticket, "makeTicket" },
	{ HTTP_GET, V1 "/me/certificates", ACCESS_SESSION, ANY, BODY_NONE, h_certificates, "listMyCertificates" },
	{ HTTP_POST, V1 "/me/certificates", ACCESS_SESSION, PERM_CERT_ISSUE, BODY_CSR, h_certificate_issue, "issueCertificate" },
	{ HTTP_DELETE, V1 "/me/certificates/{serial}", ACCESS_SESSION, ANY, BODY_NONE, h_certificate_revoke, "revokeCertificate" },
	{ HTTP_POST, V1 "/me/sip-tokens", ACCESS_SESSION, ANY, BODY_NONE, h_sip_token, "makeSipToken" },
	{ HTTP_GET, V1 "/me/devices", ACCESS_SESSION, ANY, BODY_NONE, h_devices, "listMyDevices" },
	{ HTTP_POST, V1 "/me/devices", ACCESS_SESSION, ANY, BODY_FORM, h_device_add, "addDevice" },
	{ HTTP_DELETE, V1 "/me/devices/{id}", ACCESS_SESSION, ANY, BODY_NONE, h_device_remove, "removeDevice" },

	{ HTTP_GET, V1 "/contacts", ACCESS_SESSION, ANY, BODY_NONE, h_contacts, "listContacts" },
	{ HTTP_POST, V1 "/contacts", ACCESS_SESSION, ANY, BODY_FORM, h_contact_add, "addContact" },
	{ HTTP_DELETE, V1 "/contacts/{username}", ACCESS_SESSION, ANY, BODY_NONE, h_contact_remove, "removeContact" },

	{ HTTP_GET, V1 "/calls", ACCESS_SESSION, ANY, BODY_NONE, h_calls, "listCalls" },

	{ HTTP_GET, V1 "/admin/users", ACCESS_SESSION, PERM_USERS_READ, BODY_NONE, h_admin_users, "adminListUsers" },
	{ HTTP_GET, V1 "/admin/users/{username}", ACCESS_SESSION, PERM_USERS_READ, BODY_NONE, h_admin_user, "adminGetUser" },
	{ HTTP_PATCH, V1 "/admin/users/{username}", ACCESS_SESSION, PERM_USERS_WRITE, BODY_FORM, h_admin_user_patch, "adminChangeUser" },
	{ HTTP_GET, V1 "/admin/users/{username}/devices", ACCESS_SESSION, PERM_USERS_READ, BODY_NONE, h_admin_devices, "adminListDevices" },
	{ HTTP_DELETE, V1 "/admin/users/{username}/devices/{id}", ACCESS_SESSION, PERM_USERS_WRITE, BODY_NONE, h_admin_device_remove,
	  "adminRemoveDevice" },
	{ HTTP_GET, V1 "/admin/calls", ACCESS_SESSION, PERM_CALLS_READ, BODY_NONE, h_admin_calls, "adminListCalls" },
	{ HTTP_GET, V1 "/admin/calls/{id}", ACCESS_SESSION, PERM_CALLS_READ, BODY_NONE, h_admin_call, "adminGetCall" },
	{ HTTP_DELETE, V1 "/admin/calls/{id}", ACCESS_SESSION, PERM_CALLS_HANGUP, BODY_NONE, h_admin_call_end, "adminEndCall" },

	{ HTTP_GET, V1 "/admin/relays", ACCESS_SESSION, PERM_RELAYS_READ, BODY_NONE, h_admin_relays, "adminListRelays" },
	{ HTTP_PATCH, V1 "/admin/relays/{name}", ACCESS_SESSION, PERM_RELAYS_DRAIN, BODY_FORM, h_admin_relay_patch, "adminDrainRelay" },
	{ HTTP_GET, V1 "/admin/nodes", ACCESS_SESSION, PERM_NODES_READ, BODY_NONE, h_admin_nodes, "adminListNodes" },
	{ HTTP_PATCH, V1 "/admin/nodes/{name}", ACCESS_SESSION, PERM_NODES_DRAIN, BODY_FORM, h_admin_node_patch, "adminDrainNode" },

	{ HTTP_GET, V1 "/health/live", ACCESS_PUBLIC, ANY, BODY_NONE, h_live, "getLive" },
	{ HTTP_GET, V1 "/health/ready", ACCESS_PUBLIC, ANY, BODY_NONE, h_ready, "getReady" },
	{ HTTP_GET, V1 "/version", ACCESS_PUBLIC, ANY, BODY_NONE, h_version, "getVersion" },
	{ HTTP_GET, V1 "/openapi.json", ACCESS_PUBLIC, ANY, BODY_NONE, h_openapi, "getOpenApi" },

	{ HTTP_GET, "/internal/authorize", ACCESS_INTERNAL, ANY, BODY_NONE, h_authorize, "authorize" },
};
const size_t route_count = ARRAY_LEN(route_table);

static_assert(ARRAY_LEN(route_table) <= 64, "STATS_ROUTES_MAX");
