/* What workers read back from Redis: bindings, flow tokens, addresses of workers, stored messages. All of it was written by a worker, but
 * Redis is another program: whatever is there may be refused, and must not be half used. The input is lines; a token that should be ours
 * gets its MAC here, so that what is behind it is reached. */
#include <stdlib.h>

#include "signalling/peer_address.h"
#include "signalling/reg_binding.h"
#include "signalling/sip_build.h"
#include "signalling/sip_check.h"
#include "signalling/sip_uri.h"

static const uint8_t key[FLOW_KEY_LEN] = "a key of the fuzzer";

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void token(struct str text)
{
	struct flow f, again;
	char mem[FLOW_TOKEN_MAX + 1];
	struct buf b = buf_fixed(mem, sizeof(mem));

	if (flow_token_get(text, key, &f) != ERR_OK)
		return;
	must(f.worker[0] != '\0' && memchr(f.worker, '\0', sizeof(f.worker)) != NULL);
	flow_token_put(&b, &f, key);
	must(flow_token_get(buf_view(&b), key, &again) == ERR_OK && flow_eq(&f, &again));
}

/* A flow made of the input, and its token with one character changed. */
static void forged(struct str text)
{
	struct flow f = { .epoch = 1 }, got;
	char mem[FLOW_TOKEN_MAX + 1];
	struct buf b = buf_fixed(mem, sizeof(mem));

	if (text.len < 2 || str_copy(str_sub(text, 1, WORKER_NAME_MAX), f.worker, sizeof(f.worker)) != ERR_OK)
		return;
	f.slot = f.generation = (uint8_t)text.p[0];
	flow_token_put(&b, &f, key);
	must(flow_token_get(buf_view(&b), key, &got) == ERR_OK && flow_eq(&f, &got));
	size_t at = (uint8_t)text.p[0] % b.len;

	/* Of the last character some bits are padding. */
	if (at + 1 == b.len)
		return;
	mem[at] = mem[at] == 'A' ? 'B' : 'A';
	must(flow_token_get(buf_view(&b), key, &got) != ERR_OK);
	must(flow_token_get(str_sub(buf_view(&b), 0, at), key, &got) != ERR_OK);
}

static void binding(struct str field, struct str value)
{
	struct stored s, again;
	struct binding b;
	struct flow f = { .worker = "n1.0", .epoch = 2, .slot = 3, .generation = 4 };
	char mem[FLOW_TOKEN_MAX + 1];
	struct buf token_text = buf_fixed(mem, sizeof(mem)), f2 = buf_growing(1u << 20), v2 = buf_growing(1u << 20);
	struct sip_uri u;

	if (stored_get(field, value, &s) != ERR_OK)
		return;
	stored_field_put(&f2, &s);
	stored_value_put(&v2, &s);
	must(stored_get(buf_view(&f2), buf_view(&v2), &again) == ERR_OK);
	must(str_eq(s.instance, again.instance) && s.reg_id == again.reg_id && str_eq(s.token, again.token) && s.expires_ms == again.expires_ms &&
	     s.cseq == again.cseq && s.video == again.video && s.phone == again.phone && str_eq(s.contact, again.contact));
	flow_token_put(&token_text, &f, key);
	s.token = buf_view(&token_text);
	if (stored_to_binding(&s, key, &b) == ERR_OK) {
		must(flow_eq(&b.flow, &f));
		/* What will be a Request-URI has no headers. */
		if (sip_uri_parse(str_from(b.contact), &u) == ERR_OK)
			must(u.headers.len == 0);
	}
	buf_fini(&f2);
	buf_fini(&v2);
}

/* As message_drain.c makes one of a stored entry: whatever is in it, what comes out has the headers that we gave it, or is refused. */
static void message(struct str id, struct str type, struct str contact, struct str body)
{
	struct buf out = buf_growing(1u << 20);
	static struct sip_msg m;
	struct sip_refusal why;
	struct sip_uri u;
	struct sip_request r = { .method = SIP_MESSAGE, .uri = contact, .via = STR("SIP/2.0/WSS w.invalid;branch=z9hG4bK1"), .from = STR("<sip:a@x>;tag=1"),
				 .to = STR("<sip:b@x>"), .call_id = id, .cseq = 1, .headers = STR("P-Asserted-Identity: <sip:a@x>\r\n"),
				 .content_type = type, .body = body };


	/* stored_to_binding has seen to that. */
	if (sip_uri_parse(contact, &u) != ERR_OK)
		return;
	if (sip_request_put(&out, &r) == ERR_OK && sip_msg_parse(buf_view(&out), &m, &why) == ERR_OK) {
		must(m.request && m.method == SIP_MESSAGE && str_eq(m.body, body));
		must(str_eq(sip_msg_value(&m, SIP_H_P_ASSERTED_IDENTITY), STR("<sip:a@x>")));
		must(str_eq(sip_msg_value(&m, SIP_H_FROM), STR("<sip:a@x>;tag=1")));
		must(m.count == (body.len > 0 ? 9 : 8));
	}
	buf_fini(&out);
}

static void address(struct str text)
{
	struct peer_address a, again;
	char mem[PEER_ADDRESS_MAX + 16];
	struct buf b = buf_fixed(mem, sizeof(mem));

	if (peer_address_parse(text, 0, &a) != ERR_OK)
		return;
	peer_address_put(&b, &a);
	must(!b.overflow && peer_address_parse(buf_view(&b), 0, &again) == ERR_OK && a.len == again.len);
	must(memcmp(&a.sa, &again.sa, a.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };

	token(rest);
	forged(rest);
	address(rest);
	if (size == 0)
		return 0;
	struct str first = str_cut(&rest, '\n');

	binding(first, rest.p != NULL ? rest : STR(""));
	struct str id = first, type = rest.p != NULL ? str_cut(&rest, '\f') : STR(""), contact = rest.p != NULL ? str_cut(&rest, '\f') : STR("");

	message(id, type, contact, rest.p != NULL ? rest : STR(""));
	return 0;
}
