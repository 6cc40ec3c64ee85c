#include "signalling/ws_handshake.h"

#include "common/crypto.h"
#include "common/user.h"

#define SESSION_ID_LEN 32u
#define REVISION_MAX 20u
#define HEADERS_MAX 100u

enum field {
	F_HOST, F_UPGRADE, F_CONNECTION, F_VERSION, F_KEY, F_PROTOCOL, F_CONTENT_LENGTH, F_TRANSFER,
	F_USER, F_SESSION, F_PERMISSIONS, F_ADDRESS, F_REVISION, F_COUNT
};

static const struct {
	const char *name;
	bool list; /* may come in several lines; a token of any of them counts */
} fields[F_COUNT] = {
	[F_HOST] = { "Host", false },
	[F_UPGRADE] = { "Upgrade", true },
	[F_CONNECTION] = { "Connection", true },
	[F_VERSION] = { "Sec-WebSocket-Version", false },
	[F_KEY] = { "Sec-WebSocket-Key", false },
	[F_PROTOCOL] = { "Sec-WebSocket-Protocol", true },
	[F_CONTENT_LENGTH] = { "Content-Length", false },
	[F_TRANSFER] = { "Transfer-Encoding", false },
	[F_USER] = { "X-Duplex-User", false },
	[F_SESSION] = { "X-Duplex-Session", false },
	[F_PERMISSIONS] = { "X-Duplex-Permissions", false },
	[F_ADDRESS] = { "X-Duplex-Address", false },
	[F_REVISION] = { "X-Duplex-Revision", false },
};

struct head {
	struct str value[F_COUNT]; /* p == NULL: absent */
	bool has_upgrade, has_connection, has_protocol;
};

static bool token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool list_has(struct str value, struct str token, bool ignore_case)
{
	while (value.p != NULL) {
		struct str one = str_trim(str_cut(&value, ','));

		if (ignore_case ? str_ieq(one, token) : str_eq(one, token))
			return true;
	}
	return false;
}

/* One "Name: value" without CRLF. ERR_INVALID for bad bytes, a blank before the colon, a fold, or a second one of what may come once. */
static enum err take_line(struct head *h, struct str line)
{
	size_t colon = str_find(line, ':');

	if (colon == 0 || colon == line.len)
		return ERR_INVALID;
	struct str name = str_sub(line, 0, colon), value = str_sub(line, colon + 1, line.len);
	for (size_t i = 0; i < name.len; i++) {
		if (!token_char((unsigned char)name.p[i]))
			return ERR_INVALID;
	}
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return ERR_INVALID;
	}
	value = str_trim(value);
	for (size_t f = 0; f < F_COUNT; f++) {
		if (!str_ieq(name, str_from(fields[f].name)))
			continue;
		if (h->value[f].p != NULL && !fields[f].list)
			return ERR_INVALID;
		h->value[f] = value;
	}
	if (str_ieq(name, STR("Upgrade")))
		h->has_upgrade |= list_has(value, STR("websocket"), true);
	else if (str_ieq(name, STR("Connection")))
		h->has_connection |= list_has(value, STR("upgrade"), true);
	else if (str_ieq(name, STR("Sec-WebSocket-Protocol")))
		h->has_protocol |= list_has(value, STR("sip"), false);
	return ERR_OK;
}

static unsigned check_request_line(struct str line)
{
	struct str method = str_cut(&line, ' ');

	if (line.p == NULL)
		return 400;
	if (!str_eq(method, STR("GET")))
		return 405;
	struct str target = str_cut(&line, ' ');
	if (line.p == NULL || !str_eq(line, STR("HTTP/1.1")))
		return 400;
	/* The query may hold a ticket, which the API has used up by now. */
	return str_eq(str_sub(target, 0, str_find(target, '?')), STR("/sip")) ? 101 : 404;
}

static bool key_valid(struct str key)
{
	/* 16 bytes in base64: 22 digits and "==" (RFC 6455 §4.1). */
	if (key.len != 24 || key.p[22] != '=' || key.p[23] != '=')
		return false;
	for (size_t i = 0; i < 22; i++) {
		char c = key.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
			return false;
	}
	return true;
}

static bool session_valid(struct str id)
{
	if (id.len != SESSION_ID_LEN)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f')))
			return false;
	}
	return true;
}

static unsigned check_head(const struct head *h)
{
	const struct str *v = h->value;

	/* No body, not even an empty one: whoever sends one decides how long the request takes. */
	if (v[F_HOST].p == NULL || v[F_TRANSFER].p != NULL || v[F_CONTENT_LENGTH].p != NULL)
		return 400;
	if (!h->has_upgrade || !h->has_connection || !str_eq(v[F_VERSION], STR("13")))
		return 426;
	if (!key_valid(v[F_KEY]) || !h->has_protocol)
		return 400;
	if (!user_name_valid(v[F_USER]) || !session_valid(v[F_SESSION]) || v[F_ADDRESS].len == 0 || v[F_ADDRESS].len > 45 ||
	    v[F_REVISION].len > REVISION_MAX)
		return 403;
	return 101;
}

enum err ws_upgrade_parse(struct str in, struct ws_upgrade *out, unsigned *status)
{
	struct str limited = str_sub(in, 0, WS_UPGRADE_MAX);
	const char *end = limited.p != NULL ? memmem(limited.p, limited.len, "\r\n\r\n", 4) : NULL;
	struct head h = { 0 };
	unsigned lines = 0, answer = 101;

	if (end == NULL) {
		*status = 431;
		return in.len >= WS_UPGRADE_MAX ? ERR_INVALID : ERR_AGAIN;
	}
	struct str rest = str_of(in.p, (size_t)(end - in.p));
	size_t len = rest.len + 4;
	for (; rest.p != NULL && answer == 101; lines++) {
		struct str line = str_cut(&rest, '\n');

		/* Only the last line has lost its CR together with the end mark. */
		if (rest.p != NULL && (line.len == 0 || line.p[--line.len] != '\r'))
			answer = 400;
		else if (lines == 0)
			answer = check_request_line(line);
		else if (lines > HEADERS_MAX || take_line(&h, line) != ERR_OK)
			answer = 400;
	}
	if (answer == 101)
		answer = check_head(&h);
	*status = answer;
	if (answer != 101)
		return ERR_INVALID;
	*out = (struct ws_upgrade){ .key = h.value[F_KEY], .user = h.value[F_USER], .session = h.value[F_SESSION],
				    .permissions = h.value[F_PERMISSIONS], .address = h.value[F_ADDRESS],
				    .revision = h.value[F_REVISION], .len = len };
	return ERR_OK;
}

static const char *reason_of(unsigned status)
{
	switch (status) {
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 426: return "Upgrade Required";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable";
	default: return "Internal Server Error";
	}
}

static void accept_put(struct buf *to, struct str key)
{
	char text[64];
	struct buf b = buf_fixed(text, sizeof(text));
	uint8_t sum[SHA1_LEN];

	buf_str(&b, key);
	buf_z(&b, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455 §1.3 */
	crypto_sha1(buf_view(&b), sum);
	base64_put(to, sum, sizeof(sum));
}

void ws_upgrade_reply(struct buf *to, unsigned status, struct str key)
{
	if (status == 101) {
		buf_z(to, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			  "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Accept: ");
		accept_put(to, key);
		buf_z(to, "\r\n\r\n");
		return;
	}
	buf_printf(to, "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Length: 0\r\n", status, reason_of(status));
	if (status == 405)
		buf_z(to, "Allow: GET\r\n");
	if (status == 426)
		buf_z(to, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
	if (status == 503)
		buf_z(to, "Retry-After: 5\r\n");
	buf_z(to, "\r\n");
}
