/* The framer over any bytes, cut into pieces as they come: the same messages are found however the bytes arrive, each
 * lies inside what there is, and nothing is found behind a BAD. The first byte of the input steers the cutting. */
#include "relay/stream_frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

struct found {
	size_t messages, skipped, at;
	bool bad;
};

/* All that can be found in the first `have` bytes, going on from where *f stands. */
static void run(const uint8_t *p, size_t have, struct found *f)
{
	while (!f->bad && f->at <= have) {
		struct stream_piece piece = { 0 };
		enum stream_cut cut = stream_cut(p + f->at, have - f->at, &piece);

		if (cut == STREAM_CUT_BAD) {
			f->bad = true;
			return;
		}
		must(piece.len >= 4 && piece.total >= piece.len && piece.total - piece.len < 4);
		if (cut == STREAM_CUT_MORE) {
			must(piece.total <= STREAM_MESSAGE_MAX + 3 || have - f->at < 8);
			return;
		}
		if (cut == STREAM_CUT_SKIP) {
			must(piece.len > STREAM_MESSAGE_MAX && piece.total <= 20 + 0x10000);
			f->skipped++;
		} else {
			must(piece.len <= STREAM_MESSAGE_MAX && piece.total <= have - f->at);
			must((cut == STREAM_CUT_STUN) == (p[f->at] <= 3));
			f->messages++;
		}
		f->at += piece.total;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found whole = { 0 }, pieces = { 0 };

	if (size < 1)
		return 0;
	unsigned step = data[0] % 17 + 1;
	data++;
	size--;
	run(data, size, &whole);
	for (size_t have = 0; have < size; have += MIN(step, size - have))
		run(data, have, &pieces);
	run(data, size, &pieces);
	must(whole.messages == pieces.messages && whole.skipped == pieces.skipped && whole.at == pieces.at && whole.bad == pieces.bad);
	(void)stream_foreign(data, size);
	return 0;
}
