/* common/rds against a real Redis: commands, scripts, pipelines, lost connections, deadlines. */
#include "common/rds.h"

#include "common/clock.h"
#include "common/log.h"
#include "tests/lib/cm.h"
#include "tests/lib/redis.h"

static struct test_redis redis;
static struct rds *r;

static int start(void **state)
{
	(void)state;
	log_init("test", LOG_ERROR);
	if (test_redis_new(&redis) != 0)
		return -1;
	return rds_new(redis.socket, 1000, &r) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	rds_free(r);
	test_redis_free(&redis);
	return 0;
}

static void commands_and_replies(void **state)
{
	struct redisReply *reply = NULL;

	(void)state;
	assert_ok(RDS(r, NULL, STR("SET"), STR("k"), str_of("a\0b\r\n", 5)));
	assert_ok(RDS(r, &reply, STR("GET"), STR("k")));
	assert_int_equal(rds_text(reply).len, 5);
	assert_memory_equal(rds_text(reply).p, "a\0b\r\n", 5);
	rds_reply_free(reply);
	assert_ok(RDS(r, &reply, STR("GET"), STR("none")));
	assert_true(rds_nil(reply));
	assert_null(rds_text(reply).p);
	rds_reply_free(reply);
	assert_ok(RDS(r, &reply, STR("INCRBY"), STR("n"), STR("41")));
	assert_int_equal(rds_int(reply), 41);
	rds_reply_free(reply);
	assert_ok(RDS(r, &reply, STR("GET"), STR("n")));
	assert_int_equal(rds_int(reply), 41); /* also of a text */
	rds_reply_free(reply);
}

static void hashes_are_read_by_field(void **state)
{
	struct redisReply *reply = NULL;

	(void)state;
	assert_ok(RDS(r, NULL, STR("HSET"), STR("h"), STR("a"), STR("1"), STR("b"), STR("")));
	assert_ok(RDS(r, &reply, STR("HGETALL"), STR("h")));
	assert_int_equal(rds_len(reply), 4);
	assert_str(rds_field(reply, "a"), "1");
	assert_str(rds_field(reply, "b"), "");
	assert_non_null(rds_field(reply, "b").p);
	assert_null(rds_field(reply, "c").p);
	assert_null(rds_at(reply, 4));
	rds_reply_free(reply);
}

static void readers_accept_null(void **state)
{
	(void)state;
	assert_true(rds_nil(NULL));
	assert_int_equal(rds_int(NULL), 0);
	assert_int_equal(rds_len(NULL), 0);
	assert_null(rds_at(NULL, 0));
	assert_null(rds_field(NULL, "x").p);
	rds_reply_free(NULL);
	rds_free(NULL);
}

static void errors_of_redis_do_not_break_the_connection(void **state)
{
	struct redisReply *reply = NULL;

	(void)state;
	assert_ok(RDS(r, NULL, STR("SET"), STR("text"), STR("x")));
	assert_err(RDS(r, &reply, STR("INCR"), STR("text")), ERR_INVALID);
	assert_null(reply);
	assert_err(RDS(r, NULL, STR("NOSUCHCOMMAND")), ERR_INVALID);
	assert_ok(RDS(r, &reply, STR("GET"), STR("text")));
	assert_str(rds_text(reply), "x");
	rds_reply_free(reply);
}

static void scripts_load_themselves(void **state)
{
	static struct rds_script script = { .source = "return {KEYS[1], ARGV[1], #ARGV}" };
	struct redisReply *reply = NULL;

	(void)state;
	for (int round = 0; round < 3; round++) {
		assert_ok(RDS_EVAL(r, &script, &reply, 1, STR("key"), STR("a"), STR("b")));
		assert_str(rds_text(rds_at(reply, 0)), "key");
		assert_str(rds_text(rds_at(reply, 1)), "a");
		assert_int_equal(rds_int(rds_at(reply, 2)), 2);
		rds_reply_free(reply);
		/* Forgotten in the second round: falls back to EVAL. */
		if (round == 1)
			assert_ok(RDS(r, NULL, STR("SCRIPT"), STR("FLUSH")));
	}
	assert_int_equal(strlen(script.sha), 40);
}

static void a_script_error_is_an_error(void **state)
{
	static struct rds_script script = { .source = "return redis.error_reply('no')" };
	struct redisReply *reply = NULL;

	(void)state;
	assert_err(RDS_EVAL(r, &script, &reply, 0, STR("x")), ERR_INVALID);
	assert_null(reply);
}

static void pipelines_keep_order(void **state)
{
	struct redisReply *replies[3];

	(void)state;
	assert_ok(RDS_QUEUE(r, STR("SET"), STR("p"), STR("1")));
	assert_ok(RDS_QUEUE(r, STR("INCR"), STR("p")));
	assert_ok(RDS_QUEUE(r, STR("GET"), STR("p")));
	assert_ok(rds_collect(r, replies, 3));
	assert_int_equal(rds_int(replies[1]), 2);
	assert_str(rds_text(replies[2]), "2");
	for (size_t i = 0; i < 3; i++)
		rds_reply_free(replies[i]);
}

static void one_failing_command_fails_the_pipeline_and_owns_nothing(void **state)
{
	struct redisReply *replies[2] = { (struct redisReply *)1, (struct redisReply *)1 };

	(void)state;
	assert_ok(RDS_QUEUE(r, STR("SET"), STR("q"), STR("x")));
	assert_ok(RDS_QUEUE(r, STR("INCR"), STR("q")));
	assert_err(rds_collect(r, replies, 2), ERR_INVALID);
	assert_null(replies[0]);
	assert_null(replies[1]);
	assert_ok(RDS(r, NULL, STR("PING")));
}

static void too_many_arguments_are_refused(void **state)
{
	struct str argv[RDS_ARGS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		argv[i] = STR("x");
	argv[0] = STR("DEL");
	assert_err(rds_do(r, NULL, ARRAY_LEN(argv), argv), ERR_TOO_LARGE);
	assert_ok(rds_do(r, NULL, RDS_ARGS_MAX, argv));
}

static void a_restarted_redis_costs_no_failed_command(void **state)
{
	struct redisReply *reply = NULL;

	(void)state;
	assert_ok(RDS(r, NULL, STR("PING")));
	test_redis_stop(&redis);
	assert_int_equal(test_redis_start(&redis), 0);
	assert_ok(RDS(r, &reply, STR("PING")));
	assert_str(rds_text(reply), "PONG");
	rds_reply_free(reply);
}

static void a_gone_redis_is_reported_and_found_again(void **state)
{
	(void)state;
	test_redis_stop(&redis);
	assert_err(RDS(r, NULL, STR("PING")), ERR_CLOSED);
	assert_err(RDS(r, NULL, STR("PING")), ERR_CLOSED);
	assert_int_equal(test_redis_start(&redis), 0);
	assert_ok(RDS(r, NULL, STR("PING")));
}

/* A stopped process takes connections but never answers: only the deadline ends the wait. */
static void the_deadline_holds(void **state)
{
	struct rds *hurried;

	(void)state;
	assert_ok(rds_new(redis.socket, 200, &hurried));
	assert_ok(RDS(hurried, NULL, STR("PING")));
	assert_int_equal(kill(redis.pid, SIGSTOP), 0);
	uint64_t began = clock_mono_ms();
	enum err e = RDS(hurried, NULL, STR("PING"));
	uint64_t took = clock_mono_ms() - began;
	assert_int_equal(kill(redis.pid, SIGCONT), 0);
	assert_int_equal(e, ERR_TIMEOUT);
	assert_in_range(took, 150, 2000);
	/* The late answer must not be taken for that of the next command. */
	struct redisReply *reply = NULL;
	assert_ok(RDS(hurried, &reply, STR("ECHO"), STR("mine")));
	assert_str(rds_text(reply), "mine");
	rds_reply_free(reply);
	rds_free(hurried);
}

static void out_of_memory_is_told_apart(void **state)
{
	(void)state;
	assert_ok(RDS(r, NULL, STR("CONFIG"), STR("SET"), STR("maxmemory"), STR("1")));
	assert_err(RDS(r, NULL, STR("SET"), STR("x"), STR("y")), ERR_FULL);
	assert_ok(RDS(r, NULL, STR("CONFIG"), STR("SET"), STR("maxmemory"), STR("0")));
}

/* The master is demoted: the command that finds out fails, the next one reaches the other address. */
static void of_several_the_master_is_found(void **state)
{
	struct test_redis other;
	struct redisReply *reply = NULL;
	char both[256];
	struct rds *two;

	(void)state;
	assert_int_equal(test_redis_new(&other), 0);
	(void)snprintf(both, sizeof(both), "%s,%s", redis.socket, other.socket);
	assert_ok(rds_new(both, 1000, &two));
	assert_ok(RDS(two, NULL, STR("SET"), STR("who"), STR("first")));
	assert_ok(RDS(r, &reply, STR("GET"), STR("who")));
	assert_str(rds_text(reply), "first");
	rds_reply_free(reply);
	assert_int_equal(test_redis_command(&redis, "REPLICAOF 127.0.0.1 1\r\n"), 0);
	assert_int_equal(RDS(two, NULL, STR("SET"), STR("who"), STR("second")), ERR_FULL);
	assert_ok(RDS(two, NULL, STR("SET"), STR("who"), STR("second")));
	assert_ok(RDS(two, &reply, STR("GET"), STR("who")));
	assert_str(rds_text(reply), "second");
	rds_reply_free(reply);
	rds_free(two);
	/* Found from the start, too, past the replica. */
	assert_ok(rds_new(both, 1000, &two));
	assert_ok(RDS(two, NULL, STR("SET"), STR("who"), STR("third")));
	rds_free(two);
	assert_int_equal(test_redis_command(&redis, "REPLICAOF NO ONE\r\n"), 0);
	test_redis_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_and_replies),
		cmocka_unit_test(hashes_are_read_by_field),
		cmocka_unit_test(readers_accept_null),
		cmocka_unit_test(errors_of_redis_do_not_break_the_connection),
		cmocka_unit_test(scripts_load_themselves),
		cmocka_unit_test(a_script_error_is_an_error),
		cmocka_unit_test(pipelines_keep_order),
		cmocka_unit_test(one_failing_command_fails_the_pipeline_and_owns_nothing),
		cmocka_unit_test(too_many_arguments_are_refused),
		cmocka_unit_test(a_restarted_redis_costs_no_failed_command),
		cmocka_unit_test(a_gone_redis_is_reported_and_found_again),
		cmocka_unit_test(the_deadline_holds),
		cmocka_unit_test(out_of_memory_is_told_apart),
		cmocka_unit_test(of_several_the_master_is_found),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
