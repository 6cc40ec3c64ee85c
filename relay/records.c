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

static void fill(struct media_record *m, const struct alloc *a)
{
	m->username_len = a->username_len;
	memcpy(m->username, a->username, a->username_len);
	m->sent[MEDIA_AUDIO] = media_report(&a->to_peer.audio, MEDIA_AUDIO);
	m->sent[MEDIA_VIDEO] = media_report(&a->video_to_peer, MEDIA_VIDEO);
	m->received[MEDIA_AUDIO] = media_report(&a->to_client.audio, MEDIA_AUDIO);
	m->received[MEDIA_VIDEO] = media_report(&a->video_to_client, MEDIA_VIDEO);
	m->one_way = media_one_way(&a->to_peer.audio, &a->to_client.audio);
}

static bool has_media(const struct alloc *a)
{
	return media_get(&a->to_peer.audio.packets) + media_get(&a->to_client.audio.packets) + media_get(&a->video_to_peer.packets) +
		       media_get(&a->video_to_client.packets) > 0;
}

void records_put(struct records *r, const struct alloc *a)
{
	struct turn_cred cred;

	if (!has_media(a) || turn_cred_parse(alloc_username(a), 0, &cred) != ERR_OK || cred.call.len == 0)
		return;
	spin_lock(&r->lock);
	if (r->count == RECORDS_MAX) {
		r->first = (r->first + 1) % RECORDS_MAX;
		r->count--;
		atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
	}
	fill(&r->at[(r->first + r->count++) % RECORDS_MAX], a);
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
