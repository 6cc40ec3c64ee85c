/* Redaction reads any bytes, changes none but to the mask, and none of the line ends; a second time changes nothing. */
#include <stdlib.h>

#include "common/str.h"
#include "signalling/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	char *once = malloc(len + 1), *twice = malloc(len + 1);

	if (once != NULL && twice != NULL && len > 0) {
		memcpy(once, p, len);
		sip_redact(once, len);
		for (size_t i = 0; i < len; i++)
			if (once[i] != (char)p[i] && (once[i] != '*' || p[i] == '\r' || p[i] == '\n'))
				abort();
		memcpy(twice, once, len);
		sip_redact(twice, len);
		if (memcmp(once, twice, len) != 0)
			abort();
	}
	free(once);
	free(twice);
	return 0;
}
