/* SIP, SIPS and other URIs as slices (RFC 3261 §19.1, §25.1), GRUU (RFC 5627). Strict: a URI that does not parse is
 * refused, never half used. */
#ifndef DUPLEX_SIGNALLING_SIP_URI_H
#define DUPLEX_SIGNALLING_SIP_URI_H

#include "common/buf.h"

#define SIP_URI_MAX 1024u

enum sip_scheme { SIP_SCHEME_SIP, SIP_SCHEME_SIPS, SIP_SCHEME_TEL, SIP_SCHEME_OTHER };

/* Slices borrow from the text that was parsed. */
struct sip_uri {
	struct str text; /* the whole URI */
	enum sip_scheme scheme;
	struct str user; /* before '@', without password; escapes as they are; empty if none */
	struct str password;
	struct str host;    /* IPv6 with brackets; empty unless sip/sips */
	uint16_t port;      /* 0 = none */
	struct str params;  /* from the first ';' */
	struct str headers; /* from '?' */
	bool has_user;
};

/* ERR_INVALID, or ERR_TOO_LARGE above SIP_URI_MAX. A scheme that we do not know is OK with scheme OTHER (the rules
 * answer 416). */
enum err sip_uri_parse(struct str text, struct sip_uri *out);

/* A URI parameter, name case-insensitive; a flag has an empty value. */
bool sip_uri_param(const struct sip_uri *u, struct str name, struct str *value);

/* §19.1.4: equal as SIP URIs (scheme, user case-sensitive with escapes undone, host case-insensitive, the parameters
 * that count). */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);

/* The user part with %HH undone and without ";parameters", if it is a valid user name of ours at `domain` (host equal,
 * any scheme sip or sips, port none or any). ERR_NOT_FOUND for another host, ERR_INVALID for a name that is not ours.
 * The name is written with a NUL. */
enum err sip_uri_user_name(const struct sip_uri *u, struct str domain, char *name, size_t size);

/* The value of the "gr" parameter (RFC 5627 §5); false if the URI is no GRUU. Empty for a bare ";gr". */
bool sip_uri_gruu(const struct sip_uri *u, struct str *instance);

#endif
