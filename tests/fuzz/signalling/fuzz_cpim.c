/* CPIM: what is taken lies inside its text and holds no line end before the content. */
#include <stdlib.h>

#include "signalling/cpim.h"

static void inside(struct str part, struct str whole)
{
	if (part.len > 0 && (part.p < whole.p || part.p + part.len > whole.p + whole.len))
		abort();
}

static void one_line(struct str part)
{
	for (size_t i = 0; i < part.len; i++)
		if (part.p[i] == '\r' || part.p[i] == '\n' || part.p[i] == '\0')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct cpim c;

	if (cpim_parse(in, &c) != ERR_OK)
		return 0;
	const struct str lines[] = { c.from, c.to, c.message_id, c.content_type };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		inside(lines[i], in);
		one_line(lines[i]);
	}
	inside(c.content, in);
	if (c.from.len == 0 || c.to.len == 0 || c.content_type.len == 0)
		abort();
	return 0;
}
