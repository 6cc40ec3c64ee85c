/* relay/capture: which frames are taken, the file's form, a ring that is full. */
#include "relay/capture.h"

#include <stdlib.h>

#include "relay/net.h"
#include "tests/lib/cm.h"

#define IP(a, b, c, d) __builtin_bswap32((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define CLIENT IP(192, 0, 2, 7)
#define RELAY IP(198, 51, 100, 2)
#define PEER IP(203, 0, 113, 9)

static struct capture *with_room(unsigned workers, uint32_t snap)
{
	struct capture_ends ends = { .client = addr_v4(CLIENT), .client_port = 4000, .relay = addr_v4(RELAY), .relay_port = 50000 };
	struct capture *c;

	assert_ok(capture_new(&ends, workers, snap, &c));
	return c;
}

/* An Ethernet frame with UDP, the payload all `fill`. */
static struct pkt frame(uint8_t *to, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint16_t payload, uint8_t fill)
{
	uint8_t *ip = to + ETH_LEN;

	memset(to, 0, ETH_LEN);
	be16_put(to + 12, ETHERTYPE_V4);
	ip_put(ip, 0, (uint16_t)(IP_LEN + UDP_LEN + payload), 0, 64, IPPROTO_UDP_V4, src, dst);
	be16_put(ip + UDP_SPORT, sport);
	be16_put(ip + UDP_DPORT, dport);
	be16_put(ip + UDP_TOTAL, (uint16_t)(UDP_LEN + payload));
	memset(ip + UDP_DATA, fill, payload);
	return (struct pkt){ .data = to, .len = HEADERS_LEN + payload };
}

static size_t offer(struct capture *c, const struct pkt *p)
{
	uint8_t out[4096];
	uint64_t frames = 0;

	capture_frame(c, 0, p, 5000007);
	size_t n = capture_read(c, out, sizeof(out), &frames);
	assert_int_equal(frames, n > 0 ? 1 : 0);
	return n;
}

static void takes_both_ends_in_both_directions(UNUSED void **state)
{
	static const struct {
		uint32_t src, dst;
		uint16_t sport, dport;
		bool taken;
	} rows[] = {
		{ CLIENT, RELAY, 4000, 3478, true },  { RELAY, CLIENT, 3478, 4000, true }, { PEER, RELAY, 9, 50000, true },
		{ RELAY, PEER, 50000, 9, true },      { CLIENT, RELAY, 4001, 3478, false }, { PEER, RELAY, 9, 50001, false },
		{ PEER, RELAY, 4000, 3478, false },   { RELAY, PEER, 3478, 4000, false },
	};
	struct capture *c = with_room(1, 65535);
	uint8_t bytes[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pkt p = frame(bytes, rows[i].src, rows[i].sport, rows[i].dst, rows[i].dport, 10, 'x');

		assert_int_equal(offer(c, &p), rows[i].taken ? 16 + p.len : 0);
	}
	capture_free(c);
}

static void tagged_and_ipv6_frames(UNUSED void **state)
{
	struct capture_ends ends = { .client_port = 4000, .relay_port = 50000 };
	uint8_t bytes[256], tagged[256];
	struct capture *c = with_room(1, 65535);
	struct pkt p = frame(bytes, CLIENT, 4000, RELAY, 3478, 10, 'x');

	memcpy(tagged, bytes, 12);
	be32_put(tagged + 12, 0x81000064);
	memcpy(tagged + 16, bytes + 12, p.len - 12);
	struct pkt t = { .data = tagged, .len = p.len + 4 };
	assert_int_equal(offer(c, &t), 16 + t.len);
	/* Anything shorter than its headers is let go. */
	for (uint32_t len = 0; len < HEADERS_LEN; len++) {
		struct pkt cut = { .data = bytes, .len = len };

		assert_int_equal(offer(c, &cut), 0);
	}
	capture_free(c);

	memset(bytes, 0, sizeof(bytes));
	be16_put(bytes + 12, ETHERTYPE_V6);
	bytes[ETH_LEN] = 0x60;
	bytes[ETH_LEN + 6] = IPPROTO_UDP_V4;
	memset(bytes + ETH_LEN + 8, 0x20, 16);
	be16_put(bytes + ETH_LEN + 40, 4000);
	memset(&ends.client, 0x20, sizeof(ends.client));
	assert_ok(capture_new(&ends, 1, 65535, &c));
	struct pkt six = { .data = bytes, .len = ETH_LEN + 48 };
	assert_int_equal(offer(c, &six), 16 + six.len);
	bytes[ETH_LEN + 8]++;
	assert_int_equal(offer(c, &six), 0);
	capture_free(c);
}

static void records_have_time_and_both_lengths(UNUSED void **state)
{
	struct capture *c = with_room(1, 60);
	uint8_t bytes[256], out[512], header[CAPTURE_HEADER_LEN];
	uint32_t word[4];
	uint64_t frames = 0;
	struct pkt p = frame(bytes, CLIENT, 4000, RELAY, 3478, 100, 'y');

	capture_header(c, header);
	assert_memory_equal(header, "\xd4\xc3\xb2\xa1\x02\x00\x04\x00", 8);
	assert_int_equal(header[16], 60);
	assert_int_equal(header[20], 1);
	capture_frame(c, 0, &p, UINT64_C(1790000000123456));
	assert_int_equal(capture_read(c, out, sizeof(out), &frames), 16 + 60);
	memcpy(word, out, sizeof(word));
	assert_int_equal(word[0], 1790000000);
	assert_int_equal(word[1], 123456);
	assert_int_equal(word[2], 60);
	assert_int_equal(word[3], 142);
	assert_memory_equal(out + 16, bytes, 60);
	capture_free(c);
}

/* What is written across the end of the ring comes out whole, whoever reads in whatever portions. */
static void rings_wrap_and_fill(UNUSED void **state)
{
	struct capture *c = with_room(2, 65535);
	uint8_t bytes[1600], out[4000];
	uint64_t frames = 0, written = 0;

	for (unsigned i = 0; i < 3000; i++) {
		struct pkt p = frame(bytes, CLIENT, 4000, RELAY, 3478, (uint16_t)(200 + i % 1000), (uint8_t)i);

		capture_frame(c, i % 2, &p, i);
		written++;
		if (i % 2 == 0)
			continue;
		size_t n = capture_read(c, out, sizeof(out), &frames);
		for (size_t at = 0; at < n;) {
			uint32_t word[4];

			memcpy(word, out + at, sizeof(word));
			assert_int_equal(word[2], word[3]);
			assert_int_equal(word[3], HEADERS_LEN + 200 + word[1] % 1000);
			assert_int_equal(out[at + 16 + HEADERS_LEN], (uint8_t)word[1]);
			assert_int_equal(out[at + 15 + word[2]], (uint8_t)word[1]);
			at += 16 + word[2];
		}
	}
	assert_int_equal(frames, written);
	assert_int_equal(capture_missed(c), 0);
	for (unsigned i = 0; i < 2000; i++) {
		struct pkt p = frame(bytes, CLIENT, 4000, RELAY, 3478, 1400, 'z');

		capture_frame(c, 0, &p, i);
	}
	uint64_t missed = capture_missed(c), rest = 0;
	while (capture_read(c, out, sizeof(out), &rest) > 0)
		;
	assert_true(missed > 0);
	assert_int_equal(missed + rest, 2000);
	capture_free(c);
	capture_free(NULL);
}

/* Messages of a client on a stream are shown as datagrams, with headers that are right. */
static void messages_of_a_stream(UNUSED void **state)
{
	static const uint8_t data[7] = "abcdefg";
	struct pkt p = { .data = (uint8_t *)(uintptr_t)data, .len = sizeof(data) };
	struct addr six;
	struct cidr net;
	uint8_t out[256], *ip = out + 16 + ETH_LEN;
	uint64_t frames = 0;

	assert_ok(addr_parse_interface(STR("2001:db8::7/64"), &six, &net));
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct capture_ends ends = { .client = v6 ? six : addr_v4(CLIENT), .client_port = 4000, .relay = addr_v4(RELAY), .relay_port = 50000,
					     .on_stream = true, .stream = 0x10007, .service_port = 3478 };
		size_t headers = v6 ? HEADERS6_LEN : HEADERS_LEN;
		struct capture *c;

		assert_ok(capture_new(&ends, 1, 65535, &c));
		for (unsigned back = 0; back < 2; back++) {
			capture_message(c, 0, 0x20007, back, &p, 1); /* another use of the connection's place */
			assert_int_equal(capture_read(c, out, sizeof(out), &frames), 0);
			capture_message(c, 0, 0x10007, back, &p, 1);
			assert_int_equal(capture_read(c, out, sizeof(out), &frames), 16 + headers + sizeof(data));
			const uint8_t *udp = out + 16 + headers - UDP_LEN;
			assert_int_equal(be16_get(udp), back ? 3478 : 4000);
			assert_int_equal(be16_get(udp + 2), back ? 4000 : 3478);
			assert_int_equal(be16_get(udp + UDP_AT_TOTAL), UDP_LEN + sizeof(data));
			assert_memory_equal(udp + UDP_LEN, data, sizeof(data));
			assert_int_equal(be16_get(out + 16 + 12), v6 ? ETHERTYPE_V6 : ETHERTYPE_V4);
			if (v6) {
				assert_memory_equal(ip + (back ? IP6_DST : IP6_SRC), &six, sizeof(six));
				assert_int_equal(be16_get(ip + IP6_TOTAL), UDP_LEN + sizeof(data));
				assert_true(udp6_sum_ok(ip));
			} else {
				assert_int_equal(ne32(ip + IP_SRC), back ? RELAY : CLIENT);
				assert_int_equal(ne32(ip + IP_DST), back ? CLIENT : RELAY);
				assert_true(ip_sum_ok(ip));
			}
		}
		capture_free(c);
	}
	/* Cut within the headers; and not at all for a client over UDP. */
	struct capture_ends ends = { .client = addr_v4(CLIENT), .relay = addr_v4(RELAY), .on_stream = true };
	struct capture *c;
	assert_ok(capture_new(&ends, 1, 20, &c));
	capture_message(c, 0, 0, true, &p, 1);
	assert_int_equal(capture_read(c, out, sizeof(out), &frames), 16 + 20);
	capture_free(c);
	c = with_room(1, 65535);
	capture_message(c, 0, 0, true, &p, 1);
	assert_int_equal(capture_read(c, out, sizeof(out), &frames), 0);
	capture_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_both_ends_in_both_directions),
		cmocka_unit_test(tagged_and_ipv6_frames),
		cmocka_unit_test(records_have_time_and_both_lengths),
		cmocka_unit_test(rings_wrap_and_fill),
		cmocka_unit_test(messages_of_a_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
