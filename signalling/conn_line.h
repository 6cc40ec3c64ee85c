/* Connections that are a user on a phone's link: see edge.h. */
#ifndef DUPLEX_SIGNALLING_CONN_LINE_H
#define DUPLEX_SIGNALLING_CONN_LINE_H

#include "common/perm.h"
#include "signalling/conn.h"

struct line;
struct link;

/* Who has logged in. Slices are copied. */
struct login {
	struct str user, session;  /* of a device: "d-ID" */
	struct str revision;       /* of the user's record that `perms` come from */
	perm_set perms;
	struct str sha256, md5;    /* HA1 of the device; empty for a token */
};

/* A line of `l`, open at once. ERR_FULL: too many connections, of the user or at all. */
enum err conn_line_open(struct conns *cs, struct link *l, const struct login *who, struct conn **out);
/* The connection is being freed: its link is told. NULL is fine. */
void conn_line_free(struct line *line);
/* The device that has registered on it; does nothing to a WebSocket. */
void conn_line_registered(struct conn *c, struct str instance);
/* Whether the link of a registered device is a datagram's or a stream's. */
bool conn_line_datagrams(const struct conn *c);

#endif
