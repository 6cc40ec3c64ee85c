/* The transaction machines driven at random: each input byte is an event, the clock included. Nothing may crash, each
 * transaction ends exactly once, and after a quiet time none is left. */
#include <stdio.h>
#include <stdlib.h>

#include "signalling/txn.h"

#define SLOTS 4u

static struct timers timers;
static struct txn_layer *layer;
static bool reliable, broken;
static struct slot {
	struct txn *t;
	bool server;
} slots[SLOTS];
static const struct flow flows[2] = { { .worker = "w", .slot = 1 }, { .worker = "w", .slot = 2 } };

static enum err on_send(void *host, const struct flow *flow, struct str message)
{
	struct sip_msg m;
	struct sip_refusal why;

	(void)host;
	(void)flow;
	if (sip_msg_parse(message, &m, &why) != ERR_OK)
		abort();
	return broken ? ERR_CLOSED : ERR_OK;
}

static bool on_reliable(void *host, const struct flow *flow)
{
	(void)host;
	(void)flow;
	return reliable;
}

static void on_response(struct txn *t, const struct sip_msg *m)
{
	const struct slot *s = txn_ctx(t);

	if (s->t != t || s->server || txn_status(t) != m->status)
		abort();
	/* A user that gives up in the middle of a callback. */
	if (m->status == 299)
		txn_abandon(t);
}

static void on_failed(struct txn *t, enum txn_failure why)
{
	(void)why;
	if (((struct slot *)txn_ctx(t))->t != t)
		abort();
}

static void on_ended(struct txn *t)
{
	struct slot *s = txn_ctx(t);

	if (s->t != t)
		abort();
	s->t = NULL;
}

static const struct txn_ops ops = { on_send, on_reliable };
static const struct txn_user user = { .response = on_response, .failed = on_failed, .ended = on_ended };

static const struct sip_msg *message(unsigned slot, const char *start, const char *method)
{
	static char text[512];
	static struct sip_msg m;
	struct sip_refusal why;

	(void)snprintf(text, sizeof(text),
		       "%s\r\nVia: SIP/2.0/WSS h;branch=z9hG4bK%u\r\nFrom: <sip:a@x>;tag=1\r\nTo: "
		       "<sip:b@x>;tag=2\r\nCall-ID: c\r\n"
		       "CSeq: 1 %s\r\n\r\n",
		       start, slot, method);
	if (sip_msg_parse(str_from(text), &m, &why) != ERR_OK)
		abort();
	return &m;
}

static const struct sip_msg *request(unsigned slot, const char *method)
{
	char start[64];

	(void)snprintf(start, sizeof(start), "%s sip:b@x SIP/2.0", method);
	return message(slot, start, method);
}

static const struct sip_msg *response(unsigned slot, unsigned kind, const char *method)
{
	static const unsigned status[] = { 100, 180, 200, 299, 300, 486, 503, 603 };
	char start[64];

	(void)snprintf(start, sizeof(start), "SIP/2.0 %u X", status[kind % ARRAY_LEN(status)]);
	return message(slot, start, method);
}

static void begin(unsigned n, bool server, const char *method)
{
	struct slot *s = &slots[n];
	struct txn *t;

	if (s->t != NULL)
		return;
	s->server = server;
	const struct sip_msg *m = request(n, method);

	if (server) {
		if (txn_layer_receive(layer, &flows[n & 1], m) == TXN_NEW_REQUEST &&
		    txn_server_new(layer, &flows[n & 1], m, &user, s, &t) == ERR_OK)
			s->t = t;
	} else if (txn_client_new(layer, &flows[n & 1], m->raw, &user, s, &t) == ERR_OK) {
		s->t = t;
	}
}

static void step(uint8_t op)
{
	unsigned n = op & 3, arg = op >> 5;
	const char *method = (n & 1) != 0 ? "INVITE" : "OPTIONS";

	switch (op >> 2 & 7) {
	case 0:
		begin(n, false, method);
		break;
	case 1:
		begin(n, true, method);
		break;
	case 2:
		(void)txn_layer_receive(layer, &flows[n & 1], response(n, arg, method));
		break;
	case 3:
		(void)txn_layer_receive(layer, &flows[n & 1], request(n, arg == 0 ? "ACK" : method));
		break;
	case 4:
		if (slots[n].t != NULL && slots[n].server)
			(void)!txn_respond(slots[n].t, response(n, arg, method)->raw);
		break;
	case 5:
		timers_run(&timers, timers.now_ms + (1u << (arg * 2)));
		break;
	case 6:
		if (slots[n].t != NULL && arg < 2)
			txn_abandon(slots[n].t);
		else if (slots[n].t != NULL && arg < 4)
			txn_cancel_sent(slots[n].t);
		else
			txn_layer_flow_lost(layer, &flows[n & 1]);
		break;
	default:
		broken = (arg & 1) != 0;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 512)
		return 0;
	timers_init(&timers, 1);
	reliable = (data[0] & 1) != 0;
	broken = false;
	if (txn_layer_new(&timers, &ops, NULL, STR("w.invalid"), &TXN_TIMES_DEFAULT, 16, 8, &layer) != ERR_OK)
		abort();
	for (size_t i = 1; i < size; i++)
		step(data[i]);
	/* A client INVITE that rings for ever is the proxy's to end. */
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].t != NULL && (txn_kind(slots[i].t) == TXN_INVITE_CLIENT || slots[i].server))
			txn_abandon(slots[i].t);
	for (unsigned i = 0; i < 20; i++)
		timers_run(&timers, timers.now_ms + 4000);
	for (unsigned kind = 0; kind < 4; kind++)
		if (txn_layer_count(layer, (enum txn_kind)kind) != 0)
			abort();
	txn_layer_free(layer);
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].t != NULL)
			abort();
	return 0;
}
