/* Huge pages that the kernel has reserved and nobody uses. */
#ifndef DUPLEX_RELAY_HUGEPAGES_H
#define DUPLEX_RELAY_HUGEPAGES_H

#include "common/base.h"

/* Of all sizes together, in MB. `root` stands before /sys; "" but for tests. */
uint64_t hugepages_free_mb(const char *root);

#endif
