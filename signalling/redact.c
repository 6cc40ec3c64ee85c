#include "signalling/redact.h"

#include "common/str.h"

#define MASK '*'

static void mask(char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != '\r' && p[i] != '\n')
			p[i] = MASK;
	}
}

/* The line at `at` with its line end. */
static size_t line_length(const char *text, size_t len, size_t at)
{
	const char *end = memchr(text + at, '\n', len - at);

	return end != NULL ? (size_t)(end - text) + 1 - at : len - at;
}

static bool secret_header(struct str name)
{
	static const char *const names[] = { "Authorization", "Proxy-Authorization", "Cookie" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_ieq(name, str_from(names[i])))
			return true;
	}
	return name.len >= 9 && str_ieq(str_sub(name, 0, 9), STR("X-Duplex-"));
}

static bool secret_attribute(struct str line)
{
	return str_starts(line, STR("a=ice-pwd:")) || str_starts(line, STR("a=crypto:")) || str_starts(line, STR("k="));
}

/* Bodies that tell how a call is made, not what people say. */
static bool technical(struct str type)
{
	static const char *const types[] = { "application/sdp", "application/pidf+xml", "application/rlmi+xml", "multipart/related", "message/sipfrag",
					     "application/simple-message-summary" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t n = strlen(types[i]);

		if (type.len >= n && str_ieq(str_sub(type, 0, n), str_from(types[i])))
			return true;
	}
	return false;
}

void sip_redact(char *text, size_t len)
{
	struct str type = STR_NONE;
	bool secret = false;
	size_t at = 0;

	/* Headers; a line that starts with a blank goes on with the one before (RFC 3261 §7.3.1). */
	while (at < len) {
		size_t n = line_length(text, len, at);
		struct str line = str_of(text + at, n);
		size_t colon = str_find(line, ':');

		if (str_trim(line).len == 0) {
			at += n;
			break;
		}
		if (line.p[0] != ' ' && line.p[0] != '\t') {
			struct str name = str_trim(str_sub(line, 0, colon));

			secret = colon < line.len && secret_header(name);
			if (str_ieq(name, STR("Content-Type")) || str_ieq(name, STR("c")))
				type = str_trim(str_sub(line, colon + 1, line.len));
			if (secret)
				mask(text + at + colon + 1, n - colon - 1);
		} else if (secret) {
			mask(text + at, n);
		}
		at += n;
	}
	if (!technical(type)) {
		mask(text + at, len - at);
		return;
	}
	while (at < len) {
		size_t n = line_length(text, len, at);

		if (secret_attribute(str_of(text + at, n)))
			mask(text + at + 2, n - 2);
		at += n;
	}
}
