/* How the media of one call under way is, when the API asks (media.ask, common/events.h). */
#ifndef DUPLEX_RELAY_CALL_MEDIA_H
#define DUPLEX_RELAY_CALL_MEDIA_H

#include "common/rds.h"
#include "relay/records.h"
#include "relay/table.h"

#define CALL_ALLOCATIONS_MAX 64u /* of one side that are looked at */

struct side_media {
	unsigned allocations; /* that live */
	struct media_summary media; /* over all of them */
};
/* One side of a call: the living allocations of `user` whose user name names `call`. Nothing for an empty call. Not from a worker. */
struct side_media call_media(struct table *t, struct str user, struct str call, uint32_t now_s);

/* Answers one question, whose fields are given, as the relay `name`. ERR_OK also for one that is not to be understood; other errors are those
 * of Redis. */
enum err call_media_answer(struct rds *redis, struct str name, struct table *t, const struct redisReply *fields, uint32_t now_s);

#endif
