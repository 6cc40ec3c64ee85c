/* The commands of duplexctl. Each prints what it did or one sentence about why not, and returns the exit status. */
#ifndef DUPLEX_API_CTL_CTL_H
#define DUPLEX_API_CTL_CTL_H

#include "api/settings.h"
#include "common/rds.h"

enum ctl_status { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2 };

struct ctl {
	const struct settings *set; /* borrows */
	struct rds *rds;            /* owned by main */
	const char *display_name, *role;
	bool password_stdin;
};

int ctl_user_add(struct ctl *c, char **args);
int ctl_user_list(struct ctl *c, char **args);
int ctl_user_disable(struct ctl *c, char **args);
int ctl_user_enable(struct ctl *c, char **args);
int ctl_user_role(struct ctl *c, char **args);
int ctl_user_password(struct ctl *c, char **args);

#endif
