/* parse: microseconds for one INVITE as a browser with JsSIP sends it (about 2 KiB): signalling's index with the checks of a request, and the fields that a
 * proxy needs, each read by its strict accessor; beside it libosip2's parser on the same bytes. The message is copied into a fresh buffer before
 * each round, as it would come from a socket; the copy alone is measured as well and taken off. Prints one JSON object. */
#include <inttypes.h>
#include <osipparser2/osip_parser.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/sipload_sip.h"
#include "common/clock.h"
#include "signalling/sip_check.h"
#include "signalling/sip_msg.h"
#include "signalling/sip_uri.h"

#define ROUNDS 200
#define BUFFERS 64u /* taken in turns, so that it is not one hot line that is read */

static char text[BUFFERS][8192];
static char original[8192];
static size_t length;
static volatile uint64_t sink; /* what was read, so that nothing is left out */

static void make_message(void)
{
	struct buf b = buf_fixed(original, sizeof(original) - 1);
	struct out_msg m = { .method = STR("INVITE"), .uri = STR("sip:bob@example.test"), .transport = STR("WSS"), .host = STR("7pj2vk1h3gq0.invalid"),
			     .from_user = STR("alice"), .to_user = STR("bob"), .domain = STR("example.test"), .branch = 0x92f3a1c7d5,
			     .from_tag = 0x1c8b5e0f27, .call_id = STR("u5s8m2k0q1v7d3h6f9a4"), .cseq = 4711,
			     .contact = STR("<sip:alice@example.test;gr=urn:uuid:0f9ab1f2-8a44-4a39-9d0c-6b0fd8c7ef11;ob>"),
			     .headers = STR("Session-Expires: 1800;refresher=uac\r\n"
					    "Session-ID: 0123456789abcdef0123456789abcdef;remote=00000000000000000000000000000000\r\n"
					    "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n"
					    "Supported: timer,gruu,ice,replaces,outbound\r\n"),
			     .type = STR("application/sdp"), .body = str_from(out_sdp) };

	out_put(&b, &m);
	length = b.len;
	if (b.overflow)
		abort();
}

static bool ours(struct str raw)
{
	struct sip_msg m;
	struct sip_refusal why;
	struct sip_via via;
	struct sip_addr from, to, contact;
	struct sip_uri target, caller;
	struct sip_session_id id;
	char mem[256];
	struct buf headers = buf_fixed(mem, sizeof(mem));
	uint32_t hops;

	if (sip_msg_parse(raw, &m, &why) != ERR_OK || sip_check_request(&m, &why, &headers) != ERR_OK || sip_msg_via(&m, &via) != ERR_OK ||
	    sip_msg_addr(&m, SIP_H_FROM, &from) != ERR_OK || sip_msg_addr(&m, SIP_H_TO, &to) != ERR_OK ||
	    sip_msg_addr(&m, SIP_H_CONTACT, &contact) != ERR_OK || sip_uri_parse(m.uri, &target) != ERR_OK ||
	    sip_uri_parse(from.uri, &caller) != ERR_OK || sip_msg_session_id(&m, &id) != ERR_OK ||
	    sip_msg_number(&m, SIP_H_MAX_FORWARDS, 255, &hops) != ERR_OK)
		return false;
	sink += via.branch.len + from.tag.len + to.uri.len + contact.uri.len + target.user.len + caller.host.len + id.local.len + hops + m.cseq +
		m.call_id.len + m.body.len + sip_msg_value(&m, SIP_H_ROUTE).len;
	return true;
}

static bool index_only(struct str raw)
{
	struct sip_msg m;
	struct sip_refusal why;

	if (sip_msg_parse(raw, &m, &why) != ERR_OK)
		return false;
	sink += m.count;
	return true;
}

static bool osip(struct str raw)
{
	osip_message_t *m;
	bool good = osip_message_init(&m) == 0;

	good = good && osip_message_parse(m, raw.p, raw.len) == 0 && m->from != NULL && m->to != NULL && m->cseq != NULL;
	if (good)
		sink += strlen(m->cseq->number);
	osip_message_free(m);
	return good;
}

static bool nothing(struct str raw)
{
	sink += (unsigned char)raw.p[raw.len - 1];
	return true;
}

static double one_round(bool (*fn)(struct str raw), unsigned times)
{
	uint64_t from = clock_mono_us();

	for (unsigned i = 0; i < times; i++) {
		char *p = text[i % BUFFERS];

		memcpy(p, original, length + 1);
		if (!fn(str_of(p, length))) {
			(void)fprintf(stderr, "parse: the message was refused\n");
			exit(1);
		}
	}
	return (double)(clock_mono_us() - from) / times;
}

/* The quickest of many short rounds: what a round takes more is what else the machine did meanwhile. */
static double quickest(bool (*fn)(struct str raw), unsigned times)
{
	double best = one_round(fn, times);

	for (unsigned i = 0; i < ROUNDS; i++)
		best = MIN(best, one_round(fn, times));
	return best;
}

int main(void)
{
	make_message();
	if (parser_init() != 0)
		return 1;
	double copy = quickest(nothing, 2000);
	double a = quickest(ours, 2000) - copy, b = quickest(index_only, 2000) - copy, c = quickest(osip, 400) - copy;

	printf("{\"bytes\":%zu,\"parse_us\":%.3f,\"index_us\":%.3f,\"osip_us\":%.3f,\"copy_us\":%.3f}\n", length, a, b, c, copy);
	return 0;
}
