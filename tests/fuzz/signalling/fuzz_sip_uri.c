/* URIs: what parses lies inside its text, equals itself, and gives no user name that is not one. */
#include <stdlib.h>

#include "common/user.h"
#include "signalling/sip_uri.h"

static void inside(struct str part, struct str whole)
{
	if (part.len > 0 && (part.p < whole.p || part.p + part.len > whole.p + whole.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size }, v;
	char name[USER_NAME_SIZE];
	struct sip_uri u, w;

	if (sip_uri_parse(in, &u) != ERR_OK)
		return 0;
	inside(u.user, in);
	inside(u.password, in);
	inside(u.host, in);
	inside(u.params, in);
	inside(u.headers, in);
	if (!sip_uri_equal(&u, &u))
		abort();
	if (sip_uri_user_name(&u, u.host, name, sizeof(name)) == ERR_OK && !user_name_valid(str_from(name)))
		abort();
	(void)sip_uri_gruu(&u, &v);
	/* Two halves against each other: equality is symmetric. */
	if (sip_uri_parse(str_sub(in, 0, size / 2), &u) == ERR_OK &&
	    sip_uri_parse(str_sub(in, size / 2, size), &w) == ERR_OK && sip_uri_equal(&u, &w) != sip_uri_equal(&w, &u))
		abort();
	return 0;
}
