/* What a trace or a capture server must not see: masked in place, so that lengths stay right. */
#ifndef DUPLEX_SIGNALLING_REDACT_H
#define DUPLEX_SIGNALLING_REDACT_H

#include <stddef.h>

/* Masks in a SIP message: the values of Authorization, Proxy-Authorization, Cookie and our own X-Duplex headers; passwords and keys of SDP
 * (a=ice-pwd, a=crypto, k=); and what people write to each other (any body that is neither SDP nor of a kind the server itself makes). Any bytes
 * will do. */
void sip_redact(char *text, size_t len);

#endif
