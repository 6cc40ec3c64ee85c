/* signalling/edge_rewrite: names of ours on the way to a phone and back, and what a phone may not say of itself. */
#include "signalling/edge_rewrite.h"

#include "tests/lib/cm.h"

#define TOKEN "n1.0~1790000000000~1790000000~abcdefghijklmnopqrst"
#define REST "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"

static const struct edge_names udp = { .domain = { "example.com", 11 }, .host = { "192.0.2.1:5060", 14 }, .transport = "UDP",
				       .source = { "198.51.100.7", 12 }, .source_port = 40000 };
static const struct edge_names tls = { .domain = { "example.com", 11 }, .host = { "[2001:db8::1]:5061", 18 }, .transport = "TLS",
				       .source = { "2001:db8::7", 11 }, .source_port = 40001 };
static char mem[8192];

static struct sip_msg parsed(const char *text)
{
	struct sip_refusal why;
	struct sip_msg m;

	assert_ok(sip_msg_parse(str_from(text), &m, &why));
	return m;
}

/* What was written parses again. */
static struct sip_msg done(enum err e, const struct buf *out)
{
	struct sip_refusal why;
	struct sip_msg m;

	assert_ok(e);
	assert_ok(sip_msg_parse(buf_view(out), &m, &why));
	return m;
}

static struct sip_msg request_in(const char *text, const struct edge_names *n)
{
	struct sip_msg m = parsed(text);
	struct buf out = buf_fixed(mem, sizeof(mem));

	return done(edge_request_in_put(&out, &m, n), &out);
}

static struct sip_msg out(const char *text, const struct edge_names *n)
{
	struct sip_msg m = parsed(text);
	struct buf b = buf_fixed(mem, sizeof(mem));

	return done(edge_out_put(&b, &m, n, 70000), &b);
}

static void received_and_rport_are_ours(void **state)
{
	static const struct {
		const char *via, *want;
	} cases[] = {
		{ "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;received=198.51.100.7" },
		{ "SIP/2.0/UDP host;rport;branch=z9hG4bK1", "SIP/2.0/UDP host;branch=z9hG4bK1;received=198.51.100.7;rport=40000" },
		{ "SIP/2.0/UDP host;received=1.2.3.4;rport=9;branch=z9hG4bK1;x=y", "SIP/2.0/UDP host;branch=z9hG4bK1;x=y;received=198.51.100.7;rport=40000" },
		{ "SIP / 2.0 / UDP host ; branch=z9hG4bK1 ; RPort", "SIP/2.0/UDP host; branch=z9hG4bK1 ;received=198.51.100.7;rport=40000" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[1024];
		struct buf b = buf_fixed(text, sizeof(text) - 1);

		buf_printf(&b, "INVITE sip:bob@example.com SIP/2.0\r\nVia: %s\r\n" REST, cases[i].via);
		text[b.len] = '\0';
		struct sip_msg m = request_in(text, &udp);
		struct sip_via via;

		assert_ok(sip_msg_via(&m, &via));
		assert_str(sip_msg_value(&m, SIP_H_VIA), cases[i].want);
		assert_str(via.branch, "z9hG4bK1");
	}
}

static void the_vias_below_are_left_alone(void **state)
{
	struct sip_msg m = request_in("INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b;branch=z9hG4bK2\r\n"
				      "Via: SIP/2.0/TCP c;branch=z9hG4bK3\r\n" REST, &udp);
	struct sip_list it = sip_list(&m, SIP_H_VIA);
	struct str v;

	(void)state;
	assert_true(sip_list_next(&it, &v) && sip_list_next(&it, &v));
	assert_str(v, "SIP/2.0/TCP b;branch=z9hG4bK2");
	assert_true(sip_list_next(&it, &v));
	assert_str(v, "SIP/2.0/TCP c;branch=z9hG4bK3");
	assert_false(sip_list_next(&it, &v));
}

static void answers_go_by_rport_or_sent_by(void **state)
{
	struct sip_msg m = parsed("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:6000;rport=7000;branch=z9hG4bK1\r\n" REST);

	(void)state;
	assert_int_equal(edge_response_port(&m), 7000);
	m = parsed("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:6000;branch=z9hG4bK1\r\n" REST);
	assert_int_equal(edge_response_port(&m), 6000);
	m = parsed("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n" REST);
	assert_int_equal(edge_response_port(&m), 5060);
	m = parsed("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;rport=0;branch=z9hG4bK1\r\n" REST);
	assert_int_equal(edge_response_port(&m), 5060);
}

static void a_route_to_us_gets_its_inner_form(void **state)
{
	struct sip_msg m = request_in("INVITE sip:bob@198.51.100.9 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
				      "Route: <sip:" TOKEN "@192.0.2.1:5060;transport=udp;lr>\r\nRoute: <sip:other.example.net;lr>\r\n" REST, &udp);

	(void)state;
	assert_str(sip_msg_value(&m, SIP_H_ROUTE), "<sip:" TOKEN "@example.com;lr>, <sip:other.example.net;lr>");
	/* An outbound proxy in front (RFC 3261 §16.4). */
	m = request_in("INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nRoute: <sip:[2001:db8::1]:5061;transport=tls;lr>\r\n" REST,
		       &tls);
	assert_null(sip_msg_value(&m, SIP_H_ROUTE).p);
	/* Another's stays, to be refused. */
	m = request_in("INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nRoute: <sip:" TOKEN "@192.0.2.1;lr>\r\n" REST, &tls);
	assert_str(sip_msg_value(&m, SIP_H_ROUTE), "<sip:" TOKEN "@192.0.2.1;lr>");
}

static void a_request_out_names_what_the_phone_can_reach(void **state)
{
	struct sip_msg m = out("INVITE sip:bob@198.51.100.9 SIP/2.0\r\nVia: SIP/2.0/WSS n1.0.invalid;branch=z9hG4bKabc.1\r\n"
			       "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK9\r\nRecord-Route: <sip:" TOKEN "@example.com;lr>\r\n" REST, &udp);

	(void)state;
	assert_str(sip_msg_value(&m, SIP_H_VIA), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc.1~n1.0~70000;rport");
	assert_str(sip_msg_value(&m, SIP_H_RECORD_ROUTE), "<sip:" TOKEN "@192.0.2.1:5060;transport=udp;lr>");
	m = out("SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nRecord-Route: <sip:" TOKEN "@example.com;lr>\r\n" REST, &tls);
	assert_str(sip_msg_value(&m, SIP_H_VIA), "SIP/2.0/TLS a;branch=z9hG4bK1");
	assert_str(sip_msg_value(&m, SIP_H_RECORD_ROUTE), "<sip:" TOKEN "@[2001:db8::1]:5061;transport=tls;lr>");
}

static void a_body_gets_its_length_for_the_stream(void **state)
{
	struct sip_msg m = out("MESSAGE sip:bob@h SIP/2.0\r\nVia: SIP/2.0/WSS n1.0.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
			       "Call-ID: c\r\nCSeq: 1 MESSAGE\r\n\r\nhello", &udp);

	(void)state;
	assert_str(sip_msg_value(&m, SIP_H_CONTENT_LENGTH), "5");
	assert_str(m.body, "hello");
}

static void there_and_back(void **state)
{
	struct sip_msg m = out("INVITE sip:bob@198.51.100.9 SIP/2.0\r\nVia: SIP/2.0/WSS node-2.13.invalid;branch=z9hG4bKabc.1\r\n"
			       "Record-Route: <sip:" TOKEN "@example.com;lr>\r\n" REST, &udp);
	char text[2048], back_mem[4096];
	struct buf b = buf_fixed(text, sizeof(text) - 1), back = buf_fixed(back_mem, sizeof(back_mem));
	struct edge_answer to;

	(void)state;
	buf_printf(&b, "SIP/2.0 200 OK\r\nVia: %.*s\r\nRecord-Route: %.*s\r\n" REST, STR_FMT(sip_msg_value(&m, SIP_H_VIA)),
		   STR_FMT(sip_msg_value(&m, SIP_H_RECORD_ROUTE)));
	text[b.len] = '\0';
	struct sip_msg answer = parsed(text);
	struct sip_msg got = done(edge_response_in_put(&back, &answer, &udp, &to), &back);

	assert_str(sip_msg_value(&got, SIP_H_VIA), "SIP/2.0/WSS node-2.13.invalid;branch=z9hG4bKabc.1");
	assert_str(sip_msg_value(&got, SIP_H_RECORD_ROUTE), "<sip:" TOKEN "@example.com;lr>");
	assert_string_equal(to.worker, "node-2.13");
	assert_int_equal(to.slot, 70000);
}

static void a_response_to_nothing_of_ours_is_refused(void **state)
{
	static const char *const branches[] = { "z9hG4bK1", "z9hG4bK1~n1.0", "z9hG4bK1~n1.0~x", "z9hG4bK1~n1.0~99999999999", "z9hG4bK1~~1", "~n1.0~1",
						"z9hG4bK1~n1_0~1", "z9hG4bK1~N1.0~1", "z9hG4bK1~0123456789012345678901234567890123~1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(branches); i++) {
		char text[1024];
		struct buf b = buf_fixed(text, sizeof(text) - 1), back = buf_fixed(mem, sizeof(mem));
		struct edge_answer to;

		buf_printf(&b, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=%s\r\n" REST, branches[i]);
		text[b.len] = '\0';
		struct sip_msg m = parsed(text);

		assert_err(edge_response_in_put(&back, &m, &udp, &to), ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(received_and_rport_are_ours),
		cmocka_unit_test(the_vias_below_are_left_alone),
		cmocka_unit_test(answers_go_by_rport_or_sent_by),
		cmocka_unit_test(a_route_to_us_gets_its_inner_form),
		cmocka_unit_test(a_request_out_names_what_the_phone_can_reach),
		cmocka_unit_test(a_body_gets_its_length_for_the_stream),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(a_response_to_nothing_of_ours_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
