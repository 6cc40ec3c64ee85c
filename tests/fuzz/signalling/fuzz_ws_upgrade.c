/* The upgrade request: any bytes; an accepted one has valid identity and lies within the input. */
#include <stdlib.h>

#include "common/user.h"
#include "signalling/ws_handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct ws_upgrade up;
	unsigned status = 0;
	struct buf out = buf_growing(4096);
	enum err e = ws_upgrade_parse(str_of(p, len), &up, &status);

	if (e == ERR_OK && (!user_name_valid(up.user) || up.len > len || up.session.len != 32 || status != 101))
		abort();
	if (e != ERR_AGAIN) {
		ws_upgrade_reply(&out, status, e == ERR_OK ? up.key : STR_NONE);
		if (out.overflow || (e == ERR_OK) != (status == 101))
			abort();
	}
	buf_fini(&out);
	return 0;
}
