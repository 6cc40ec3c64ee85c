/* Between the files of `duplexctl relay`. */
#ifndef DUPLEX_API_CTL_RELAY_H
#define DUPLEX_API_CTL_RELAY_H

#include <jansson.h>

/* A relay's answer as a table for people. */
void relay_print_status(const json_t *answer);
void relay_print_list(const json_t *answer);
void relay_print_top(const json_t *answer);
void relay_print_ended(const json_t *answer);

#endif
