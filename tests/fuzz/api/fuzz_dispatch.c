/* A whole request, from method to body, through routing, guards, JSON and field tables to the reply, with Redis
 * out of reach. Lines of the input: method, path, query, content type, cookie, Origin, original URI ("-": none),
 * SSL_CLIENT_VERIFY ("-": none), Accept; the rest is the body. Whatever comes, the answer is a complete HTTP
 * reply, and JSON if it has a body. */
#include <stdlib.h>
#include <string.h>

#include "api/dispatch.h"
#include "common/log.h"

static struct settings set = { .domain = (char[]){ "localhost" },
			       .turn_secret = (char[]){ "0123456789abcdef" },
			       .media_policy = (char[]){ "relay" },
			       .websocket = (char[]){ "wss://localhost/sip" },
			       .certificate_url = (char[]){ "https://cert.localhost" },
			       .crl_file = (char[]){ "" },
			       .origin = { { "https://localhost", 17 } },
			       .origins = 1,
			       .max_body = 16384,
			       .signup_open = true,
			       .signup_per_hour = 10,
			       .login_failures = 10,
			       .session_idle_s = 60,
			       .session_absolute_s = 60 };
static struct app app = { .set = &set };
static struct rds *rds;

static void init(void)
{
	const struct hash_limits limits = { .ops = 1, .kib = 8, .parallel = 1, .waiting = 1, .wait_ms = 1000 };

	log_init("fuzz", LOG_ERROR);
	app.stats = stats_new();
	if (app.stats == NULL || hash_new(&limits, &app.hash) != ERR_OK || rds_new("/nonexistent/redis.sock", 100, &rds) != ERR_OK)
		abort();
}

static struct str param(struct str *rest)
{
	struct str line = str_cut(rest, '\n');

	return str_eq(line, STR("-")) ? STR_NONE : line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request in = { .guard = STR("1"), .address = STR("192.0.2.1"), .request_id = STR("r") };
	struct http_response out;
	struct str rest = str_of(data, size);

	if (app.stats == NULL)
		init();
	in.method = http_method_from(str_cut(&rest, '\n'));
	struct str *fields[] = { &in.path,   &in.query,        &in.content_type, &in.cookie,
				 &in.origin, &in.original_uri, &in.cert_verify,  &in.accept };
	for (size_t i = 0; i < ARRAY_LEN(fields) && rest.p != NULL; i++)
		*fields[i] = param(&rest);
	in.body = rest;
	in.content_length = rest.len;
	in.if_match = in.if_none_match = in.query;
	in.cert_subject = in.cert_serial = in.cookie;

	http_response_init(&out);
	dispatch(&app, rds, &in, &out);
	if (out.status < 200 || out.status > 599 || http_reason(out.status)[0] == '\0' || out.headers.overflow || out.body.overflow)
		abort();
	if (out.body.len > 0) {
		json_t *doc = json_loadb(out.body.p, out.body.len, JSON_REJECT_DUPLICATES, NULL);

		if (doc == NULL)
			abort();
		json_decref(doc);
	}
	http_response_fini(&out);
	return 0;
}
