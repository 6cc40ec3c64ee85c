/* /health, /version, /openapi.json: about the server itself. */
#include "api/handlers.h"
#include "api/openapi.h"
#include "api/reply.h"

enum err h_live(struct req *r)
{
	return reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
}

enum err h_ready(struct req *r)
{
	enum err e = RDS(r->rds, NULL, STR("PING"));

	return e == ERR_OK ? reply_json(r, 200, json_pack("{s:s}", "status", "ok")) : e;
}

enum err h_version(struct req *r)
{
	const char *certificates = r->set->certificate_url[0] != '\0' ? r->set->certificate_url : NULL;

	return reply_json(r, 200, json_pack("{s:s, s:s, s:s?}", "name", "duplex", "version", DUPLEX_VERSION, "certificate_url", certificates));
}

enum err h_openapi(struct req *r)
{
	buf_str(&r->out->body, openapi_document());
	http_header(r->out, "Content-Type", "application/json");
	r->out->status = 200;
	return buf_err(&r->out->body);
}
