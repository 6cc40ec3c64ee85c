/* The four transaction machines on a virtual clock: every retransmission and every time-out of RFC 3261 §17 and RFC
 * 6026, on unreliable and on reliable transport, to the millisecond of the wheel. */
#include <stdio.h>
#include <stdlib.h>

#include "signalling/sip_build.h"
#include "signalling/txn.h"
#include "tests/lib/cm.h"

#define T1       500u
#define SENT_MAX 64u

static struct timers timers;
static struct txn_layer *layer;
static bool reliable;
static enum err send_error;
static struct {
	uint64_t at;
	char first[32]; /* of the start line */
} sent[SENT_MAX];
static unsigned sent_count;
static unsigned responses, failures, acks, ends;
static unsigned last_status;
static enum txn_failure last_failure;
static const struct flow flow = { .worker = "n1.0", .epoch = 1, .slot = 1, .generation = 1 };
static const struct flow other_flow = { .worker = "n1.0", .epoch = 1, .slot = 2, .generation = 1 };

static enum err on_send(void *host, const struct flow *f, struct str message)
{
	(void)host;
	(void)f;
	if (send_error != ERR_OK)
		return send_error;
	assert_true(sent_count < SENT_MAX);
	sent[sent_count].at = timers.now_ms;
	size_t n = MIN(message.len, sizeof(sent[0].first) - 1);

	memcpy(sent[sent_count].first, message.p, n);
	sent[sent_count].first[n] = '\0';
	sent_count++;
	return ERR_OK;
}

static bool on_reliable(void *host, const struct flow *f)
{
	(void)host;
	(void)f;
	return reliable;
}

static void on_response(struct txn *t, const struct sip_msg *m)
{
	responses++;
	last_status = m->status;
	assert_ptr_equal(txn_ctx(t), &responses);
}

static void on_failed(struct txn *t, enum txn_failure why)
{
	(void)t;
	failures++;
	last_failure = why;
}

static void on_acked(struct txn *t)
{
	(void)t;
	acks++;
}

static void on_ended(struct txn *t)
{
	(void)t;
	ends++;
}

static const struct txn_ops ops = { on_send, on_reliable };
static const struct txn_user user = { on_response, on_failed, on_acked, on_ended };

static int setup(void **state)
{
	(void)state;
	timers_init(&timers, 10000);
	assert_ok(txn_layer_new(&timers, &ops, NULL, STR("n1.0.invalid"), &TXN_TIMES_DEFAULT, 8, 4, &layer));
	reliable = false;
	send_error = ERR_OK;
	sent_count = responses = failures = acks = ends = last_status = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	txn_layer_free(layer);
	return 0;
}

static void run(uint64_t ms)
{
	for (uint64_t end = timers.now_ms + ms; timers.now_ms < end;)
		timers_run(&timers, timers.now_ms + 1);
}

static struct sip_msg *message(const char *start, const char *branch, const char *method)
{
	static char text[4][1024];
	static struct sip_msg m[4];
	static unsigned turn;
	struct sip_refusal why;

	turn = (turn + 1) % 4;
	(void)snprintf(text[turn], sizeof(text[0]),
		       "%s\r\nVia: SIP/2.0/UDP h:5060;branch=%s\r\nFrom: <sip:a@x>;tag=1\r\nTo: "
		       "<sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 %s\r\n\r\n",
		       start, branch, method);
	assert_ok(sip_msg_parse(str_from(text[turn]), &m[turn], &why));
	return &m[turn];
}

static struct txn *client(const char *method)
{
	char start[64];
	struct txn *t;

	(void)snprintf(start, sizeof(start), "%s sip:b@x SIP/2.0", method);
	assert_ok(txn_client_new(layer, &flow, message(start, "z9hG4bKc", method)->raw, &user, &responses, &t));
	return t;
}

static void response(unsigned status, const char *method)
{
	char start[64];

	(void)snprintf(start, sizeof(start), "SIP/2.0 %u X", status);
	assert_int_equal(txn_layer_receive(layer, &flow, message(start, "z9hG4bKc", method)), TXN_ABSORBED);
}

static struct txn *server(const char *method)
{
	char start[64];
	struct txn *t;

	(void)snprintf(start, sizeof(start), "%s sip:b@x SIP/2.0", method);
	const struct sip_msg *m = message(start, "z9hG4bKs", method);

	assert_int_equal(txn_layer_receive(layer, &flow, m), TXN_NEW_REQUEST);
	assert_ok(txn_server_new(layer, &flow, m, &user, &responses, &t));
	return t;
}

static enum txn_match again(const char *method)
{
	char start[64];

	(void)snprintf(start, sizeof(start), "%s sip:b@x SIP/2.0", method);
	return txn_layer_receive(layer, &flow, message(start, "z9hG4bKs", method));
}

static enum err respond(struct txn *t, unsigned status, const char *method)
{
	char start[64];

	(void)snprintf(start, sizeof(start), "SIP/2.0 %u X", status);
	return txn_respond(t, message(start, "z9hG4bKs", method)->raw);
}

/* Times of everything sent since the start, relative to it. */
static void sent_at(const uint64_t *want, size_t count)
{
	if (sent_count != count)
		print_error("%u were sent\n", sent_count);
	assert_int_equal(sent_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(sent[i].at - 10000, want[i]);
}

/* --- INVITE client (§17.1.1) ------------------------------------------------------------------ */

/* Timer A doubles without bound, timer B ends it after 64*T1. */
static void invite_client_no_answer(void **state)
{
	(void)state;
	(void)client("INVITE");
	run(31999);
	assert_int_equal(failures, 0);
	run(2);
	sent_at((const uint64_t[]){ 0, 500, 1500, 3500, 7500, 15500, 31500 }, 7);
	assert_int_equal(failures, 1);
	assert_int_equal(last_failure, TXN_TIMEOUT);
	assert_int_equal(ends, 1);
}

static void invite_client_ringing(void **state)
{
	(void)state;
	struct txn *t = client("INVITE");

	run(600);
	response(180, "INVITE");
	run(200000); /* rings as long as it likes: Timer C is the proxy's */
	assert_int_equal(sent_count, 2);
	assert_int_equal(failures, 0);
	response(180, "INVITE");
	assert_int_equal(responses, 2);
	txn_cancel_sent(t);
	run(31999);
	assert_int_equal(ends, 0);
	run(2);
	assert_int_equal(last_failure, TXN_TIMEOUT);
	assert_int_equal(ends, 1);
}

/* A failure is acknowledged, again for each retransmission, for 32 s (timer D). */
static void invite_client_failure(void **state)
{
	(void)state;
	(void)client("INVITE");
	response(486, "INVITE");
	assert_string_equal(sent[1].first, "ACK sip:b@x SIP/2.0\r\nVia: SIP/2");
	run(1000);
	response(486, "INVITE");
	assert_int_equal(sent_count, 3);
	assert_int_equal(responses, 1);
	run(30998);
	assert_int_equal(ends, 0);
	run(2);
	assert_int_equal(ends, 1);
	assert_int_equal(failures, 0);
}

static void invite_client_failure_reliable(void **state)
{
	(void)state;
	reliable = true;
	(void)client("INVITE");
	run(20000);
	assert_int_equal(sent_count, 1);
	response(486, "INVITE");
	assert_int_equal(sent_count, 2);
	assert_int_equal(ends, 1); /* D is 0 */
	assert_int_equal(txn_layer_receive(layer, &flow, message("SIP/2.0 486 X", "z9hG4bKc", "INVITE")),
			 TXN_STRAY_RESPONSE);
}

/* RFC 6026: each 2xx is passed on for 64*T1 (timer M), and none is acknowledged here. */
static void invite_client_success(void **state)
{
	(void)state;
	reliable = true;
	(void)client("INVITE");
	response(200, "INVITE");
	run(10000);
	response(200, "INVITE");
	assert_int_equal(responses, 2);
	assert_int_equal(sent_count, 1);
	response(486, "INVITE"); /* means nothing any more */
	response(180, "INVITE");
	assert_int_equal(responses, 2);
	txn_layer_flow_lost(layer, &flow);
	assert_int_equal(ends, 0);
	run(21998);
	assert_int_equal(ends, 0);
	run(3);
	assert_int_equal(ends, 1);
	assert_int_equal(failures, 0);
}

static void invite_client_transport(void **state)
{
	struct txn *t;

	(void)state;
	send_error = ERR_CLOSED;
	assert_err(txn_client_new(layer, &flow, message("INVITE sip:b@x SIP/2.0", "z9hG4bKc", "INVITE")->raw, &user,
				  &responses, &t),
		   ERR_CLOSED);
	assert_int_equal(failures + ends, 0);
	send_error = ERR_OK;
	(void)client("INVITE");
	send_error = ERR_CLOSED;
	run(501); /* the retransmission fails */
	assert_int_equal(failures, 1);
	assert_int_equal(last_failure, TXN_TRANSPORT);
	assert_int_equal(ends, 1);
}

/* --- other client (§17.1.2) ------------------------------------------------------------------- */

/* Timer E doubles up to T2, timer F ends it. */
static void client_no_answer(void **state)
{
	(void)state;
	(void)client("BYE");
	run(32001);
	sent_at((const uint64_t[]){ 0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 }, 11);
	assert_int_equal(last_failure, TXN_TIMEOUT);
	assert_int_equal(ends, 1);
}

/* After a 1xx timer E is T2. */
static void client_proceeding(void **state)
{
	(void)state;
	(void)client("BYE");
	run(600);
	response(100, "BYE");
	run(31401);
	sent_at((const uint64_t[]){ 0, 500, 4600, 8600, 12600, 16600, 20600, 24600, 28600 }, 9);
	assert_int_equal(failures, 1);
}

static void client_final(void **state)
{
	(void)state;
	(void)client("BYE");
	response(200, "BYE");
	response(200, "BYE");
	assert_int_equal(responses, 1);
	run(4999);
	assert_int_equal(ends, 0);
	run(2); /* K = T4 */
	assert_int_equal(ends, 1);
	assert_int_equal(sent_count, 1);
}

static void client_final_reliable(void **state)
{
	(void)state;
	reliable = true;
	(void)client("BYE");
	run(31000);
	assert_int_equal(sent_count, 1);
	response(481, "BYE");
	assert_int_equal(ends, 1);
	(void)client("BYE");
	run(32001);
	assert_int_equal(failures, 1); /* F runs on any transport */
}

/* --- INVITE server (§17.2.1) ------------------------------------------------------------------ */

/* The last provisional again for each retransmission; G doubles up to T2 until the ACK; then I. */
static void invite_server_failure(void **state)
{
	(void)state;
	struct txn *t = server("INVITE");

	assert_int_equal(again("INVITE"), TXN_ABSORBED);
	assert_int_equal(sent_count, 0);
	assert_ok(respond(t, 100, "INVITE"));
	assert_ok(respond(t, 180, "INVITE"));
	assert_int_equal(again("INVITE"), TXN_ABSORBED);
	assert_int_equal(sent_count, 3);
	assert_string_equal(sent[2].first, "SIP/2.0 180 X\r\nVia: SIP/2.0/UDP");
	sent_count = 0;
	assert_ok(respond(t, 486, "INVITE"));
	assert_err(respond(t, 200, "INVITE"), ERR_CONFLICT);
	assert_int_equal(txn_status(t), 486);
	run(12000);
	sent_at((const uint64_t[]){ 0, 500, 1500, 3500, 7500, 11500 }, 6);
	assert_int_equal(again("ACK"), TXN_ABSORBED);
	assert_int_equal(acks, 1);
	assert_int_equal(again("ACK"), TXN_ABSORBED);
	assert_int_equal(again("INVITE"), TXN_ABSORBED);
	assert_int_equal(acks, 1);
	run(4999);
	assert_int_equal(ends, 0);
	run(2); /* I = T4 */
	assert_int_equal(ends, 1);
	assert_int_equal(sent_count, 6);
}

static void invite_server_no_ack(void **state)
{
	(void)state;
	reliable = true;
	assert_ok(respond(server("INVITE"), 603, "INVITE"));
	run(31999);
	assert_int_equal(sent_count, 1); /* no G on reliable transport */
	assert_int_equal(failures, 0);
	run(2); /* H */
	assert_int_equal(last_failure, TXN_TIMEOUT);
	assert_int_equal(ends, 1);
}

static void invite_server_ack_reliable(void **state)
{
	(void)state;
	reliable = true;
	assert_ok(respond(server("INVITE"), 603, "INVITE"));
	assert_int_equal(again("ACK"), TXN_ABSORBED);
	assert_int_equal(ends, 1); /* I is 0 */
	assert_int_equal(again("ACK"), TXN_NEW_REQUEST);
}

/* RFC 6026: further 2xx may be sent, the request is absorbed, the ACK is the user's, and L ends it. */
static void invite_server_success(void **state)
{
	(void)state;
	struct txn *t = server("INVITE");

	assert_ok(respond(t, 200, "INVITE"));
	assert_ok(respond(t, 200, "INVITE"));
	assert_err(respond(t, 486, "INVITE"), ERR_CONFLICT);
	assert_err(respond(t, 180, "INVITE"), ERR_CONFLICT);
	assert_int_equal(again("INVITE"), TXN_ABSORBED);
	assert_int_equal(again("ACK"), TXN_NEW_REQUEST);
	assert_int_equal(sent_count, 2);
	run(31999);
	assert_int_equal(ends, 0);
	run(2);
	assert_int_equal(ends, 1);
	assert_int_equal(failures, 0);
}

static void invite_server_transport(void **state)
{
	(void)state;
	struct txn *t = server("INVITE");

	send_error = ERR_CLOSED;
	assert_err(respond(t, 180, "INVITE"), ERR_CLOSED);
	assert_int_equal(last_failure, TXN_TRANSPORT);
	assert_int_equal(ends, 1);
	/* The memory is still there, the transaction is not. */
	assert_err(respond(t, 486, "INVITE"), ERR_CONFLICT);
}

/* --- other server (§17.2.2) ------------------------------------------------------------------- */

static void server_final(void **state)
{
	(void)state;
	struct txn *t = server("OPTIONS");

	assert_int_equal(again("OPTIONS"), TXN_ABSORBED);
	assert_int_equal(sent_count, 0);
	assert_ok(respond(t, 100, "OPTIONS"));
	assert_int_equal(again("OPTIONS"), TXN_ABSORBED);
	assert_ok(respond(t, 200, "OPTIONS"));
	assert_int_equal(again("OPTIONS"), TXN_ABSORBED);
	assert_err(respond(t, 500, "OPTIONS"), ERR_CONFLICT);
	assert_int_equal(sent_count, 4);
	run(31999);
	assert_int_equal(ends, 0);
	run(2); /* J */
	assert_int_equal(ends, 1);
	assert_int_equal(again("OPTIONS"), TXN_NEW_REQUEST);
}

static void server_final_reliable(void **state)
{
	(void)state;
	reliable = true;
	assert_ok(respond(server("OPTIONS"), 200, "OPTIONS"));
	assert_int_equal(ends, 1);
}

/* --- matching, limits, ends ------------------------------------------------------------------- */

static void matching(void **state)
{
	(void)state;
	struct txn *t = server("INVITE");
	const struct sip_msg *m = message("INVITE sip:b@x SIP/2.0", "z9hG4bKs", "INVITE");

	assert_int_equal(txn_layer_receive(layer, &other_flow, m), TXN_NEW_REQUEST);
	assert_int_equal(txn_layer_receive(layer, &flow, message("INVITE sip:b@x SIP/2.0", "z9hG4bKS", "INVITE")),
			 TXN_NEW_REQUEST);
	assert_int_equal(txn_layer_receive(layer, &flow, message("OPTIONS sip:b@x SIP/2.0", "z9hG4bKs", "OPTIONS")),
			 TXN_NEW_REQUEST);
	const struct sip_msg *cancel = message("CANCEL sip:b@x SIP/2.0", "z9hG4bKs", "CANCEL");

	assert_int_equal(txn_layer_receive(layer, &flow, cancel), TXN_NEW_REQUEST);
	assert_ptr_equal(txn_find_invite(layer, &flow, cancel), t);
	assert_null(txn_find_invite(layer, &other_flow, cancel));
	/* Another sent-by with the same branch is another client. */
	struct sip_msg foreign;
	struct sip_refusal why;

	assert_ok(sip_msg_parse(STR("INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP other:5060;branch=z9hG4bKs\r\nFrom: "
				    "<sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n"
				    "Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"),
				&foreign, &why));
	assert_int_equal(txn_layer_receive(layer, &flow, &foreign), TXN_NEW_REQUEST);
	/* A response to CANCEL is not one to INVITE, though the branch is the same. */
	(void)client("INVITE");
	assert_int_equal(txn_layer_receive(layer, &flow, message("SIP/2.0 200 X", "z9hG4bKc", "CANCEL")),
			 TXN_STRAY_RESPONSE);
	/* … and one that comes by another flow is. */
	assert_int_equal(txn_layer_receive(layer, &other_flow, message("SIP/2.0 180 X", "z9hG4bKc", "INVITE")),
			 TXN_ABSORBED);
}

static void limits(void **state)
{
	struct txn *t;
	char branch[32];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		assert_ok(txn_server_new(layer, &flow, message("INVITE sip:b@x SIP/2.0", branch, "INVITE"), &user,
					 &responses, &t));
	}
	assert_err(txn_server_new(layer, &flow, message("INVITE sip:b@x SIP/2.0", "z9hG4bK9", "INVITE"), &user,
				  &responses, &t),
		   ERR_BUSY);
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		assert_ok(txn_server_new(layer, &other_flow, message("INVITE sip:b@x SIP/2.0", branch, "INVITE"), &user,
					 &responses, &t));
	}
	assert_err(txn_client_new(layer, &flow, message("INFO sip:b@x SIP/2.0", "z9hG4bKc", "INFO")->raw, &user,
				  &responses, &t),
		   ERR_BUSY);
	assert_int_equal(txn_layer_counters(layer)[TXN_C_FULL], 2);
	assert_int_equal(txn_layer_count(layer, TXN_INVITE_SERVER), 8);
}

/* Answered calls linger for 32 s (RFC 6026 timer L), but are no burden of their client; what is not answered still is. */
static void answered_ones_do_not_count(void **state)
{
	struct txn *t;
	char branch[32];
	unsigned i = 0;

	(void)state;
	for (; i < 4; i++) {
		(void)snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		assert_ok(txn_server_new(layer, &flow, message("INVITE sip:b@x SIP/2.0", branch, "INVITE"), &user, &responses, &t));
		if (i % 2 == 0)
			assert_ok(txn_respond(t, message("SIP/2.0 200 X", branch, "INVITE")->raw));
	}
	assert_int_equal(txn_layer_count(layer, TXN_INVITE_SERVER), 4);
	for (; i < 6; i++) {
		(void)snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		assert_ok(txn_server_new(layer, &flow, message("INVITE sip:b@x SIP/2.0", branch, "INVITE"), &user, &responses, &t));
	}
	assert_err(txn_server_new(layer, &flow, message("INVITE sip:b@x SIP/2.0", "z9hG4bK9", "INVITE"), &user, &responses, &t), ERR_BUSY);
	/* A retransmission still finds the answered one, and the loss of the flow reaches all. */
	assert_int_equal(txn_layer_receive(layer, &flow, message("INVITE sip:b@x SIP/2.0", "z9hG4bK0", "INVITE")), TXN_ABSORBED);
	txn_layer_flow_lost(layer, &flow);
	assert_int_equal(txn_layer_count(layer, TXN_INVITE_SERVER), 0);
}

/* What ends something gets through a full table: BYE a quarter more, CANCEL always; both ways. */
static void limits_for_the_end(void **state)
{
	struct txn *t;
	char branch[32];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		assert_ok(txn_server_new(layer, i < 4 ? &flow : &other_flow, message("INVITE sip:b@x SIP/2.0", branch, "INVITE"),
					 &user, &responses, &t));
	}
	assert_ok(txn_server_new(layer, &flow, message("BYE sip:b@x SIP/2.0", "z9hG4bK8", "BYE"), &user, &responses, &t));
	assert_err(txn_server_new(layer, &flow, message("BYE sip:b@x SIP/2.0", "z9hG4bK9", "BYE"), &user, &responses, &t), ERR_BUSY);
	assert_ok(txn_client_new(layer, &flow, message("BYE sip:b@x SIP/2.0", "z9hG4bKc", "BYE")->raw, &user, &responses, &t));
	assert_err(txn_client_new(layer, &flow, message("BYE sip:b@x SIP/2.0", "z9hG4bKd", "BYE")->raw, &user, &responses, &t),
		   ERR_BUSY);
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		assert_ok(txn_server_new(layer, i < 4 ? &flow : &other_flow, message("CANCEL sip:b@x SIP/2.0", branch, "CANCEL"),
					 &user, &responses, &t));
		(void)snprintf(branch, sizeof(branch), "z9hG4bKc%u", i);
		assert_ok(txn_client_new(layer, &flow, message("CANCEL sip:b@x SIP/2.0", branch, "CANCEL")->raw, &user, &responses, &t));
	}
	assert_int_equal(txn_layer_counters(layer)[TXN_C_FULL], 2);
}

static void flow_lost(void **state)
{
	(void)state;
	struct txn *t = server("INVITE");

	(void)client("BYE");
	(void)client("INVITE");
	(void)t;
	txn_layer_flow_lost(layer, &other_flow);
	assert_int_equal(failures, 0);
	txn_layer_flow_lost(layer, &flow);
	assert_int_equal(failures, 3);
	assert_int_equal(ends, 3);
	assert_int_equal(last_failure, TXN_TRANSPORT);
}

static void abandoned(void **state)
{
	(void)state;
	struct txn *t = client("INVITE");

	txn_abandon(t);
	txn_abandon(t);
	assert_int_equal(ends, 1);
	assert_int_equal(failures, 0);
	run(70000);
	assert_int_equal(sent_count, 1);
}

/* Branches are long, ours alone, and never the same. */
static void branches(void **state)
{
	char a[256], b[256];
	struct buf x = buf_fixed(a, sizeof(a)), y = buf_fixed(b, sizeof(b));
	struct sip_via v;

	(void)state;
	txn_via_put(layer, &x);
	txn_via_put(layer, &y);
	assert_false(str_eq(buf_view(&x), buf_view(&y)));
	assert_ok(sip_via_parse(buf_view(&x), &v));
	assert_str(v.host, "n1.0.invalid");
	assert_true(str_starts(v.branch, STR(SIP_BRANCH_COOKIE)));
	assert_true(v.branch.len >= 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(invite_client_no_answer),
		T(invite_client_ringing),
		T(invite_client_failure),
		T(invite_client_failure_reliable),
		T(invite_client_success),
		T(invite_client_transport),
		T(client_no_answer),
		T(client_proceeding),
		T(client_final),
		T(client_final_reliable),
		T(invite_server_failure),
		T(invite_server_no_ack),
		T(invite_server_ack_reliable),
		T(invite_server_success),
		T(invite_server_transport),
		T(server_final),
		T(server_final_reliable),
		T(matching),
		T(limits),
		T(limits_for_the_end),
		T(answered_ones_do_not_count),
		T(flow_lost),
		T(abandoned),
		T(branches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
