/* signalling/sdp: how the media of an offer travels. */
#include "signalling/sdp.h"

#include "tests/lib/cm.h"

static enum sdp_media of(const char *body)
{
	struct sip_msg m = { .body = str_from(body) };

	return sdp_media_of(&m);
}

static void phones_and_browsers_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(of("v=0\r\nm=audio 40000 RTP/AVP 0\r\n"), SDP_RTP);
	assert_int_equal(of("v=0\r\nm=audio 40000 RTP/SAVP 0 8\r\n"), SDP_RTP);
	assert_int_equal(of("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"), SDP_DTLS);
	assert_int_equal(of("v=0\nm=video 9 udp/tls/rtp/savp 96\n"), SDP_DTLS);
	assert_int_equal(of("v=0\r\nm=audio 9 TCP/DTLS/RTP/SAVPF 111\r\n"), SDP_DTLS);
}

static void the_first_line_that_is_on_counts(void **state)
{
	(void)state;
	assert_int_equal(of("m=audio 0 RTP/AVP 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"), SDP_DTLS);
	assert_int_equal(of("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 4000 RTP/AVP 0"), SDP_RTP);
}

static void no_media_is_none(void **state)
{
	static const char *const none[] = { "", "v=0\r\n", "m=audio", "m=audio ", "m=audio 1", "m=audio 1 ", "m=audio 0 RTP/AVP 0", "a=m=audio 1 RTP/AVP 0" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(of(none[i]), SDP_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phones_and_browsers_are_told_apart),
		cmocka_unit_test(the_first_line_that_is_on_counts),
		cmocka_unit_test(no_media_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
