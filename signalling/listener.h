/* A listening unix socket. */
#ifndef DUPLEX_SIGNALLING_LISTENER_H
#define DUPLEX_SIGNALLING_LISTENER_H

#include "common/loop.h"

struct listener {
	struct loop *loop;
	struct loop_fd lf;
	char path[108];
	void (*fn)(struct listener *l, int fd); /* owns the non-blocking fd */
	/* How many may be accepted now; 0: ask again after *wait_ms. NULL: any number. Set it after listener_open. */
	unsigned (*room)(struct listener *l, uint64_t *wait_ms);
	struct timer again;
};

/* Replaces a stale socket file; mode 0660, group `group` ("" = ours). */
enum err listener_open(struct listener *l, struct loop *loop, const char *path, const char *group, void (*fn)(struct listener *l, int fd));
/* Stops to listen and removes the file. Safe on a zeroed one. */
void listener_close(struct listener *l);

#endif
