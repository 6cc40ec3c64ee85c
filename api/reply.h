/* The one way a reply is written, and the few shapes that occur in many. */
#ifndef DUPLEX_API_REPLY_H
#define DUPLEX_API_REPLY_H

#include "api/req.h"

/* Takes the reference of `doc` (NULL: out of memory, becomes a 500). */
void reply_write(struct req *r, unsigned status, const char *type, json_t *doc);
/* These return ERR_OK, so that a handler ends with `return reply_json(…)`. */
enum err reply_json(struct req *r, unsigned status, json_t *doc);
enum err reply_empty(struct req *r, unsigned status);
/* 200 {"items": items, "next": next or null}. Takes the reference of `items`; `next` is the raw cursor (hidden
 * by base64url), empty for none. */
enum err reply_list(struct req *r, json_t *items, struct str next);
/* With ETag; 304 if the client has it. */
enum err reply_tagged(struct req *r, json_t *doc, uint64_t revision);
/* Whether If-Match (if sent) names `revision`. */
bool reply_matches(const struct req *r, uint64_t revision);

#define TIME_SIZE 32u
/* RFC 3339 UTC with milliseconds. */
void reply_time(uint64_t ms, char out[TIME_SIZE]);
/* As JSON; null for 0. */
json_t *reply_time_json(uint64_t ms);
json_t *reply_str(struct str s);

#endif
