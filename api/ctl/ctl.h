/* The commands of duplexctl. Each prints what it did or one sentence about why not, and returns the exit status. */
#ifndef DUPLEX_API_CTL_CTL_H
#define DUPLEX_API_CTL_CTL_H

#include <stdio.h>

#include "api/settings.h"
#include "common/rds.h"

enum ctl_status { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2 };

struct ctl {
	const struct settings *set; /* borrows */
	struct rds *rds;            /* owned by main */
	const char *display_name, *role;
	bool password_stdin;
};

/* One sentence to stderr; returns CTL_REFUSED. */
int ctl_refuse(const char *fmt, ...) PRINTF(1, 2);

int ctl_user_add(struct ctl *c, char **args);
int ctl_user_list(struct ctl *c, char **args);
int ctl_user_disable(struct ctl *c, char **args);
int ctl_user_enable(struct ctl *c, char **args);
int ctl_user_role(struct ctl *c, char **args);
int ctl_user_password(struct ctl *c, char **args);

/* The whole of `duplexctl [--config FILE] relay VERB …`. Needs no more of the configuration than where the sockets are. */
int ctl_relay(int argc, char **argv);
void ctl_relay_usage(FILE *to);
/* Likewise `duplexctl [--config FILE] signal VERB …`. */
int ctl_signal(int argc, char **argv);
void ctl_signal_usage(FILE *to);
/* All usage to stderr; returns CTL_USAGE. */
int ctl_usage(void);

#endif
