/* Devices of a user in Redis (common/device.h): desk phones and other SIP clients, each with a secret of its own of which only hashes are kept. */
#ifndef DUPLEX_API_DEVICES_H
#define DUPLEX_API_DEVICES_H

#include "common/device.h"
#include "common/rds.h"

struct device {
	char id[DEVICE_ID_LEN + 1];
	struct str name;
	uint64_t created_ms;
	uint64_t used_ms; /* 0: never */
};

/* Makes a device: *out->id and its secret, which is told once and must be wiped by the caller. ERR_FULL: DEVICES_PER_USER are there. */
enum err devices_add(struct rds *r, struct str user, struct str realm, struct str name, uint64_t now_ms, struct device *out,
		     char secret[DEVICE_SECRET_LEN + 1]);

typedef void (*devices_fn)(void *arg, const struct device *d);
/* Oldest first; `fn` borrows. */
enum err devices_list(struct rds *r, struct str user, devices_fn fn, void *arg);

/* Takes it away, and has the workers end its registration, its connections and its calls. ERR_NOT_FOUND. */
enum err devices_remove(struct rds *r, struct str user, struct str id);

#endif
