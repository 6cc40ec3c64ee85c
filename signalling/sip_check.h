/* Sanity rules for requests, each named by the section it comes from. What the parser has not refused but a proxy must
 * not pass on. */
#ifndef DUPLEX_SIGNALLING_SIP_CHECK_H
#define DUPLEX_SIGNALLING_SIP_CHECK_H

#include "signalling/sip_msg.h"

/* The first rule that `m` (a parsed request) breaks: ERR_INVALID, with the answer in *why and whole header lines that
 * the answer needs (Unsupported: …, Accept-Encoding: …) appended to `headers`. */
enum err sip_check_request(const struct sip_msg *m, struct sip_refusal *why, struct buf *headers);
/* A response is dropped if this is not ERR_OK: its topmost Via, From and To must parse (§18.1.2, §8.1.3.3). */
enum err sip_check_response(const struct sip_msg *m);

#endif
