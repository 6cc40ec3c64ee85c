/* Named counters from one X-list: the list gives the enum, the names and the number, so that a reason cannot exist without a counter.
 *
 *   #define DROPS(X) X(DROP_SHORT, "short", "shorter than its header") …
 *   COUNTER_ENUM(drop, DROPS, DROP_COUNT)          in the header: enum drop { …, DROP_COUNT }
 *   COUNTER_NAMES(drop_names, DROPS)               in one .c: const struct counter_name drop_names[]
 */
#ifndef DUPLEX_COMMON_COUNTER_H
#define DUPLEX_COMMON_COUNTER_H

#include "common/base.h"

struct counter_name {
	const char *name; /* label value, lower-case with underscores */
	const char *help;
};

#define COUNTER_ENUM_ITEM(id, name, help) id,
#define COUNTER_NAME_ITEM(id, name, help) [id] = { name, help },
#define COUNTER_ENUM(tag, LIST, count) enum tag { LIST(COUNTER_ENUM_ITEM) count }
#define COUNTER_NAMES(var, LIST) const struct counter_name var[] = { LIST(COUNTER_NAME_ITEM) }

#endif
