/* What a call can do beyond being made and ended: session timers (RFC 4028), transfer (RFC 3515, 3891, 3892), do-not-disturb, two who
 * call each other at once; and what a proxy must notice (RFC 3261 §8.2.2.2, §16.3, §16.4). */
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

static uint64_t counted(struct bed *b, unsigned worker, enum proxy_counter c)
{
	return proxy_counters(b->worker[worker].proxy)[c];
}

/* An INVITE with more headers. */
static struct bed_dialog invite_with(struct bed_client *c, const char *target, const char *remote, const char *headers)
{
	static unsigned n;
	struct bed_dialog d = { .cseq = 10 };

	n++;
	(void)snprintf(d.call_id, sizeof(d.call_id), "with%u", n);
	(void)snprintf(d.local_tag, sizeof(d.local_tag), "with%u", n);
	(void)snprintf(d.local, sizeof(d.local), "sip:%s@" BED_DOMAIN, c->user);
	(void)snprintf(d.target, sizeof(d.target), "%s", target);
	(void)snprintf(d.remote, sizeof(d.remote), "<sip:%s@" BED_DOMAIN ">", remote);
	bed_request(c, &d, "INVITE", headers, BED_AUDIO);
	return d;
}

/* --- session timers --------------------------------------------------------------------------- */

#define TIMER(s) "Supported: timer\r\nSession-Expires: " s "\r\n"

static void interval_too_small(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog da, db;

	(void)invite_with(alice, "sip:bob@" BED_DOMAIN, "bob", TIMER("89"));
	assert_str(sip_msg_value(bed_take(alice, "SIP/2.0 422 "), SIP_H_MIN_SE), "90");
	bed_nothing(bob);
	bed_call(alice, bob, &da, &db);
	bed_request(bob, &db, "UPDATE", TIMER("30"), "");
	assert_str(sip_msg_value(bed_take(bob, "SIP/2.0 422 "), SIP_H_MIN_SE), "90");
	bed_nothing(alice);
	assert_int_equal(counted(b, 0, PROXY_C_SESSION_SHORT), 2);
}

/* Who does not know timers cannot be told: the interval is made longer on its way. */
static void interval_is_raised(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	(void)invite_with(alice, "sip:bob@" BED_DOMAIN, "bob", "Session-Expires: 60\r\n");
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	assert_str(sip_msg_value(m, SIP_H_SESSION_EXPIRES), "90");
}

/* Neither side refreshes although it was agreed: the call is over, and both are told. */
static void no_refresh_comes(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = invite_with(alice, "sip:bob@" BED_DOMAIN, "bob", TIMER("120"));
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer_with(bob, m, 200, "Session-Expires: 120;refresher=uac\r\nRequire: timer\r\n", BED_AUDIO);
	bed_established(&d, bed_take(alice, "SIP/2.0 200 "));
	bed_request(alice, &d, "ACK", "", "");
	(void)bed_take(bob, "ACK ");
	bed_run(b, 100000);
	bed_request(alice, &d, "UPDATE", TIMER("120;refresher=uac"), "");
	bed_answer_with(bob, bed_take(bob, "UPDATE "), 200, "Session-Expires: 120;refresher=uac\r\n", "");
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_run(b, 100000);
	assert_false(bed_has(bob, "BYE ")); /* 200 s after the beginning, 100 after the refresh */
	bed_run(b, 40000);
	assert_int_equal(sip_msg_reason_cause(bed_take(alice, "BYE ")), 408);
	(void)bed_take(bob, "BYE ");
	bed_cdr(b, "lost", 200, "server");
	bed_quiet(b);
}

/* §8.2: the callee knows nothing of timers, so the caller is asked to refresh. */
static void callee_without_timers(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	(void)invite_with(alice, "sip:bob@" BED_DOMAIN, "bob", TIMER("1800"));
	bed_answer(bob, bed_take(bob, "INVITE "), 200, BED_AUDIO);
	const struct sip_msg *m = bed_take(alice, "SIP/2.0 200 ");

	assert_str(sip_msg_value(m, SIP_H_SESSION_EXPIRES), "1800;refresher=uac");
	assert_str(sip_msg_value(m, SIP_H_REQUIRE), "timer");
}

/* No side knows timers: a call may last. */
static void no_timers(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bed_run(b, 2000000);
	bed_nothing(alice);
	bed_request(bob, &db, "BYE", "", "");
	(void)bed_take(alice, "BYE ");
}

/* --- what a proxy must notice ----------------------------------------------------------------- */

static void merged_request(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO);

	(void)bed_take(bob, "INVITE ");
	d.cseq--; /* the same request by another way: only its branch is another */
	bed_request(alice, &d, "INVITE", "", BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 482 Merged request");
	bed_nothing(bob);
	assert_int_equal(counted(b, 0, PROXY_C_MERGED), 1);
	/* A further attempt after a failure is none. */
	struct bed_dialog again = bed_invite(alice, "nobody", BED_AUDIO);

	(void)bed_take(alice, "SIP/2.0 404 ");
	again.cseq--;
	bed_request(alice, &again, "INVITE", "", BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 404 ");
}

static void looped_request(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	bed_say(alice, STR("MESSAGE sip:bob@" BED_DOMAIN " SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bKa\r\n"
			   "Via: SIP/2.0/WSS N1.0.invalid;branch=z9hG4bKb\r\nFrom: <sip:alice@" BED_DOMAIN ">;tag=1\r\n"
			   "To: <sip:bob@" BED_DOMAIN ">\r\nCall-ID: loop\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"));
	(void)bed_take(alice, "SIP/2.0 482 Loop Detected");
	bed_nothing(bob);
	assert_int_equal(counted(b, 0, PROXY_C_LOOP), 1);
}

/* §16.4: our Route in the Request-URI, the target at the end of the list. */
static void strict_router(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db, strict;

	bed_call(alice, bob, &da, &db);
	strict = da;
	(void)snprintf(strict.target, sizeof(strict.target), "%.*s", (int)strlen(da.route) - 2, da.route + 1);
	(void)snprintf(strict.route, sizeof(strict.route), "<%.180s>", da.target);
	bed_request(alice, &strict, "INFO", "", "");
	const struct sip_msg *m = bed_take(bob, "INFO ");

	assert_str(m->uri, da.target);
	assert_int_equal(m->first[SIP_H_ROUTE], 0);
	bed_answer(bob, m, 200, "");
	(void)bed_take(alice, "SIP/2.0 200 ");
	/* The same for a target that is none, and for a Route that is not ours. */
	(void)snprintf(strict.route, sizeof(strict.route), "<mailto:x@y>");
	bed_request(alice, &strict, "INFO", "", "");
	(void)bed_take(alice, "SIP/2.0 400 ");
	char *last = strchr(strict.target, '@') - 1; /* of the MAC */

	*last = *last == 'A' ? 'B' : 'A';
	(void)snprintf(strict.route, sizeof(strict.route), "<%.180s>", da.target);
	bed_request(alice, &strict, "INFO", "", "");
	(void)bed_take(alice, "SIP/2.0 403 ");
	bed_nothing(bob);
}

/* What we end and answer in another's place carries the Session-ID of both (RFC 7989). */
static void session_id_of_ours(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	assert_int_equal(proxy_hangup(b->worker[0].proxy, STR_NONE, "admin"), 1);
	bed_settle(b);
	assert_str(sip_msg_value(bed_take(alice, "BYE "), SIP_H_SESSION_ID), BED_UUID_B ";remote=" BED_UUID_A);
	assert_str(sip_msg_value(bed_take(bob, "BYE "), SIP_H_SESSION_ID), BED_UUID_A ";remote=" BED_UUID_B);
	(void)bed_invite(alice, "nobody", BED_AUDIO);
	assert_str(sip_msg_value(bed_take(alice, "SIP/2.0 404 "), SIP_H_SESSION_ID), SIP_SESSION_NIL ";remote=" BED_UUID_A);
}

/* 100rel and PRACK (RFC 3262) are the business of the two ends. */
static void prack_passes(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog d = invite_with(alice, "sip:bob@" BED_DOMAIN, "bob", "Supported: 100rel\r\n");
	const struct sip_msg *m = bed_take(bob, "INVITE ");
	char text[512];

	assert_str(sip_msg_value(m, SIP_H_SUPPORTED), "100rel");
	(void)snprintf(text, sizeof(text), "Require: 100rel\r\nRSeq: 1\r\nRecord-Route: %.*s\r\nContact: <%s>\r\n",
		       STR_FMT(sip_msg_value(m, SIP_H_RECORD_ROUTE)), bed_gruu(bob));
	struct buf out = buf_growing(4096);

	assert_ok(sip_reply_put(&out, m, &(struct sip_reply){ .status = 183, .to_tag = STR("early"), .headers = str_from(text) }));
	bed_say(bob, buf_view(&out));
	buf_fini(&out);
	const struct sip_msg *early = bed_take(alice, "SIP/2.0 183 ");

	assert_str(sip_msg_other(early, STR("RSeq")), "1");
	bed_established(&d, early);
	bed_request(alice, &d, "PRACK", "RAck: 1 11 INVITE\r\n", "");
	const struct sip_msg *prack = bed_take(bob, "PRACK ");

	assert_str(sip_msg_other(prack, STR("RAck")), "1 11 INVITE");
	bed_answer(bob, prack, 200, "");
	(void)bed_take(alice, "SIP/2.0 200 ");
}

/* Both sides change the call at once: each answers 491, and both learn it (§14.1). */
static void reinvite_glare(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	bed_request(bob, &db, "INVITE", "", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 491, "");
	bed_answer(alice, bed_take(alice, "INVITE "), 491, "");
	(void)bed_take(alice, "SIP/2.0 491 ");
	(void)bed_take(bob, "SIP/2.0 491 ");
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_request(alice, &da, "ACK", "", "");
	assert_int_equal(bed_take(bob, "ACK ")->cseq, da.invite_cseq - 1); /* of the 491, which ends at this hop */
	assert_int_equal(bed_take(bob, "ACK ")->cseq, da.invite_cseq);
}

/* --- do not disturb, and both at once --------------------------------------------------------- */

static void do_not_disturb(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);

	bob->dnd = true;
	(void)bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *m = bed_take(alice, "SIP/2.0 480 Do not disturb");

	assert_int_equal(sip_msg_reason_cause(m), 480);
	bed_nothing(bob);
	bed_cdr(b, "do_not_disturb", 480, "server");
	assert_int_equal(bed_stored(b, "XADD history:{bob} ", "do_not_disturb"), 1);
	bed_quiet(b);
}

/* Alice and bob call each other: one of their pages gives way and says so. It is no missed call. */
static void both_called(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da = bed_invite(alice, "bob", BED_AUDIO), db = bed_invite(bob, "alice", BED_AUDIO);
	const struct sip_msg *to_bob = bed_take(bob, "INVITE "), *to_alice = bed_take(alice, "INVITE ");

	bed_answer(bob, to_bob, 180, "");
	bed_answer(alice, to_alice, 180, "");
	bed_cancel_with(bob, &db, "Reason: SIP ;cause=200 ;text=\"Both called\"\r\n");
	bed_answer(alice, bed_take(alice, "CANCEL "), 200, "");
	bed_answer(alice, to_alice, 487, "");
	bed_answer(bob, to_bob, 200, BED_AUDIO);
	bed_established(&da, bed_take(alice, "SIP/2.0 200 "));
	bed_request(alice, &da, "ACK", "", "");
	bed_cdr(b, "glare", 487, "caller");
	assert_int_equal(bed_stored(b, "XADD history:", ""), 0);
	bed_request(alice, &da, "BYE", "", "");
	bed_answer(bob, bed_take(bob, "BYE "), 200, "");
	assert_int_equal(bed_stored(b, "XADD history:", ""), 2);
	bed_quiet(b);
}

/* --- transfer --------------------------------------------------------------------------------- */

static char referred[256]; /* Referred-By of the REFER that refer() let pass */

/* `who` asks the other side of the call to call `target`; it takes that, and tells how it goes. */
static void refer(struct bed_client *who, struct bed_dialog *d, struct bed_client *other, struct bed_dialog *od, const char *target)
{
	char line[512], sender[64];

	(void)snprintf(line, sizeof(line), "Refer-To: <%s>\r\nReferred-By: <sip:%s@" BED_DOMAIN ">\r\n", target, who->user);
	bed_request(who, d, "REFER", line, "");
	const struct sip_msg *m = bed_take(other, "REFER ");

	(void)snprintf(sender, sizeof(sender), "<sip:%s@" BED_DOMAIN ">;duplex-by=", who->user);
	bed_copy(referred, sizeof(referred), sip_msg_value(m, SIP_H_REFERRED_BY));
	assert_true(str_starts(str_from(referred), str_from(sender)));
	assert_non_null(memmem(m->raw.p, m->raw.len, target, strlen(target)));
	bed_answer(other, m, 202, "");
	(void)bed_take(who, "SIP/2.0 202 ");
	bed_request(other, od, "NOTIFY", "Event: refer\r\nSubscription-State: active;expires=60\r\n", "");
	bed_answer(who, bed_take(who, "NOTIFY "), 200, "");
	(void)bed_take(other, "SIP/2.0 200 ");
}

/* Alice talks to bob and hands him over to carol. */
static void blind_transfer(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1), *carol = bed_client(b, "carol", 2);
	struct bed_dialog da, db, dc;
	char line[320];

	bed_call(alice, bob, &da, &db);
	refer(alice, &da, bob, &db, "sip:carol@" BED_DOMAIN);
	(void)snprintf(line, sizeof(line), "Referred-By: %s\r\n", referred);
	dc = invite_with(bob, "sip:carol@" BED_DOMAIN, "carol", line);
	const struct sip_msg *m = bed_take(carol, "INVITE ");

	assert_str(sip_msg_value(m, SIP_H_REFERRED_BY), "<sip:alice@" BED_DOMAIN ">");
	bed_answer(carol, m, 200, BED_AUDIO);
	bed_established(&dc, bed_take(bob, "SIP/2.0 200 "));
	bed_request(bob, &dc, "ACK", "", "");
	bed_request(alice, &da, "BYE", "", "");
	bed_answer(bob, bed_take(bob, "BYE "), 200, "");
	assert_int_equal(bed_stored(b, "XADD cdrs ", "caller alice callee bob"), 1);
	bed_request(bob, &dc, "BYE", "", "");
	bed_answer(carol, bed_take(carol, "BYE "), 200, "");
	assert_int_equal(bed_stored(b, "XADD cdrs ", "referred_by alice"), 1);
	bed_quiet(b);
}

/* Who asked is believed for these people and a while only; an INVITE that lies goes through as what it is. */
static void referred_by_is_checked(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1), *carol = bed_client(b, "carol", 2),
			  *dave = bed_client(b, "dave", 0);
	struct bed_dialog da, db;
	char line[320];

	bed_call(alice, bob, &da, &db);
	refer(alice, &da, bob, &db, "sip:carol@" BED_DOMAIN);
	(void)snprintf(line, sizeof(line), "Referred-By: %s\r\n", referred);
	(void)invite_with(dave, "sip:carol@" BED_DOMAIN, "carol", line); /* another caller */
	assert_int_equal(bed_take(carol, "INVITE ")->first[SIP_H_REFERRED_BY], 0);
	(void)invite_with(bob, "sip:dave@" BED_DOMAIN, "dave", line); /* another callee */
	assert_int_equal(bed_take(dave, "INVITE ")->first[SIP_H_REFERRED_BY], 0);
	(void)invite_with(bob, "sip:carol@" BED_DOMAIN, "carol", "Referred-By: <sip:alice@" BED_DOMAIN ">\r\n"); /* said by bob alone */
	assert_int_equal(bed_take(carol, "INVITE ")->first[SIP_H_REFERRED_BY], 0);
	b->wall += 301000; /* too late */
	(void)invite_with(bob, "sip:carol@" BED_DOMAIN, "carol", line);
	assert_int_equal(bed_take(carol, "INVITE ")->first[SIP_H_REFERRED_BY], 0);
}

static void refused_refers(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;
	static const struct {
		const char *headers, *answer;
	} bad[] = {
		{ "", "SIP/2.0 400 " },
		{ "Refer-To: <sip:x@other.example>\r\n", "SIP/2.0 403 " },
		{ "Refer-To: <tel:+4912345>\r\n", "SIP/2.0 403 " },
		{ "Refer-To: <sip:carol@" BED_DOMAIN ";method=BYE>\r\n", "SIP/2.0 403 " },
		{ "Refer-To: <sip:carol@" BED_DOMAIN "?Route=%3Csip:x%3E>\r\n", "SIP/2.0 403 " },
		{ "Refer-To: <sip:carol@" BED_DOMAIN "?Replaces=a&From=x>\r\n", "SIP/2.0 403 " },
		{ "Refer-To: <sip:carol@" BED_DOMAIN ">\r\nReferred-By: <sip:bob@" BED_DOMAIN ">\r\n", "SIP/2.0 403 " },
	};

	bed_call(alice, bob, &da, &db);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		bed_request(alice, &da, "REFER", bad[i].headers, "");
		(void)bed_take(alice, bad[i].answer);
	}
	bed_nothing(bob);
	assert_int_equal(counted(b, 0, PROXY_C_BAD_REFER), ARRAY_LEN(bad));
	alice->perms = perm_parse(STR("chat.send"));
	bed_request(alice, &da, "REFER", "Refer-To: <sip:carol@" BED_DOMAIN ">\r\n", "");
	(void)bed_take(alice, "SIP/2.0 403 No permission");
}

static void replaces_put(char *line, size_t size, const struct bed_dialog *of_target)
{
	const char *tag = strstr(of_target->remote, "tag=");
	int n = snprintf(line, size, "Replaces: %s;to-tag=%s;from-tag=%s", of_target->call_id, of_target->local_tag, tag + 4);

	(void)snprintf(line + n, size - (size_t)n, "\r\nReferred-By: %s\r\n", referred);
}

/* Alice talks to bob, asks carol first, and then connects the two: carol's device gets an INVITE that takes the place of the consultation, on the
 * one device that has it, and even if she wants no calls. */
static void attended_transfer(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1), *desk = bed_client(b, "carol", 0);
	struct bed_dialog ab, ba, ac, ca, bc;
	char line[768], target[256];

	bed_call(alice, bob, &ab, &ba);
	bed_call(alice, desk, &ac, &ca);
	struct bed_client *phone = bed_client(b, "carol", 2);

	desk->dnd = true;
	(void)snprintf(target, sizeof(target), "sip:carol@" BED_DOMAIN "?Replaces=%s%%3Bto-tag%%3Dx%%3Bfrom-tag%%3Dy", ac.call_id);
	refer(alice, &ab, bob, &ba, target);
	replaces_put(line, sizeof(line), &ca);
	/* Bob's worker does not keep the call of alice and carol; it only knows who asked. */
	phone->dnd = false;
	bed_cut(bob);
	bed_connect(bob, 0);
	bc = invite_with(bob, "sip:carol@" BED_DOMAIN, "carol", line);
	const struct sip_msg *m = bed_take(desk, "INVITE ");

	bed_nothing(phone);
	assert_str(sip_msg_value(m, SIP_H_REFERRED_BY), "<sip:alice@" BED_DOMAIN ">");
	assert_true(str_starts(sip_msg_value(m, SIP_H_REPLACES), str_from(ac.call_id)));
	bed_answer(desk, m, 200, BED_AUDIO);
	bed_established(&bc, bed_take(bob, "SIP/2.0 200 "));
	bed_request(bob, &bc, "ACK", "", "");
	(void)bed_take(desk, "ACK ");
	bed_request(desk, &ca, "BYE", "", "");
	bed_answer(alice, bed_take(alice, "BYE "), 200, "");
	bed_request(alice, &ab, "BYE", "", "");
	(void)bed_take(bob, "BYE ");
	bed_request(bob, &bc, "BYE", "", "");
	bed_answer(desk, bed_take(desk, "BYE "), 200, "");
	assert_int_equal(bed_stored(b, "XADD cdrs ", "referred_by alice"), 1);
}

/* Nobody takes a call over who was not asked to. */
static void replaces_of_a_stranger(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1), *mallory = bed_client(b, "mallory", 0);
	struct bed_dialog ab, ba;
	char line[768];

	bed_call(alice, bob, &ab, &ba);
	referred[0] = '\0';
	replaces_put(line, sizeof(line), &ba);
	*strstr(line, "Referred-By") = '\0';
	(void)invite_with(mallory, "sip:bob@" BED_DOMAIN, "bob", line);
	(void)bed_take(mallory, "SIP/2.0 403 ");
	bed_nothing(bob);
	assert_int_equal(counted(b, 0, PROXY_C_BAD_REPLACES), 1);
	/* Alice herself may, from another device: she takes her call there. */
	struct bed_client *tablet = bed_client(b, "alice", 0);

	(void)invite_with(tablet, "sip:bob@" BED_DOMAIN, "bob", line);
	(void)bed_take(bob, "INVITE ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(interval_too_small), T(interval_is_raised),     T(no_refresh_comes),  T(callee_without_timers), T(no_timers),
		T(merged_request),     T(looped_request),         T(strict_router),     T(session_id_of_ours),    T(prack_passes),
		T(reinvite_glare),     T(do_not_disturb),         T(both_called),       T(blind_transfer),        T(referred_by_is_checked),
		T(refused_refers),     T(attended_transfer),      T(replaces_of_a_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
