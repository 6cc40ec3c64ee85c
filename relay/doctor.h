/* `duplex-relay --doctor`: looks at the machine with the eyes of this configuration and says in a line each what is well, what to think
 * about, and what will not work. Changes nothing; a running relay is only asked for its address as any client would ask. */
#ifndef DUPLEX_RELAY_DOCTOR_H
#define DUPLEX_RELAY_DOCTOR_H

#include <stdio.h>

#include "common/buf.h"
#include "relay/conf.h"

enum doctor_verdict { DOCTOR_FINE, DOCTOR_THINK, DOCTOR_WRONG };

/* What a check looks at. */
struct doctor {
	const struct relay_conf *conf;
	const struct relay_plan *plan;
	const char *root; /* before /proc and /sys; "" but in tests */
};

struct doctor_check {
	const char *name;
	/* Writes one sentence to `out`. */
	enum doctor_verdict (*look)(const struct doctor *d, struct buf *out);
};
extern const struct doctor_check doctor_checks[];
extern const size_t doctor_checks_count;

/* All checks, a line each to `to`. Returns how many said DOCTOR_WRONG. */
unsigned doctor_run(const struct doctor *d, FILE *to);

#endif
