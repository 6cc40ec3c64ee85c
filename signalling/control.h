/* The control socket of a worker, for administrators (duplexctl signal): control.signal.W.sock of the run directory, HTTP and JSON. Its threads
 * hand each request to the loop and wait for it; so what they answer is one moment of the worker.
 *
 *   GET    /status                                  the worker, its load, its counts
 *   GET    /stats                                   every counter that is not 0
 *   GET    /registrations[?user=]                   bindings of its connections
 *   GET    /calls[?user=][&id=]                     calls that it owns
 *   GET    /connections[?user=][&limit=]            connections and what is left of their budgets
 *   POST   /trace?user=|call=[&seconds=]            starts a trace (409 if there is one): `call` is our id of a live call, or a Call-ID
 *   GET    /trace                                   what it has so far
 *   DELETE /trace                                   ends it */
#ifndef DUPLEX_SIGNALLING_CONTROL_H
#define DUPLEX_SIGNALLING_CONTROL_H

#include "common/err.h"

struct control;
struct worker;

/* `path` is borrowed for the call. ERR_IO, ERR_NO_MEMORY. */
enum err control_start(struct worker *w, const char *path, struct control **out);
/* From the loop's thread; who waits is answered 503. NULL is fine. */
void control_stop(struct control *c);

#endif
