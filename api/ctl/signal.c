/* duplexctl signal: asks the signalling workers of this machine over their control sockets (signalling/control.h) and shows the answers together. */
#include "api/ctl/signal.h"

#include <curl/curl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/ctl/ctl.h"
#include "common/buf.h"
#include "common/conf.h"

#define ANSWER_MAX (64u << 20)
#define URL_MAX 2048u
#define OPTIONS_MAX 4u
#define TRACE_SECONDS_MAX 3600u
#define TRACE_SECONDS "30"
#define LOOK_US 100000u

struct where {
	char *run_dir;
};

static const struct conf_option options[] = {
	{ .section = "common", .key = "run-dir", .type = CONF_STRING, .offset = offsetof(struct where, run_dir), .preset = "/run/duplex",
	  .unit = "", .help = "folder of the sockets" },
};

struct verb {
	const char *name, *path;
	const char *options[OPTIONS_MAX]; /* each is sent as the query parameter of its name */
	void (*print)(const json_t *all); /* NULL: a trace */
	const char *usage;
};

static const struct verb verbs[] = {
	{ "status", "/status", { NULL }, signal_print_status, "signal status" },
	{ "registrations", "/registrations", { "user" }, signal_print_registrations, "signal registrations [--user NAME]" },
	{ "calls", "/calls", { "user", "id" }, signal_print_calls, "signal calls [--user NAME] [--id ID]" },
	{ "connections", "/connections", { "user", "limit" }, signal_print_connections, "signal connections [--user NAME] [--limit N]" },
	{ "stats", "/stats", { NULL }, signal_print_stats, "signal stats" },
	{ "trace", "/trace", { "user", "call", "seconds" }, NULL, "signal trace --user NAME | --call ID [--seconds S] [--full]" },
};

void ctl_signal_usage(FILE *to)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		(void)fprintf(to, "  duplexctl [--config FILE] %s [--json]\n", verbs[i].usage);
}

struct ask {
	const struct verb *verb;
	struct buf query; /* fixed */
	uint64_t seconds;
	bool json, full;
	CURL *curl;
	struct buf answer; /* grows */
	glob_t sockets;
};

static bool takes(const struct verb *v, const char *option)
{
	for (size_t i = 0; i < OPTIONS_MAX && v->options[i] != NULL; i++) {
		if (strcmp(v->options[i], option) == 0)
			return true;
	}
	return false;
}

static bool add_option(struct ask *a, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(a->curl, value, 0);

	if (escaped == NULL)
		return false;
	buf_printf(&a->query, "&%s=%s", name, escaped);
	curl_free(escaped);
	return !a->query.overflow;
}

static bool read_options(struct ask *a, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			a->json = true;
		} else if (strcmp(argv[i], "--full") == 0 && a->verb->print == NULL) {
			a->full = true;
		} else if (strncmp(argv[i], "--", 2) != 0 || i + 1 >= argc || !takes(a->verb, argv[i] + 2)) {
			return false;
		} else {
			if (strcmp(argv[i], "--seconds") == 0 && str_to_u64(str_from(argv[i + 1]), TRACE_SECONDS_MAX, &a->seconds) != ERR_OK)
				return false;
			if (!add_option(a, argv[i] + 2, argv[i + 1]))
				return false;
			i++;
		}
	}
	return true;
}

static size_t on_data(char *p, size_t size, size_t count, void *user)
{
	struct ask *a = user;

	buf_put(&a->answer, p, size * count);
	return a->answer.overflow ? 0 : size * count;
}

/* One worker's answer, a new reference; NULL after a word to stderr. */
static json_t *ask_one(struct ask *a, const char *socket_path, const char *method)
{
	char url[URL_MAX];
	long status = 0;

	if ((size_t)snprintf(url, sizeof(url), "http://localhost%s?%.*s", a->verb->path, STR_FMT(buf_view(&a->query))) >= sizeof(url))
		return NULL;
	buf_reset(&a->answer);
	(void)curl_easy_setopt(a->curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(a->curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	(void)curl_easy_setopt(a->curl, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, on_data);
	(void)curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, a);
	(void)curl_easy_setopt(a->curl, CURLOPT_TIMEOUT, 10L);
	CURLcode code = curl_easy_perform(a->curl);
	if (code != CURLE_OK) {
		(void)ctl_refuse("the worker at %s does not answer (%s): does it run, and may you use the socket?", socket_path,
				 curl_easy_strerror(code));
		return NULL;
	}
	(void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
	json_t *answer = json_loadb(a->answer.p != NULL ? a->answer.p : "", a->answer.len, 0, NULL);
	if (status == 200 && answer != NULL)
		return answer;
	const char *error = json_string_value(json_object_get(answer, "error"));
	(void)ctl_refuse("%s: %s", socket_path, error != NULL ? error : "the worker refuses");
	json_decref(answer);
	return NULL;
}

/* "…/control.signal.0.sock" -> "0" */
static json_t *worker_of(const char *socket_path)
{
	static const char head[] = "/control.signal.";
	const char *at = strstr(socket_path, head);
	size_t len = at != NULL ? strlen(at + sizeof(head) - 1) : 0;

	return len > 5 ? json_stringn(at + sizeof(head) - 1, len - 5) : json_string("");
}

/* The answers of all workers; *failed: of how many there is none. */
static json_t *ask_all(struct ask *a, const char *method, size_t *failed)
{
	json_t *all = json_array();

	*failed = 0;
	for (size_t i = 0; i < a->sockets.gl_pathc; i++) {
		json_t *answer = ask_one(a, a->sockets.gl_pathv[i], method);

		if (answer != NULL)
			(void)json_array_append_new(all, json_pack("{s:o,s:o}", "worker", worker_of(a->sockets.gl_pathv[i]), "answer", answer));
		else
			(*failed)++;
	}
	return all;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

/* Until the time is over, or the administrator has seen enough. */
static void wait_for(uint64_t seconds)
{
	struct sigaction act = { .sa_handler = on_interrupt };

	(void)sigaction(SIGINT, &act, NULL);
	(void)fprintf(stderr, "tracing for %llu s; Ctrl-C ends it earlier\n", (unsigned long long)seconds);
	for (uint64_t us = 0; us < seconds * 1000000 && interrupted == 0; us += LOOK_US)
		(void)usleep(LOOK_US);
}

static int show(struct ask *a, json_t *all)
{
	if (a->json) {
		(void)json_dumpf(all, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	} else if (a->verb->print != NULL) {
		a->verb->print(all);
	} else {
		ladder_print(stdout, all, a->full);
	}
	return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
}

static int trace(struct ask *a)
{
	size_t failed;

	json_decref(ask_all(a, "POST", &failed));
	if (failed == a->sockets.gl_pathc)
		return CTL_REFUSED;
	wait_for(a->seconds);
	json_t *all = ask_all(a, "GET", &failed);
	size_t ended;
	json_decref(ask_all(a, "DELETE", &ended));
	int result = show(a, all);
	json_decref(all);
	return failed > 0 ? CTL_REFUSED : result;
}

static int list(struct ask *a)
{
	size_t failed;
	json_t *all = ask_all(a, "GET", &failed);
	int result = failed < a->sockets.gl_pathc ? show(a, all) : CTL_REFUSED;

	json_decref(all);
	return failed > 0 ? CTL_REFUSED : result;
}

static int run(struct ask *a, const char *run_dir, int argc, char **argv)
{
	char pattern[256];
	uint64_t preset;

	if (!read_options(a, argc, argv))
		return ctl_usage();
	if (a->verb->print == NULL && a->seconds == 0) {
		if (str_to_u64(STR(TRACE_SECONDS), TRACE_SECONDS_MAX, &preset) != ERR_OK || !add_option(a, "seconds", TRACE_SECONDS))
			return CTL_REFUSED;
		a->seconds = preset;
	}
	if ((size_t)snprintf(pattern, sizeof(pattern), "%s/control.signal.*.sock", run_dir) >= sizeof(pattern))
		return ctl_refuse("[common] run-dir is too long");
	if (glob(pattern, 0, NULL, &a->sockets) != 0 || a->sockets.gl_pathc == 0)
		return ctl_refuse("there is no %s: does a worker run, and may you look into the folder?", pattern);
	return a->verb->print != NULL ? list(a) : trace(a);
}

static int run_verb(const struct verb *v, const char *run_dir, int argc, char **argv)
{
	char query[URL_MAX];
	struct ask a = { .verb = v, .query = buf_fixed(query, sizeof(query)), .answer = buf_growing(ANSWER_MAX) };

	a.curl = curl_easy_init();
	if (a.curl == NULL)
		return ctl_refuse("out of memory");
	int result = run(&a, run_dir, argc, argv);
	globfree(&a.sockets);
	curl_easy_cleanup(a.curl);
	buf_fini(&a.answer);
	return result;
}

int ctl_signal(int argc, char **argv)
{
	struct where where = { 0 };
	char **words;
	int count, result = conf_main(argc, argv, "duplexctl", options, ARRAY_LEN(options), &where, &count, &words);

	if (result >= 0)
		return result;
	for (size_t i = 0; i < ARRAY_LEN(verbs) && result < 0 && count >= 2; i++) {
		if (strcmp(words[1], verbs[i].name) == 0)
			result = run_verb(&verbs[i], where.run_dir, count - 2, words + 2);
	}
	conf_free(options, ARRAY_LEN(options), &where);
	return result >= 0 ? result : ctl_usage();
}
