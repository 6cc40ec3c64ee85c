/* duplex-relay: start everything in order, wait for signals, stop everything in reverse. The main thread is the
 * control thread: it serves no packets. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "relay/claimed.h"
#include "relay/control.h"
#include "relay/ctl.h"
#include "relay/doctor.h"
#include "relay/eal.h"
#include "relay/kernel.h"
#include "relay/port.h"
#include "relay/telemetry.h"
#include "relay/stream.h"
#include "relay/worker.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
#define WATCH_MS 500u

struct program {
	struct relay_conf conf;
	struct relay_plan plan;
	struct policy *policy; /* until the relay owns it */
	struct ports ports;
	struct ifaces ifaces;
	struct relay *relay;
	struct workers *workers;
	struct stream *stream; /* NULL = none */
	struct metrics *metrics;
	struct ctl *ctl;
	struct control *control;
	struct kernel *kernel; /* NULL = no port needs it */
	char name[128]; /* among all relays */
	bool streams;          /* there is something in stream-listen */
	bool leave, left;      /* what the next relay is to find: to be left, and there */
	char why[512];
};

static enum err start_check(struct program *p)
{
	enum log_level level;

	if (log_level_from(str_from(p->conf.log_level), &level) != ERR_OK) {
		(void)snprintf(p->why, sizeof(p->why),
			       "[common] log-level must be error, warn, info or debug, not '%s'", p->conf.log_level);
		return ERR_INVALID;
	}
	log_init("relay", level);
	enum err e = relay_plan_make(&p->conf, &p->plan, p->why, sizeof(p->why));
	if (e == ERR_OK)
		e = kernel_plan(&p->conf, &p->plan, p->why, sizeof(p->why));
	if (e == ERR_OK)
		e = stream_wanted(&p->conf, &p->streams, p->why, sizeof(p->why));
	if (e == ERR_OK)
		e = policy_new(&p->conf, &p->policy, p->why, sizeof(p->why));
	return e;
}

static void stop_check(struct program *p)
{
	policy_free(p->policy);
}

static enum err start_eal(struct program *p)
{
	return eal_start(&p->conf, &p->plan, p->why, sizeof(p->why));
}

static void stop_eal(struct program *p)
{
	if (!p->left)
		eal_stop();
}

static enum err start_ports(struct program *p)
{
	enum err e = ports_open(&p->conf, &p->plan, &p->ports, &p->ifaces, p->why, sizeof(p->why));

	if (e != ERR_OK)
		(void)ports_close(&p->ports, false);
	eal_refuse_signals();
	return e;
}

static void stop_ports(struct program *p)
{
	p->left = ports_close(&p->ports, p->leave);
}

static enum err start_relay(struct program *p)
{
	struct relay_size size = {
		.turn_port = (uint16_t)p->conf.turn_port,
		.port_min = (uint16_t)p->conf.port_min,
		.port_max = (uint16_t)p->conf.port_max,
		.max_allocations = (uint32_t)p->conf.max_allocations,
		.workers = (unsigned)p->conf.cores,
	};
	enum err e = relay_new(&size, &p->ifaces, p->policy, &p->relay);

	if (e != ERR_OK) {
		(void)snprintf(p->why, sizeof(p->why),
			       "there is no memory for the allocations: raise [relay] memory or lower max-allocations");
		return e;
	}
	p->policy = NULL;
	if (!p->streams)
		return ERR_OK;
	e = stream_link_new(p->relay->workers, p->ports.pool, &p->relay->link);
	if (e != ERR_OK) {
		relay_free(p->relay);
		(void)snprintf(p->why, sizeof(p->why), "there is no memory for the rings of stream-listen: raise [relay] memory");
	}
	return e;
}

static void stop_relay(struct program *p)
{
	stream_link_free(p->relay->link);
	relay_free(p->relay);
}

static enum err start_journal(struct program *p)
{
	(void)mkdir(p->conf.run_dir, 0755);
	if (p->conf.journal[0] == '\0')
		return ERR_OK;
	return restore_start(p->relay, p->conf.journal, (uint32_t)p->conf.max_allocations, path_seconds(clock_mono_ms()), p->why,
			     sizeof(p->why));
}

static void stop_journal(struct program *p)
{
	p->leave = p->relay->journal != NULL && p->conf.keep_on_stop;
	journal_close(p->relay->journal, !p->conf.keep_on_stop);
	p->relay->journal = NULL;
}

static enum err start_telemetry(struct program *p)
{
	enum err e = p->conf.telemetry ? telemetry_start(p->relay) : ERR_OK;

	if (e != ERR_OK)
		(void)snprintf(p->why, sizeof(p->why), "DPDK does not take the relay's telemetry commands");
	return e;
}

static void stop_telemetry(struct program *p)
{
	(void)p;
	telemetry_stop();
}

static enum err start_kernel(struct program *p)
{
	enum err e = kernel_start(p->relay, &p->plan, &p->kernel);

	if (e != ERR_OK)
		(void)snprintf(p->why, sizeof(p->why), "the thread for the kernel's neighbours does not start: %s", err_text(e));
	return e;
}

static void stop_kernel(struct program *p)
{
	kernel_stop(p->kernel);
}

struct socket_path {
	char z[256];
};

static struct socket_path socket_path(const struct program *p, const char *name)
{
	struct socket_path path;

	(void)snprintf(path.z, sizeof(path.z), "%s/%s.relay.sock", p->conf.run_dir, name);
	return path;
}

static enum err socket_made(struct program *p, enum err e, const struct socket_path *path)
{
	if (e != ERR_OK)
		(void)snprintf(p->why, sizeof(p->why),
			       "the socket %s cannot be made: does [common] run-dir exist, and may we write to it?",
			       path->z);
	return e;
}

static enum err start_metrics(struct program *p)
{
	struct socket_path path = socket_path(p, "metrics");

	return socket_made(p, metrics_start(path.z, stats_write, p->relay, &p->metrics), &path);
}

static void stop_metrics(struct program *p)
{
	metrics_stop(p->metrics);
	(void)unlink(socket_path(p, "metrics").z);
}

static enum err start_control(struct program *p)
{
	struct socket_path path = socket_path(p, "control");

	return socket_made(p, control_start(path.z, p->relay, &p->control), &path);
}

static void stop_control(struct program *p)
{
	control_stop(p->control);
	(void)unlink(socket_path(p, "control").z);
}

/* Two relays of one machine have different prefixes already. */
static void take_name(struct program *p)
{
	char host[64] = "relay";

	(void)gethostname(host, sizeof(host) - 1);
	if (p->conf.name[0] != '\0')
		(void)snprintf(p->name, sizeof(p->name), "%s", p->conf.name);
	else
		(void)snprintf(p->name, sizeof(p->name), "%s-%s", host, p->conf.file_prefix);
	/* It stands in addresses of the REST API. */
	for (char *at = p->name; *(at += strspn(at, NAME_CHARACTERS)) != '\0';)
		*at = '-';
}

static enum err start_ctl(struct program *p)
{
	take_name(p);
	enum err e = ctl_start(p->relay, p->conf.redis, p->name, &p->ctl);

	if (e != ERR_OK)
		(void)snprintf(p->why, sizeof(p->why), "the thread for Redis does not start: %s", err_text(e));
	return e;
}

static void stop_ctl(struct program *p)
{
	ctl_stop(p->ctl);
}

static enum err start_workers(struct program *p)
{
	enum err e = workers_start(p->relay, &p->ports, &p->plan, (uint32_t)p->conf.idle_after_us, &p->workers);

	if (e != ERR_OK)
		(void)snprintf(p->why, sizeof(p->why), "the worker threads do not start: %s", err_text(e));
	return e;
}

static void stop_workers(struct program *p)
{
	workers_stop(p->workers);
}

static enum err start_stream(struct program *p)
{
	if (p->relay->link == NULL)
		return ERR_OK;
	return stream_start(p->relay, &p->conf, &p->stream, p->why, sizeof(p->why));
}

static void stop_stream(struct program *p)
{
	stream_stop(p->stream);
}

static const struct module {
	enum err (*start)(struct program *p);
	void (*stop)(struct program *p);
} modules[] = {
	{ start_check, stop_check },   { start_eal, stop_eal },         { start_ports, stop_ports }, { start_relay, stop_relay },
	{ start_journal, stop_journal },
	{ start_kernel, stop_kernel },
	{ start_telemetry, stop_telemetry },
	{ start_metrics, stop_metrics }, { start_workers, stop_workers }, { start_stream, stop_stream }, { start_ctl, stop_ctl },
	{ start_control, stop_control },
};

/* SIGHUP: reads the file again and takes what can be changed; the rest stays as it was at start. */
static void reload(struct program *p, const char *path)
{
	struct relay_conf fresh = { 0 };
	struct policy *policy;
	enum log_level level;

	enum err e = conf_load(path, relay_options, relay_options_count, &fresh, p->why, sizeof(p->why));
	if (e == ERR_OK)
		e = policy_new(&fresh, &policy, p->why, sizeof(p->why));
	if (e == ERR_OK) {
		e = stream_reload(p->stream, &fresh, p->why, sizeof(p->why));
		if (e != ERR_OK)
			policy_free(policy);
	}
	if (e != ERR_OK) {
		log_event(LOG_ERROR, "reload-refused", "reason=%s", log_value(str_from(p->why)));
	} else {
		if (log_level_from(str_from(fresh.log_level), &level) == ERR_OK)
			log_init("relay", level);
		relay_set_policy(p->relay, policy);
		log_event(LOG_INFO, "reloaded", "file=%s", log_value(str_from(path)));
	}
	conf_free(relay_options, relay_options_count, &fresh);
}

/* SIGUSR1: no new allocations; serve() ends with the last one. */
static void drain(struct program *p)
{
	enum err e = relay_drain_as_configured(p->relay, clock_mono_ms());

	if (e != ERR_OK)
		log_event(LOG_ERROR, "drain-refused", "reason=%s", log_value(str_from(err_text(e))));
	else
		log_event(LOG_INFO, "draining", "allocations=%u", table_count(p->relay->table));
}

static void serve(struct program *p, const sigset_t *signals, const char *path)
{
	const struct timespec watch = { .tv_nsec = WATCH_MS * 1000000L };
	uint64_t settled_ms = clock_mono_ms() + JOURNAL_SETTLED_MS;
	struct claimed claimed = { 0 };

	for (;;) {
		int s = sigtimedwait(signals, NULL, &watch);

		workers_watch(p->workers);
		if (settled_ms != 0 && clock_mono_ms() >= settled_ms) {
			journal_settled(p->relay->journal);
			settled_ms = 0;
		}
		atomic_store(&p->relay->links, ports_watch(&p->ports, clock_mono_us()));
		(void)claimed_tell(&claimed, &p->relay->neigh, &p->relay->ifaces, clock_mono_ms());
		if (relay_drained(p->relay, clock_mono_ms())) {
			log_event(LOG_INFO, "drained", "allocations=%u", table_count(p->relay->table));
			return;
		}
		if (s == SIGHUP)
			reload(p, path);
		else if (s == SIGUSR1)
			drain(p);
		else if (s == SIGTERM || s == SIGINT)
			return;
	}
}

static const char *conf_path(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--config") == 0)
			return argv[i + 1];
	}
	return "/etc/duplex/duplex.conf";
}

/* --doctor, the only word of our own. */
static int extra(struct program *p, int argc, char **argv)
{
	struct doctor d = { .conf = &p->conf, .plan = &p->plan, .root = "" };

	if (argc != 1 || strcmp(argv[0], "--doctor") != 0) {
		(void)fprintf(stderr, "duplex-relay: %s is not an option; see --help\n", argv[0]);
		return 2;
	}
	log_init("relay", LOG_ERROR);
	if (relay_plan_make(&p->conf, &p->plan, p->why, sizeof(p->why)) != ERR_OK) {
		(void)fprintf(stderr, "duplex-relay: %s\n", p->why);
		return 2;
	}
	return doctor_run(&d, stdout) > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct program p;
	char **words;
	int count;
	sigset_t signals;
	size_t up = 0;
	enum err e = ERR_OK;
	int status = conf_main(argc, argv, "duplex-relay", relay_options, relay_options_count, &p.conf, &count, &words);

	if (status < 0 && count > 0) {
		status = extra(&p, count, words);
		conf_free(relay_options, relay_options_count, &p.conf);
	}
	if (status >= 0)
		return status;
	/* Before any thread is made, so that only this one ever takes them. */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);

	while (up < ARRAY_LEN(modules) && (e = modules[up].start(&p)) == ERR_OK)
		up++;
	if (e != ERR_OK) {
		(void)fprintf(stderr, "duplex-relay: %s\n", p.why);
	} else {
		log_event(LOG_INFO, "started", "workers=%u ports=%u realm=%s", (unsigned)p.conf.cores, p.ports.count,
			  log_value(str_from(p.conf.domain)));
		serve(&p, &signals, conf_path(argc, argv));
		log_event(LOG_INFO, "stopping", "allocations=%u", table_count(p.relay->table));
	}
	while (up > 0)
		modules[--up].stop(&p);
	conf_free(relay_options, relay_options_count, &p.conf);
	return e == ERR_OK ? 0 : 1;
}
