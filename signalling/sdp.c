#include "signalling/sdp.h"

/* "m=audio 49170 UDP/TLS/RTP/SAVPF 111" -> its transport; empty for a line that is something else or switched off. */
static struct str transport_of(struct str line)
{
	struct str kind = str_cut(&line, ' '), port, transport;

	if (!str_ieq(kind, STR("m=audio")) && !str_ieq(kind, STR("m=video")))
		return STR_NONE;
	if (line.p == NULL)
		return STR_NONE;
	port = str_cut(&line, ' ');
	if (str_eq(port, STR("0")) || line.p == NULL)
		return STR_NONE;
	transport = str_trim(str_cut(&line, ' '));
	return transport;
}

enum sdp_media sdp_media_of(const struct sip_msg *m)
{
	struct str rest = m->body;

	while (rest.p != NULL && rest.len > 0) {
		struct str transport = transport_of(str_cut(&rest, '\n'));

		if (transport.len == 0)
			continue;
		return str_ieq(str_sub(transport, 0, 8), STR("UDP/TLS/")) || str_ieq(str_sub(transport, 0, 8), STR("TCP/TLS/")) ||
				       str_ieq(str_sub(transport, 0, 9), STR("TCP/DTLS/"))
			       ? SDP_DTLS
			       : SDP_RTP;
	}
	return SDP_NONE;
}
