/* UTF-8 (RFC 3629), strictly, and the two things we ask of human names: are they printable, and how do they compare. */
#ifndef DUPLEX_API_UTF8_H
#define DUPLEX_API_UTF8_H

#include "common/buf.h"

/* Cuts one code point off the front of *s. ERR_INVALID: overlong, surrogate, above U+10FFFF or cut short; *s is
 * then unchanged. */
enum err utf8_next(struct str *s, uint32_t *cp);
void utf8_put(struct buf *to, uint32_t cp);
/* Code points in valid UTF-8; SIZE_MAX if it is not valid. */
size_t utf8_length(struct str s);
/* Neither control, format, bidirectional override, private use, nor invisible. ZERO WIDTH JOINER and NON-JOINER
 * are allowed: scripts and emoji need them. */
bool utf8_printable(uint32_t cp);
/* Combining marks: some are needed, many in a row deface the page. */
bool utf8_mark(uint32_t cp);
bool utf8_blank(uint32_t cp);
/* Simple lower case, as Unicode has it, whatever the locale of the process. Invalid bytes are left out. */
void utf8_fold(struct str s, struct buf *to);

#endif
