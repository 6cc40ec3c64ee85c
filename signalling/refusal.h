/* Why a handler refuses a request: what the checks of REGISTER, SUBSCRIBE and MESSAGE hand to the one place that counts and answers. */
#ifndef DUPLEX_SIGNALLING_REFUSAL_H
#define DUPLEX_SIGNALLING_REFUSAL_H

#include "common/err.h"
#include "common/str.h"
#include "signalling/metrics.h"

#define REFUSAL_HEADERS_MAX 63u

struct refusal {
	unsigned status;
	const char *phrase;   /* static; NULL: the usual one */
	enum reject reason;   /* what it is counted as */
	char headers[REFUSAL_HEADERS_MAX + 1]; /* whole lines, or empty */
};

/* Always ERR_INVALID, so that a check ends with `return refuse(…)`. Headers that are too long are left out. */
static inline enum err refuse(struct refusal *why, unsigned status, const char *phrase, struct str headers, enum reject reason)
{
	*why = (struct refusal){ .status = status, .phrase = phrase, .reason = reason };
	(void)(str_copy(headers, why->headers, sizeof(why->headers)) == ERR_OK);
	return ERR_INVALID;
}

#endif
