/* sipload: load generator and verifying client for SIP over WebSocket and over TCP. It plays N registered users, both sides of each call and
 * message between them, at given rates (open loop: an operation counts from when it was due) or with a given number under way (closed loop),
 * checks every answer, and prints one JSON object. Bounded in time and count; one thread: pin it to a core of its own. It knows nothing of the
 * server but SIP, so it drives Duplex and others alike. Exit status 1: something came back wrong. */
#include "bench/sipload.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/rkeys.h"

#define CPU_MAX 8u
#define DRAIN_US 3000000u
#define US 1000000u

/* CPU time of a group of processes. */
struct cpu_group {
	const char *label;
	char pids[256]; /* separated by commas */
	uint64_t from_ns, ns;
};

struct options {
	const char *to, *domain, *ready;
	bool stream, print_users, idle;
	double warmup_s, seconds, setup_s;
	unsigned storms;
	struct cpu_group cpu[CPU_MAX];
	size_t cpus;
	struct cpu_group self;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static void die(const char *why)
{
	(void)fprintf(stderr, "sipload: %s\n", why);
	exit(2);
}

/* --- time on a CPU, user and system, in nanoseconds: /proc/PID/task/TID/schedstat of Linux --- */

static uint64_t cpu_of_pid(struct str pid)
{
	char pattern[64], text[128];
	uint64_t sum = 0;
	glob_t found;

	(void)snprintf(pattern, sizeof(pattern), "/proc/%.*s/task/*/schedstat", STR_FMT(pid));
	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
		struct str rest = str_of(text, n > 0 ? (size_t)n : 0);
		uint64_t ns;

		if (fd >= 0)
			(void)close(fd);
		if (rest.len > 0 && str_to_u64(str_cut(&rest, ' '), UINT64_MAX, &ns) == ERR_OK)
			sum += ns;
	}
	globfree(&found);
	return sum;
}

static uint64_t cpu_of(const struct cpu_group *g)
{
	struct str rest = str_from(g->pids);
	uint64_t sum = 0;

	while (rest.p != NULL)
		sum += cpu_of_pid(str_cut(&rest, ','));
	return sum;
}

static void cpu_mark(struct options *o, bool end)
{
	for (size_t i = 0; i <= o->cpus; i++) {
		struct cpu_group *g = i < o->cpus ? &o->cpu[i] : &o->self;
		uint64_t now = cpu_of(g);

		if (end)
			g->ns = now - g->from_ns;
		else
			g->from_ns = now;
	}
}

/* --- options --- */

static const char usage[] =
	"usage: sipload --to unix:PATH|tcp:IP:PORT|tls:IP:PORT [options]\n"
	"  --stream            SIP as a stream (RFC 3261) instead of WebSocket frames\n"
	"  --domain D          SIP domain (bench.test); --host H: of the upgrade request (the domain)\n"
	"  --users N           that connect and register (1000); --first K: number of the first\n"
	"  --register LOAD     refreshing REGISTERs; LOAD: a rate per second, or wN for N under way\n"
	"  --call LOAD         INVITE-180-200-ACK-BYE-200 from each even user to the next; --hold MS between ACK and BYE\n"
	"  --message LOAD      MESSAGE likewise\n"
	"  --warmup S --seconds S --count N    what is counted: S seconds after the warm-up, at most N operations a kind\n"
	"  --setup-window N    connections made at once (100; 0: all); --setup-seconds S to give up after (120)\n"
	"  --idle              no load: stays for --seconds and answers pings\n"
	"  --storm N           N times: all connections are dropped and come back at once\n"
	"  --sources IP,N,C    come from N addresses from IP on, C connections each\n"
	"  --plain             without the X-Duplex headers\n"
	"  --cpu-of LABEL:PID[,PID...]         CPU time of these while counting; may come again\n"
	"  --ready FILE        is made when all are registered\n"
	"  --print-users       Redis commands that make the users and their sessions, nothing else\n";

enum { O_TO = 256, O_STREAM, O_DOMAIN, O_HOST, O_USERS, O_FIRST, O_REGISTER, O_CALL, O_MESSAGE, O_HOLD, O_WARMUP, O_SECONDS, O_COUNT,
       O_SETUP_WINDOW, O_SETUP_SECONDS, O_IDLE, O_STORM, O_SOURCES, O_PLAIN, O_CPU_OF, O_READY, O_PRINT_USERS };

static const struct option long_options[] = {
	{ "to", 1, NULL, O_TO }, { "stream", 0, NULL, O_STREAM }, { "domain", 1, NULL, O_DOMAIN }, { "host", 1, NULL, O_HOST },
	{ "users", 1, NULL, O_USERS }, { "first", 1, NULL, O_FIRST }, { "register", 1, NULL, O_REGISTER }, { "call", 1, NULL, O_CALL },
	{ "message", 1, NULL, O_MESSAGE }, { "hold", 1, NULL, O_HOLD }, { "warmup", 1, NULL, O_WARMUP }, { "seconds", 1, NULL, O_SECONDS },
	{ "count", 1, NULL, O_COUNT }, { "setup-window", 1, NULL, O_SETUP_WINDOW }, { "setup-seconds", 1, NULL, O_SETUP_SECONDS },
	{ "idle", 0, NULL, O_IDLE }, { "storm", 1, NULL, O_STORM }, { "sources", 1, NULL, O_SOURCES }, { "plain", 0, NULL, O_PLAIN },
	{ "cpu-of", 1, NULL, O_CPU_OF }, { "ready", 1, NULL, O_READY }, { "print-users", 0, NULL, O_PRINT_USERS }, { NULL, 0, NULL, 0 },
};

static double number(const char *text, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v >= 0) || v > max)
		die("not a number within its range");
	return v;
}

static void read_load(struct load_stream *s, const char *text)
{
	if (text[0] == 'w')
		s->window = (unsigned)number(text + 1, 1e6);
	else
		s->rate = number(text, 1e7);
}

static void read_sources(struct link_target *t, const char *text)
{
	struct str rest = str_from(text), ip = str_cut(&rest, ',');
	uint32_t a = 0;
	uint64_t n, each;

	for (int i = 0; i < 4; i++) {
		if (ip.p == NULL || str_to_u64(str_cut(&ip, '.'), 255, &n) != ERR_OK)
			die("--sources: not an address");
		a = a << 8 | (uint32_t)n;
	}
	if (rest.p == NULL || str_to_u64(str_cut(&rest, ','), 65536, &n) != ERR_OK || rest.p == NULL ||
	    str_to_u64(rest, 60000, &each) != ERR_OK || n == 0 || each == 0)
		die("--sources: IP,N,C");
	t->source = a;
	t->sources = (uint32_t)n;
	t->per_source = (uint32_t)each;
}

static void read_cpu(struct options *o, char *text)
{
	struct str rest = str_from(text), label = str_cut(&rest, ':');

	if (rest.p == NULL || o->cpus == CPU_MAX || str_copy(rest, o->cpu[o->cpus].pids, sizeof(o->cpu[0].pids)) != ERR_OK)
		die("--cpu-of: LABEL:PID,…");
	text[label.len] = '\0';
	o->cpu[o->cpus++].label = text;
}

static void read_option(struct options *o, struct load *L, struct str *host, int c)
{
	switch (c) {
	case O_TO: o->to = optarg; break;
	case O_STREAM: o->stream = true; break;
	case O_DOMAIN: o->domain = optarg; break;
	case O_HOST: *host = str_from(optarg); break;
	case O_USERS: L->users = (size_t)number(optarg, 1 << 20); break;
	case O_FIRST: L->first = (uint32_t)number(optarg, 900000); break;
	case O_REGISTER: read_load(&L->stream[LOAD_REGISTER], optarg); break;
	case O_CALL: read_load(&L->stream[LOAD_CALL], optarg); break;
	case O_MESSAGE: read_load(&L->stream[LOAD_MESSAGE], optarg); break;
	case O_HOLD: L->hold_us = (uint64_t)(number(optarg, 60000) * 1000); break;
	case O_WARMUP: o->warmup_s = number(optarg, 3600); break;
	case O_SECONDS: o->seconds = number(optarg, 86400); break;
	case O_COUNT:
		for (unsigned k = 0; k < LOAD_KINDS; k++)
			L->stream[k].limit = (uint64_t)number(optarg, 1e12);
		break;
	case O_SETUP_WINDOW: L->setup_window = (unsigned)number(optarg, 1e6); break;
	case O_SETUP_SECONDS: o->setup_s = number(optarg, 3600); break;
	case O_IDLE: o->idle = true; break;
	case O_STORM: o->storms = (unsigned)number(optarg, 1000); break;
	case O_SOURCES: read_sources(&L->target, optarg); break;
	case O_PLAIN: L->duplex = false; break;
	case O_CPU_OF: read_cpu(o, optarg); break;
	case O_READY: o->ready = optarg; break;
	case O_PRINT_USERS: o->print_users = true; break;
	default: (void)fputs(usage, stderr); exit(2);
	}
}

/* --- users for Redis, as the API makes them --- */

static void print_users(const struct load *L)
{
	for (size_t i = 0; i < L->users; i++) {
		struct load_ua u = { .n = L->first + (uint32_t)i };
		char name[LOAD_USER_SIZE], session[33];
		struct str user = ops_user(&u, name), id = ops_session(&u, session);
		struct rkey account = rkey_user(user), key = rkey_session(user, id);

		printf("HSET %.*s state active display_name %.*s\r\n", STR_FMT(rkey_str(&account)), STR_FMT(user));
		printf("HSET %.*s created 1\r\n", STR_FMT(rkey_str(&key)));
	}
}

/* --- report --- */

static void hist_print(const char *name, const struct hist *h)
{
	if (h->n == 0)
		return;
	printf(",\"%s\":{\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"p999\":%" PRIu64 ",\"max\":%" PRIu64 ",\"mean\":%.1f}", name,
	       hist_at(h, 0.5), hist_at(h, 0.9), hist_at(h, 0.99), hist_at(h, 0.999), h->max, (double)h->sum / (double)h->n);
}

static void failures_print(const uint64_t failed[FAIL_COUNT])
{
	const char *comma = "";

	printf("{");
	for (unsigned i = 0; i < FAIL_COUNT; i++) {
		if (failed[i] == 0)
			continue;
		printf("%s\"%s\":%" PRIu64, comma, load_failure_names[i].name, failed[i]);
		comma = ",";
	}
	printf("}");
}

static void stream_print(const char *name, const struct load_stream *s, double seconds)
{
	if (s->rate <= 0 && s->window == 0)
		return;
	printf(",\"%s\":{\"asked_per_s\":%.1f,\"window\":%u,\"started\":%" PRIu64 ",\"completed\":%" PRIu64 ",\"per_s\":%.1f,\"late\":%" PRIu64 ",\"failed\":",
	       name, s->rate, s->window, s->started, s->completed, (double)s->completed / seconds, s->late);
	failures_print(s->failed);
	hist_print("latency_us", &s->latency);
	hist_print("ringing_us", &s->ringing);
	hist_print("bye_us", &s->bye);
	printf("}");
}

/* `marks`: figures of the phase, as JSON members. */
static void report(const struct options *o, const struct load *L, double seconds, const char *marks)
{
	static const char *const names[LOAD_KINDS] = { "register", "call", "message" };

	printf("{\"users\":%zu,\"open\":%zu,\"registered\":%zu,\"seconds\":%.3f%s", L->users, L->open, L->registered, seconds, marks);
	for (unsigned k = 0; k < LOAD_KINDS; k++)
		stream_print(names[k], &L->stream[k], seconds);
	printf(",\"cpu_s\":{\"client\":%.4f", (double)o->self.ns / 1e9);
	for (size_t i = 0; i < o->cpus; i++)
		printf(",\"%s\":%.4f", o->cpu[i].label, (double)o->cpu[i].ns / 1e9);
	printf("},\"pings\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"turned_away\":%" PRIu64 ",\"queue_full\":%" PRIu64 ",\"failed\":", L->target.pings, L->lost,
	       L->refused, L->again);
	failures_print(L->failed);
	printf("}\n");
	if (L->first_failure[0] != '\0')
		(void)fprintf(stderr, "sipload: the first that went wrong: %s\n", L->first_failure);
}

static bool all_well(const struct load *L)
{
	uint64_t bad = L->lost;

	for (unsigned i = 0; i < FAIL_COUNT; i++)
		bad += L->failed[i];
	return bad == 0;
}

/* --- phases --- */

static uint64_t turn_until(struct load *L, uint64_t end_us)
{
	uint64_t from = clock_mono_us();

	while (!stopped && clock_mono_us() < end_us)
		load_turn(L, end_us);
	return clock_mono_us() - from;
}

/* Microseconds until all are registered. */
static uint64_t register_all(struct load *L, double limit_s)
{
	uint64_t from = clock_mono_us(), end = from + (uint64_t)(limit_s * 1e6);

	load_connect_all(L);
	while (L->registered < L->users && !stopped) {
		if (clock_mono_us() > end) {
			(void)fprintf(stderr, "sipload: %zu of %zu registered, %s\n", L->registered, L->users, L->first_failure);
			die("not all are registered in time");
		}
		load_turn(L, end);
	}
	return clock_mono_us() - from;
}

static void storms(struct options *o, struct load *L)
{
	char marks[4096];
	struct buf b = buf_fixed(marks, sizeof(marks) - 1);
	unsigned window = L->setup_window;
	uint64_t from = clock_mono_us();

	cpu_mark(o, false);
	buf_z(&b, ",\"storm_ms\":[");
	for (unsigned i = 0; i < o->storms && !stopped; i++) {
		(void)turn_until(L, clock_mono_us() + US);
		load_cut_all(L);
		L->setup_window = 0;
		buf_printf(&b, "%s%.1f", i > 0 ? "," : "", (double)register_all(L, o->setup_s) / 1000);
		L->setup_window = window;
	}
	cpu_mark(o, true);
	buf_char(&b, ']');
	marks[b.len] = '\0';
	report(o, L, (double)(clock_mono_us() - from) / 1e6, marks);
}

static bool outstanding(const struct load *L)
{
	for (unsigned k = 0; k < LOAD_KINDS; k++)
		if (L->stream[k].running > 0)
			return true;
	return false;
}

static bool all_issued(const struct load *L)
{
	for (unsigned k = 0; k < LOAD_KINDS; k++) {
		const struct load_stream *s = &L->stream[k];

		if ((s->rate > 0 || s->window > 0) && (s->limit == 0 || s->issued < s->limit || s->running > 0))
			return false;
	}
	return true;
}

static void loads(struct options *o, struct load *L)
{
	uint64_t end, from;

	load_start(L);
	(void)turn_until(L, clock_mono_us() + (uint64_t)(o->warmup_s * 1e6));
	load_count_from_here(L);
	cpu_mark(o, false);
	from = clock_mono_us();
	end = from + (uint64_t)(o->seconds * 1e6);
	while (!stopped && clock_mono_us() < end && !all_issued(L))
		load_turn(L, end);
	double seconds = (double)(clock_mono_us() - from) / 1e6;
	cpu_mark(o, true);
	/* What was under way has its end looked at, but counts no more: report first, verdict later. */
	report(o, L, seconds, "");
	L->running = false;
	end = clock_mono_us() + DRAIN_US;
	while (!stopped && outstanding(L) && clock_mono_us() < end)
		load_turn(L, end);
	if (outstanding(L) && !stopped)
		L->failed[FAIL_TIMEOUT]++;
}

static void run(struct options *o, struct load *L)
{
	char marks[64];
	uint64_t setup_us = register_all(L, o->setup_s);

	if (o->ready != NULL) {
		int fd = open(o->ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0)
			die("--ready: cannot be made");
		(void)close(fd);
	}
	if (o->idle) {
		cpu_mark(o, false);
		uint64_t us = turn_until(L, clock_mono_us() + (uint64_t)(o->seconds * 1e6));

		cpu_mark(o, true);
		(void)snprintf(marks, sizeof(marks), ",\"setup_s\":%.3f", (double)setup_us / 1e6);
		report(o, L, (double)us / 1e6, marks);
	} else if (o->storms > 0) {
		storms(o, L);
	} else {
		loads(o, L);
	}
}

int main(int argc, char **argv)
{
	static struct load L; /* large */
	struct options o = { .domain = "bench.test", .warmup_s = 1, .seconds = 5, .setup_s = 120, .self.label = "client" };
	struct rlimit files;
	struct str host = STR_NONE;
	int c;

	L.users = 1000;
	L.duplex = true;
	L.setup_window = 100;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		read_option(&o, &L, &host, c);
	if (optind < argc || (o.to == NULL && !o.print_users)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (o.print_users) {
		print_users(&L);
		return 0;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	(void)snprintf(o.self.pids, sizeof(o.self.pids), "%d", (int)getpid());
	L.domain = str_from(o.domain);
	enum err e = link_target_init(&L.target, o.to, !o.stream, host.len > 0 ? host : L.domain);
	if (e == ERR_OK)
		e = load_init(&L);
	if (e != ERR_OK)
		die(err_text(e));
	L.transport = o.stream ? (L.target.scheme == LINK_TLS ? STR("TLS") : STR("TCP")) : L.target.scheme == LINK_TLS ? STR("WSS") : STR("WS");
	run(&o, &L);
	load_fini(&L);
	return all_well(&L) ? 0 : 1;
}
