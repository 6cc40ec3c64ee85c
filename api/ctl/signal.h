/* Between the files of `duplexctl signal`. */
#ifndef DUPLEX_API_CTL_SIGNAL_H
#define DUPLEX_API_CTL_SIGNAL_H

#include <jansson.h>
#include <stdio.h>

#include "common/base.h"

/* What all workers of this machine answered, for people: an array of {"worker": "0", "answer": …}. */
void signal_print_status(const json_t *all);
void signal_print_registrations(const json_t *all);
void signal_print_calls(const json_t *all);
void signal_print_connections(const json_t *all);
void signal_print_stats(const json_t *all);

/* The messages of a trace as a ladder: time from left to right would be long, so it goes down; a column for the server in the middle of those
 * for its clients. `full`: the text of each message below. */
void ladder_print(FILE *to, const json_t *all, bool full);

#endif
