#include "signalling/reg_binding.h"
#include "signalling/sip_uri.h"

#define KIND_VIDEO 1u
#define KIND_PHONE 2u

void stored_field_put(struct buf *to, const struct stored *s)
{
	buf_str(to, s->instance);
	buf_char(to, ';');
	buf_u64(to, s->reg_id);
}

void stored_value_put(struct buf *to, const struct stored *s)
{
	buf_str(to, s->token);
	buf_char(to, '\n');
	buf_u64(to, s->expires_ms);
	buf_char(to, '\n');
	buf_u64(to, s->cseq);
	buf_char(to, '\n');
	buf_u64(to, s->updated_ms);
	buf_char(to, '\n');
	buf_u64(to, (s->video ? KIND_VIDEO : 0u) + (s->phone ? KIND_PHONE : 0u));
	buf_char(to, '\n');
	buf_str(to, s->session);
	buf_char(to, '\n');
	buf_str(to, s->call_id);
	buf_char(to, '\n');
	buf_str(to, s->contact);
}

static enum err number(struct str text, uint64_t max, uint64_t *out)
{
	return str_to_u64(text, max, out);
}

enum err stored_get(struct str field, struct str value, struct stored *out)
{
	struct stored s;
	uint64_t reg_id, cseq, kind;
	size_t semicolon = field.len;

	/* The instance itself may hold a semicolon: the last one counts. */
	while (semicolon > 0 && field.p[semicolon - 1] != ';')
		semicolon--;
	if (semicolon == 0 || number(str_sub(field, semicolon, field.len), UINT32_MAX, &reg_id) != ERR_OK)
		return ERR_INVALID;
	s.instance = str_sub(field, 0, semicolon - 1);
	s.token = str_cut(&value, '\n');
	if (number(str_cut(&value, '\n'), UINT64_MAX, &s.expires_ms) != ERR_OK ||
	    number(str_cut(&value, '\n'), UINT32_MAX, &cseq) != ERR_OK ||
	    number(str_cut(&value, '\n'), UINT64_MAX, &s.updated_ms) != ERR_OK || number(str_cut(&value, '\n'), KIND_VIDEO + KIND_PHONE, &kind) != ERR_OK)
		return ERR_INVALID;
	s.session = str_cut(&value, '\n');
	s.call_id = str_cut(&value, '\n');
	s.contact = value;
	if (s.instance.len == 0 || s.contact.len == 0)
		return ERR_INVALID;
	s.reg_id = (uint32_t)reg_id;
	s.cseq = (uint32_t)cseq;
	s.video = (kind & KIND_VIDEO) != 0;
	s.phone = (kind & KIND_PHONE) != 0;
	*out = s;
	return ERR_OK;
}

enum err stored_at_flow(const struct stored *s, const struct flow *flow, struct binding *out)
{
	struct binding b = { .reg_id = s->reg_id, .flow = *flow, .expires_ms = s->expires_ms, .updated_ms = s->updated_ms, .video = s->video,
			     .phone = s->phone };
	struct sip_uri u;

	/* It becomes a Request-URI: it must be one, and that has no headers (RFC 3261 §19.1.1, §16.6 step 2), so a device that
	 * registers some is called without them. */
	if (sip_uri_parse(s->contact, &u) != ERR_OK)
		return ERR_INVALID;
	if (str_copy(s->instance, b.instance, sizeof(b.instance)) != ERR_OK ||
	    str_copy(str_sub(s->contact, 0, s->contact.len - u.headers.len), b.contact, sizeof(b.contact)) != ERR_OK)
		return ERR_INVALID;
	*out = b;
	return ERR_OK;
}

enum err stored_to_binding(const struct stored *s, const uint8_t key[FLOW_KEY_LEN], struct binding *out)
{
	struct flow flow;

	return flow_token_get(s->token, key, &flow) == ERR_OK ? stored_at_flow(s, &flow, out) : ERR_INVALID;
}
