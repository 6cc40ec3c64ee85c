/* Inside a call: re-INVITE, reconnecting sides, dead workers, vanished sides, and ends from outside. */
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

static void reinvite_both_ways(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bed_request(bob, &db, "INVITE", "", BED_AUDIO);
	(void)bed_take(bob, "SIP/2.0 100 ");
	const struct sip_msg *m = bed_take(alice, "INVITE ");

	bed_answer(alice, m, 200, BED_AUDIO);
	(void)bed_take(bob, "SIP/2.0 200 ");
	bed_request(bob, &db, "ACK", "", "");
	(void)bed_take(alice, "ACK ");
	/* Glare is the browsers' business. */
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 491, "");
	(void)bed_take(alice, "SIP/2.0 491 ");
	bed_request(alice, &da, "UPDATE", "Session-Expires: 90;refresher=uac\r\n", "");
	m = bed_take(bob, "UPDATE ");
	assert_str(sip_msg_value(m, SIP_H_SESSION_EXPIRES), "90;refresher=uac");
	bed_answer(bob, m, 200, "");
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_request(bob, &db, "INFO", "", "");
	bed_answer(alice, bed_take(alice, "INFO "), 200, "");
	(void)bed_take(bob, "SIP/2.0 200 ");
}

static void cancelled_reinvite(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;
	char cancel[2048];

	bed_call(alice, bob, &da, &db);
	bed_request(bob, &db, "INVITE", "", BED_AUDIO);
	const struct sip_msg *m = bed_take(alice, "INVITE ");

	bed_answer(alice, m, 180, "");
	(void)snprintf(cancel, sizeof(cancel),
		       "CANCEL %s SIP/2.0\r\nVia: SIP/2.0/WSS bob.invalid;branch=%s\r\nRoute: %s\r\nFrom: "
		       "<%s>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\n"
		       "CSeq: %u CANCEL\r\n\r\n",
		       db.target, db.branch, db.route, db.local, db.local_tag, db.remote, db.call_id, db.cseq);
	bed_say(bob, str_from(cancel));
	(void)bed_take(bob, "SIP/2.0 200 ");
	(void)bed_take(alice, "CANCEL ");
	bed_answer(alice, m, 487, "");
	(void)bed_take(bob, "SIP/2.0 487 ");
}

static void video_needs_permission_later_too(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bob->perms = perm_parse(STR("call.audio"));
	bed_call(alice, bob, &da, &db);
	bed_request(bob, &db, "INVITE", "", BED_VIDEO);
	(void)bed_take(bob, "SIP/2.0 403 No permission");
	bed_nothing(alice);
	bed_request(alice, &da, "INVITE", "", BED_VIDEO);
	(void)bed_take(bob, "INVITE ");
}

/* The callee's page came back by another worker: requests to it find the new connection, and its own are taken. */
static void callee_reconnects(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bed_cut(bob);
	bed_connect(bob, 2);
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_request(bob, &db, "BYE", "", "");
	bed_answer(alice, bed_take(alice, "BYE "), 200, "");
	(void)bed_take(bob, "SIP/2.0 200 ");
	bed_cdr(b, "completed", 200, "callee");
	bed_quiet(b);
}

static void caller_reconnects_elsewhere(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bed_cut(alice);
	bed_run(b, 3000);
	bed_connect(alice, 2);
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_run(b, 60000);
	bed_request(bob, &db, "BYE", "", "");
	(void)bed_take(alice, "BYE ");
	bed_cdr(b, "completed", 200, "callee");
}

/* The worker that keeps the call dies; both pages are connected to others by then. */
static void owner_dies(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	b->worker[0].dead = true;
	alice->open = false;
	bed_connect(alice, 2);
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_request(alice, &da, "ACK", "", "");
	(void)bed_take(bob, "ACK ");
	bed_request(bob, &db, "BYE", "", "");
	bed_answer(alice, bed_take(alice, "BYE "), 200, "");
	(void)bed_take(bob, "SIP/2.0 200 ");
	assert_int_equal(proxy_counters(b->worker[1].proxy)[PROXY_C_GRUU_ROUTED], 1);
}

/* … or came back with the same name, and knows nothing. */
static void owner_restarts(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	proxy_free(b->worker[0].proxy);
	bed_start_worker(b, 0);
	alice->open = false;
	bed_connect(alice, 0);
	bed_request(bob, &db, "BYE", "", "");
	bed_answer(alice, bed_take(alice, "BYE "), 200, "");
	(void)bed_take(bob, "SIP/2.0 200 ");
}

static void vanished(struct bed *b, unsigned worker)
{
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", worker);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bed_cut(bob);
	bob->registered = false;
	bed_run(b, 25000);
	bed_nothing(alice);
	bed_run(b, 25000);
	const struct sip_msg *bye = bed_take(alice, "BYE ");

	assert_str(sip_msg_value(bye, SIP_H_REASON), "SIP;cause=410;text=\"Call lost\"");
	assert_true(str_eq(sip_msg_value(bye, SIP_H_FROM), str_from(da.remote)));
	bed_answer(alice, bye, 200, "");
	bed_cdr(b, "lost", 200, "callee");
	bed_quiet(b);
}

static void callee_vanishes_here(void **state)
{
	vanished(*state, 0);
}

static void callee_vanishes_elsewhere(void **state)
{
	vanished(*state, 1);
}

static void back_in_time(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog da, db;
	struct binding binding = { 0 };

	bed_call(alice, bob, &da, &db);
	bed_cut(bob);
	bed_run(b, 20000);
	bed_connect(bob, 0);
	(void)snprintf(binding.instance, sizeof(binding.instance), "%s", bob->instance);
	binding.flow = bob->flow;
	proxy_registered(b->worker[0].proxy, STR("bob"), &binding);
	bed_run(b, 60000);
	bed_nothing(alice);
	bed_nothing(bob);
	bed_request(alice, &da, "BYE", "", "");
	(void)bed_take(bob, "BYE ");
}

/* While the store is away nobody is declared dead. */
static void store_away_loses_nobody(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	b->lookup_fails = ERR_TIMEOUT;
	bed_run(b, 120000);
	bed_nothing(alice);
	b->lookup_fails = ERR_OK;
	b->uncertain = true;
	bed_run(b, 120000);
	bed_nothing(alice);
}

/* A re-INVITE that rings, and then its device vanishes on another worker, which tells nobody: Timer C. */
static void reinvite_rings_for_ever(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 180, "");
	bed_cut(bob);
	bed_connect(bob, 1);
	bed_run(b, 182000);
	(void)bed_take(alice, "SIP/2.0 408 ");
	bed_run(b, 33000);
	assert_int_equal(txn_layer_count(proxy_txns(b->worker[0].proxy), TXN_INVITE_CLIENT), 0);
}

/* A CANCEL that comes after the call was acknowledged is none. */
static void cancel_after_ack(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog d = bed_invite(alice, "bob", BED_AUDIO), sent = d;
	const struct sip_msg *m = bed_take(bob, "INVITE ");

	bed_answer(bob, m, 200, BED_AUDIO);
	bed_established(&d, bed_take(alice, "SIP/2.0 200 "));
	bed_request(alice, &d, "ACK", "", "");
	(void)bed_take(bob, "ACK ");
	bed_cancel(alice, &sent);
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_nothing(bob);
	assert_int_equal(bed_stored(b, "XADD cdrs ", ""), 0);
}

/* The callee cannot speak with the caller's tag. */
static void sides_are_not_to_be_swapped(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	(void)snprintf(db.remote, sizeof(db.remote), "<sip:alice@" BED_DOMAIN ">;tag=%s", db.local_tag);
	(void)snprintf(db.local_tag, sizeof(db.local_tag), "%s", da.local_tag);
	bed_request(bob, &db, "BYE", "", "");
	(void)bed_take(bob, "SIP/2.0 403 ");
	bed_nothing(alice);
}

static void bye_to_one_who_is_gone(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	bob->open = bob->registered = false;
	bed_request(alice, &da, "BYE", "", "");
	(void)bed_take(alice, "SIP/2.0 200 ");
	bed_cdr(b, "completed", 200, "caller");
	bed_quiet(b);
}

static void hung_up_by_admin(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;
	enum call_side side;

	bed_call(alice, bob, &da, &db);
	struct calls *cs = proxy_calls(b->worker[0].proxy);
	const struct call *c = calls_of_user(cs, STR("bob"), NULL, &side);

	assert_int_equal(side, CALL_CALLEE);
	assert_int_equal(proxy_hangup(b->worker[0].proxy, STR("nothing"), "admin"), 0);
	assert_int_equal(proxy_hangup(b->worker[0].proxy, str_from(c->id), "admin"), 1);
	const struct sip_msg *to_alice = bed_take(alice, "BYE "), *to_bob = bed_take(bob, "BYE ");

	assert_str(sip_msg_value(to_alice, SIP_H_REASON), "SIP;cause=200;text=\"Hung up by an administrator\"");
	assert_int_equal(to_bob->cseq, da.cseq + 1);
	assert_true(str_eq(sip_msg_value(to_bob, SIP_H_TO), sip_msg_value(to_alice, SIP_H_FROM)));
	bed_answer(alice, to_alice, 200, "");
	bed_answer(bob, to_bob, 200, "");
	bed_cdr(b, "hung_up", 200, "admin");
	bed_quiet(b);
}

static void session_ends(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1),
			  *carol = bed_client(b, "carol", 0);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	assert_int_equal(proxy_hangup_user(b->worker[0].proxy, STR("bob"), STR("another")), 0);
	/* The session of a side on another worker is known from its answer. */
	assert_int_equal(proxy_hangup_user(b->worker[0].proxy, STR("bob"), str_from(bob->session)), 1);
	(void)bed_take(alice, "BYE ");
	(void)bed_take(bob, "BYE ");
	bed_cdr(b, "hung_up", 200, "server");
	/* One that only rings. */
	(void)bed_invite(carol, "bob", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 180, "");
	assert_int_equal(proxy_hangup_user(b->worker[0].proxy, STR("carol"), STR_NONE), 1);
	(void)bed_take(carol, "SIP/2.0 487 ");
	(void)bed_take(bob, "CANCEL ");
}

/* The session of a device on the caller's own worker is that of its connection, whatever it writes itself. */
static void session_is_not_what_a_client_says(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct buf out = buf_growing(SIP_MSG_MAX);
	char headers[256];

	(void)bed_invite(alice, "bob", BED_AUDIO);
	(void)snprintf(headers, sizeof(headers),
		       "Contact: <%s>\r\nX-Duplex-Session: forged\r\nP-Asserted-Identity: <sip:boss@" BED_DOMAIN
		       ">\r\n",
		       bed_gruu(bob));
	assert_ok(sip_reply_put(
		&out, bed_take(bob, "INVITE "),
		&(struct sip_reply){
			.status = 200, .to_tag = STR("t"), .headers = str_from(headers), .record_route = true }));
	bed_say(bob, buf_view(&out));
	buf_fini(&out);
	const struct sip_msg *ok = bed_take(alice, "SIP/2.0 200 ");

	assert_null(sip_msg_other(ok, STR("X-Duplex-Session")).p);
	assert_null(sip_msg_first(ok, SIP_H_P_ASSERTED_IDENTITY));
	assert_int_equal(proxy_hangup_user(b->worker[0].proxy, STR("bob"), STR("forged")), 0);
	assert_int_equal(proxy_hangup_user(b->worker[0].proxy, STR("bob"), str_from(bob->session)), 1);
}

/* The BYE of the server finds a side that has come back elsewhere without having said anything in the call. */
static void bye_follows(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	alice->open = bob->open = false;
	bed_connect(alice, 2);
	bed_connect(bob, 2);
	assert_int_equal(proxy_hangup_user(b->worker[0].proxy, STR("bob"), STR_NONE), 1);
	bed_settle(b);
	bed_answer(alice, bed_take(alice, "BYE "), 200, "");
	bed_answer(bob, bed_take(bob, "BYE "), 200, "");
	bed_quiet(b);
}

/* The Route of a finished call opens no way to a third person. */
static void route_is_for_two(void **state)
{
	struct bed *b = *state;
	struct bed_client *mallory = bed_client(b, "mallory", 0), *bob = bed_client(b, "bob", 0),
			  *carol = bed_client(b, "carol", 0);
	struct bed_dialog dm, db;

	bed_call(mallory, bob, &dm, &db);
	bed_request(mallory, &dm, "BYE", "", "");
	(void)bed_take(bob, "BYE ");
	/* The worker that kept the call has forgotten it. */
	proxy_free(b->worker[0].proxy);
	bed_start_worker(b, 0);
	mallory->got = 0;
	(void)snprintf(dm.target, sizeof(dm.target), "%s", bed_gruu(carol));
	bed_request(mallory, &dm, "INVITE", "", BED_AUDIO);
	(void)bed_take(mallory, "SIP/2.0 481 ");
	(void)snprintf(dm.remote, sizeof(dm.remote), "<sip:carol@" BED_DOMAIN ">;tag=x");
	bed_request(mallory, &dm, "INVITE", "", BED_AUDIO);
	(void)bed_take(mallory, "SIP/2.0 403 Route is not ours");
	bed_nothing(carol);
}

/* Its owner knows that a call is over: nothing goes by its Route any more, from either side and with whatever permissions. */
static void finished_call_is_over(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;
	static const char *const methods[] = { "INVITE", "UPDATE", "INFO", "MESSAGE", "BYE" };

	bed_call(alice, bob, &da, &db);
	bed_request(alice, &da, "BYE", "", "");
	bed_answer(bob, bed_take(bob, "BYE "), 200, "");
	(void)bed_take(alice, "SIP/2.0 200 ");
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		bed_request(alice, &da, methods[i], "", "");
		(void)bed_take(alice, "SIP/2.0 481 ");
		bed_request(bob, &db, methods[i], "", "");
		(void)bed_take(bob, "SIP/2.0 481 ");
	}
	bed_request(alice, &da, "ACK", "", "");
	bed_nothing(alice);
	bed_nothing(bob);
	bed_quiet(b);
}

/* Without the call's record a Route gives no permission that its holder does not have. */
static void route_gives_no_permission(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;
	static const struct {
		const char *perms, *method, *body;
	} refused[] = {
		{ "chat.send", "INVITE", BED_AUDIO },  { "chat.send", "UPDATE", "" },
		{ "chat.send", "INFO", "" },           { "call.audio,chat.send", "INVITE", BED_VIDEO },
		{ "call.audio,call.video", "MESSAGE", "" }, { "", "INVITE", "" },
	};

	bed_call(alice, bob, &da, &db);
	b->worker[0].dead = true;
	alice->open = false;
	bed_connect(alice, 2);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		alice->perms = perm_parse(str_from(refused[i].perms));
		bed_request(alice, &da, refused[i].method, "", refused[i].body);
		(void)bed_take(alice, "SIP/2.0 403 No permission");
		bed_nothing(bob);
	}
	alice->perms = perm_parse(STR("call.audio"));
	bed_request(alice, &da, "INVITE", "", BED_AUDIO);
	bed_answer(bob, bed_take(bob, "INVITE "), 200, BED_AUDIO);
	(void)bed_take(alice, "SIP/2.0 200 ");
	/* To hang up is always permitted. */
	alice->perms = 0;
	bed_request(alice, &da, "ACK", "", "");
	(void)bed_take(bob, "ACK ");
	bed_request(alice, &da, "BYE", "", "");
	bed_answer(bob, bed_take(bob, "BYE "), 200, "");
	(void)bed_take(alice, "SIP/2.0 200 ");
}

/* … and for a day only; with the record a call may last as long as it likes. */
static void route_grows_old(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	b->wall += 90000000;
	bed_request(alice, &da, "UPDATE", "", "");
	bed_answer(bob, bed_take(bob, "UPDATE "), 200, "");
	(void)bed_take(alice, "SIP/2.0 200 ");
	b->worker[0].dead = true;
	alice->open = false;
	bed_connect(alice, 2);
	bed_request(alice, &da, "UPDATE", "", "");
	(void)bed_take(alice, "SIP/2.0 481 ");
	bed_nothing(bob);
	assert_int_equal(proxy_counters(b->worker[2].proxy)[PROXY_C_OLD_ROUTE], 1);
}

static void chat_needs_permission_in_a_call_too(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	alice->perms = bob->perms = perm_parse(STR("call.audio,call.video"));
	bed_call(alice, bob, &da, &db);
	bed_request(alice, &da, "MESSAGE", "", "");
	(void)bed_take(alice, "SIP/2.0 403 No permission");
	bed_request(bob, &db, "MESSAGE", "", "");
	(void)bed_take(bob, "SIP/2.0 403 No permission");
	bed_nothing(alice);
	bed_nothing(bob);
	bob->perms = perm_parse(STR("chat.send"));
	bed_request(bob, &db, "MESSAGE", "", "");
	bed_answer(alice, bed_take(alice, "MESSAGE "), 200, "");
	(void)bed_take(bob, "SIP/2.0 200 ");
}

/* While it rings there is a dialog already (RFC 3261 §12.1): the owner does not know the callee's tag, but the call. */
static void early_dialog(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da = bed_invite(alice, "bob", BED_AUDIO);
	const struct sip_msg *invite = bed_take(bob, "INVITE ");
	struct buf out = buf_growing(SIP_MSG_MAX);
	char contact[256];

	(void)bed_take(alice, "SIP/2.0 100 ");
	(void)snprintf(contact, sizeof(contact), "Contact: <%s>\r\n", bed_gruu(bob));
	assert_ok(sip_reply_put(&out, invite, &(struct sip_reply){ .status = 183, .to_tag = STR("tag001"), .headers = str_from(contact),
								   .record_route = true }));
	bed_say(bob, buf_view(&out));
	buf_fini(&out);
	bed_established(&da, bed_take(alice, "SIP/2.0 183 "));
	bed_request(alice, &da, "UPDATE", "", "");
	bed_answer(bob, bed_take(bob, "UPDATE "), 200, "");
	(void)bed_take(alice, "SIP/2.0 200 ");
}

/* What the store has lost of the live calls is written again. */
static void live_calls_are_shown_again(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 0);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	assert_int_equal(bed_stored(b, "HSET live:n1.0 ", "answered\""), 1);
	bed_run(b, 25000);
	assert_int_equal(bed_stored(b, "HSET live:n1.0 ", "answered\""), 3);
}

/* Stopping a worker leaves the media alone: no BYE, no event to the relay. */
static void stopping_ends_no_call(void **state)
{
	struct bed *b = *state;
	struct bed_client *alice = bed_client(b, "alice", 0), *bob = bed_client(b, "bob", 1);
	struct bed_dialog da, db;

	bed_call(alice, bob, &da, &db);
	(void)bed_invite(bob, "alice", BED_AUDIO);
	(void)bed_take(alice, "INVITE ");
	for (unsigned i = 0; i < 2; i++) {
		proxy_free(b->worker[i].proxy);
		bed_start_worker(b, i);
	}
	bed_nothing(alice);
	assert_int_equal(bed_stored(b, "XADD events:relay", ""), 0);
	assert_int_equal(b->busy[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(reinvite_both_ways),
		T(cancelled_reinvite),
		T(video_needs_permission_later_too),
		T(callee_reconnects),
		T(caller_reconnects_elsewhere),
		T(owner_dies),
		T(owner_restarts),
		T(callee_vanishes_here),
		T(callee_vanishes_elsewhere),
		T(back_in_time),
		T(store_away_loses_nobody),
		T(bye_to_one_who_is_gone),
		T(cancel_after_ack),
		T(reinvite_rings_for_ever),
		T(sides_are_not_to_be_swapped),
		T(hung_up_by_admin),
		T(session_ends),
		T(stopping_ends_no_call),
		T(session_is_not_what_a_client_says),
		T(bye_follows),
		T(route_is_for_two),
		T(finished_call_is_over),
		T(route_gives_no_permission),
		T(route_grows_old),
		T(chat_needs_permission_in_a_call_too),
		T(early_dialog),
		T(live_calls_are_shown_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
