#include "relay/stream_queue.h"

#include <stdlib.h>
#include <string.h>

struct queued {
	struct queued *next, *prev; /* in the queue */
	struct queued *newer;       /* of its kind */
	uint64_t ms;                /* when it came */
	uint32_t len;
	uint8_t kind;
	bool pinned;                /* begun or promised: must be written, is in no list of its kind */
	uint8_t bytes[];
};

static void charge(struct stream_queue *q, const struct queued *m, int sign)
{
	uint64_t memory = sizeof(*m) + m->len;

	q->bytes += sign > 0 ? m->len : -m->len;
	if (m->kind == STREAM_CONTROL)
		q->control_bytes += sign > 0 ? m->len : -m->len;
	if (q->all_bytes != NULL)
		*q->all_bytes += sign > 0 ? memory : -memory;
}

static void unlink_kind(struct stream_queue *q, struct queued *m)
{
	assert(q->oldest[m->kind] == m);
	q->oldest[m->kind] = m->newer;
	if (m->newer == NULL)
		q->newest[m->kind] = NULL;
}

/* Takes out and frees. What is not pinned must be the oldest of its kind. */
static void take_out(struct stream_queue *q, struct queued *m)
{
	if (!m->pinned)
		unlink_kind(q, m);
	if (m->prev != NULL)
		m->prev->next = m->next;
	else
		q->first = m->next;
	if (m->next != NULL)
		m->next->prev = m->prev;
	else
		q->last = m->prev;
	charge(q, m, -1);
	free(m);
}

static void append(struct stream_queue *q, struct queued *m)
{
	m->prev = q->last;
	if (q->last != NULL)
		q->last->next = m;
	else
		q->first = m;
	q->last = m;
	if (q->newest[m->kind] != NULL)
		q->newest[m->kind]->newer = m;
	else
		q->oldest[m->kind] = m;
	q->newest[m->kind] = m;
	charge(q, m, 1);
}

static bool fits(const struct stream_queue *q, const struct stream_limits *l, uint32_t len)
{
	return q->bytes + len <= l->bytes && (q->all_bytes == NULL || *q->all_bytes + sizeof(struct queued) + len <= l->all_bytes);
}

/* Gives up older media no more precious than `kind` until `len` bytes fit. */
static bool make_room(struct stream_queue *q, const struct stream_limits *l, enum stream_kind kind, uint32_t len,
		      struct stream_dropped *dropped)
{
	for (unsigned k = STREAM_VIDEO; k >= (unsigned)kind && k > STREAM_CONTROL; k--) {
		while (!fits(q, l, len) && q->oldest[k] != NULL) {
			take_out(q, q->oldest[k]);
			dropped->full++;
		}
	}
	return fits(q, l, len);
}

bool stream_queue_add(struct stream_queue *q, const struct stream_limits *l, enum stream_kind kind, const void *p, uint32_t len,
		      uint32_t padding, uint64_t now_ms, struct stream_dropped *dropped)
{
	uint32_t total = len + padding;

	stream_queue_age(q, l, now_ms, dropped);
	if (kind != STREAM_CONTROL && !fits(q, l, total) && !make_room(q, l, kind, total, dropped)) {
		dropped->full++;
		return true;
	}
	struct queued *m = malloc(sizeof(*m) + total);
	if (m == NULL) {
		dropped->full += kind != STREAM_CONTROL;
		return false;
	}
	*m = (struct queued){ .ms = now_ms, .len = total, .kind = (uint8_t)kind };
	memcpy(m->bytes, p, len);
	memset(m->bytes + len, 0, padding);
	append(q, m);
	return true;
}

void stream_queue_age(struct stream_queue *q, const struct stream_limits *l, uint64_t now_ms, struct stream_dropped *dropped)
{
	for (unsigned k = STREAM_CONTROL + 1; k < STREAM_KINDS; k++) {
		uint32_t most_ms = k == STREAM_VIDEO ? l->media_ms / 2 : l->media_ms;

		while (q->oldest[k] != NULL && now_ms - q->oldest[k]->ms > most_ms) {
			take_out(q, q->oldest[k]);
			dropped->late++;
		}
	}
}

unsigned stream_queue_peek(const struct stream_queue *q, struct iovec *out, unsigned max, uint32_t bytes)
{
	uint32_t skip = q->begun;
	unsigned n = 0;

	for (struct queued *m = q->first; m != NULL && n < max && bytes > 0; m = m->next) {
		uint32_t len = MIN(m->len - skip, bytes);

		out[n++] = (struct iovec){ m->bytes + skip, len };
		bytes -= len;
		skip = 0;
	}
	return n;
}

unsigned stream_queue_written(struct stream_queue *q, uint32_t bytes, uint32_t promised)
{
	unsigned complete = 0;

	while (q->first != NULL && bytes >= q->first->len - q->begun) {
		bytes -= q->first->len - q->begun;
		q->begun = 0;
		take_out(q, q->first);
		complete++;
	}
	q->begun += bytes;
	/* The part of the first that is written counts as promised, too. */
	uint32_t held = q->begun + promised;
	for (struct queued *m = q->first; m != NULL && held > 0; m = m->next) {
		if (!m->pinned) {
			unlink_kind(q, m);
			m->pinned = true;
		}
		held -= MIN(held, m->len);
	}
	return complete;
}

void stream_queue_clear(struct stream_queue *q)
{
	while (q->first != NULL)
		take_out(q, q->first);
	q->begun = 0;
}
