/* /health, /version, /openapi.json: about the server itself. */
#include "api/handlers.h"
#include "api/openapi.h"
#include "api/reply.h"
#include "common/rkeys.h"

enum err h_live(struct req *r)
{
	return reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
}

enum err h_ready(struct req *r)
{
	struct redisReply *member;
	enum err e = RDS(r->rds, &member, STR("SISMEMBER"), STR(RKEY_NODES_DRAINING), str_from(r->set->node));

	if (e != ERR_OK)
		return e;
	bool draining = rds_int(member) != 0;
	rds_reply_free(member);
	if (draining)
		return problem_send(r, PROBLEM_DRAINING, NULL);
	return reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
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
