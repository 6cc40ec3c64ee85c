/* The options of [common] and [api] that the API reads, checked and with what follows from them worked out
 * once. Owned by the parent process, read-only in the workers. */
#ifndef DUPLEX_API_SETTINGS_H
#define DUPLEX_API_SETTINGS_H

#include "common/conf.h"
#include "common/log.h"

#define SETTINGS_LIST_MAX 16u

struct settings {
	/* [common] */
	char *domain, *run_dir, *redis, *log_level, *turn_secret;
	/* [api] */
	char *node, *socket, *socket_group, *socket_mode;
	uint64_t processes, threads, redis_timeout_ms;
	uint64_t argon2_ops, argon2_kib, argon2_parallel, argon2_wait_ms;
	uint64_t session_idle_s, session_absolute_s;
	char *public_url, *certificate_url, *websocket_url, *turn_urls, *media_policy, *signup;
	uint64_t signup_per_hour, login_failures, ring_timeout_s, turn_ttl_s;
	char *users_ca_cert, *users_ca_key, *crl_file;
	uint64_t certificate_days, max_body;

	/* worked out by settings_check; slices borrow from the strings above, texts are owned */
	struct str origin[SETTINGS_LIST_MAX];
	size_t origins;
	struct str turn_url[SETTINGS_LIST_MAX];
	size_t turn_url_count;
	char *socket_path, *metrics_path, *websocket; /* owned */
	unsigned mode;                                /* of the socket */
	enum log_level level;
	bool signup_open;
	bool certificates; /* this server is a certificate authority */
};

extern const struct conf_option settings_table[];
extern const size_t settings_count;

/* Completes a struct that conf_load filled. On failure `why` holds one sentence. */
enum err settings_check(struct settings *s, char *why, size_t why_size);
void settings_free(struct settings *s);

#endif
