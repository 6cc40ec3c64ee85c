/* duplex-signalling --config FILE [--worker N]: one worker process. There is one a core, started by the supervisor with N = 0, 1, … */
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/log.h"
#include "signalling/worker.h"

#define PROGRAM "duplex-signalling"
#define WORKER_INDEX_MAX 999u

struct stopper {
	struct loop_fd lf;
	struct worker *w;
};

static void on_signal(struct loop_fd *lf, uint32_t events)
{
	struct stopper *s = CONTAINER_OF(lf, struct stopper, lf);
	struct signalfd_siginfo info;

	(void)events;
	if (read(lf->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		worker_reload(s->w);
	else
		worker_drain(s->w);
}

/* Before any thread is made, so that none but the loop ever sees them. */
static int block_signals(void)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum err index_of(int argc, char **argv, uint64_t *out)
{
	*out = 0;
	if (argc == 0)
		return ERR_OK;
	if (argc == 2 && strcmp(argv[0], "--worker") == 0)
		return str_to_u64(str_from(argv[1]), WORKER_INDEX_MAX, out);
	return ERR_INVALID;
}

static bool node_valid(const char *node)
{
	size_t len = strlen(node);

	return len > 0 && len <= 16 && strspn(node, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int run(const struct signalling_conf *conf, unsigned index)
{
	struct stopper stop = { .lf = { .fd = block_signals(), .fn = on_signal } };
	enum err e = ERR_IO;

	if (stop.lf.fd < 0 || worker_new(conf, index, &stop.w) != ERR_OK)
		return 1;
	if (loop_add(stop.w->loop, &stop.lf, EPOLLIN) == ERR_OK)
		e = worker_run(stop.w);
	log_event(LOG_INFO, "worker-stopped", "worker=%s", stop.w->name);
	worker_free(stop.w);
	(void)close(stop.lf.fd);
	return e == ERR_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct signalling_conf conf = { 0 };
	enum log_level level;
	uint64_t index;
	int extra_argc;
	char **extra_argv;

	int done = conf_main(argc, argv, PROGRAM, signalling_options, signalling_option_count, &conf, &extra_argc, &extra_argv);
	if (done < 0 && index_of(extra_argc, extra_argv, &index) != ERR_OK) {
		(void)fprintf(stderr, PROGRAM ": after the options above only --worker N (0 to %u) may come\n", WORKER_INDEX_MAX);
		done = 2;
	}
	if (done < 0 && (log_level_from(str_from(conf.log_level), &level) != ERR_OK || !node_valid(conf.node))) {
		(void)fprintf(stderr, PROGRAM ": [common] log-level or [signalling] node is not valid\n");
		done = 2;
	}
	if (done < 0) {
		log_init("signalling", level);
		done = run(&conf, (unsigned)index);
	}
	conf_free(signalling_options, signalling_option_count, &conf);
	return done;
}
