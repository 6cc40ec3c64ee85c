/* Connections as administrators see them (control.h): JSON objects, one a connection. */
#ifndef DUPLEX_SIGNALLING_CONN_SHOW_H
#define DUPLEX_SIGNALLING_CONN_SHOW_H

#include "common/buf.h"

struct conn;
struct conns;

/* {"total":N,"items":[…]} of `user` (empty: of all), at most `limit` of them. */
void conns_show(const struct conns *cs, struct str user, size_t limit, struct buf *out);
/* "address":…,"transport":… of a connection; what is not known is left empty. `c` may be NULL: gone. */
void conn_show_where(const struct conn *c, struct buf *out);

#endif
