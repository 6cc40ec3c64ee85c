/* Single values: Via, name-addr, CSeq, comma lists, parameters. */
#include <stdlib.h>

#include "signalling/sip_msg.h"
#include "signalling/sip_uri.h"

static void inside(struct str part, struct str whole)
{
	if (part.len > 0 && (part.p < whole.p || part.p + part.len > whole.p + whole.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size }, rest = in, v;
	struct sip_via via;
	struct sip_addr a;
	struct sip_cseq c;
	size_t values = 0;

	if (sip_via_parse(in, &via) == ERR_OK) {
		inside(via.sent_by, in);
		inside(via.host, via.sent_by);
		inside(via.branch, in);
		inside(via.transport, in);
		if (via.host.len == 0 || via.transport.len == 0)
			abort();
	}
	if (sip_addr_parse(in, &a) == ERR_OK) {
		inside(a.display, in);
		inside(a.uri, in);
		inside(a.tag, in);
		if (a.uri.len == 0)
			abort();
	}
	(void)!sip_cseq_parse(in, &c);
	while (sip_comma_next(&rest, &v)) {
		inside(v, in);
		if (v.len == 0 || ++values > size)
			abort();
	}
	if (sip_param(in, STR("tag"), &v))
		inside(v, in);
	return 0;
}
