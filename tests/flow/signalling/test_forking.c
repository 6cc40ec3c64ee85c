/* Several devices of one person, dead ones among them (RFC 3261 §16.7, RFC 5626 §11.1). */
#include "bed.h"

static int setup(void **state)
{
	*state = bed_new();
	return 0;
}

static int teardown(void **state)
{
	bed_free(*state);
	return 0;
}

/* The first who answers has it, the other is told why it stops ringing. */
static void first_answer_wins(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0),
			  *desk = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE "), *m2 = bed_take(desk, "INVITE ");

	bed_answer(phone, m1, 180, "");
	bed_answer(desk, m2, 180, "");
	(void)bed_take(alice, "SIP/2.0 180 ");
	bed_answer(desk, m2, 200, BED_AUDIO);
	bed_established(&d, bed_take(alice, "SIP/2.0 200 "));
	const struct sip_msg *cancel = bed_take(phone, "CANCEL ");

	assert_str(sip_msg_value(cancel, SIP_H_REASON), "SIP;cause=200;text=\"Call completed elsewhere\"");
	bed_answer(phone, cancel, 200, "");
	bed_answer(phone, m1, 487, "");
	(void)bed_take(phone, "ACK ");
	bed_request(alice, &d, "ACK", "", "");
	(void)bed_take(desk, "ACK ");
	bed_request(alice, &d, "BYE", "", "");
	bed_answer(desk, bed_take(desk, "BYE "), 200, "");
	bed_nothing(phone);
	bed_cdr(b, "completed", 200, "caller");
	bed_quiet(b);
}

/* Both pick up in the same moment: the second is acknowledged and hung up by us, and the caller sees one call. */
static void both_answer(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0),
			  *desk = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE "), *m2 = bed_take(desk, "INVITE ");

	bed_answer(phone, m1, 180, "");
	bed_answer(desk, m2, 180, "");
	bed_answer(phone, m1, 200, BED_AUDIO);
	bed_answer(desk, m2, 200, BED_AUDIO);
	bed_established(&d, bed_take(alice, "SIP/2.0 200 "));
	assert_false(bed_has(alice, "SIP/2.0 200 "));
	(void)bed_take(desk, "ACK ");
	const struct sip_msg *bye = bed_take(desk, "BYE ");

	assert_str(sip_msg_value(bye, SIP_H_REASON), "SIP;cause=200;text=\"Call completed elsewhere\"");
	bed_answer(desk, bye, 200, "");
	bed_request(alice, &d, "ACK", "", "");
	(void)bed_take(phone, "ACK ");
	bed_request(alice, &d, "BYE", "", "");
	bed_answer(phone, bed_take(phone, "BYE "), 200, "");
	assert_int_equal(bed_stored(b, "XADD cdrs ", ""), 1);
	bed_quiet(b);
}

/* One declines for good: the others stop, the caller is told 603. */
static void decline_is_for_all(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0),
			  *desk = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE "), *m2 = bed_take(desk, "INVITE ");

	bed_answer(phone, m1, 180, "");
	bed_answer(desk, m2, 180, "");
	bed_answer(desk, m2, 603, "");
	bed_answer(phone, bed_take(phone, "CANCEL "), 200, "");
	bed_answer(phone, m1, 487, "");
	(void)bed_take(alice, "SIP/2.0 603 ");
	bed_cdr(b, "declined", 603, "callee");
	bed_quiet(b);
}

/* Busy on one device does not stop the other; the better answer wins in the end. */
static void busy_then_no_answer(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0),
			  *desk = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE "), *m2 = bed_take(desk, "INVITE ");

	bed_answer(phone, m1, 486, "");
	assert_false(bed_has(alice, "SIP/2.0 486 "));
	bed_answer(desk, m2, 180, "");
	bed_answer(desk, m2, 500, "");
	(void)bed_take(alice, "SIP/2.0 486 ");
	bed_cdr(b, "busy", 486, "callee");
	bed_quiet(b);
}

/* A page that is loaded anew while it is being called rings when it is back, on whatever worker. */
static void back_while_ringing(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);

	bed_answer(bob, bed_take(bob, "INVITE "), 180, "");
	(void)bed_take(alice, "SIP/2.0 180 ");
	bed_cut(bob);
	b->worker[1].dead = true;
	proxy_worker_lost(b->worker[0].proxy, STR("n1.1"), UINT64_MAX);
	bed_run(b, 2000);
	bed_connect(bob, 2);
	bed_come(bob);
	bed_answer(bob, bed_take(bob, "INVITE "), 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 100 ");
	bed_established(&d, bed_take(alice, "SIP/2.0 200 "));
	bed_request(alice, &d, "ACK", "", "");
	(void)bed_take(bob, "ACK ");
	assert_int_equal(proxy_counters(b->worker[0].proxy)[PROXY_C_LATE_DEVICE], 1);
}

/* Who opens Duplex while it rings elsewhere is rung as well, once; and so is the one who has it on no device yet. */
static void late_device(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0), *desk = bed_client(b, "bob", 2),
			  *third = bed_client(b, "bob", 1);

	desk->open = desk->registered = third->open = third->registered = false;
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE ");

	bed_answer(phone, m1, 180, "");
	bed_connect(desk, 2);
	bed_come(desk);
	bed_come(desk);
	const struct sip_msg *m2 = bed_take(desk, "INVITE ");

	bed_nothing(desk);
	bed_nothing(phone);
	bed_answer(desk, m2, 200, BED_AUDIO);
	bed_answer(phone, bed_take(phone, "CANCEL "), 200, "");
	bed_answer(phone, m1, 487, "");
	bed_established(&d, bed_take(alice, "SIP/2.0 200 "));
	bed_request(alice, &d, "ACK", "", "");
	(void)bed_take(desk, "ACK ");
	/* Too late now. */
	bed_connect(third, 1);
	bed_come(third);
	bed_nothing(third);
	bed_request(alice, &d, "BYE", "", "");
	bed_answer(desk, bed_take(desk, "BYE "), 200, "");
	bed_quiet(b);
}

/* A device that has said no is not asked again when it registers anew; a call to one device rings no other. */
static void late_but_not_again(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0), *desk = bed_client(b, "bob", 1);

	desk->open = desk->registered = false;
	struct bed_client *third = bed_client(b, "bob", 2);
	char target[160];

	(void)bed_invite(alice, "bob", BED_AUDIO);
	bed_answer(phone, bed_take(phone, "INVITE "), 486, "");
	bed_answer(third, bed_take(third, "INVITE "), 180, "");
	(void)bed_take(phone, "ACK ");
	bed_come(phone);
	bed_nothing(phone);
	struct bed_dialog d = { .cseq = 1, .call_id = "gruu", .local_tag = "g", .local = "sip:alice@" BED_DOMAIN, .remote = "<sip:bob@" BED_DOMAIN ">" };

	(void)snprintf(target, sizeof(target), "%s", bed_gruu(third));
	(void)snprintf(d.target, sizeof(d.target), "%s", target);
	bed_request(alice, &d, "INVITE", "", BED_AUDIO);
	(void)bed_take(third, "INVITE ");
	bed_connect(desk, 1);
	bed_come(desk);
	(void)bed_take(desk, "INVITE "); /* the first call */
	bed_nothing(desk);
}

/* The person hangs up while we wait for a device to come back: nothing is left behind. */
static void cancelled_while_waiting(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);

	bob->open = false;
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);

	bed_cancel(alice, &d);
	(void)bed_take(alice, "SIP/2.0 200 ");
	(void)bed_take(alice, "SIP/2.0 487 ");
	bed_cdr(b, "cancelled", 487, "caller");
	bed_quiet(b);
}

/* … or when its registration ends meanwhile. */
static void left_while_waiting(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1), *carol = bed_client(b, "carol", 0);

	bob->open = false;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)bed_invite(alice, "carol", BED_AUDIO);
	proxy_devices_left(b->worker[0].proxy, STR("bob"));
	proxy_devices_left(b->worker[0].proxy, STR("carol"));
	(void)bed_take(alice, "SIP/2.0 480 Not registered");
	assert_false(bed_has(alice, "SIP/2.0 480 "));
	bed_answer(carol, bed_take(carol, "INVITE "), 486, "");
	bed_quiet(b);
}

/* … and so it is when we stop. */
static void stopped_while_waiting(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);

	bob->open = false;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	proxy_free(b->worker[0].proxy);
	bed_start_worker(b, 0);
}

/* §16.7 step 7: two devices ask for credentials, the caller is told of both. */
static void challenges_are_gathered(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0), *desk = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	bed_answer_with(phone, bed_take(phone, "INVITE "), 401, "WWW-Authenticate: Digest realm=\"phone\", nonce=\"1\"\r\n", "");
	bed_answer_with(desk, bed_take(desk, "INVITE "), 407, "Proxy-Authenticate: Digest realm=\"desk\", nonce=\"2\"\r\n", "");
	const struct sip_msg *m = bed_take(alice, "SIP/2.0 401 ");

	assert_str(sip_msg_other(m, STR("WWW-Authenticate")), "Digest realm=\"phone\", nonce=\"1\"");
	assert_str(sip_msg_other(m, STR("Proxy-Authenticate")), "Digest realm=\"desk\", nonce=\"2\"");
}

/* §16.7 step 6: an overloaded device is no overload of ours. */
static void device_overload_is_not_ours(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	(void)bed_invite(alice, "bob", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 503, "");
	(void)bed_take(alice, "SIP/2.0 500 ");
	(void)bed_take(alice, "SIP/2.0 100 ");
	(void)bed_take(bob, "ACK ");
	bed_call(alice, bob, &da, &db);
	bed_request(alice, &da, "INFO", "", "");
	bed_answer(bob, bed_take(bob, "INFO "), 503, "");
	(void)bed_take(alice, "SIP/2.0 500 ");
}

/* A binding whose connection is gone on another worker: 430, the binding goes, the call rings on the living device. */
static void dead_branch_remote(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *dead = bed_client(b, "bob", 1),
			  *live = bed_client(b, "bob", 2);

	dead->open = false;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(live, "INVITE ");

	assert_int_equal(b->removed, 1);
	assert_false(dead->registered);
	assert_int_equal(proxy_counters(b->worker[0].proxy)[PROXY_C_DEAD_BRANCH], 1);
	bed_answer(live, m, 180, "");
	bed_answer(live, m, 486, "");
	(void)bed_take(alice, "SIP/2.0 486 ");
	bed_quiet(b);
}

/* All devices turn out dead: as if none were registered. */
static void all_dead(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *here = bed_client(b, "bob", 0),
			  *there = bed_client(b, "bob", 1);

	here->open = there->open = false;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 100 ");
	bed_run(b, 3900);
	bed_nothing(alice); /* one of them may come back at once */
	bed_run(b, 200);
	(void)bed_take(alice, "SIP/2.0 480 Not registered");
	bed_cdr(b, "unreachable", 480, "server");
	bed_quiet(b);
}

/* The device dies while it rings. */
static void dies_while_ringing(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0),
			  *desk = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE "), *m2 = bed_take(desk, "INVITE ");

	bed_answer(phone, m1, 180, "");
	bed_answer(desk, m2, 180, "");
	bed_cut(phone);
	assert_false(bed_has(alice, "SIP/2.0 4"));
	bed_answer(desk, m2, 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
}

static void only_device_dies_while_ringing(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_answer(bob, m, 199, "");
	bed_cut(bob);
	bed_run(b, 4100);
	(void)bed_take(alice, "SIP/2.0 480 Device is gone");
	bed_cdr(b, "no_answer", 480, "server");
	assert_int_equal(proxy_counters(b->worker[0].proxy)[PROXY_C_NOT_REGISTERED], 0);
	bed_quiet(b);
}

/* Calling oneself rings on one's other devices only. */
static void call_to_oneself(void **state)
{
	struct bed *b = *state;
	struct bed_client *here = bed_client(b, "alice", 0), *there = bed_client(b, "alice", 1);

	(void)bed_invite(here, "alice", BED_AUDIO);
	assert_false(bed_has(here, "INVITE "));
	bed_answer(there, bed_take(there, "INVITE "), 486, "");
	(void)bed_take(here, "SIP/2.0 486 ");
	assert_int_equal(bed_stored(b, "XADD history:{alice} ", "busy"), 1);
	bed_quiet(b);
}

/* A person in a call is called by a third: the device decides (the page says 486). */
static void second_call_reaches_the_device(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1),
			  *carol = bed_client(b, "carol", 2);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	(void)bed_invite(carol, "bob", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 486, "");
	(void)bed_take(carol, "SIP/2.0 486 ");
	bed_cdr(b, "busy", 486, "callee");
	assert_int_equal(b->busy[1], 1);
}

/* A 2xx that comes again because its ACK was lost is passed on again, and is one call only. */
static void answer_again(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 200, BED_AUDIO);
	bed_answer(bob, m, 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	(void)bed_take(alice, "SIP/2.0 200 ");
	assert_int_equal(bed_stored(b, "HSET live:", "answered\""), 1);
}

/* Two devices, the ring time ends: both are cancelled, and one answers all the same. */
static void late_answer_after_ring_time(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 0),
			  *desk = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE "), *m2 = bed_take(desk, "INVITE ");

	bed_answer(phone, m1, 180, "");
	bed_answer(desk, m2, 180, "");
	bed_run(b, 45500);
	(void)bed_take(alice, "SIP/2.0 408 ");
	(void)bed_take(phone, "CANCEL ");
	(void)bed_take(desk, "CANCEL ");
	bed_answer(phone, m1, 487, "");
	bed_answer(desk, m2, 200, BED_AUDIO);
	(void)bed_take(desk, "ACK ");
	(void)bed_take(desk, "BYE ");
	bed_cdr(b, "no_answer", 408, "server");
	bed_quiet(b);
}

/* Another worker dies while its device rings: that branch is over at once, the others ring on. */
static void worker_of_a_branch_dies(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *phone = bed_client(b, "bob", 1), *desk = bed_client(b, "bob", 2);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m1 = bed_take(phone, "INVITE "), *m2 = bed_take(desk, "INVITE ");

	bed_answer(phone, m1, 180, "");
	bed_answer(desk, m2, 180, "");
	/* News of an earlier boot of that worker do not concern it. */
	proxy_worker_lost(b->worker[0].proxy, STR("n1.1"), phone->flow.epoch);
	assert_int_equal(proxy_counters(b->worker[0].proxy)[PROXY_C_DEAD_BRANCH], 0);
	b->worker[1].dead = true;
	phone->open = false;
	proxy_worker_lost(b->worker[0].proxy, STR("n1.1"), UINT64_MAX);
	assert_int_equal(proxy_counters(b->worker[0].proxy)[PROXY_C_DEAD_BRANCH], 1);
	assert_false(bed_has(alice, "SIP/2.0 4"));
	bed_answer(desk, m2, 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
}

/* … and when it was the only one, the caller is told. */
static void worker_of_the_only_branch_dies(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 180, "");
	(void)bed_take(alice, "SIP/2.0 180 ");
	b->worker[1].dead = true;
	bob->open = false;
	proxy_worker_lost(b->worker[0].proxy, STR("n1.1"), UINT64_MAX);
	bed_run(b, 4100);
	(void)bed_take(alice, "SIP/2.0 480 Device is gone");
	bed_quiet(b);
}

/* A call that is up does not depend on the worker of its callee. */
static void worker_of_a_call_dies(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	b->worker[1].dead = true;
	bob->open = false;
	proxy_worker_lost(b->worker[0].proxy, STR("n1.1"), UINT64_MAX);
	bed_nothing(alice);
	bed_connect(bob, 2);
	bed_request(bob, &db, "BYE", "", "");
	bed_answer(alice, bed_take(alice, "BYE "), 200, "");
	(void)bed_take(bob, "SIP/2.0 200 ");
}

/* --- devices of this worker ring before the store is asked --- */

/* The one beside the caller rings at once, the one elsewhere joins, and the first answer wins. */
static void near_rings_first(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *near = bed_client(b, "bob", 0), *far = bed_client(b, "bob", 1);

	b->near = true;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *first = bed_take(near, "INVITE ");

	bed_nothing(far);
	bed_answer(near, first, 180, "");
	(void)bed_take(alice, "SIP/2.0 180 ");
	bed_looked_up(b);
	bed_settle(b);
	bed_nothing(near); /* it rings already */
	const struct sip_msg *second = bed_take(far, "INVITE ");

	bed_answer(far, second, 180, "");
	(void)bed_take(alice, "SIP/2.0 180 ");
	bed_answer(far, second, 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	const struct sip_msg *cancel = bed_take(near, "CANCEL ");

	bed_answer(near, cancel, 200, "");
	bed_answer(near, first, 487, "");
	(void)bed_take(near, "ACK ");
}

/* Somebody picks up before the store has answered: nobody else is rung. */
static void near_answers_at_once(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *near = bed_client(b, "bob", 0), *far = bed_client(b, "bob", 1);

	b->near = true;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	bed_answer(near, bed_take(near, "INVITE "), 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_looked_up(b);
	bed_settle(b);
	bed_nothing(far);
	assert_int_equal(b->busy[0], 1);
	assert_int_equal(b->busy[1], 1);
}

/* Busy here is no answer while it is not known who else there is. */
static void near_declines_others_ring(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *near = bed_client(b, "bob", 0), *far = bed_client(b, "bob", 1);

	b->near = true;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	bed_answer(near, bed_take(near, "INVITE "), 486, "");
	(void)bed_take(near, "ACK ");
	assert_false(bed_has(alice, "SIP/2.0 486 "));
	bed_looked_up(b);
	bed_settle(b);
	bed_answer(far, bed_take(far, "INVITE "), 480, "");
	(void)bed_take(far, "ACK ");
	(void)bed_take(alice, "SIP/2.0 486 ");
	bed_cdr(b, "busy", 486, "callee");
	bed_quiet(b);
}

/* The caller gives up before the store has answered. */
static void near_cancelled_before_the_answer(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *near = bed_client(b, "bob", 0), *far = bed_client(b, "bob", 1);

	b->near = true;
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(near, "INVITE ");

	bed_answer(near, m, 180, "");
	(void)bed_take(alice, "SIP/2.0 180 ");
	bed_cancel(alice, &d);
	(void)bed_take(alice, "SIP/2.0 487 ");
	bed_answer(near, bed_take(near, "CANCEL "), 200, "");
	bed_answer(near, m, 487, "");
	(void)bed_take(near, "ACK ");
	bed_looked_up(b);
	bed_settle(b);
	bed_nothing(far);
	bed_cdr(b, "cancelled", 487, "caller");
	bed_run(b, 40000);
	bed_quiet(b);
}

/* The store does not answer: who is here can still be called. */
static void near_without_the_store(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *near = bed_client(b, "bob", 0);

	b->near = true;
	b->lookup_fails = ERR_TIMEOUT;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(near, "INVITE ");

	bed_looked_up(b);
	bed_settle(b);
	assert_false(bed_has(alice, "SIP/2.0 500 "));
	bed_answer(near, m, 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
}

/* Nobody rings whose user wants no calls; and the ring time ends as ever. */
static void near_respects_the_callee(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	b->near = true;
	bob->dnd = true;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 480 Do not disturb");
	bed_nothing(bob);
	bob->dnd = false;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_looked_up(b);
	bed_run(b, 46000);
	(void)bed_take(alice, "SIP/2.0 180 ");
	(void)bed_take(alice, "SIP/2.0 408 ");
	bed_answer(bob, bed_take(bob, "CANCEL "), 200, "");
	bed_answer(bob, m, 487, "");
	(void)bed_take(bob, "ACK ");
	bed_run(b, 40000);
	bed_quiet(b);
}

/* The worker stops while it asks: nothing is left behind (seen by the address sanitizer). */
static void near_stopped_while_asking(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	b->near = true;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 180, "");
	(void)bed_take(alice, "SIP/2.0 180 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(first_answer_wins),  T(both_answer),
		T(decline_is_for_all), T(busy_then_no_answer),
		T(dead_branch_remote), T(all_dead),
		T(dies_while_ringing), T(only_device_dies_while_ringing),
		T(call_to_oneself),    T(second_call_reaches_the_device),
		T(answer_again),       T(late_answer_after_ring_time),
		T(worker_of_a_branch_dies), T(worker_of_the_only_branch_dies),
		T(worker_of_a_call_dies),   T(back_while_ringing),
		T(late_device),             T(late_but_not_again),
		T(cancelled_while_waiting), T(left_while_waiting), T(stopped_while_waiting),
		T(near_rings_first), T(near_answers_at_once), T(near_declines_others_ring), T(near_cancelled_before_the_answer),
		T(near_without_the_store), T(near_respects_the_callee), T(near_stopped_while_asking),
		T(challenges_are_gathered), T(device_overload_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
