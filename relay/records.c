#include "relay/records.h"

#include <stdlib.h>

struct records *records_new(void)
{
	struct records *r = calloc(1, sizeof(*r));

	if (r != NULL)
		spin_init(&r->lock);
	return r;
}

void records_free(struct records *r)
{
	free(r);
}

static void add(struct media_summary *m, const struct alloc *a)
{
	m->sent[MEDIA_AUDIO] = media_sum(m->sent[MEDIA_AUDIO], media_report(&a->to_peer.audio, MEDIA_AUDIO));
	m->sent[MEDIA_VIDEO] = media_sum(m->sent[MEDIA_VIDEO], media_report(&a->video_to_peer, MEDIA_VIDEO));
	m->received[MEDIA_AUDIO] = media_sum(m->received[MEDIA_AUDIO], media_report(&a->to_client.audio, MEDIA_AUDIO));
	m->received[MEDIA_VIDEO] = media_sum(m->received[MEDIA_VIDEO], media_report(&a->video_to_client, MEDIA_VIDEO));
}

struct media_summary media_summary(const struct alloc *a, const struct alloc *other)
{
	struct media_summary m = { 0 };

	add(&m, a);
	if (other != NULL)
		add(&m, other);
	m.one_way = media_one_way(m.sent[MEDIA_AUDIO].packets, m.received[MEDIA_AUDIO].packets);
	return m;
}

bool media_any(const struct media_summary *m)
{
	return m->sent[MEDIA_AUDIO].packets + m->sent[MEDIA_VIDEO].packets + m->received[MEDIA_AUDIO].packets + m->received[MEDIA_VIDEO].packets > 0;
}

void records_put(struct records *r, const struct alloc *a, const struct alloc *other)
{
	struct media_summary m = media_summary(a, other);
	struct turn_cred cred;

	if (!media_any(&m) || turn_cred_parse(alloc_username(a), 0, &cred) != ERR_OK || cred.call.len == 0)
		return;
	spin_lock(&r->lock);
	if (r->count == RECORDS_MAX) {
		r->first = (r->first + 1) % RECORDS_MAX;
		r->count--;
		atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
	}
	struct media_record *record = &r->at[(r->first + r->count++) % RECORDS_MAX];
	record->username_len = a->username_len;
	memcpy(record->username, a->username, a->username_len);
	record->media = m;
	spin_unlock(&r->lock);
}

bool records_take(struct records *r, struct media_record *out)
{
	bool any;

	spin_lock(&r->lock);
	any = r->count > 0;
	if (any) {
		*out = r->at[r->first];
		r->first = (r->first + 1) % RECORDS_MAX;
		r->count--;
	}
	spin_unlock(&r->lock);
	return any;
}
