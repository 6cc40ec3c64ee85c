/* duplexctl relay: asks the running relay over its control socket (relay/control.h) and shows the answer. */
#include "api/ctl/relay.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/ctl/ctl.h"
#include "common/buf.h"
#include "common/conf.h"

#define ANSWER_MAX (64u << 20)
#define URL_MAX 2048u
#define OPTIONS_MAX 8u

struct where {
	char *run_dir;
};

static const struct conf_option options[] = {
	{ .section = "common", .key = "run-dir", .type = CONF_STRING, .offset = offsetof(struct where, run_dir), .preset = "/run/duplex",
	  .unit = "", .help = "folder of the sockets" },
};

struct verb {
	const char *name, *method, *path;
	const char *options[OPTIONS_MAX]; /* those it takes; each is sent as the query parameter of its name */
	const char *preset;               /* more of the query */
	void (*print)(const json_t *answer);
	const char *usage;
};

static const struct verb verbs[] = {
	{ "status", "GET", "/status", { NULL }, "", relay_print_status, "relay status" },
	{ "list", "GET", "/allocations", { "user", "relayed", "limit" }, "", relay_print_list,
	  "relay list [--user NAME] [--relayed ADDRESS:PORT] [--limit N]" },
	{ "top", "GET", "/top", { "count", "seconds" }, "", relay_print_top, "relay top [--count N] [--seconds S]" },
	{ "end", "DELETE", "/allocations", { "user", "call", "relayed" }, "", relay_print_ended,
	  "relay end --user NAME [--call ID] | --relayed ADDRESS:PORT" },
	{ "capture", "GET", "/capture", { "relayed", "seconds", "frames", "snap" }, "", NULL,
	  "relay capture --relayed ADDRESS:PORT [--seconds S] [--frames N] [--snap BYTES] --output FILE|-" },
	{ "drain", "POST", "/drain", { "mode", "to", "seconds" }, "", relay_print_status,
	  "relay drain [--mode refuse|redirect] [--to ADDRESS:PORT] [--seconds S]" },
	{ "serve", "POST", "/drain", { NULL }, "mode=off", relay_print_status, "relay serve" },
};

void ctl_relay_usage(FILE *to)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		(void)fprintf(to, "  duplexctl [--config FILE] %s [--json]\n", verbs[i].usage);
	(void)fprintf(to, "  duplexctl [--config FILE] relay doctor\n");
}

struct ask {
	const struct verb *verb;
	struct buf url;     /* fixed */
	const char *output; /* file for what is no JSON */
	bool json;
	CURL *curl;
	struct buf answer;  /* grows */
	FILE *file;
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
	buf_printf(&a->url, "&%s=%s", name, escaped);
	curl_free(escaped);
	return !a->url.overflow;
}

/* The words behind the verb. False: used wrongly. */
static bool read_options(struct ask *a, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			a->json = true;
		} else if (strncmp(argv[i], "--", 2) != 0 || i + 1 >= argc) {
			return false;
		} else if (strcmp(argv[i], "--output") == 0 && a->verb->print == NULL) {
			a->output = argv[++i];
		} else if (takes(a->verb, argv[i] + 2)) {
			if (!add_option(a, argv[i] + 2, argv[i + 1]))
				return false;
			i++;
		} else {
			return false;
		}
	}
	return a->verb->print != NULL || a->output != NULL;
}

/* An error's answer is always text; a capture goes to its file only when it is one. */
static size_t on_data(char *p, size_t size, size_t count, void *user)
{
	struct ask *a = user;
	size_t len = size * count;
	long status = 0;

	(void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
	if (a->file != NULL && status == 200)
		return fwrite(p, size, count, a->file) * size;
	buf_put(&a->answer, p, len);
	return a->answer.overflow ? 0 : len;
}

static CURLcode exchange(struct ask *a, const char *socket_path)
{
	char url[URL_MAX];

	if (str_copy(buf_view(&a->url), url, sizeof(url)) != ERR_OK)
		return CURLE_URL_MALFORMAT;
	(void)curl_easy_setopt(a->curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(a->curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	(void)curl_easy_setopt(a->curl, CURLOPT_CUSTOMREQUEST, a->verb->method);
	(void)curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, on_data);
	(void)curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, a);
	return curl_easy_perform(a->curl);
}

static int show(struct ask *a, const char *socket_path)
{
	CURLcode code = exchange(a, socket_path);
	long status = 0;

	if (code != CURLE_OK)
		return ctl_refuse("the relay does not answer at %s (%s): does it run, and may you use the socket?", socket_path,
				  curl_easy_strerror(code));
	(void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
	json_t *answer = json_loadb(a->answer.p != NULL ? a->answer.p : "", a->answer.len, 0, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));
	int result = CTL_DONE;
	if (status != 200)
		result = ctl_refuse("%s", error != NULL ? error : "the relay refuses");
	else if (a->verb->print != NULL && a->json)
		(void)fwrite(a->answer.p, 1, a->answer.len, stdout);
	else if (a->verb->print != NULL && answer != NULL)
		a->verb->print(answer);
	json_decref(answer);
	return result;
}

static int open_output(struct ask *a)
{
	if (a->output == NULL)
		return CTL_DONE;
	a->file = strcmp(a->output, "-") == 0 ? stdout : fopen(a->output, "we");
	return a->file != NULL ? CTL_DONE : ctl_refuse("%s cannot be written: %s", a->output, strerrordesc_np(errno));
}

static int close_output(struct ask *a, int result)
{
	if (a->file == NULL)
		return result;
	bool bad = ferror(a->file) != 0;
	bad |= a->file == stdout ? fflush(a->file) != 0 : fclose(a->file) != 0;
	return bad && result == CTL_DONE ? ctl_refuse("%s could not be written in full", a->output) : result;
}

/* The relay looks at its own machine with its own options: its program does that, found beside this one. */
static int doctor(int argc, char **argv)
{
	char own[4096], path[4200];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own));
	const char *slash = n > 0 ? memrchr(own, '/', (size_t)n) : NULL;

	if (slash == NULL)
		return ctl_refuse("cannot find this program's own folder");
	(void)snprintf(path, sizeof(path), "%.*s/duplex-relay", (int)(slash - own), own);
	if (argc > 3)
		(void)execl(path, path, argv[1], argv[2], "--doctor", (char *)NULL);
	else
		(void)execl(path, path, "--doctor", (char *)NULL);
	return ctl_refuse("%s cannot be started: %s", path, strerrordesc_np(errno));
}

static int run(struct ask *a, const char *run_dir, int argc, char **argv)
{
	char socket_path[256];
	int result;

	buf_printf(&a->url, "http://localhost%s?%s", a->verb->path, a->verb->preset);
	if (!read_options(a, argc, argv))
		return ctl_usage();
	if ((size_t)snprintf(socket_path, sizeof(socket_path), "%s/control.relay.sock", run_dir) >= sizeof(socket_path))
		return ctl_refuse("[common] run-dir is too long");
	result = open_output(a);
	if (result == CTL_DONE)
		result = close_output(a, show(a, socket_path));
	return result;
}

static int run_verb(const struct verb *v, const char *run_dir, int argc, char **argv)
{
	char url[URL_MAX];
	struct ask a = { .verb = v, .url = buf_fixed(url, sizeof(url)), .answer = buf_growing(ANSWER_MAX) };

	a.curl = curl_easy_init();
	if (a.curl == NULL)
		return ctl_refuse("out of memory");
	int result = run(&a, run_dir, argc, argv);
	curl_easy_cleanup(a.curl);
	buf_fini(&a.answer);
	return result;
}

int ctl_relay(int argc, char **argv)
{
	struct where where = { 0 };
	char **words;
	int count, result = conf_main(argc, argv, "duplexctl", options, ARRAY_LEN(options), &where, &count, &words);

	if (result >= 0)
		return result;
	if (count == 2 && strcmp(words[1], "doctor") == 0)
		result = doctor(argc, argv);
	for (size_t i = 0; i < ARRAY_LEN(verbs) && result < 0 && count >= 2; i++) {
		if (strcmp(words[1], verbs[i].name) == 0)
			result = run_verb(&verbs[i], where.run_dir, count - 2, words + 2);
	}
	conf_free(options, ARRAY_LEN(options), &where);
	return result >= 0 ? result : ctl_usage();
}
