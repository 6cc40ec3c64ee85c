#include "api/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/fcgi.h"
#include "api/worker.h"
#include "common/clock.h"

#define CHILDREN_MAX 65u       /* [api] processes, and the one for metrics */
#define RESTART_MS 1000u       /* a child that ends at once is started again at most once in this time */
#define STOP_MS 10000u         /* after that, SIGKILL */

/* Child 0 serves the metrics, the others requests. */
struct child {
	pid_t pid; /* 0: not running */
	uint64_t started_ms;
};

struct parent {
	struct settings *set; /* owned */
	struct stats *stats;  /* owned, shared with the children */
	int listen_fd;
	struct child child[CHILDREN_MAX];
	size_t count;
	sigset_t signals;
};

static void child_main(struct parent *p, size_t i)
{
	sigset_t none;

	/* SIGTERM stays blocked: a worker waits for it with sigwait. All else is as usual again. */
	(void)sigemptyset(&none);
	(void)sigaddset(&none, SIGTERM);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Ctrl-C goes to the whole group; the parent tells the children. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	int status = i == 0 ? worker_run_metrics(p->set, p->stats) : worker_run(p->set, p->stats, p->listen_fd);
	settings_free(p->set);
	free(p->set);
	exit(status);
}

static void start(struct parent *p, size_t i, uint64_t now_ms)
{
	pid_t pid = fork();

	if (pid == 0)
		child_main(p, i);
	p->child[i].started_ms = now_ms;
	p->child[i].pid = pid > 0 ? pid : 0;
	if (pid < 0)
		log_event(LOG_ERROR, "fork-failed", "error=%s", strerrordesc_np(errno));
}

static void signal_children(struct parent *p, int sig)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->child[i].pid > 0)
			(void)kill(p->child[i].pid, sig);
	}
}

/* Collects those that ended. Returns how many still run. */
static size_t reap(struct parent *p, bool asked)
{
	size_t running = 0;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < p->count; i++) {
			if (p->child[i].pid != pid)
				continue;
			p->child[i].pid = 0;
			if (asked || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
				continue;
			stats_add(p->stats, STAT_RESTARTS);
			log_event(LOG_ERROR, "worker-ended", "index=%zu pid=%d %s=%d", i, (int)pid,
				  WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		}
	}
	for (size_t i = 0; i < p->count; i++)
		running += p->child[i].pid > 0;
	return running;
}

static void restart(struct parent *p, uint64_t now_ms)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->child[i].pid == 0 && now_ms >= p->child[i].started_ms + RESTART_MS)
			start(p, i, now_ms);
	}
}

/* Children are replaced by ones with the new settings; what they are doing they finish. Socket and number of
 * processes stay as they are. */
static void reload_settings(struct parent *p, parent_reload_fn reload)
{
	struct settings *fresh = reload();

	if (fresh == NULL)
		return;
	settings_free(p->set);
	free(p->set);
	p->set = fresh;
	for (size_t i = 0; i < p->count; i++)
		p->child[i].started_ms = 0;
	signal_children(p, SIGTERM);
	log_event(LOG_INFO, "reloaded", "processes=%zu", p->count - 1);
}

static void stop(struct parent *p)
{
	const struct timespec step = { .tv_nsec = 50 * NS_PER_MS };
	uint64_t until = clock_mono_ms() + STOP_MS;

	signal_children(p, SIGTERM);
	while (reap(p, true) > 0) {
		(void)sigtimedwait(&p->signals, NULL, &step);
		if (clock_mono_ms() >= until)
			signal_children(p, SIGKILL);
	}
}

static void supervise(struct parent *p, parent_reload_fn reload)
{
	const struct timespec step = { .tv_sec = 1 };

	for (;;) {
		restart(p, clock_mono_ms());
		int sig = sigtimedwait(&p->signals, NULL, &step);

		(void)reap(p, false);
		if (sig == SIGTERM || sig == SIGINT)
			break;
		if (sig == SIGHUP)
			reload_settings(p, reload);
	}
	stop(p);
}

int parent_run(struct settings *set, parent_reload_fn reload)
{
	struct parent p = { .set = set, .count = (size_t)set->processes + 1, .listen_fd = -1 };
	char *path = strdup(set->socket_path), why[512] = "out of memory";
	int status = EXIT_FAILURE;

	(void)sigemptyset(&p.signals);
	(void)sigaddset(&p.signals, SIGTERM);
	(void)sigaddset(&p.signals, SIGINT);
	(void)sigaddset(&p.signals, SIGHUP);
	(void)sigaddset(&p.signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &p.signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* No core dump and no ptrace by others of the same user: passwords and keys pass through here. */
	(void)prctl(PR_SET_DUMPABLE, 0);

	p.stats = stats_new();
	if (path == NULL || p.stats == NULL ||
	    fcgi_listen(path, set->mode, set->socket_group, &p.listen_fd, why, sizeof(why)) != ERR_OK) {
		(void)fprintf(stderr, "duplex-api: %s\n", why);
	} else {
		log_event(LOG_INFO, "started", "version=%s processes=%zu threads=%llu socket=%s", DUPLEX_VERSION, p.count - 1,
			  (unsigned long long)set->threads, log_value(str_from(path)));
		supervise(&p, reload);
		(void)unlink(path);
		(void)close(p.listen_fd);
		log_event(LOG_INFO, "stopped", "version=%s", DUPLEX_VERSION);
		status = EXIT_SUCCESS;
	}
	settings_free(p.set);
	free(p.set);
	stats_free(p.stats);
	free(path);
	return status;
}
