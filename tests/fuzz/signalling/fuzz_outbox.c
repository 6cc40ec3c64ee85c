/* The file of an outbox, as a crash or somebody's editor may leave it: every record that is read is written back as it was. */
#include <stdlib.h>

#include "signalling/outbox_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	char *copy = malloc(len + 1);
	struct outbox_record r, again;

	if (copy == NULL)
		return 0;
	memcpy(copy, p, len);
	struct str rest = str_of(copy, len);
	while (outbox_record_get(&rest, &r) == ERR_OK) {
		struct buf b = buf_growing(1u << 22);

		outbox_record_put(&b, &r);
		struct str back = buf_view(&b);
		if (b.overflow || outbox_record_get(&back, &again) != ERR_OK || back.len != 0 || again.made_ms != r.made_ms || again.count != r.count)
			abort();
		for (size_t i = 0; i < r.count; i++)
			if (!str_eq(r.word[i], again.word[i]))
				abort();
		buf_fini(&b);
	}
	free(copy);
	return 0;
}
