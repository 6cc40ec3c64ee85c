/* common/rds_async and rds_stream against a real Redis: order, scripts, deadlines, a Redis that stops, dies and comes back. */
#include "common/rds_async.h"

#include "common/clock.h"
#include "common/log.h"
#include "tests/lib/cm.h"
#include "tests/lib/redis.h"

static struct test_redis redis;
static struct loop *loop;

struct answer {
	unsigned calls;
	enum err err;
	int64_t number;
	char text[64];
	unsigned order;
};

static unsigned order;

static void on_answer(void *user, enum err e, const struct redisReply *reply)
{
	struct answer *a = user;

	a->calls++;
	a->err = e;
	a->number = rds_int(reply);
	a->order = ++order;
	if (e == ERR_OK && rds_text(reply).p != NULL)
		assert_ok(str_copy(rds_text(reply), a->text, sizeof(a->text)));
}

static unsigned ups, downs;

static void on_state(void *user, bool up)
{
	(void)user;
	if (up)
		ups++;
	else
		downs++;
}

/* Turns until *what is at least `want`, for 5 s at most. */
static void turn_until(const unsigned *what, unsigned want)
{
	uint64_t end = clock_mono_ms() + 5000;

	while (*what < want && clock_mono_ms() < end)
		assert_ok(loop_turn(loop, 20));
	assert_true(*what >= want);
}

static struct rds_async_conf conf(uint64_t deadline_ms)
{
	return (struct rds_async_conf){ .address = redis.socket, .deadline_ms = deadline_ms, .retry_min_ms = 5, .retry_max_ms = 50,
					.state = on_state };
}

static struct rds_async *open_one(uint64_t deadline_ms)
{
	struct rds_async_conf c = conf(deadline_ms);
	struct rds_async *r;

	ups = downs = order = 0;
	assert_ok(rds_async_new(loop, &c, &r));
	assert_false(rds_async_up(r));
	turn_until(&ups, 1);
	assert_true(rds_async_up(r));
	return r;
}

static int start(void **state)
{
	(void)state;
	log_init("test", LOG_ERROR);
	return test_redis_new(&redis) == 0 && loop_new(&loop) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	loop_free(loop);
	test_redis_free(&redis);
	return 0;
}

static void answers_come_in_order_and_never_from_inside(void **state)
{
	struct rds_async *r = open_one(1000);
	struct answer a[3] = { 0 };

	(void)state;
	RDS_ASYNC(r, on_answer, &a[0], STR("SET"), STR("k"), STR("7"));
	RDS_ASYNC(r, on_answer, &a[1], STR("INCR"), STR("k"));
	RDS_ASYNC(r, on_answer, &a[2], STR("GET"), STR("k"));
	assert_int_equal(a[0].calls, 0);
	assert_int_equal(rds_async_stats(r).pending, 3);
	turn_until(&a[2].calls, 1);
	assert_string_equal(a[0].text, "OK");
	assert_int_equal(a[1].number, 8);
	assert_string_equal(a[2].text, "8");
	assert_true(a[0].order < a[1].order && a[1].order < a[2].order);
	assert_int_equal(rds_async_stats(r).pending, 0);
	rds_async_free(r);
}

/* What may wait goes by itself after a moment, keeps its place before what must go now, and is lost with the connection like anything else. */
static void soon_comes_in_order_too(void **state)
{
	struct rds_async *r = open_one(1000);
	struct answer a[4] = { 0 };
	static struct rds_script add = { .source = "return redis.call('INCRBY', KEYS[1], ARGV[1])" };

	(void)state;
	RDS_ASYNC_SOON(r, on_answer, &a[0], STR("SET"), STR("k"), STR("1"));
	RDS_ASYNC_EVAL_SOON(r, &add, on_answer, &a[1], 1, STR("k"), STR("5"));
	turn_until(&a[1].calls, 1);
	assert_int_equal(a[1].number, 6);
	RDS_ASYNC_SOON(r, on_answer, &a[2], STR("INCR"), STR("k"));
	RDS_ASYNC(r, on_answer, &a[3], STR("GET"), STR("k"));
	assert_ok(loop_turn(loop, 20));
	turn_until(&a[3].calls, 1);
	assert_string_equal(a[3].text, "7");
	assert_true(a[2].order < a[3].order);
	a[0].calls = 0;
	RDS_ASYNC_SOON(r, on_answer, &a[0], STR("PING"));
	rds_async_free(r);
	assert_int_equal(a[0].calls, 1);
	assert_int_equal(a[0].err, ERR_CLOSED);
}

static void an_error_is_told_and_breaks_nothing(void **state)
{
	struct rds_async *r = open_one(1000);
	struct answer a = { 0 }, b = { 0 };

	(void)state;
	RDS_ASYNC(r, on_answer, &a, STR("NOSUCHCOMMAND"));
	RDS_ASYNC(r, on_answer, &b, STR("PING"));
	turn_until(&b.calls, 1);
	assert_int_equal(a.err, ERR_INVALID);
	assert_string_equal(b.text, "PONG");
	rds_async_free(r);
}

static void a_script_that_redis_forgot_is_sent_again(void **state)
{
	static struct rds_script script = { .source = "return KEYS[1] .. ARGV[1] .. #ARGV" };
	struct rds_async *r = open_one(1000);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		struct answer a = { 0 }, b = { 0 };

		RDS_ASYNC_EVAL(r, &script, on_answer, &a, 1, STR("key"), STR("\r\n"), STR("x"));
		RDS_ASYNC(r, on_answer, &b, STR("PING"));
		turn_until(&a.calls, 1);
		turn_until(&b.calls, 1);
		assert_int_equal(a.err, ERR_OK);
		assert_string_equal(a.text, "key\r\n2");
		if (round == 1) {
			struct answer flushed = { 0 };

			RDS_ASYNC(r, on_answer, &flushed, STR("SCRIPT"), STR("FLUSH"));
			turn_until(&flushed.calls, 1);
		}
	}
	rds_async_free(r);
}

static void who_left_is_not_called(void **state)
{
	struct rds_async *r = open_one(1000);
	struct answer left = { 0 }, stays = { 0 };

	(void)state;
	RDS_ASYNC(r, on_answer, &left, STR("PING"));
	RDS_ASYNC(r, on_answer, &stays, STR("PING"));
	rds_async_forget(r, &left);
	turn_until(&stays.calls, 1);
	assert_int_equal(left.calls, 0);
	rds_async_free(r);
}

static void freeing_answers_all(void **state)
{
	struct rds_async *r = open_one(1000);
	struct answer a[2] = { 0 };

	(void)state;
	RDS_ASYNC(r, on_answer, &a[0], STR("PING"));
	RDS_ASYNC(r, on_answer, &a[1], STR("PING"));
	rds_async_free(r);
	assert_int_equal(a[0].calls + a[1].calls, 2);
	assert_int_equal(a[0].err, ERR_CLOSED);
	rds_async_free(NULL);
}

/* A stopped process takes commands and does not answer: each ends at its deadline, and a late answer goes to nobody. */
static void the_deadline_holds(void **state)
{
	struct rds_async *r = open_one(100);
	struct answer late = { 0 }, next = { 0 };

	(void)state;
	assert_int_equal(kill(redis.pid, SIGSTOP), 0);
	uint64_t began = clock_mono_ms();
	RDS_ASYNC(r, on_answer, &late, STR("ECHO"), STR("late"));
	turn_until(&late.calls, 1);
	assert_in_range(clock_mono_ms() - began, 90, 1500);
	assert_int_equal(late.err, ERR_TIMEOUT);
	assert_true(rds_async_up(r));
	assert_int_equal(kill(redis.pid, SIGCONT), 0);
	for (unsigned tries = 0; next.err != ERR_OK || next.calls == 0; tries++) {
		unsigned before = next.calls;

		assert_true(tries < 20);
		RDS_ASYNC(r, on_answer, &next, STR("ECHO"), STR("next"));
		turn_until(&next.calls, before + 1);
	}
	assert_string_equal(next.text, "next");
	assert_int_equal(late.calls, 1);
	assert_true(rds_async_stats(r).timeouts >= 1);
	rds_async_free(r);
}

static void a_silent_connection_is_made_again(void **state)
{
	struct rds_async *r = open_one(20);
	struct answer a = { 0 };

	(void)state;
	assert_int_equal(kill(redis.pid, SIGSTOP), 0);
	RDS_ASYNC(r, on_answer, &a, STR("PING"));
	turn_until(&downs, 1);
	assert_int_equal(a.calls, 1);
	assert_int_equal(kill(redis.pid, SIGCONT), 0);
	turn_until(&ups, 2);
	rds_async_free(r);
}

static void a_lost_redis_fails_at_once_and_is_found_again(void **state)
{
	struct rds_async *r = open_one(1000);
	struct answer pending = { 0 }, away = { 0 }, back = { 0 };

	(void)state;
	assert_int_equal(kill(redis.pid, SIGSTOP), 0);
	RDS_ASYNC(r, on_answer, &pending, STR("PING"));
	assert_ok(loop_turn(loop, 1));
	test_redis_stop(&redis);
	turn_until(&downs, 1);
	assert_int_equal(pending.calls, 1);
	assert_int_equal(pending.err, ERR_CLOSED);
	RDS_ASYNC(r, on_answer, &away, STR("PING"));
	assert_int_equal(away.calls, 0); /* later, even so */
	assert_ok(loop_turn(loop, 1));
	assert_int_equal(away.err, ERR_CLOSED);
	assert_int_equal(away.calls, 1);
	assert_int_equal(test_redis_start(&redis), 0);
	turn_until(&ups, 2);
	RDS_ASYNC(r, on_answer, &back, STR("PING"));
	turn_until(&back.calls, 1);
	assert_string_equal(back.text, "PONG");
	rds_async_free(r);
}

static void large_values_pass_both_ways(void **state)
{
	static char value[3u << 20];
	struct rds_async *r = open_one(4000);
	struct answer set = { 0 }, len = { 0 };

	(void)state;
	memset(value, 'v', sizeof(value));
	RDS_ASYNC(r, on_answer, &set, STR("SET"), STR("large"), str_of(value, sizeof(value)));
	RDS_ASYNC(r, on_answer, &len, STR("STRLEN"), STR("large"));
	turn_until(&len.calls, 1);
	assert_int_equal(len.number, sizeof(value));
	RDS_ASYNC(r, NULL, NULL, STR("DEL"), STR("large"));
	rds_async_free(r);
}

/* As behind Sentinel: the master is demoted, another of the addresses is the master now. */
static void a_demoted_master_is_left_for_the_other_address(void **state)
{
	struct test_redis other;
	char both[256];
	struct rds_async_conf c = conf(1000);
	struct rds_async *r;
	struct answer demote = { 0 }, refused = { 0 }, written = { 0 }, read = { 0 };

	(void)state;
	assert_int_equal(test_redis_new(&other), 0);
	(void)snprintf(both, sizeof(both), " %s, %s", redis.socket, other.socket);
	c.address = both;
	ups = downs = 0;
	assert_ok(rds_async_new(loop, &c, &r));
	turn_until(&ups, 1);
	RDS_ASYNC(r, on_answer, &demote, STR("REPLICAOF"), STR("127.0.0.1"), STR("1"));
	turn_until(&demote.calls, 1);
	RDS_ASYNC(r, on_answer, &refused, STR("SET"), STR("who"), STR("new"));
	turn_until(&refused.calls, 1);
	assert_int_equal(refused.err, ERR_FULL);
	turn_until(&downs, 1);
	turn_until(&ups, 2);
	RDS_ASYNC(r, on_answer, &written, STR("SET"), STR("who"), STR("new"));
	turn_until(&written.calls, 1);
	assert_string_equal(written.text, "OK");
	rds_async_free(r);

	c.address = other.socket;
	assert_ok(rds_async_new(loop, &c, &r));
	turn_until(&ups, 3);
	RDS_ASYNC(r, on_answer, &read, STR("GET"), STR("who"));
	turn_until(&read.calls, 1);
	assert_string_equal(read.text, "new");
	rds_async_free(r);
	test_redis_free(&other);
	/* A replica alone is never up: nothing could be written there. */
	c.address = redis.socket;
	ups = 0;
	assert_ok(rds_async_new(loop, &c, &r));
	for (unsigned i = 0; i < 20; i++)
		assert_ok(loop_turn(loop, 10));
	assert_int_equal(ups, 0);
	/* And is, as soon as it is promoted again. */
	(void)test_redis_command(&redis, "REPLICAOF NO ONE\r\n");
	turn_until(&ups, 1);
	rds_async_free(r);
}

/* A stopped server accepts connections and says nothing: that is not up, so what is asked fails at once instead of after its deadline. */
static void a_stopped_server_is_not_up(void **state)
{
	struct rds_async_conf c = conf(1000);
	struct rds_async *r;
	struct answer a = { 0 };

	(void)state;
	ups = 0;
	assert_int_equal(kill(redis.pid, SIGSTOP), 0);
	assert_ok(rds_async_new(loop, &c, &r));
	for (unsigned i = 0; i < 10; i++)
		assert_ok(loop_turn(loop, 10));
	assert_false(rds_async_up(r));
	uint64_t began = clock_mono_ms();
	RDS_ASYNC(r, on_answer, &a, STR("PING"));
	turn_until(&a.calls, 1);
	assert_int_equal(a.err, ERR_CLOSED);
	assert_true(clock_mono_ms() - began < 500);
	assert_int_equal(kill(redis.pid, SIGCONT), 0);
	turn_until(&ups, 1);
	rds_async_free(r);
}

/* --- streams --- */

static char seen[256];
static unsigned seen_count;

static void on_entry(void *user, const char *stream, const struct redisReply *fields)
{
	(void)user;
	seen_count++;
	size_t at = strlen(seen);
	(void)snprintf(seen + at, sizeof(seen) - at, "%s=%.*s ", stream, STR_FMT(rds_field(fields, "n")));
}

static void add(struct rds_async *r, const char *stream, const char *n)
{
	struct answer a = { 0 };

	RDS_ASYNC(r, on_answer, &a, STR("XADD"), str_from(stream), STR("*"), STR("n"), str_from(n));
	turn_until(&a.calls, 1);
	assert_int_equal(a.err, ERR_OK);
}

static void a_stream_starts_at_its_end_and_misses_nothing_after(void **state)
{
	static const char *const names[] = { "one", "two" };
	struct rds_async *r = open_one(1000);
	struct rds_async_conf c = conf(1000);
	struct rds_stream *s;

	(void)state;
	add(r, "one", "old");
	ups = downs = 0;
	assert_ok(rds_stream_new(loop, &c, names, 2, on_entry, NULL, &s));
	turn_until(&ups, 1);
	/* Its set-up is under way; what comes from here on may be before or behind its first look, but is told once. */
	for (unsigned i = 0; i < 10; i++)
		assert_ok(loop_turn(loop, 5));
	add(r, "one", "a");
	add(r, "two", "b");
	turn_until(&seen_count, 2);
	assert_string_equal(seen, "one=a two=b ");

	/* The connection is lost; what is added before it is back is told then. */
	struct answer killed = { 0 };
	RDS_ASYNC(r, on_answer, &killed, STR("CLIENT"), STR("KILL"), STR("TYPE"), STR("normal"), STR("SKIPME"), STR("yes"));
	RDS_ASYNC(r, NULL, NULL, STR("XADD"), STR("one"), STR("*"), STR("n"), STR("c"));
	turn_until(&killed.calls, 1);
	turn_until(&seen_count, 3);
	assert_string_equal(seen, "one=a two=b one=c ");
	rds_stream_free(s);
	rds_stream_free(NULL);
	rds_async_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_in_order_and_never_from_inside),
		cmocka_unit_test(soon_comes_in_order_too),
		cmocka_unit_test(an_error_is_told_and_breaks_nothing),
		cmocka_unit_test(a_script_that_redis_forgot_is_sent_again),
		cmocka_unit_test(who_left_is_not_called),
		cmocka_unit_test(freeing_answers_all),
		cmocka_unit_test(the_deadline_holds),
		cmocka_unit_test(a_silent_connection_is_made_again),
		cmocka_unit_test(a_lost_redis_fails_at_once_and_is_found_again),
		cmocka_unit_test(large_values_pass_both_ways),
		cmocka_unit_test(a_demoted_master_is_left_for_the_other_address),
		cmocka_unit_test(a_stopped_server_is_not_up),
		cmocka_unit_test(a_stream_starts_at_its_end_and_misses_nothing_after),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
