#include "api/settings.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(section_, key_, field, preset_, help_)                                                                   \
	{                                                                                                             \
		.section = (section_), .key = (key_), .type = CONF_STRING, .offset = offsetof(struct settings, field), \
		.preset = (preset_), .unit = "", .help = (help_)                                                      \
	}
#define LIST(section_, key_, field, preset_, help_)                                                                 \
	{                                                                                                           \
		.section = (section_), .key = (key_), .type = CONF_LIST, .offset = offsetof(struct settings, field), \
		.preset = (preset_), .unit = "", .help = (help_)                                                    \
	}
#define UINT(section_, key_, field, preset_, min_, max_, unit_, help_)                                              \
	{                                                                                                           \
		.section = (section_), .key = (key_), .type = CONF_UINT, .offset = offsetof(struct settings, field), \
		.preset = (preset_), .min = (min_), .max = (max_), .unit = (unit_), .reloadable = true, .help = (help_) \
	}

const struct conf_option settings_table[] = {
	TEXT("common", "domain", domain, NULL, "SIP domain and TURN realm"),
	TEXT("common", "run-dir", run_dir, NULL, "folder of the unix sockets"),
	TEXT("common", "redis", redis, NULL, "Redis: path of its unix socket, or host:port; several, separated by commas, of which one is the master"),
	TEXT("common", "log-level", log_level, "info", "error, warn, info or debug"),
	{ .section = "common", .key = "turn-secret", .type = CONF_SECRET, .offset = offsetof(struct settings, turn_secret),
	  .unit = "", .help = "file with the secret shared with the relay" },

	TEXT("api", "node", node, "n1", "the signalling node that this machine is: /health/ready says when it is being emptied"),
	TEXT("api", "socket", socket, "", "FastCGI socket; empty: api.sock in run-dir"),
	TEXT("api", "socket-group", socket_group, "", "group that may connect (nginx's); empty: that of the process"),
	TEXT("api", "socket-mode", socket_mode, "0660", "mode of the socket, octal"),
	UINT("api", "processes", processes, "2", 1, 64, "", "worker processes"),
	UINT("api", "threads", threads, "8", 1, 256, "", "threads of each process; one request and one Redis connection each"),
	UINT("api", "redis-timeout", redis_timeout_ms, "2000", 50, 60000, "ms", "longest wait for Redis"),
	UINT("api", "argon2-ops", argon2_ops, "2", 1, 16, "", "Argon2id passes"),
	UINT("api", "argon2-memory", argon2_kib, "19456", 8, 1048576, "KiB", "Argon2id memory of one hash"),
	UINT("api", "argon2-parallel", argon2_parallel, "2", 1, 64, "", "passwords hashed at once in each process"),
	UINT("api", "argon2-wait", argon2_wait_ms, "2000", 0, 30000, "ms", "longest wait for a turn to hash before 503"),
	UINT("api", "session-idle", session_idle_s, "604800", 60, 31536000, "s", "a session unused for so long ends"),
	UINT("api", "session-absolute", session_absolute_s, "2592000", 60, 31536000, "s", "longest life of a session"),
	LIST("api", "public-url", public_url, NULL, "origins the page is served from; the first is the main one"),
	TEXT("api", "certificate-url", certificate_url, "", "origin of the host for login by client certificate; empty: none"),
	TEXT("api", "websocket-url", websocket_url, "", "URL of the signalling; empty: wss://<first public-url>/sip"),
	LIST("api", "turn-urls", turn_urls, "", "TURN URLs (RFC 7065) handed to the pages"),
	TEXT("api", "media-policy", media_policy, "relay", "relay (addresses stay hidden) or direct (ICE decides)"),
	UINT("api", "ring-timeout", ring_timeout_s, "45", 5, 300, "s", "how long a call rings"),
	UINT("api", "turn-ttl", turn_ttl_s, "43200", 60, 604800, "s", "life of TURN credentials"),
	TEXT("api", "signup", signup, "open", "open: anyone may sign up; closed: an administrator makes the users"),
	UINT("api", "signup-rate", signup_per_hour, "100", 0, 1000000, "", "sign-ups an hour from one address or IPv6 /64; 0: no limit"),
	UINT("api", "login-failures", login_failures, "100", 1, 1000000, "", "failed logins in 10 minutes from one address or IPv6 /64"),
	TEXT("api", "users-ca-cert", users_ca_cert, "", "certificate (PEM) of the authority for client certificates; empty: none"),
	TEXT("api", "users-ca-key", users_ca_key, "", "its private key (PEM), not readable by others"),
	TEXT("api", "crl-file", crl_file, "", "list of revoked certificates (PEM), rewritten at each revocation; empty: none"),
	UINT("api", "certificate-days", certificate_days, "60", 30, 90, "days", "life of a client certificate"),
	UINT("api", "max-body", max_body, "16384", 1024, 1048576, "bytes", "largest request body"),
};
const size_t settings_count = ARRAY_LEN(settings_table);

static enum err split(const char *text, struct str *out, size_t *count)
{
	struct str rest = str_from(text);

	*count = 0;
	while (rest.p != NULL) {
		size_t n = 0;

		while (n < rest.len && strchr(" ,\t", rest.p[n]) == NULL)
			n++;
		if (n > 0) {
			if (*count == SETTINGS_LIST_MAX)
				return ERR_TOO_LARGE;
			out[(*count)++] = str_sub(rest, 0, n);
		}
		rest = n < rest.len ? str_sub(rest, n + 1, rest.len) : STR_NONE;
	}
	return ERR_OK;
}

/* scheme://host[:port] without path, as browsers send it in Origin. */
static bool is_origin(struct str url)
{
	size_t skip = str_starts(url, STR("https://")) ? 8 : str_starts(url, STR("http://")) ? 7 : 0;

	return skip > 0 && url.len > skip && str_find(str_sub(url, skip, url.len), '/') == url.len - skip;
}

static char *join(const char *a, const char *b)
{
	char *out = NULL;

	return asprintf(&out, "%s%s", a, b) < 0 ? NULL : out;
}

static enum err check_urls(struct settings *s, char *why, size_t why_size)
{
	if (split(s->public_url, s->origin, &s->origins) != ERR_OK || s->origins == 0 ||
	    split(s->turn_urls, s->turn_url, &s->turn_url_count) != ERR_OK) {
		(void)snprintf(why, why_size, "[api] public-url needs 1 to %u origins, turn-urls at most as many", SETTINGS_LIST_MAX);
		return ERR_INVALID;
	}
	for (size_t i = 0; i < s->origins; i++) {
		if (is_origin(s->origin[i]))
			continue;
		(void)snprintf(why, why_size, "[api] public-url: %.*s is not an origin such as https://example.org:8443",
			       STR_FMT(s->origin[i]));
		return ERR_INVALID;
	}
	if (s->certificate_url[0] != '\0' && !is_origin(str_from(s->certificate_url))) {
		(void)snprintf(why, why_size, "[api] certificate-url: %s is not an origin", s->certificate_url);
		return ERR_INVALID;
	}
	for (size_t i = 0; i < s->turn_url_count; i++) {
		if (str_starts(s->turn_url[i], STR("turn:")) || str_starts(s->turn_url[i], STR("turns:")))
			continue;
		(void)snprintf(why, why_size, "[api] turn-urls: %.*s does not begin with turn: or turns:", STR_FMT(s->turn_url[i]));
		return ERR_INVALID;
	}
	return ERR_OK;
}

static enum err check_words(struct settings *s, char *why, size_t why_size)
{
	char *end;

	if (log_level_from(str_from(s->log_level), &s->level) != ERR_OK) {
		(void)snprintf(why, why_size, "[common] log-level must be error, warn, info or debug");
		return ERR_INVALID;
	}
	if (strcmp(s->media_policy, "relay") != 0 && strcmp(s->media_policy, "direct") != 0) {
		(void)snprintf(why, why_size, "[api] media-policy must be relay or direct");
		return ERR_INVALID;
	}
	if (strcmp(s->signup, "open") != 0 && strcmp(s->signup, "closed") != 0) {
		(void)snprintf(why, why_size, "[api] signup must be open or closed");
		return ERR_INVALID;
	}
	s->signup_open = strcmp(s->signup, "open") == 0;
	unsigned long mode = strtoul(s->socket_mode, &end, 8);
	if (*end != '\0' || end == s->socket_mode || mode > 0777) {
		(void)snprintf(why, why_size, "[api] socket-mode must be an octal number such as 0660");
		return ERR_INVALID;
	}
	s->mode = (unsigned)mode;
	if ((s->users_ca_cert[0] == '\0') != (s->users_ca_key[0] == '\0')) {
		(void)snprintf(why, why_size, "[api] users-ca-cert and users-ca-key go together");
		return ERR_INVALID;
	}
	s->certificates = s->users_ca_cert[0] != '\0';
	return ERR_OK;
}

enum err settings_check(struct settings *s, char *why, size_t why_size)
{
	enum err e = check_words(s, why, why_size);

	if (e == ERR_OK)
		e = check_urls(s, why, why_size);
	if (e != ERR_OK)
		return e;

	/* https://host becomes wss://host: the part behind the scheme's "http" stays. */
	char *host = strndup(s->origin[0].p + 4, s->origin[0].len > 4 ? s->origin[0].len - 4 : 0);
	char *base = host != NULL ? join("ws", host) : NULL;
	s->socket_path = s->socket[0] != '\0' ? strdup(s->socket) : join(s->run_dir, "/api.sock");
	s->metrics_path = join(s->run_dir, "/metrics.api.sock");
	if (s->websocket_url[0] != '\0')
		s->websocket = strdup(s->websocket_url);
	else if (base != NULL)
		s->websocket = join(base, "/sip");
	free(host);
	free(base);
	if (s->socket_path == NULL || s->metrics_path == NULL || s->websocket == NULL) {
		(void)snprintf(why, why_size, "out of memory");
		return ERR_NO_MEMORY;
	}
	return ERR_OK;
}

void settings_free(struct settings *s)
{
	conf_free(settings_table, settings_count, s);
	free(s->socket_path);
	free(s->metrics_path);
	free(s->websocket);
	*s = (struct settings){ 0 };
}
