/* See ladder_print in signal.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "api/ctl/signal.h"
#include "common/buf.h"

#define COLUMNS_MAX 8u  /* clients; more share the last column */
#define FIRST_X 18u     /* the time stands before */
#define STEP_X 30u
#define SERVER 1u       /* the server stands right of the first client */
#define CALLS_MAX 99u

struct line {
	uint64_t at_us;
	bool to_client;
	size_t column, call;
	const char *text; /* borrows */
};

struct ladder {
	struct line *line; /* owned */
	size_t lines;
	char name[COLUMNS_MAX][64];
	size_t names;
	char call[CALLS_MAX][128];
	size_t calls;
};

static const char *text_of(const json_t *o, const char *name)
{
	const char *t = json_string_value(json_object_get(o, name));

	return t != NULL ? t : "";
}

/* Where a name stands in a table of names; it is added if it is new and there is room. */
static size_t index_of(char *table, size_t width, size_t max, size_t *count, const char *name)
{
	for (size_t i = 0; i < *count; i++) {
		if (strncmp(table + i * width, name, width - 1) == 0)
			return i;
	}
	if (*count == max)
		return max - 1;
	(void)snprintf(table + *count * width, width, "%s", name);
	return (*count)++;
}

/* Value of the first header of that name, up to its line's end. */
static struct str header(const char *message, const char *name, const char *compact)
{
	struct str rest = str_from(message);

	(void)str_cut(&rest, '\n');
	while (rest.p != NULL) {
		struct str l = str_trim(str_cut(&rest, '\n'));
		size_t colon = str_find(l, ':');
		struct str n = str_trim(str_sub(l, 0, colon));

		if (l.len == 0)
			break;
		if (colon < l.len && (str_ieq(n, str_from(name)) || str_ieq(n, str_from(compact))))
			return str_trim(str_sub(l, colon + 1, l.len));
	}
	return STR_NONE;
}

static int by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

static void add(struct ladder *l, const json_t *m, const char *worker)
{
	struct line *n = &l->line[l->lines++];
	char who[64], call_id[128];

	*n = (struct line){ .at_us = (uint64_t)json_integer_value(json_object_get(m, "at_us")), .to_client = json_is_true(json_object_get(m, "to_client")),
			    .text = text_of(m, "text") };
	(void)snprintf(who, sizeof(who), "%s (%s/%" JSON_INTEGER_FORMAT ")", text_of(m, "user"), worker, json_integer_value(json_object_get(m, "slot")));
	n->column = index_of(l->name[0], sizeof(l->name[0]), COLUMNS_MAX, &l->names, who);
	struct str id = header(n->text, "Call-ID", "i");
	(void)snprintf(call_id, sizeof(call_id), "%.*s", STR_FMT(str_sub(id, 0, sizeof(call_id) - 1)));
	n->call = index_of(l->call[0], sizeof(l->call[0]), CALLS_MAX, &l->calls, call_id);
}

/* Left to right: the first client, the server, the others. */
static size_t x_of(size_t column)
{
	return FIRST_X + STEP_X * (column == 0 ? 0 : column + 1);
}

/* "INVITE bob", "180 Ringing": the first line, without what is the same in all. */
static struct str label(const char *message, char *mem, size_t size)
{
	struct str rest = str_from(message), first = str_trim(str_cut(&rest, '\n'));
	struct buf b = buf_fixed(mem, size);

	if (str_starts(first, STR("SIP/2.0 "))) {
		buf_str(&b, str_sub(first, 8, MIN(first.len - 8, size)));
		return buf_view(&b);
	}
	struct str method = str_cut(&first, ' '), uri = str_cut(&first, ' ');
	struct str user = str_starts(uri, STR("sip:")) ? str_sub(uri, 4, uri.len) : uri;
	buf_printf(&b, "%.*s %.*s", STR_FMT(str_sub(method, 0, 11)), STR_FMT(str_sub(user, 0, MIN(str_find(user, '@'), (size_t)12))));
	return buf_view(&b);
}

static void row_clear(const struct ladder *l, char *row, size_t width)
{
	memset(row, ' ', width);
	row[FIRST_X + STEP_X * SERVER] = '|';
	for (size_t i = 0; i < l->names; i++)
		row[x_of(i)] = '|';
}

static void print_row(FILE *to, const struct ladder *l, const struct line *n, size_t index)
{
	size_t width = FIRST_X + STEP_X * (COLUMNS_MAX + 1), server = FIRST_X + STEP_X * SERVER, client = x_of(n->column);
	size_t from = MIN(server, client), until = MAX(server, client);
	char row[FIRST_X + STEP_X * (COLUMNS_MAX + 1) + 1], mem[STEP_X - 6], clock[16];
	struct str name = label(n->text, mem, sizeof(mem));
	time_t s = (time_t)(n->at_us / 1000000);
	struct tm tm;

	row_clear(l, row, width);
	memset(row + from + 1, '-', until - from - 1);
	bool right = n->to_client == (client > server);
	if (right)
		row[until - 1] = '>';
	else
		row[from + 1] = '<';
	/* The label stands in the gap beside the client, so that it crosses no column. */
	size_t gap = client > server ? client - STEP_X : client;
	memcpy(row + gap + (STEP_X - name.len) / 2, name.p, name.len);
	if (gmtime_r(&s, &tm) == NULL || strftime(clock, sizeof(clock), "%H:%M:%S", &tm) == 0)
		clock[0] = '\0';
	(void)snprintf(mem, sizeof(mem), "%s.%06" PRIu64, clock, n->at_us % 1000000);
	memcpy(row, mem, MIN(strlen(mem), (size_t)FIRST_X - 1));
	size_t last = l->names > 1 ? x_of(l->names - 1) : server;
	struct str cseq = header(n->text, "CSeq", "CSeq");
	(void)fprintf(to, "%.*s  #%zu call %zu, %.*s\n", (int)last + 1, row, index + 1, n->call + 1, STR_FMT(cseq));
}

static void print_head(FILE *to, const struct ladder *l)
{
	char row[FIRST_X + STEP_X * (COLUMNS_MAX + 1) + 64];
	size_t width = sizeof(row) - 1;

	for (size_t i = 0; i < l->calls; i++)
		(void)fprintf(to, "call %zu: %s\n", i + 1, l->call[i]);
	memset(row, ' ', width);
	memcpy(row, "at (UTC)", 8);
	memcpy(row + FIRST_X + STEP_X * SERVER - 3, "server", 6);
	for (size_t i = 0; i < l->names; i++) {
		size_t len = MIN(strlen(l->name[i]), (size_t)STEP_X - 4);

		memcpy(row + x_of(i) - MIN(len / 2, x_of(i)), l->name[i], len);
	}
	while (width > 0 && row[width - 1] == ' ')
		width--;
	(void)fprintf(to, "%.*s\n", (int)width, row);
}

/* The workers say bytes as \u00XX (common/buf.h): back from UTF-8 to those bytes. */
static void put_bytes(FILE *to, const char *utf8)
{
	for (const unsigned char *p = (const unsigned char *)utf8; *p != '\0'; p++) {
		if (*p == '\r')
			continue;
		if ((*p & 0xe0u) == 0xc0u && p[1] != '\0') {
			(void)fputc((int)((*p & 3u) << 6 | (p[1] & 0x3fu)), to);
			p++;
		} else {
			(void)fputc(*p, to);
		}
	}
}

void ladder_print(FILE *to, const json_t *all, bool full)
{
	struct ladder l = { 0 };
	const json_t *one, *m;
	size_t i, k, count = 0;
	uint64_t dropped = 0;

	json_array_foreach(all, i, one)
		count += json_array_size(json_object_get(json_object_get(one, "answer"), "messages"));
	l.line = calloc(count + 1, sizeof(*l.line));
	if (l.line == NULL)
		return;
	json_array_foreach(all, i, one) {
		dropped += (uint64_t)json_integer_value(json_object_get(json_object_get(one, "answer"), "dropped"));
		json_array_foreach(json_object_get(json_object_get(one, "answer"), "messages"), k, m)
			add(&l, m, text_of(one, "worker"));
	}
	qsort(l.line, l.lines, sizeof(*l.line), by_time);
	print_head(to, &l);
	for (i = 0; i < l.lines; i++)
		print_row(to, &l, &l.line[i], i);
	if (dropped > 0)
		(void)fprintf(to, "%" PRIu64 " older messages had to give way\n", dropped);
	for (i = 0; i < l.lines && full; i++) {
		(void)fprintf(to, "\n--- #%zu\n", i + 1);
		put_bytes(to, l.line[i].text);
	}
	free(l.line);
}
