/* What the control socket of a worker answers; each in the loop's thread. See control.h. */
#ifndef DUPLEX_SIGNALLING_CONTROL_SHOW_H
#define DUPLEX_SIGNALLING_CONTROL_SHOW_H

#include "common/httpd.h"

struct worker;

typedef void (*control_fn)(struct worker *w, struct httpd_call *c);

/* {"error": text}; `text` is a literal. */
void control_error(struct httpd_call *c, unsigned status, const char *text);

void control_status(struct worker *w, struct httpd_call *c);
void control_stats(struct worker *w, struct httpd_call *c);
void control_registrations(struct worker *w, struct httpd_call *c);
void control_calls(struct worker *w, struct httpd_call *c);
void control_connections(struct worker *w, struct httpd_call *c);
void control_trace_start(struct worker *w, struct httpd_call *c);
void control_trace_get(struct worker *w, struct httpd_call *c);
void control_trace_end(struct worker *w, struct httpd_call *c);

#endif
