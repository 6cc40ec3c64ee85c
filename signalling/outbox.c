/* See outbox.h. */
#include "signalling/outbox.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "signalling/outbox_file.h"
#include "signalling/worker.h"

COUNTER_NAMES(outbox_counter_names, OUTBOX_COUNTERS);

#define MEMORY_MAX 4096u    /* entries */
#define ATTEMPT_MS 3000u    /* Redis may act on an attempt for so long */
#define TICK_MS 200u
#define TICK_BATCH 100u     /* attempts a tick: 500 a second */
#define REFUSED_WAIT_MS 1000u
#define REFUSALS_MAX 20u    /* of an entry that Redis takes for nonsense */
#define LOOK_BACK_MS 60000u /* our clock and that of Redis may differ by so much */

/* ARGV: last moment to act, MAXLEN, first moment to look for an earlier attempt's ("" = do not look), value of `id`, fields. The looking goes
 * through the stream in pieces, so that Lua never holds much of it. */
static struct rds_script append_script = {
	.source = "local t = redis.call('TIME')\n"
		  "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
		  "if now > tonumber(ARGV[1]) then return { 'late', now } end\n"
		  "local from = ARGV[3]\n"
		  "while from ~= '' do\n"
		  "  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 200)\n"
		  "  for _, entry in ipairs(part) do\n"
		  "    if entry[2][1] == 'id' and entry[2][2] == ARGV[4] then return { 'found', now } end\n"
		  "  end\n"
		  "  from = #part == 200 and '(' .. part[200][1] or ''\n"
		  "end\n"
		  "redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, 5))\n"
		  "return { 'written', now }\n",
};

struct entry {
	struct outbox *o;
	struct list node;
	bool in_file, asking;
	bool doubtful;            /* an earlier attempt may have been carried out */
	unsigned refusals;
	uint64_t not_before_ms;   /* of the next attempt, in Redis's clock */
	struct outbox_record r;   /* its words lie in text */
	char text[];
};

struct outbox {
	struct worker *w;
	struct list entries;
	size_t waiting;
	struct outbox_file file;
	bool clock_known, clock_asked;
	int64_t clock_ms;         /* Redis's wall clock minus our monotonic one */
	uint64_t paused_ms;       /* Redis is full: not before that, in our monotonic clock */
	struct timer tick;
	uint64_t counter[OUTBOX_C_COUNT];
	char mem[OUTBOX_RECORD_MAX];
};

static void on_tick(struct timer *t, uint64_t now_ms);

static uint64_t redis_now(const struct outbox *o)
{
	return (uint64_t)((int64_t)worker_now(o->w) + o->clock_ms);
}

static void learn_clock(struct outbox *o, int64_t redis_ms)
{
	o->clock_known = redis_ms > 0;
	o->clock_ms = redis_ms - (int64_t)worker_now(o->w);
}

static void arm(struct outbox *o)
{
	if (!timer_armed(&o->tick))
		timer_arm(loop_timers(o->w->loop), &o->tick, TICK_MS);
}

static struct entry *entry_new(struct outbox *o, const struct outbox_record *r)
{
	size_t size = 0;

	for (size_t i = 0; i < r->count; i++)
		size += r->word[i].len;
	struct entry *e = calloc(1, sizeof(*e) + size);
	if (e == NULL)
		return NULL;
	char *at = e->text;
	e->o = o;
	e->r = *r;
	for (size_t i = 0; i < r->count; i++)
		e->r.word[i] = str_keep(&at, r->word[i]);
	list_append(&o->entries, &e->node);
	o->waiting++;
	return e;
}

static void entry_free(struct entry *e)
{
	list_remove(&e->node);
	e->o->waiting--;
	free(e);
}

static void lost(struct outbox *o, enum outbox_counter why, const struct outbox_record *r)
{
	o->counter[why]++;
	log_event(LOG_ERROR, "record-lost", "reason=%s key=%s id=%s", outbox_counter_names[why].name, log_value(r->word[0]), log_value(r->word[3]));
}

/* Into the file. False if it does not take it. */
static bool keep(struct outbox *o, const struct outbox_record *r)
{
	struct buf b = buf_growing(OUTBOX_RECORD_MAX);

	outbox_record_put(&b, r);
	enum err e = b.overflow ? ERR_TOO_LARGE : outbox_file_append(&o->file, buf_view(&b));
	buf_fini(&b);
	if (e == ERR_OK)
		o->counter[OUTBOX_KEPT]++;
	return e == ERR_OK;
}

/* Redis did not take it: from now on it is in the file as well. While the file holds what memory does not, it is in the file alone, so that
 * nothing is there twice. */
static void keep_entry(struct entry *e)
{
	struct outbox *o = e->o;
	bool known = o->file.next == o->file.len;

	arm(o);
	if (e->in_file || !keep(o, &e->r))
		return;
	e->in_file = true;
	if (known)
		o->file.next = o->file.len;
	else
		entry_free(e);
}

/* --- one attempt --- */

static bool has_id(const struct outbox_record *r)
{
	return r->count > 3 && str_eq(r->word[2], STR("id"));
}

static void answered(struct entry *e, const struct redisReply *reply)
{
	struct outbox *o = e->o;
	struct str what = rds_text(rds_at(reply, 0));

	learn_clock(o, rds_int(rds_at(reply, 1)));
	if (str_eq(what, STR("late"))) {
		o->counter[OUTBOX_LATE]++;
		keep_entry(e);
		return;
	}
	o->counter[str_eq(what, STR("found")) ? OUTBOX_FOUND : OUTBOX_WRITTEN]++;
	entry_free(e);
}

static void on_answer(void *user_data, enum err err, const struct redisReply *reply)
{
	struct entry *e = user_data;
	struct outbox *o = e->o;

	e->asking = false;
	if (err == ERR_OK) {
		answered(e, reply);
		return;
	}
	/* An answer that is an error says that nothing was written. */
	if (err == ERR_FULL || err == ERR_INVALID)
		o->paused_ms = worker_now(o->w) + REFUSED_WAIT_MS;
	else
		e->doubtful = true;
	if (err == ERR_INVALID && ++e->refusals >= REFUSALS_MAX) {
		lost(o, OUTBOX_LOST_REFUSED, &e->r);
		entry_free(e);
		return;
	}
	keep_entry(e);
}

static void attempt(struct entry *e)
{
	struct outbox *o = e->o;
	struct str argv[OUTBOX_WORDS_MAX + 4] = { e->r.word[0] };
	char numbers[48];
	struct buf until = buf_fixed(numbers, 24), from = buf_fixed(numbers + 24, 24);

	buf_u64(&until, redis_now(o) + ATTEMPT_MS);
	if (e->doubtful && has_id(&e->r))
		buf_u64(&from, e->r.made_ms > LOOK_BACK_MS ? e->r.made_ms - LOOK_BACK_MS : 0);
	argv[1] = buf_view(&until);
	argv[2] = e->r.word[1];
	argv[3] = buf_view(&from);
	argv[4] = has_id(&e->r) ? e->r.word[3] : STR_NONE;
	memcpy(argv + 5, e->r.word + 2, (e->r.count - 2) * sizeof(argv[0]));
	e->asking = true;
	e->not_before_ms = redis_now(o) + ATTEMPT_MS + 1;
	rds_async_eval_soon(o->w->rds, &append_script, on_answer, e, 1, e->r.count + 3, argv);
}

/* --- going on --- */

static void load(struct outbox *o)
{
	struct outbox_record r;
	enum err e = ERR_OK;

	while (o->waiting < MEMORY_MAX && (e = outbox_file_read(&o->file, o->mem, &r)) == ERR_OK) {
		struct entry *en = entry_new(o, &r);

		if (en == NULL)
			return;
		/* What was tried by whoever wrote it is not known; an attempt of theirs may still be under way. */
		en->in_file = en->doubtful = true;
		en->not_before_ms = o->clock_known ? redis_now(o) + ATTEMPT_MS + 1 : 0;
	}
	if (e == ERR_INVALID) {
		o->counter[OUTBOX_LOST_DAMAGED]++;
		log_event(LOG_ERROR, "outbox-damaged", "worker=%s", o->w->name);
	}
}

static void on_clock(void *user_data, enum err e, const struct redisReply *reply)
{
	struct outbox *o = user_data;
	struct list *it, *tmp;

	o->clock_asked = false;
	if (e == ERR_OK)
		learn_clock(o, rds_int(rds_at(reply, 0)) * (int64_t)MS_PER_S + rds_int(rds_at(reply, 1)) / 1000);
	if (!o->clock_known)
		return;
	LIST_FOR_EACH (it, tmp, &o->entries) {
		struct entry *en = CONTAINER_OF(it, struct entry, node);

		if (en->doubtful && en->not_before_ms == 0)
			en->not_before_ms = redis_now(o) + ATTEMPT_MS + 1;
	}
}

static void ask_clock(struct outbox *o)
{
	if (o->clock_asked)
		return;
	o->clock_asked = true;
	RDS_ASYNC(o->w->rds, on_clock, o, STR("TIME"));
}

static bool redis_up(const struct outbox *o)
{
	return o->w->rds != NULL && rds_async_up(o->w->rds);
}

static void on_tick(struct timer *t, UNUSED uint64_t now_ms)
{
	struct outbox *o = CONTAINER_OF(t, struct outbox, tick);
	struct list *it, *tmp;
	size_t sent = 0;

	if (o->waiting == 0)
		load(o);
	if (o->waiting == 0) {
		outbox_file_clear(&o->file);
		return;
	}
	arm(o);
	if (!redis_up(o) || worker_now(o->w) < o->paused_ms)
		return;
	if (!o->clock_known) {
		ask_clock(o);
		return;
	}
	LIST_FOR_EACH (it, tmp, &o->entries) {
		struct entry *e = CONTAINER_OF(it, struct entry, node);

		if (sent == TICK_BATCH)
			break;
		if (e->asking || (e->doubtful && redis_now(o) < e->not_before_ms))
			continue;
		attempt(e);
		sent++;
	}
}

void outbox_redis_up(struct outbox *o)
{
	/* Another server has another clock. */
	o->clock_known = false;
	ask_clock(o);
}

void outbox_put(struct outbox *o, struct str key, struct str max, size_t count, const struct str *fields)
{
	struct outbox_record r = { .made_ms = clock_wall_ms(), .count = count + 2, .word = { key, max } };
	bool now = redis_up(o) && o->clock_known && worker_now(o->w) >= o->paused_ms;

	assert(count >= 2 && count + 2 <= OUTBOX_WORDS_MAX);
	memcpy(r.word + 2, fields, count * sizeof(*fields));
	struct entry *e = o->waiting < MEMORY_MAX ? entry_new(o, &r) : NULL;
	if (e == NULL) {
		arm(o);
		if (!keep(o, &r))
			lost(o, OUTBOX_LOST_FULL, &r);
		return;
	}
	if (now)
		attempt(e);
	else
		keep_entry(e);
}

enum err outbox_new(struct worker *w, const char *path, size_t file_max, struct outbox **out)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return ERR_NO_MEMORY;
	o->w = w;
	list_init(&o->entries);
	timer_init(&o->tick, on_tick);
	if (outbox_file_open(&o->file, path, file_max) != ERR_OK)
		log_event(LOG_ERROR, "outbox-without-file", "path=%s", log_value(str_from(path)));
	load(o);
	o->counter[OUTBOX_RECOVERED] = o->waiting;
	if (o->waiting > 0) {
		log_event(LOG_INFO, "outbox-recovered", "worker=%s entries=%zu bytes=%zu", w->name, o->waiting, o->file.len);
		arm(o);
	}
	*out = o;
	return ERR_OK;
}

void outbox_free(struct outbox *o)
{
	if (o == NULL)
		return;
	timer_stop(loop_timers(o->w->loop), &o->tick);
	while (!list_empty(&o->entries)) {
		struct entry *e = CONTAINER_OF(o->entries.next, struct entry, node);

		if (!e->in_file && !keep(o, &e->r))
			lost(o, OUTBOX_LOST_FULL, &e->r);
		entry_free(e);
	}
	outbox_file_close(&o->file);
	free(o);
}

const uint64_t *outbox_counters(const struct outbox *o)
{
	return o->counter;
}

size_t outbox_waiting(const struct outbox *o)
{
	return o->waiting;
}

size_t outbox_file_bytes(const struct outbox *o)
{
	return o->file.len;
}
