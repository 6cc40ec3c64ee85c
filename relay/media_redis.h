/* How the media of ended allocations comes into the record of their call: hash media:{user}:CALL (common/rkeys.h), added up over all
 * allocations of that side. */
#ifndef DUPLEX_RELAY_MEDIA_REDIS_H
#define DUPLEX_RELAY_MEDIA_REDIS_H

#include "common/rds.h"
#include "relay/records.h"

/* Writes what there is, some at a time. Errors are those of Redis: what was taken then is lost. */
enum err media_redis_write(struct records *records, struct rds *redis);

#endif
