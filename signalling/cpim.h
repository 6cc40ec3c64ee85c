/* Message/CPIM (RFC 3862) with the headers of IMDN (RFC 5438): the wrapping in which a chat message asks for receipts, and in which they come
 * back. Only what a proxy must know of it; nothing is changed on its way. */
#ifndef DUPLEX_SIGNALLING_CPIM_H
#define DUPLEX_SIGNALLING_CPIM_H

#include "common/str.h"

/* Slices borrow from the body. */
struct cpim {
	struct str from, to;     /* values, as they are: name-addr */
	struct str message_id;   /* imdn.Message-ID, or empty */
	struct str content_type; /* of the content, with parameters */
	struct str content;
};

/* RFC 3862 §2: headers, an empty line, MIME headers with a Content-type, an empty line, the content. ERR_INVALID for anything else, also for a second
 * From, To or Message-ID, and for a NUL or a bare CR or LF before the content. Header names are compared as the RFC has it, case and all. */
enum err cpim_parse(struct str body, struct cpim *out);

#endif
