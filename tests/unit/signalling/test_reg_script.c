/* signalling/reg_script: the Lua on a user's slot, in a real Redis. */
#include "signalling/reg_script.h"

#include "common/buf.h"
#include "common/log.h"
#include "tests/lib/cm.h"
#include "tests/lib/redis.h"

#define KEYS STR("location:{u}"), STR("session:{u}:s"), STR("messages:{u}"), STR("user:{u}")
/* Times lie far ahead, for Redis deletes a key at its real time. A value as reg_binding.c writes it: */
#define VALUE(token, expires, cseq, updated, call) STR(token "\n" expires "\n" cseq "\n" updated "\n0\ns\n" call "\nsip:c@x.invalid")

static struct test_redis redis;
static struct rds *r;
static struct redisReply *reply;

static int start(void **state)
{
	(void)state;
	log_init("test", LOG_ERROR);
	return test_redis_new(&redis) == 0 && rds_new(redis.socket, 2000, &r) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	rds_reply_free(reply);
	rds_free(r);
	test_redis_free(&redis);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	return RDS(r, NULL, STR("FLUSHALL")) == ERR_OK && RDS(r, NULL, STR("SET"), STR("session:{u}:s"), STR("1")) == ERR_OK ? 0 : -1;
}

/* Runs a script and gives its first element; the reply stays for the asserts that follow. */
static struct str save(struct str now, struct str field, struct str value, struct str call, struct str cseq, struct str max, struct str how)
{
	rds_reply_free(reply);
	reply = NULL;
	assert_ok(RDS_EVAL(r, &reg_script_save, &reply, 4, KEYS, now, field, value, call, cseq, max, how));
	return rds_text(rds_at(reply, 0));
}

static struct str put(const char *token, struct str field, struct str now)
{
	char text[256];
	struct buf value = buf_fixed(text, sizeof(text));

	/* Valid until …1500; a Call-ID of its own, so that no other is older. */
	buf_printf(&value, "%s\n%llu\n1\n%.*s\n0\ns\ncall-%s\nsip:c@x.invalid", token, 9000000001500ull,
		   STR_FMT(now), token);
	char call[64];
	struct buf id = buf_fixed(call, sizeof(call));
	buf_printf(&id, "call-%s", token);
	return save(now, field, buf_view(&value), buf_view(&id), STR("1"), STR("3"), STR("new"));
}

static size_t bindings(void)
{
	struct redisReply *len;

	assert_ok(RDS(r, &len, STR("HLEN"), STR("location:{u}")));
	size_t n = (size_t)rds_int(len);
	rds_reply_free(len);
	return n;
}

static void the_first_binding(void **state)
{
	struct redisReply *at;

	(void)state;
	assert_ok(RDS(r, NULL, STR("XADD"), STR("messages:{u}"), STR("*"), STR("a"), STR("b")));
	assert_str(save(STR("9000000001000"), STR("i;1"), VALUE("T1", "9000000002000", "1", "9000000001000", "c"), STR("c"), STR("1"), STR("3"), STR("new")), "ok");
	assert_str(rds_text(rds_at(reply, 1)), "");
	assert_str(rds_text(rds_at(reply, 2)), "");
	assert_int_equal(rds_int(rds_at(reply, 3)), 1); /* messages */
	assert_int_equal(rds_int(rds_at(reply, 4)), 0); /* bindings before */
	assert_int_equal(rds_len(reply), 7);
	assert_str(rds_text(rds_at(reply, 5)), "i;1");
	assert_ok(RDS(r, &at, STR("PEXPIRETIME"), STR("location:{u}")));
	assert_int_equal(rds_int(at), 9000000002000);
	rds_reply_free(at);
}

/* Who wants no calls is told with the binding, so that their worker knows before it is called. */
static void no_calls_wanted(void **state)
{
	(void)state;
	assert_ok(RDS(r, NULL, STR("HSET"), STR("user:{u}"), STR("dnd"), STR("1")));
	assert_str(put("T1", STR("i;1"), STR("9000000001000")), REG_DND);
	assert_int_equal(bindings(), 1);
	assert_ok(RDS(r, NULL, STR("HDEL"), STR("user:{u}"), STR("dnd")));
	assert_str(put("T2", STR("i;1"), STR("9000000001001")), REG_OK);
}

static void no_session_no_binding(void **state)
{
	(void)state;
	assert_ok(RDS(r, NULL, STR("DEL"), STR("session:{u}:s")));
	assert_str(put("T1", STR("i;1"), STR("9000000001000")), "session");
	assert_int_equal(bindings(), 0);
	assert_ok(RDS(r, NULL, STR("SET"), STR("session:{u}:s"), STR("1")));
	assert_ok(RDS(r, NULL, STR("HSET"), STR("user:{u}"), STR("state"), STR("disabled")));
	assert_str(put("T1", STR("i;1"), STR("9000000001000")), "session");
}

static void the_same_device_replaces_itself(void **state)
{
	(void)state;
	assert_str(put("T1", STR("i;1"), STR("9000000001000")), "ok");
	assert_str(put("T2", STR("i;1"), STR("9000000001001")), "ok");
	assert_str(rds_text(rds_at(reply, 1)), "T1");
	assert_int_equal(rds_int(rds_at(reply, 4)), 1);
	assert_int_equal(bindings(), 1);
	/* A refresh by the same flow supersedes nothing. */
	assert_str(save(STR("9000000001002"), STR("i;1"), VALUE("T2", "9000000001500", "2", "9000000001002", "call-T2"), STR("call-T2"), STR("2"), STR("3"), STR("new")), "ok");
	assert_str(rds_text(rds_at(reply, 1)), "");
}

static void an_older_cseq_of_the_same_call_loses(void **state)
{
	(void)state;
	assert_str(save(STR("9000000001000"), STR("i;1"), VALUE("T1", "9000000001500", "5", "9000000001000", "c"), STR("c"), STR("5"), STR("3"), STR("new")), "ok");
	assert_str(save(STR("9000000001001"), STR("i;1"), VALUE("T1", "9000000001500", "5", "9000000001001", "c"), STR("c"), STR("5"), STR("3"), STR("new")), "stale");
	assert_str(save(STR("9000000001001"), STR("i;1"), VALUE("T1", "9000000001500", "4", "9000000001001", "c"), STR("c"), STR("4"), STR("3"), STR("new")), "stale");
	assert_str(save(STR("9000000001001"), STR("i;1"), VALUE("T1", "9000000001500", "6", "9000000001001", "c"), STR("c"), STR("6"), STR("3"), STR("new")), "ok");
	/* Another Call-ID: a restarted client counts from the beginning. */
	assert_str(save(STR("9000000001002"), STR("i;1"), VALUE("T1", "9000000001500", "1", "9000000001002", "d"), STR("d"), STR("1"), STR("3"), STR("new")), "ok");
}

/* What a worker writes again after Redis was away must not undo what came in the meantime. */
static void writing_again_never_replaces_a_younger_one(void **state)
{
	(void)state;
	assert_str(save(STR("9000000001000"), STR("i;1"), VALUE("T1", "9000000001500", "5", "9000000001000", "c"), STR("c"), STR("5"), STR("3"), STR("again")), "ok");
	assert_str(save(STR("9000000001000"), STR("i;1"), VALUE("T1", "9000000001500", "5", "9000000001000", "c"), STR("c"), STR("5"), STR("3"), STR("again")), "ok");
	assert_str(save(STR("9000000001002"), STR("i;1"), VALUE("T2", "9000000001500", "1", "9000000001002", "d"), STR("d"), STR("1"), STR("3"), STR("new")), "ok");
	assert_str(save(STR("9000000001003"), STR("i;1"), VALUE("T1", "9000000001500", "5", "9000000001000", "c"), STR("c"), STR("5"), STR("3"), STR("again")), "stale");
}

static void the_least_recent_device_makes_room(void **state)
{
	(void)state;
	assert_str(put("T1", STR("a;1"), STR("9000000001003")), "ok");
	assert_str(put("T2", STR("b;1"), STR("9000000001001")), "ok");
	assert_str(put("T3", STR("c;1"), STR("9000000001002")), "ok");
	assert_str(put("T4", STR("d;1"), STR("9000000001004")), "ok");
	assert_str(rds_text(rds_at(reply, 2)), "T2");
	assert_int_equal(bindings(), 3);
}

static void what_has_expired_is_swept(void **state)
{
	(void)state;
	assert_str(put("T1", STR("a;1"), STR("9000000001000")), "ok"); /* until …1500 */
	assert_str(save(STR("9000000001500"), STR("b;1"), VALUE("T2", "9000000002000", "1", "9000000001500", "x"), STR("x"), STR("1"), STR("3"), STR("new")), "ok");
	assert_int_equal(rds_int(rds_at(reply, 4)), 0);
	assert_int_equal(bindings(), 1);
	/* So is what is not in our form. */
	assert_ok(RDS(r, NULL, STR("HSET"), STR("location:{u}"), STR("z"), STR("junk")));
	assert_str(put("T3", STR("c;1"), STR("9000000001501")), "ok");
	assert_int_equal(bindings(), 2);
}

static struct str taken(struct str field, struct str call, struct str cseq)
{
	rds_reply_free(reply);
	reply = NULL;
	assert_ok(RDS_EVAL(r, &reg_script_remove, &reply, 1, STR("location:{u}"), STR("9000000001100"), field, call, cseq));
	return rds_text(rds_at(reply, 0));
}

static void removing_one_and_all(void **state)
{
	(void)state;
	assert_str(put("T1", STR("a;1"), STR("9000000001000")), "ok");
	assert_str(put("T2", STR("b;1"), STR("9000000001001")), "ok");
	assert_str(taken(STR("a;1"), STR("call-T1"), STR("1")), "stale");
	assert_str(taken(STR("a;1"), STR("call-T1"), STR("2")), "ok");
	assert_int_equal(rds_int(rds_at(reply, 1)), 1);
	assert_int_equal(rds_len(reply), 4); /* one binding is left */
	assert_str(taken(STR("a;1"), STR("call-T1"), STR("3")), "ok");
	assert_int_equal(rds_int(rds_at(reply, 1)), 0);
	assert_str(taken(STR("*"), STR("any"), STR("1")), "ok");
	assert_int_equal(bindings(), 0);
}

static void drop(struct str field, struct str token, struct str session, int64_t removed, int64_t left)
{
	rds_reply_free(reply);
	reply = NULL;
	assert_ok(RDS_EVAL(r, &reg_script_drop, &reply, 1, STR("location:{u}"), STR("9000000001100"), field, token, session));
	assert_int_equal(rds_int(rds_at(reply, 1)), removed);
	assert_int_equal(rds_int(rds_at(reply, 2)), left);
}

static void compare_and_delete(void **state)
{
	(void)state;
	assert_str(put("T1", STR("a;1"), STR("9000000001000")), "ok");
	assert_str(put("T2", STR("b;1"), STR("9000000001001")), "ok");
	drop(STR("a;1"), STR("T2"), STR(""), 0, 2); /* the device has come back by another flow */
	drop(STR("a;1"), STR("T1"), STR(""), 1, 1);
	drop(STR("*"), STR("T1"), STR(""), 0, 1);
	drop(STR("*"), STR(""), STR("other"), 0, 1);
	drop(STR("*"), STR(""), STR("s"), 1, 0);
	assert_int_equal(bindings(), 0);
	/* What had expired counts as removed, so that watchers hear of it. */
	assert_str(put("T3", STR("c;1"), STR("9000000000500")), "ok");
	rds_reply_free(reply);
	reply = NULL;
	assert_ok(RDS_EVAL(r, &reg_script_drop, &reply, 1, STR("location:{u}"), STR("9000000001500"), STR("c;1"), STR("T3"), STR("")));
	assert_int_equal(rds_int(rds_at(reply, 1)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_binding, fresh),
		cmocka_unit_test_setup(no_calls_wanted, fresh),
		cmocka_unit_test_setup(no_session_no_binding, fresh),
		cmocka_unit_test_setup(the_same_device_replaces_itself, fresh),
		cmocka_unit_test_setup(an_older_cseq_of_the_same_call_loses, fresh),
		cmocka_unit_test_setup(writing_again_never_replaces_a_younger_one, fresh),
		cmocka_unit_test_setup(the_least_recent_device_makes_room, fresh),
		cmocka_unit_test_setup(what_has_expired_is_swept, fresh),
		cmocka_unit_test_setup(removing_one_and_all, fresh),
		cmocka_unit_test_setup(compare_and_delete, fresh),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
