/* The `redis` option: one address, or several separated by commas, of which one at a time is the master (as behind Redis Sentinel). Each is the
 * path of a unix socket, or host:port. */
#ifndef DUPLEX_COMMON_RDS_ADDR_H
#define DUPLEX_COMMON_RDS_ADDR_H

#include "common/err.h"
#include "common/str.h"

#define RDS_ADDRESSES_MAX 1024u /* length of the option, with NUL */

/* How many addresses `list` has; empty ones do not count. */
size_t rds_addr_count(struct str list);
/* The one at `index` modulo their number, into `out` with NUL. ERR_NOT_FOUND if there is none, ERR_TOO_LARGE. */
enum err rds_addr_at(struct str list, size_t index, char *out, size_t size);

#endif
