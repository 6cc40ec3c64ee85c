#include "relay/drain.h"

#include <stdlib.h>

#include "common/clock.h"
#include "relay/relay.h"

#define DEFAULT_PORT 3478u

static enum err one_alternate(struct str word, struct stun_addr *out)
{
	struct str host = word, port = STR_NONE;
	struct cidr single;
	uint64_t number = DEFAULT_PORT;

	if (word.p[0] == '[') {
		host = str_sub(word, 1, str_find(word, ']') - 1);
		port = str_sub(word, host.len + 2, word.len);
		if (host.len + 2 > word.len || (port.len > 0 && port.p[0] != ':'))
			return ERR_INVALID;
		port = str_sub(port, 1, port.len);
	} else if (str_find(word, '.') < str_find(word, ':')) {
		port = word;
		host = str_cut(&port, ':');
	}
	if (addr_parse_cidr(host, &single) != ERR_OK || single.bits != 128 || str_find(host, '/') < host.len)
		return ERR_INVALID;
	if (port.len > 0 && (str_to_u64(port, UINT16_MAX, &number) != ERR_OK || number == 0))
		return ERR_INVALID;
	*out = addr_to_stun(&single.net, (uint16_t)number);
	return ERR_OK;
}

enum err alternates_parse(const char *text, struct alternates *out, struct str *bad)
{
	struct alternates all = { .count = 0 };

	for (;;) {
		text += strspn(text, " \t,");
		*bad = str_of(text, strcspn(text, " \t,"));
		if (bad->len == 0)
			break;
		if (all.count == ALTERNATES_MAX)
			return ERR_TOO_LARGE;
		if (one_alternate(*bad, &all.at[all.count++]) != ERR_OK)
			return ERR_INVALID;
		text += bad->len;
	}
	*out = all;
	return ERR_OK;
}

const struct stun_addr *alternates_pick(const struct alternates *a, const struct addr *client)
{
	enum stun_family family = addr_is_v4(client) ? STUN_IPV4 : STUN_IPV6;
	unsigned fitting = 0;

	for (unsigned i = 0; i < a->count; i++)
		fitting += a->at[i].family == family;
	if (fitting == 0)
		return NULL;
	unsigned turn = stun_crc32(client, sizeof(*client)) % fitting;
	for (unsigned i = 0; i < a->count; i++) {
		if (a->at[i].family == family && turn-- == 0)
			return &a->at[i];
	}
	return NULL;
}

enum err relay_set_drain(struct relay *r, const struct drain *d)
{
	struct drain *fresh = NULL;

	if (d->mode == DRAIN_REDIRECT && d->to.count == 0)
		return ERR_INVALID;
	if (d->mode != DRAIN_OFF) {
		fresh = malloc(sizeof(*fresh));
		if (fresh == NULL)
			return ERR_NO_MEMORY;
		*fresh = *d;
	}
	(void)pthread_mutex_lock(&r->control);
	const struct drain *old = atomic_exchange(&r->drain, fresh);
	if (old != NULL)
		rcu_wait(r->rcu);
	free((struct drain *)(uintptr_t)old);
	(void)pthread_mutex_unlock(&r->control);
	return ERR_OK;
}

enum err relay_drain_as_configured(struct relay *r, uint64_t mono_ms)
{
	struct drain d = { .deadline_ms = 0 };

	(void)pthread_mutex_lock(&r->control);
	const struct policy *p = atomic_load(&r->policy);
	d.mode = p->drain_to.count > 0 ? DRAIN_REDIRECT : DRAIN_REFUSE;
	d.to = p->drain_to;
	if (p->drain_time_s > 0)
		d.deadline_ms = mono_ms + p->drain_time_s * (uint64_t)MS_PER_S;
	(void)pthread_mutex_unlock(&r->control);
	return relay_set_drain(r, &d);
}

bool relay_draining(const struct relay *r)
{
	return atomic_load(&r->drain) != NULL;
}

bool relay_drained(struct relay *r, uint64_t mono_ms)
{
	(void)pthread_mutex_lock(&r->control);
	const struct drain *d = atomic_load(&r->drain);
	bool over = d != NULL && (table_count(r->table) == 0 || (d->deadline_ms != 0 && mono_ms >= d->deadline_ms));
	(void)pthread_mutex_unlock(&r->control);
	return over;
}
