#include "signalling/stream_frame.h"

#include "signalling/sip_msg.h"

enum err stream_frame(struct str in, size_t max, struct frame *out)
{
	size_t skip = 0, len = 0;

	*out = (struct frame){ FRAME_MORE, 0 };
	if (str_starts(in, STR("\r\n"))) {
		if (str_starts(in, STR("\r\n\r\n")))
			*out = (struct frame){ FRAME_PING, 4 };
		else if (in.len > 3 || (in.len == 3 && in.p[2] != '\r'))
			*out = (struct frame){ FRAME_PONG, 2 };
		return ERR_OK;
	}
	enum err e = sip_msg_measure(in, &skip, &len);
	if (e != ERR_OK)
		return e;
	if (len > max || (len == 0 && in.len > max))
		return ERR_TOO_LARGE;
	if (len > 0)
		*out = (struct frame){ FRAME_MESSAGE, len };
	return ERR_OK;
}
