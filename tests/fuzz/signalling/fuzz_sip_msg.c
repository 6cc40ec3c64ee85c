/* A message from the network: index, rules, every accessor, an edit of every kind, an answer. What is put out must
 * parse again. */
#include <stdlib.h>

#include "signalling/sip_build.h"
#include "signalling/sip_check.h"
#include "signalling/sip_uri.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void read_all(const struct sip_msg *m)
{
	struct sip_addr a;
	struct sip_via via;
	struct sip_uri u;
	struct sip_session_id id;
	struct str v;
	uint32_t n;

	for (unsigned h = 1; h < SIP_H_COUNT; h++) {
		struct sip_list it = sip_list(m, (enum sip_hdr)h);

		while (sip_list_next(&it, &v)) {
			must(v.len > 0 && v.p >= m->raw.p && v.p + v.len <= m->raw.p + m->raw.len);
			if (sip_addr_parse(v, &a) == ERR_OK)
				(void)!sip_uri_parse(a.uri, &u);
			(void)!sip_via_parse(v, &via);
		}
		(void)!sip_msg_number(m, (enum sip_hdr)h, UINT32_MAX, &n);
		(void)sip_msg_token(m, (enum sip_hdr)h);
	}
	(void)!sip_msg_session_id(m, &id);
	(void)sip_msg_reason_cause(m);
	(void)sip_body_has_video(m);
	(void)sip_list_has(m, SIP_H_SUPPORTED, STR("gruu"));
}

static void edit(const struct sip_msg *m)
{
	struct buf out = buf_growing(2 * SIP_MSG_MAX);
	struct sip_edit e;
	struct sip_msg again;
	struct sip_refusal why;

	sip_edit_init(&e, m);
	if (m->request)
		sip_edit_uri(&e, STR("sip:a@b"));
	sip_edit_drop(&e, SIP_H_ROUTE);
	sip_edit_drop_prefix(&e, STR("X-"));
	sip_edit_prepend(&e, "Via: SIP/2.0/WSS w;branch=z9hG4bKw\r\n");
	sip_edit_max_forwards(&e);
	sip_edit_append(&e, "P-Asserted-Identity: <sip:a@b>\r\n");
	if (sip_edit_put(&e, &out) == ERR_OK && m->count + 3u <= SIP_HDR_MAX && out.len <= SIP_MSG_MAX) {
		must(sip_msg_parse(buf_view(&out), &again, &why) == ERR_OK);
		must(str_eq(again.body, m->body) && str_eq(again.call_id, m->call_id) && again.cseq == m->cseq);
		must(again.first[SIP_H_ROUTE] == 0);
	}
	buf_reset(&out);
	sip_edit_init(&e, m);
	sip_edit_pop(&e, SIP_H_VIA);
	sip_edit_param(&e, SIP_H_VIA, ";x=y");
	(void)!sip_edit_put(&e, &out);
	buf_fini(&out);
}

static void answer(const struct sip_msg *m)
{
	struct buf out = buf_growing(2 * SIP_MSG_MAX);
	struct sip_msg again;
	struct sip_refusal why;
	struct sip_via via;

	if (sip_reply_put(&out, m, &(struct sip_reply){ .status = 400, .to_tag = STR("t") }) == ERR_OK &&
	    out.len <= SIP_MSG_MAX && sip_check_response(m) == ERR_OK &&
	    sip_msg_parse(buf_view(&out), &again, &why) == ERR_OK)
		must(again.status == 400 && sip_msg_via(&again, &via) == ERR_OK);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sip_msg m;
	struct sip_refusal why = { 0, NULL };
	struct str in = { (const char *)data, size };
	char mem[256];
	struct buf headers = buf_fixed(mem, sizeof(mem));
	size_t skip, len;

	if (sip_msg_measure(in, &skip, &len) == ERR_OK)
		must(skip + len <= size);
	if (sip_msg_parse(in, &m, &why) != ERR_OK) {
		must(why.status >= 400 && why.phrase != NULL);
		if (sip_msg_answerable(&m))
			answer(&m);
		return 0;
	}
	read_all(&m);
	struct sip_msg *copy = sip_msg_copy(&m);

	must(copy != NULL && str_eq(copy->raw, m.raw) && str_eq(copy->body, m.body));
	free(copy);
	if (m.request && sip_check_request(&m, &why, &headers) == ERR_OK) {
		edit(&m);
		answer(&m);
	}
	return 0;
}
