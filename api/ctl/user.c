#include "api/ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/check.h"
#include "api/password.h"
#include "api/search.h"
#include "api/sessions.h"
#include "api/user_change.h"
#include "common/clock.h"

#define PASSWORD_SIZE (PASSWORD_MAX * 4 + 2)

int ctl_refuse(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("duplexctl: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return CTL_REFUSED;
}

static int failed(enum err e, const char *name)
{
	switch ((int)e) {
	case ERR_NOT_FOUND:
		return ctl_refuse("there is no user %s", name);
	case ERR_EXISTS:
		return ctl_refuse("the user %s exists already", name);
	case ERR_CLOSED:
	case ERR_TIMEOUT:
		return ctl_refuse("Redis cannot be reached");
	case ERR_CONFLICT:
		return ctl_refuse("%s was changed at the same time; try again", name);
	default:
		return ctl_refuse("%s", err_text(e));
	}
}

/* One line. False: said why. */
static bool read_password(const struct ctl *c, const char *name, const char *display_name, char out[PASSWORD_SIZE])
{
	if (!c->password_stdin) {
		(void)ctl_refuse("the password is read from standard input only: give --password-stdin");
		return false;
	}
	if (fgets(out, PASSWORD_SIZE, stdin) == NULL) {
		(void)ctl_refuse("there is no password on standard input");
		return false;
	}
	out[strcspn(out, "\r\n")] = '\0';
	const char *wrong = check_new_password(str_from(out));
	if (wrong == NULL)
		wrong = password_weak(str_from(out), str_from(name), str_from(display_name));
	if (wrong != NULL)
		(void)ctl_refuse("the password %s", wrong);
	return wrong == NULL;
}

static enum err hash_password(const struct ctl *c, const char *password, char out[HASH_SIZE])
{
	const struct hash_limits limits = { .ops = c->set->argon2_ops, .kib = c->set->argon2_kib, .parallel = 1, .waiting = 1 };
	struct hash *h;
	enum err e = hash_new(&limits, &h);

	if (e != ERR_OK)
		return e;
	e = hash_make(h, str_from(password), out);
	hash_free(h);
	return e;
}

int ctl_user_add(struct ctl *c, char **args)
{
	const char *display_name = c->display_name != NULL ? c->display_name : args[0];
	char password[PASSWORD_SIZE];
	struct user u = { 0 };
	const char *wrong;

	if ((wrong = check_new_username(str_from(args[0]))) != NULL)
		return ctl_refuse("the user name %s", wrong);
	if ((wrong = check_display_name(str_from(display_name))) != NULL)
		return ctl_refuse("the display name %s", wrong);
	if ((wrong = check_role(str_from(c->role))) != NULL)
		return ctl_refuse("the role %s", wrong);
	if (!read_password(c, args[0], display_name, password))
		return CTL_REFUSED;
	enum err e = hash_password(c, password, u.password);
	explicit_bzero(password, sizeof(password));
	if (e == ERR_OK)
		e = str_copy(str_from(args[0]), u.name, sizeof(u.name));
	if (e == ERR_OK)
		e = str_copy(str_from(display_name), u.display_name, sizeof(u.display_name));
	if (e == ERR_OK)
		e = str_copy(str_from(c->role), u.role, sizeof(u.role));
	if (e == ERR_OK)
		e = users_create(c->rds, &u);
	users_wipe(&u);
	if (e != ERR_OK)
		return failed(e, args[0]);
	printf("%s was added\n", args[0]);
	return CTL_DONE;
}

static void print_user(void *arg, const struct user *u, bool online)
{
	(void)arg;
	printf("%-32s %-6s %-9s %-8s %s\n", u->name, u->role, u->disabled ? "disabled" : "active", online ? "online" : "offline",
	       u->display_name);
}

int ctl_user_list(struct ctl *c, char **args)
{
	const struct search everyone = { .with_disabled = true, .with_online = true };
	struct page page = { .limit = LIMIT_MAX };

	(void)args;
	for (;;) {
		char next_mem[CURSOR_MAX];
		struct buf next = buf_fixed(next_mem, sizeof(next_mem));
		enum err e = search_run(c->rds, &everyone, &page, print_user, NULL, &next);

		if (e != ERR_OK)
			return failed(e, "");
		if (next.len == 0)
			return CTL_DONE;
		memcpy(page.cursor, next.p, next.len);
		page.cursor_len = next.len;
	}
}

static int change(struct ctl *c, const char *name, struct user_change *what, const char *done)
{
	struct user u;
	enum err e = users_get(c->rds, str_from(name), &u);

	if (e == ERR_OK) {
		users_wipe(&u);
		what->credentials_end_s = clock_wall_ms() / MS_PER_S + c->set->turn_ttl_s;
		e = user_change_apply(c->rds, &u, what);
	}
	if (e != ERR_OK)
		return failed(e, name);
	printf("%s %s\n", name, done);
	return CTL_DONE;
}

int ctl_user_disable(struct ctl *c, char **args)
{
	return change(c, args[0], &(struct user_change){ .state = STR("disabled") }, "was disabled");
}

int ctl_user_enable(struct ctl *c, char **args)
{
	return change(c, args[0], &(struct user_change){ .state = STR("active") }, "was enabled");
}

int ctl_user_role(struct ctl *c, char **args)
{
	const char *wrong = check_role(str_from(args[1]));

	if (wrong != NULL)
		return ctl_refuse("the role %s", wrong);
	return change(c, args[0], &(struct user_change){ .role = str_from(args[1]) }, "has the role now");
}

int ctl_user_password(struct ctl *c, char **args)
{
	char password[PASSWORD_SIZE], hash[HASH_SIZE];
	struct user u;
	enum err e = users_get(c->rds, str_from(args[0]), &u);

	if (e != ERR_OK)
		return failed(e, args[0]);
	users_wipe(&u);
	if (!read_password(c, u.name, u.display_name, password))
		return CTL_REFUSED;
	e = hash_password(c, password, hash);
	explicit_bzero(password, sizeof(password));
	/* Whatever it was before, and no session stays. */
	if (e == ERR_OK)
		e = sessions_change_password(c->rds, str_from(u.name), STR(""), str_from(hash), STR(""));
	explicit_bzero(hash, sizeof(hash));
	if (e != ERR_OK)
		return failed(e, args[0]);
	printf("%s has the new password; all sessions were ended\n", args[0]);
	return CTL_DONE;
}
