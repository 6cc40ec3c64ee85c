/* Whole calls on a virtual clock: the plain one, every way it can fail, and how it ends. */
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

/* INVITE, 100, 180, 200, ACK, BYE, 200 from either side, on one worker and on two. */
static void plain(struct bed *b, unsigned callee_worker, bool callee_hangs_up)
{
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", callee_worker);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	assert_int_equal(b->busy[0], 1);
	assert_int_equal(b->busy[1], 1);
	struct bed_client *from = callee_hangs_up ? bob : alice, *to = callee_hangs_up ? alice : bob;

	bed_run(b, 5000);
	bed_request(from, callee_hangs_up ? &db : &da, "BYE", "", "");
	const struct sip_msg *bye = bed_take(to, "BYE ");

	assert_null(sip_msg_first(bye, SIP_H_ROUTE));
	assert_null(sip_msg_other(bye, STR("X-Duplex-Session")).p);
	bed_answer(to, bye, 200, "");
	(void)bed_take(from, "SIP/2.0 200 ");
	bed_nothing(alice);
	bed_nothing(bob);
	bed_cdr(b, "completed", 200, callee_hangs_up ? "callee" : "caller");
	assert_int_equal(bed_stored(b, "XADD history:{alice} ", "completed"), 1);
	assert_int_equal(bed_stored(b, "XADD history:{bob} ", "completed"), 1);
	assert_int_equal(bed_stored(b, "XADD events:relay ", "t call.end user alice call " BED_UUID_A), 1);
	assert_int_equal(bed_stored(b, "XADD events:relay ", "t call.end user bob call " BED_UUID_B), 1);
	assert_int_equal(bed_stored(b, "HSET live:n1.0 ", "\"state\":\"answered\""), 1);
	assert_int_equal(bed_stored(b, "HDEL live:n1.0 ", ""), 1);
	bed_quiet(b);
}

static void caller_hangs_up(void **state)
{
	plain(*state, 0, false);
}

static void callee_hangs_up(void **state)
{
	plain(*state, 0, true);
}

static void two_workers_caller_hangs_up(void **state)
{
	plain(*state, 1, false);
}

static void two_workers_callee_hangs_up(void **state)
{
	plain(*state, 1, true);
}

static void what_the_callee_sees(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = { .cseq = 1,
				.call_id = "x",
				.local_tag = "f",
				.local = "sip:alice@" BED_DOMAIN,
				.target = "sip:bob@" BED_DOMAIN,
				.remote = "<sip:bob@" BED_DOMAIN ">" };
	struct sip_addr a;

	bed_request(alice, &d, "INVITE",
		    "Route: <sip:evil@evil.example;lr>\r\nRecord-Route: "
		    "<sip:evil@evil.example;lr>\r\nX-Duplex-Session: forged\r\n"
		    "P-Asserted-Identity: <sip:alice@" BED_DOMAIN
		    ">\r\nP-Asserted-Identity: \"A\" <sip:alice@" BED_DOMAIN ">\r\nX-Other: stays\r\n",
		    BED_VIDEO);
	const struct sip_msg *m = bed_take(bob, "INVITE sip:c1@c1.invalid;transport=ws ");

	assert_null(sip_msg_first(m, SIP_H_ROUTE));
	assert_null(sip_msg_other(m, STR("X-Duplex-Session")).p);
	assert_str(sip_msg_other(m, STR("X-Other")), "stays");
	assert_str(sip_msg_value(m, SIP_H_P_ASSERTED_IDENTITY), "<sip:alice@" BED_DOMAIN ">");
	assert_null(sip_msg_next(m, sip_msg_first(m, SIP_H_P_ASSERTED_IDENTITY)));
	assert_str(sip_msg_value(m, SIP_H_MAX_FORWARDS), "68");
	assert_ok(sip_msg_addr(m, SIP_H_RECORD_ROUTE, &a));
	assert_true(str_starts(a.uri, STR("sip:n1.0~")));
	assert_str(m->body, BED_VIDEO);
	bed_answer(bob, m, 486, "");
	(void)bed_take(alice, "SIP/2.0 486 ");
}

/* --- every way a call can fail ---------------------------------------------------------------- */

static void failure(struct bed *b, unsigned status, const char *reason, const char *by)
{
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	char start[32];

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_answer(bob, m, status, "");
	(void)bed_take(bob, "ACK ");
	(void)snprintf(start, sizeof(start), "SIP/2.0 %u ", status);
	(void)bed_take(alice, start);
	bed_cdr(b, reason, status, by);
	bed_quiet(b);
}

static void busy(void **state)
{
	failure(*state, 486, "busy", "callee");
}

static void declined(void **state)
{
	failure(*state, 603, "declined", "callee");
}

static void refused_media(void **state)
{
	failure(*state, 488, "failed", "server");
}

static void unknown_user(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0);

	(void)bed_invite(alice, "nobody", BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 100 ");
	(void)bed_take(alice, "SIP/2.0 404 Unknown user");
	bed_cdr(b, "not_found", 404, "server");
	assert_int_equal(bed_stored(b, "XADD history:{alice} ", "not_found"), 1);
	assert_int_equal(bed_stored(b, "XADD history:{nobody} ", ""), 0);
	bed_quiet(b);
}

static void not_registered(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	bob->registered = false;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 480 Not registered");
	bed_cdr(b, "unreachable", 480, "server");
	assert_int_equal(bed_stored(b, "XADD history:{bob} ", "unreachable"), 1);
	bed_quiet(b);
}

static void no_permission(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	alice->perms = perm_parse(STR("call.audio"));
	(void)bed_invite(alice, "bob", BED_VIDEO);
	(void)bed_take(alice, "SIP/2.0 403 No permission");
	bed_cdr(b, "forbidden", 403, "server");
	assert_int_equal(bed_stored(b, "XADD history:{bob} ", ""), 0);
	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)bed_take(bob, "INVITE ");
	alice->perms = 0;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 403 No permission");
	bed_nothing(bob);
}

static void no_answer(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_run(b, 44000);
	assert_false(bed_has(bob, "CANCEL "));
	bed_run(b, 2000);
	(void)bed_take(alice, "SIP/2.0 408 No answer");
	bed_answer(bob, bed_take(bob, "CANCEL "), 200, "");
	bed_answer(bob, m, 487, "");
	(void)bed_take(bob, "ACK ");
	bed_cdr(b, "no_answer", 408, "server");
	bed_quiet(b);
}

/* A device that does not even say 100: it cannot be cancelled, and is given up after 64*T1. */
static void silent_device(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)bed_take(bob, "INVITE ");
	bed_run(b, 33000);
	(void)bed_take(alice, "SIP/2.0 408 ");
	bed_nothing(bob);
	bed_cdr(b, "no_answer", 408, "server");
	bed_quiet(b);
}

static void store_away(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0);

	b->lookup_fails = ERR_TIMEOUT;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(alice, "SIP/2.0 500 ");

	assert_str(sip_msg_value(m, SIP_H_RETRY_AFTER), "2");
	bed_quiet(b);
}

static void too_many(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0);

	(void)bed_client(b, "bob", 0);
	for (int i = 0; i < 5; i++)
		(void)bed_invite(alice, "bob", BED_AUDIO);
	assert_int_equal(sip_msg_reason_cause(bed_take(alice, "SIP/2.0 403 Too many calls")), 403);
	assert_false(bed_has(alice, "SIP/2.0 403 "));
}

/* Who has as many calls as one may have is busy for a further one, and sees it as missed. */
static void too_many_for_the_callee(void **state)
{
	struct bed *b = *state;
	static const char *const names[] = { "u0", "u1", "u2", "u3", "u4" };
	struct bed_client *caller[5], *bob = bed_client(b, "bob", 0);

	for (int i = 0; i < 5; i++) {
		caller[i] = bed_client(b, names[i], 0);
		(void)bed_invite(caller[i], "bob", BED_AUDIO);
	}
	for (int i = 0; i < 4; i++)
		(void)bed_take(bob, "INVITE ");
	bed_nothing(bob);
	assert_int_equal(sip_msg_reason_cause(bed_take(caller[4], "SIP/2.0 486 Too many calls")), 486);
	assert_int_equal(bed_stored(b, "XADD history:{bob} ", "reason busy"), 1);
}

/* --- identity --------------------------------------------------------------------------------- */

static void forged(void **state)
{
	struct bed *b = *state;
	struct bed_client *mallory = bed_client(b, "mallory", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog d = { .cseq = 1,
				.call_id = "f",
				.local_tag = "f",
				.local = "sip:alice@" BED_DOMAIN,
				.target = "sip:bob@" BED_DOMAIN,
				.remote = "<sip:bob@" BED_DOMAIN ">" };

	bed_request(mallory, &d, "INVITE", "", BED_AUDIO);
	(void)bed_take(mallory, "SIP/2.0 403 From is not you");
	(void)snprintf(d.local, sizeof(d.local), "sip:mallory@other.example");
	bed_request(mallory, &d, "INVITE", "", BED_AUDIO);
	(void)bed_take(mallory, "SIP/2.0 403 From is not you");
	(void)snprintf(d.local, sizeof(d.local), "sip:mallory@" BED_DOMAIN);
	bed_request(mallory, &d, "INVITE", "P-Asserted-Identity: <sip:alice@" BED_DOMAIN ">\r\n", BED_AUDIO);
	(void)bed_take(mallory, "SIP/2.0 403 Identity is not you");
	bed_request(mallory, &d, "INVITE", "Via: SIP/2.0/WSS n1.1.invalid;branch=z9hG4bKx\r\n", BED_AUDIO);
	(void)bed_take(mallory, "SIP/2.0 403 More than one Via");
	bed_nothing(bob);
	assert_int_equal(proxy_counters(b->worker[0].proxy)[PROXY_C_FORGED_FROM], 2);
}

static void forged_contact(void **state)
{
	static const struct {
		const char *contact;
		bool good;
	} cases[] = {
		{ "<sip:alice@" BED_DOMAIN ";gr=x>", false },  { "<sip:mallory@elsewhere.example>", false },
		{ "<sip:mallory@192.0.2.1>", false },          { "<sip:x@y.invalid.example>", false },
		{ "<sip:mallory@" BED_DOMAIN ";gr=x>", true }, { "<sip:x@y.invalid;transport=ws>", true },
	};
	struct bed *b = *state;
	struct bed_client *mallory = bed_client(b, "mallory", 0);
	char text[1024];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text),
			       "INVITE sip:nobody@" BED_DOMAIN
			       " SIP/2.0\r\nVia: SIP/2.0/WSS m.invalid;branch=z9hG4bKc%zu\r\n"
			       "From: <sip:mallory@" BED_DOMAIN ">;tag=1\r\nTo: <sip:nobody@" BED_DOMAIN
			       ">\r\nCall-ID: c%zu\r\n"
			       "CSeq: 1 INVITE\r\nContact: %s\r\n\r\n",
			       i, i, cases[i].contact);
		bed_say(mallory, str_from(text));
		(void)bed_take(mallory, cases[i].good ? "SIP/2.0 404 " : "SIP/2.0 403 Contact is not you");
	}
}

static void forged_route(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	struct bed_dialog other = da;

	/* The Route of another call. */
	(void)snprintf(other.call_id, sizeof(other.call_id), "other");
	bed_request(alice, &other, "BYE", "", "");
	(void)bed_take(alice, "SIP/2.0 403 Route is not ours");
	other = da;
	other.route[12] ^= 1;
	bed_request(alice, &other, "BYE", "", "");
	(void)bed_take(alice, "SIP/2.0 403 ");
	other.route[0] = '\0';
	bed_request(alice, &other, "BYE", "", "");
	(void)bed_take(alice, "SIP/2.0 481 ");
	bed_nothing(bob);
}

/* Somebody who knows a dialog's tags and Route cannot end it. */
static void bye_of_a_stranger(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1),
			  *mallory = bed_client(b, "mallory", 2);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	(void)snprintf(da.local, sizeof(da.local), "sip:mallory@" BED_DOMAIN);
	bed_request(mallory, &da, "BYE", "", "");
	(void)bed_take(mallory, "SIP/2.0 403 ");
	bed_nothing(bob);
}

/* --- cancelling ------------------------------------------------------------------------------- */

static void cancelled(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_cancel(alice, &d);
	(void)bed_take(alice, "SIP/2.0 200 ");
	(void)bed_take(alice, "SIP/2.0 487 ");
	const struct sip_msg *cancel = bed_take(bob, "CANCEL ");

	assert_true(str_eq(cancel->uri, m->uri));
	assert_true(str_eq(sip_msg_value(cancel, SIP_H_VIA), sip_msg_value(m, SIP_H_VIA)));
	bed_answer(bob, cancel, 200, "");
	bed_answer(bob, m, 487, "");
	(void)bed_take(bob, "ACK ");
	bed_cdr(b, "cancelled", 487, "caller");
	bed_quiet(b);
}

/* CANCEL before any provisional response waits for one (§9.1). */
static void cancelled_early(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_cancel(alice, &d);
	(void)bed_take(alice, "SIP/2.0 487 ");
	bed_nothing(bob);
	bed_answer(bob, m, 180, "");
	(void)bed_take(bob, "CANCEL ");
	bed_answer(bob, m, 487, "");
	bed_quiet(b);
}

static void cancel_of_nothing(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0);
	struct bed_dialog d = { .cseq = 1,
				.call_id = "c",
				.local_tag = "f",
				.local = "sip:alice@" BED_DOMAIN,
				.target = "sip:bob@" BED_DOMAIN,
				.remote = "<sip:bob@" BED_DOMAIN ">",
				.branch = "z9hG4bKnone" };

	bed_cancel(alice, &d);
	(void)bed_take(alice, "SIP/2.0 481 ");
}

/* The 200 was on its way when the caller cancelled, and the browser forgets it: the callee must not be left in an open
 * call. */
static void cancel_crosses_answer(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_answer(bob, m, 200, BED_AUDIO);
	bed_cancel(alice, &d);
	(void)bed_take(alice, "SIP/2.0 200 ");
	(void)bed_take(bob, "ACK ");
	bed_answer(bob, bed_take(bob, "BYE "), 200, "");
	bed_cdr(b, "cancelled", 200, "caller");
	bed_quiet(b);
}

/* The other order: the callee answers after the CANCEL has gone out to it. */
static void answer_crosses_cancel(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_cancel(alice, &d);
	(void)bed_take(alice, "SIP/2.0 487 ");
	(void)bed_take(bob, "CANCEL ");
	bed_answer(bob, m, 200, BED_AUDIO);
	(void)bed_take(bob, "ACK ");
	const struct sip_msg *bye = bed_take(bob, "BYE ");

	assert_int_equal(bye->cseq, m->cseq + 1);
	bed_answer(bob, bye, 200, "");
	assert_false(bed_has(alice, "SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS alice.invalid;branch=x"));
	assert_int_equal(bed_stored(b, "XADD events:relay ", "user bob call " BED_UUID_B), 1);
	bed_quiet(b);
}

static void caller_vanishes_while_ringing(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);

	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 180, "");
	bed_cut(alice);
	(void)bed_take(bob, "CANCEL ");
	bed_answer(bob, m, 487, "");
	bed_cdr(b, "lost", 487, "caller");
	bed_quiet(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(caller_hangs_up),
		T(callee_hangs_up),
		T(two_workers_caller_hangs_up),
		T(two_workers_callee_hangs_up),
		T(what_the_callee_sees),
		T(busy),
		T(declined),
		T(refused_media),
		T(unknown_user),
		T(not_registered),
		T(no_permission),
		T(no_answer),
		T(silent_device),
		T(store_away),
		T(too_many),
		T(too_many_for_the_callee),
		T(forged),
		T(forged_contact),
		T(forged_route),
		T(bye_of_a_stranger),
		T(cancelled),
		T(cancelled_early),
		T(cancel_of_nothing),
		T(cancel_crosses_answer),
		T(answer_crosses_cancel),
		T(caller_vanishes_while_ringing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
