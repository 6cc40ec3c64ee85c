/* The line that workers put into messages for each other; see peer.h. */
#include "signalling/peer.h"
#include "signalling/sip_msg.h"

#define LINE "X-Duplex-Peer: "

static const char *const verbs[] = { [PEER_PLAIN] = " - ", [PEER_TO_FLOW] = " to ", [PEER_FROM_FLOW] = " from ", [PEER_HELLO] = " hello " };

static bool with_flow(enum peer_kind kind)
{
	return kind == PEER_TO_FLOW || kind == PEER_FROM_FLOW;
}

enum err peer_wrap(struct buf *to, struct str message, struct str sender, enum peer_kind kind, const struct flow *flow,
		   const uint8_t key[FLOW_KEY_LEN])
{
	size_t start = str_find(message, '\n') + 1;
	const char *end = message.len > 0 ? memmem(message.p, message.len, "\r\n\r\n", 4) : NULL;
	size_t skip, len;

	if (start > message.len || end == NULL)
		return ERR_INVALID;
	buf_str(to, str_sub(message, 0, start));
	buf_z(to, LINE);
	buf_str(to, sender);
	buf_z(to, verbs[kind]);
	if (with_flow(kind))
		flow_token_put(to, flow, key);
	else
		buf_char(to, '-');
	buf_z(to, "\r\n");
	if (sip_msg_measure(message, &skip, &len) != ERR_OK)
		buf_printf(to, "Content-Length: %zu\r\n", message.len - (size_t)(end + 4 - message.p));
	buf_str(to, str_sub(message, start, message.len));
	return buf_err(to);
}

enum err peer_unwrap(char *p, size_t len, const uint8_t key[FLOW_KEY_LEN], struct peer_envelope *env, struct str *message)
{
	struct str all = { p, len };
	size_t start = str_find(all, '\n') + 1;
	struct str rest = str_sub(all, start, len);
	size_t line_end = str_find(rest, '\n');

	if (!str_starts(rest, STR(LINE)) || line_end == rest.len || line_end == 0 || rest.p[line_end - 1] != '\r')
		return ERR_INVALID;
	struct str words = str_sub(rest, sizeof(LINE) - 1, line_end - 1 - (sizeof(LINE) - 1));
	struct peer_envelope e = { .sender = str_cut(&words, ' ') };
	struct str verb = str_cut(&words, ' ');
	struct str token = words;

	if (str_eq(verb, STR("to")))
		e.kind = PEER_TO_FLOW;
	else if (str_eq(verb, STR("from")))
		e.kind = PEER_FROM_FLOW;
	else if (str_eq(verb, STR("hello")))
		e.kind = PEER_HELLO;
	else if (!str_eq(verb, STR("-")))
		return ERR_INVALID;
	if (!with_flow(e.kind) && !str_eq(token, STR("-")))
		return ERR_INVALID;
	if (e.sender.len == 0 || e.sender.len > WORKER_NAME_MAX)
		return ERR_INVALID;
	if (with_flow(e.kind) && flow_token_get(token, key, &e.flow) != ERR_OK)
		return ERR_INVALID;

	/* The start line moves up to the headers; the sender's name moves in front of it, where it stays readable. */
	size_t gap = line_end + 1;
	char name[WORKER_NAME_MAX];
	memcpy(name, e.sender.p, e.sender.len);
	memmove(p + gap, p, start);
	memcpy(p, name, e.sender.len);
	e.sender.p = p;
	*env = e;
	*message = str_of(p + gap, len - gap);
	return ERR_OK;
}
