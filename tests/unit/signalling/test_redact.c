/* signalling/redact: what is masked, what stays, and that lengths do not change. */
#include "signalling/redact.h"

#include <stdlib.h>

#include "common/str.h"
#include "tests/lib/cm.h"

static char text[2048];

static const char *redacted(const char *message)
{
	assert_true(strlen(message) < sizeof(text));
	(void)memcpy(text, message, strlen(message) + 1);
	sip_redact(text, strlen(text));
	assert_int_equal(strlen(text), strlen(message));
	return text;
}

static void credentials_are_masked_also_folded(void **state)
{
	(void)state;
	assert_string_equal(redacted("REGISTER sip:x SIP/2.0\r\nauthorization : Digest a\r\n\tresponse=\"b\"\r\nProxy-Authorization:c\r\nTo: d\r\n\r\n"),
			    "REGISTER sip:x SIP/2.0\r\nauthorization :*********\r\n*************\r\nProxy-Authorization:*\r\nTo: d\r\n\r\n");
	assert_string_equal(redacted("X x SIP/2.0\r\nX-Duplex-Session: ab\r\nCookie: q\r\nX-Other: y\r\n\r\n"),
			    "X x SIP/2.0\r\nX-Duplex-Session:***\r\nCookie:**\r\nX-Other: y\r\n\r\n");
}

static void keys_of_sdp_are_masked_the_rest_stays(void **state)
{
	(void)state;
	assert_string_equal(redacted("INVITE sip:x SIP/2.0\r\nc: application/sdp\r\n\r\nv=0\r\na=ice-ufrag:u\r\na=ice-pwd:secret\r\na=crypto:1 x\r\nk=y\r\n"),
			    "INVITE sip:x SIP/2.0\r\nc: application/sdp\r\n\r\nv=0\r\na=ice-ufrag:u\r\na=**************\r\na=**********\r\nk=*\r\n");
}

static void what_people_write_is_masked(void **state)
{
	(void)state;
	assert_string_equal(redacted("MESSAGE sip:x SIP/2.0\r\nContent-Type: text/plain\r\n\r\nhi\r\nyou"),
			    "MESSAGE sip:x SIP/2.0\r\nContent-Type: text/plain\r\n\r\n**\r\n***");
	assert_string_equal(redacted("INFO sip:x SIP/2.0\r\n\r\nno type"), "INFO sip:x SIP/2.0\r\n\r\n*******");
}

static void any_bytes_will_do(void **state)
{
	(void)state;
	assert_string_equal(redacted(""), "");
	assert_string_equal(redacted("\r\n\r\n"), "\r\n\r\n");
	assert_string_equal(redacted("Authorization: x"), "Authorization:**");
	assert_string_equal(redacted(" x\n:\n"), " x\n:\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_are_masked_also_folded),
		cmocka_unit_test(keys_of_sdp_are_masked_the_rest_stays),
		cmocka_unit_test(what_people_write_is_masked),
		cmocka_unit_test(any_bytes_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
