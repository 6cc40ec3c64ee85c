/* Events of other processes (common/events.h), read from Redis streams on a connection of its own and carried out here. */
#ifndef DUPLEX_SIGNALLING_EVENT_H
#define DUPLEX_SIGNALLING_EVENT_H

#include "common/err.h"

struct worker;
struct events;

/* Starts reading, behind the newest event there is. ERR_NO_MEMORY, or that of the connection. */
enum err events_new(struct worker *w, struct events **out);
/* No event is carried out after this. NULL is fine. */
void events_free(struct events *ev);

#endif
