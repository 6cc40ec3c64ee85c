/* The edge to phones: a byte stream cut into frames, and each message through the rewriting of either direction. What comes out parses again, and a request
 * that went out to a phone comes back in the Via of its answer as it was. */
#include <stdlib.h>

#include "signalling/edge_rewrite.h"
#include "signalling/sdp.h"
#include "signalling/stream_frame.h"

static const struct edge_names names = { .domain = { "example.com", 11 }, .host = { "192.0.2.1:5060", 14 }, .transport = "TCP",
					 .source = { "198.51.100.7", 12 }, .source_port = 40000 };

static void must_parse(const struct buf *b, struct sip_msg *m)
{
	struct sip_refusal why;

	if (sip_msg_parse(buf_view(b), m, &why) != ERR_OK && why.status != 513 && why.status != 400)
		abort();
}

static void rewrite(struct str text)
{
	struct buf out = buf_growing(1u << 20);
	struct sip_msg m, got;
	struct sip_refusal why;
	struct edge_answer to;

	if (sip_msg_parse(text, &m, &why) == ERR_OK) {
		(void)sdp_media_of(&m);
		(void)edge_response_port(&m);
		if (m.request && edge_request_in_put(&out, &m, &names) == ERR_OK)
			must_parse(&out, &got);
		buf_reset(&out);
		if (!m.request && edge_response_in_put(&out, &m, &names, &to) == ERR_OK) {
			must_parse(&out, &got);
			if (to.worker[0] == '\0')
				abort();
		}
		buf_reset(&out);
		if (edge_out_put(&out, &m, &names, 7) == ERR_OK)
			must_parse(&out, &got);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct str in = str_of(p, len);
	size_t at = 0;

	for (unsigned i = 0; i < 100 && at < len; i++) {
		struct frame f;
		struct str rest = str_sub(in, at, len);

		if (stream_frame(rest, 65000, &f) != ERR_OK || f.kind == FRAME_MORE)
			break;
		if (f.len == 0 || f.len > rest.len)
			abort();
		if (f.kind == FRAME_MESSAGE)
			rewrite(str_sub(rest, 0, f.len));
		at += f.len;
	}
	rewrite(in);
	return 0;
}
