/* What one worker process has, shared by its threads; everything in it is read-only or locks itself. */
#ifndef DUPLEX_API_APP_H
#define DUPLEX_API_APP_H

#include "api/ca.h"
#include "api/hash.h"
#include "api/settings.h"
#include "api/stats.h"

struct app {
	const struct settings *set; /* borrows: the parent's */
	struct hash *hash;          /* owned */
	struct ca *ca;              /* owned; NULL if this server issues no certificates */
	struct stats *stats;        /* borrows: memory shared by all processes */
};

#endif
