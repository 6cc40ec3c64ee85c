#include <inttypes.h>
#include <time.h>

#include "api/ctl/signal.h"

static const char *text(const json_t *o, const char *name)
{
	const char *t = json_string_value(json_object_get(o, name));

	return t != NULL ? t : "";
}

static uint64_t number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static bool yes(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

void signal_print_status(const json_t *all)
{
	const json_t *one;
	size_t i;

	printf("%-10s %-9s %11s %13s %8s %8s %9s %7s %8s %6s %7s\n", "WORKER", "STATE", "CONNECTIONS", "REGISTRATIONS", "RINGING", "CALLS", "RECEIVED",
	       "BUSY", "PRESSURE", "REDIS", "OUTBOX");
	json_array_foreach(all, i, one) {
		const json_t *a = json_object_get(one, "answer"), *calls = json_object_get(a, "calls");
		double busy = (double)number(a, "busy_us"), time = busy + (double)number(a, "idle_us");

		printf("%-10s %-9s %11" PRIu64 " %13" PRIu64 " %8" PRIu64 " %8" PRIu64 " %9" PRIu64 " %6.1f%% %7" PRIu64 "%% %6s %7" PRIu64 "\n",
		       text(a, "worker"), yes(a, "draining") ? "draining" : yes(a, "tracing") ? "tracing" : "serving", number(a, "connections"),
		       number(a, "registrations"), number(calls, "trying") + number(calls, "ringing"), number(calls, "answered"), number(a, "received"),
		       time > 0 ? 100 * busy / time : 0, number(a, "pressure"), yes(a, "redis") ? "up" : "AWAY", number(a, "outbox"));
	}
}

void signal_print_registrations(const json_t *all)
{
	const json_t *one, *r;
	size_t i, k;

	printf("%-16s %-6s %-10s %-5s %-24s %8s %8s %-10s %s\n", "USER", "WORKER", "FLOW", "VIA", "ADDRESS", "AGE", "EXPIRES", "STATE", "DEVICE");
	json_array_foreach(all, i, one) {
		json_array_foreach(json_object_get(json_object_get(one, "answer"), "items"), k, r) {
			char flow[32];

			(void)snprintf(flow, sizeof(flow), "%" PRIu64 ".%" PRIu64, number(r, "slot"), number(r, "generation"));
			printf("%-16s %-6s %-10s %-5s %-24s %7" PRIu64 "s %7" PRIu64 "s %-10s %s\n", text(r, "user"), text(one, "worker"), flow,
			       text(r, "transport"), text(r, "address"), number(r, "age_ms") / 1000, number(r, "expires_ms") / 1000,
			       yes(r, "lost") ? "lost" : yes(r, "stored") ? "registered" : "unstored", text(r, "device"));
		}
	}
}

static void since(uint64_t ms, char *out, size_t size)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	if (ms == 0 || gmtime_r(&s, &tm) == NULL || strftime(out, size, "%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, size, "-");
}

void signal_print_calls(const json_t *all)
{
	const json_t *one, *c;
	size_t i, k;

	printf("%-32s %-6s %-16s %-16s %-9s %-6s %-10s %-10s %s\n", "ID", "WORKER", "CALLER", "CALLEE", "STATE", "MEDIA", "STARTED", "ANSWERED", "CALL-ID");
	json_array_foreach(all, i, one) {
		json_array_foreach(json_object_get(json_object_get(one, "answer"), "items"), k, c) {
			char started[16], answered[16];

			since(number(c, "started_at"), started, sizeof(started));
			since(number(c, "answered_at"), answered, sizeof(answered));
			printf("%-32s %-6s %-15s%s %-15s%s %-9s %-6s %-10s %-10s %s\n", text(c, "id"), text(one, "worker"), text(c, "caller"),
			       yes(c, "caller_lost") ? "!" : " ", text(c, "callee"), yes(c, "callee_lost") ? "!" : " ", text(c, "state"), text(c, "media"),
			       started, answered, text(c, "call_id"));
		}
	}
}

void signal_print_connections(const json_t *all)
{
	const json_t *one, *c;
	uint64_t total = 0, shown = 0;
	size_t i, k;

	printf("%-16s %-6s %-10s %-5s %-24s %-9s %12s %9s %9s %s\n", "USER", "WORKER", "FLOW", "VIA", "ADDRESS", "STATE", "BYTES LEFT", "MESSAGES",
	       "QUEUED", "");
	json_array_foreach(all, i, one) {
		total += number(json_object_get(one, "answer"), "total");
		json_array_foreach(json_object_get(json_object_get(one, "answer"), "items"), k, c) {
			char flow[32];

			(void)snprintf(flow, sizeof(flow), "%" PRIu64 ".%" PRIu64, number(c, "slot"), number(c, "generation"));
			printf("%-16s %-6s %-10s %-5s %-24s %-9s %12lld %9lld %9" PRIu64 " %s\n", text(c, "user"), text(one, "worker"), flow,
			       text(c, "transport"), text(c, "address"), text(c, "state"), (long long)number(c, "bytes_left"),
			       (long long)number(c, "messages_left"), number(c, "queued"), yes(c, "held_back") ? "held back" : "");
			shown++;
		}
	}
	if (total > shown)
		printf("(%" PRIu64 " of %" PRIu64 "; --limit shows more)\n", shown, total);
}

void signal_print_stats(const json_t *all)
{
	const json_t *one, *group, *value;
	const char *name, *what;
	json_t *sum = json_object();
	size_t i;

	json_array_foreach(all, i, one) {
		json_object_foreach((json_t *)(uintptr_t)json_object_get(one, "answer"), name, group) {
			json_t *into = json_object_get(sum, name);

			if (into == NULL) {
				into = json_object();
				(void)json_object_set_new(sum, name, into);
			}
			json_object_foreach((json_t *)(uintptr_t)group, what, value)
				(void)json_object_set_new(into, what, json_integer(json_integer_value(json_object_get(into, what)) +
									  json_integer_value(value)));
		}
	}
	printf("%zu workers\n", json_array_size(all));
	json_object_foreach(sum, name, group) {
		printf("%s\n", name);
		json_object_foreach((json_t *)(uintptr_t)group, what, value)
			printf("  %-32s %14" PRId64 "\n", what, (int64_t)json_integer_value(value));
	}
	json_decref(sum);
}
