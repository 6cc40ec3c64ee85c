/* Between the files of the control socket. */
#ifndef DUPLEX_RELAY_CONTROL_INT_H
#define DUPLEX_RELAY_CONTROL_INT_H

#include "common/httpd.h"
#include "relay/control.h"

struct control {
	struct relay *relay;  /* borrowed */
	struct httpd *httpd;  /* owned */
	atomic_bool stop;     /* long answers end */
};

/* Routes. */
void control_allocations(struct httpd_call *c, void *user);
void control_top(struct httpd_call *c, void *user);
void control_end(struct httpd_call *c, void *user);
void control_capture(struct httpd_call *c, void *user);

/* A refusal: `text` says in one sentence why. */
void control_refuse(struct httpd_call *c, unsigned status, const char *text);

/* "192.0.2.1:50000", "[2001:db8::1]:50000", or a port alone, which stands for all of our addresses. False if it is none of these. */
struct relayed_name {
	struct addr addr;
	bool any;      /* of the addresses */
	uint16_t port; /* host order */
};
bool control_relayed(struct str text, struct relayed_name *out);
bool relayed_name_fits(const struct relayed_name *n, const struct alloc *a);

#endif
