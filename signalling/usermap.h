/* Things by user name: a fixed array of lists under a hash with a random seed (names are chosen by users, who shall not choose their bucket). The
 * things embed the list node and know their user; the caller compares. */
#ifndef DUPLEX_SIGNALLING_USERMAP_H
#define DUPLEX_SIGNALLING_USERMAP_H

#include "common/list.h"
#include "common/str.h"

#define USERMAP_BUCKETS 4096u

struct usermap {
	uint64_t seed;
	struct list bucket[USERMAP_BUCKETS];
};

/* Empty, with a seed of its own. */
void usermap_init(struct usermap *m);
/* The list on which everything of `user` is, among others. */
struct list *usermap_at(struct usermap *m, struct str user);

#endif
