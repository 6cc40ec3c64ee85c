/* The only place that asks the system for the time. Everything else gets `now` passed down: it is read once per loop turn or burst,
 * and tests move it by hand. */
#ifndef DUPLEX_COMMON_CLOCK_H
#define DUPLEX_COMMON_CLOCK_H

#include <stdint.h>

#define MS_PER_S 1000u
#define NS_PER_MS 1000000u

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t clock_mono_ms(void);
/* Microseconds of CLOCK_MONOTONIC, for measurements. */
uint64_t clock_mono_us(void);
/* Milliseconds since 1970 (wall clock): only for expiry of credentials, records and logs. */
uint64_t clock_wall_ms(void);
/* Microseconds since 1970, for what compares with the captures of others. */
uint64_t clock_wall_us(void);

#endif
