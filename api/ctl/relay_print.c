#include "api/ctl/relay.h"

#include <inttypes.h>
#include <stdio.h>

static const char *text(const json_t *o, const char *name)
{
	const char *t = json_string_value(json_object_get(o, name));

	return t != NULL ? t : "";
}

static uint64_t number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static uint64_t packets(const json_t *o, const char *direction)
{
	return number(json_object_get(o, direction), "packets");
}

void relay_print_status(const json_t *answer)
{
	const json_t *address, *worker, *workers = json_object_get(answer, "workers");
	size_t i;

	printf("duplex-relay %s: %s, %" PRIu64 " of %" PRIu64 " allocations\n", text(answer, "version"), text(answer, "state"),
	       number(answer, "allocations"), number(answer, "capacity"));
	printf("addresses, UDP port %" PRIu64 ":", number(answer, "turn_port"));
	json_array_foreach(json_object_get(answer, "addresses"), i, address)
		printf(" %s", json_string_value(address));
	printf("\n%-7s %14s %14s %12s %7s\n", "worker", "received", "sent", "dropped", "busy");
	json_array_foreach(workers, i, worker) {
		double busy = (double)number(worker, "busy_ns"), all = busy + (double)number(worker, "idle_ns");

		printf("%-7zu %14" PRIu64 " %14" PRIu64 " %12" PRIu64 " %6.1f%%\n", i, number(worker, "rx_packets"),
		       number(worker, "tx_packets"), number(worker, "drops"), all > 0 ? 100 * busy / all : 0);
	}
}

static void print_head(const char *last)
{
	printf("%-20s %-5s %-26s %-26s %8s %12s %12s%s\n", "USER", "VIA", "CLIENT", "RELAYED", "EXPIRES", "TO PEER", "TO CLIENT", last);
}

static void print_one(const json_t *a)
{
	printf("%-20s %-5s %-26s %-26s %7" PRIu64 "s %12" PRIu64 " %12" PRIu64, text(a, "user"), text(a, "transport"), text(a, "client"),
	       text(a, "relayed"), number(a, "expires_in"), packets(a, "to_peer"), packets(a, "to_client"));
}

void relay_print_list(const json_t *answer)
{
	const json_t *a, *items = json_object_get(answer, "items");
	size_t i;

	print_head("");
	json_array_foreach(items, i, a) {
		print_one(a);
		printf("\n");
	}
	if (number(answer, "total") > json_array_size(items))
		printf("(%zu of %" PRIu64 "; --limit shows more)\n", json_array_size(items), number(answer, "total"));
}

void relay_print_top(const json_t *answer)
{
	const json_t *a;
	size_t i;

	print_head("      KBIT/S    PKT/S");
	json_array_foreach(json_object_get(answer, "items"), i, a) {
		print_one(a);
		printf(" %11.1f %8" PRIu64 "\n", (double)number(a, "bits_per_second") / 1000, number(a, "packets_per_second"));
	}
}

void relay_print_ended(const json_t *answer)
{
	printf("%" PRIu64 " allocations ended\n", number(answer, "ended"));
}
