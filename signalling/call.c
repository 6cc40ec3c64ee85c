/* See call.h. The table of calls, and what each knows of its two ends. What is written when something happens is
 * call_record.c. */
#include "signalling/call_int.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "signalling/sip_build.h"
#include "signalling/sip_uri.h"

static uint64_t hash_of(const struct calls *cs, struct str s)
{
	uint64_t h = cs->seed;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ull;
	return (h ^ h >> 29) * 0x9e3779b97f4a7c15ull >> 16;
}

static struct list *bucket_of(struct calls *cs, struct list *table, struct str key)
{
	return &table[hash_of(cs, key) & (CALLS_BUCKETS - 1)];
}

static char *dup_str(struct str s)
{
	char *z = malloc(s.len + 1);

	if (z != NULL) {
		if (s.len > 0)
			memcpy(z, s.p, s.len);
		z[s.len] = '\0';
	}
	return z;
}

/* Too long to be one of ours: as if it were not there. */
static void keep(char *to, size_t size, struct str s)
{
	if (str_copy(s, to, size) != ERR_OK)
		to[0] = '\0';
}

/* A header value on one line. */
static char *dup_value(struct str s)
{
	char *z = dup_str(s);

	for (char *p = z; p != NULL && *p != '\0'; p++)
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	return z;
}

enum err calls_new(const struct proxy_host *ops, void *host, struct timers *timers, struct str worker, size_t max,
		   struct calls **out)
{
	struct calls *cs = calloc(1, sizeof(*cs));

	if (cs == NULL)
		return ERR_NO_MEMORY;
	cs->ops = ops;
	cs->host = host;
	cs->timers = timers;
	cs->worker = worker;
	cs->max = max;
	crypto_random(&cs->seed, sizeof(cs->seed));
	for (size_t i = 0; i < CALLS_BUCKETS; i++) {
		list_init(&cs->by_call_id[i]);
		list_init(&cs->by_user[i]);
	}
	timer_init(&cs->lease, call_lease_due);
	*out = cs;
	return ERR_OK;
}

void calls_free(struct calls *cs)
{
	if (cs == NULL)
		return;
	timer_stop(cs->timers, &cs->lease);
	free(cs);
}

const struct calls_stats *calls_stats(const struct calls *cs)
{
	return &cs->stats;
}

size_t calls_count(const struct calls *cs)
{
	return cs->count;
}

struct timers *calls_timers(struct calls *cs)
{
	return cs->timers;
}

/* Contact, tag and Session-ID of the side that sent `m`. */
static enum err learn_party(struct call_party *p, const struct sip_msg *m, struct str tag)
{
	struct sip_addr contact;
	struct sip_session_id id;
	struct sip_uri uri;
	struct str instance;

	if (sip_msg_addr(m, SIP_H_CONTACT, &contact) == ERR_OK) {
		char *z = dup_str(contact.uri);

		if (z == NULL)
			return ERR_NO_MEMORY;
		free(p->contact);
		p->contact = z;
		if (p->instance[0] == '\0' && sip_uri_parse(contact.uri, &uri) == ERR_OK &&
		    sip_uri_gruu(&uri, &instance))
			keep(p->instance, sizeof(p->instance), instance);
	}
	if (p->tag == NULL || tag.p != p->tag) {
		char *t = dup_str(tag);

		if (t == NULL)
			return ERR_NO_MEMORY;
		free(p->tag);
		p->tag = t;
	}
	if (sip_msg_session_id(m, &id) == ERR_OK)
		keep(p->uuid, sizeof(p->uuid), id.local);
	return ERR_OK;
}

static void free_call(struct call *c)
{
	timer_stop(c->calls->timers, &c->audit);
	for (size_t i = 0; i < 2; i++) {
		list_remove(&c->party[i].by_user);
		free(c->party[i].contact);
		free(c->party[i].tag);
	}
	list_remove(&c->by_call_id);
	free(c->call_id);
	free(c->from);
	free(c->to);
	free(c);
}

static void init_party(struct call *c, enum call_side side, struct str user)
{
	struct call_party *p = &c->party[side];

	p->call = c;
	keep(p->user, sizeof(p->user), user);
	list_init(&p->by_user);
}

enum err call_new(struct calls *cs, const struct sip_msg *m, struct str caller, struct str callee,
		  const struct origin *from, struct call **out)
{
	struct sip_addr addr;
	uint8_t id[CALL_ID_LEN / 2];

	/* Those that have ended wait for their transactions, which have a limit of their own. */
	if (cs->count - cs->stats.now[CALL_ENDED] >= cs->max)
		return ERR_FULL;
	if (sip_msg_addr(m, SIP_H_FROM, &addr) != ERR_OK)
		return ERR_INVALID;
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NO_MEMORY;
	c->calls = cs;
	list_init(&c->by_call_id);
	timer_init(&c->audit, NULL);
	init_party(c, CALL_CALLER, caller);
	init_party(c, CALL_CALLEE, callee);
	c->call_id = dup_str(m->call_id);
	c->from = dup_value(sip_msg_value(m, SIP_H_FROM));
	c->to = dup_value(sip_msg_value(m, SIP_H_TO));
	if (c->call_id == NULL || c->from == NULL || c->to == NULL ||
	    learn_party(&c->party[CALL_CALLER], m, addr.tag) != ERR_OK) {
		free_call(c);
		return ERR_NO_MEMORY;
	}
	crypto_random(id, sizeof(id));
	struct buf b = buf_fixed(c->id, CALL_ID_LEN);

	hex_put(&b, id, sizeof(id));
	keep(c->party[CALL_CALLER].session, sizeof(c->party[CALL_CALLER].session), from->session);
	c->party[CALL_CALLER].flow = from->flow;
	c->party[CALL_CALLER].phone = from->phone;
	if (c->party[CALL_CALLER].instance[0] == '\0')
		keep(c->party[CALL_CALLER].instance, sizeof(c->party[CALL_CALLER].instance), from->instance);
	c->party[CALL_CALLER].cseq = c->invite_cseq = m->cseq;
	c->video = sip_body_has_video(m);
	c->started_ms = call_wall_ms(cs);
	list_append(bucket_of(cs, cs->by_call_id, m->call_id), &c->by_call_id);
	for (size_t i = 0; i < 2; i++)
		list_append(bucket_of(cs, cs->by_user, str_from(c->party[i].user)), &c->party[i].by_user);
	cs->count++;
	cs->stats.now[CALL_TRYING]++;
	cs->stats.started++;
	*out = c;
	return ERR_OK;
}

void call_free_if_done(struct call *c)
{
	if (c->state != CALL_ENDED || c->server != NULL || c->fork != NULL || c->holds > 0)
		return;
	c->calls->count--;
	c->calls->stats.now[CALL_ENDED]--;
	free_call(c);
}

enum err call_target_refresh(struct call *c, enum call_side side, const struct sip_msg *m)
{
	struct call_party *p = &c->party[side];

	return learn_party(p, m, str_from(p->tag));
}

enum err call_answered(struct call *c, const struct sip_msg *m, const struct fork_target *from, struct str session)
{
	struct call_party *callee = &c->party[CALL_CALLEE];
	struct sip_addr to;

	if (sip_msg_addr(m, SIP_H_TO, &to) != ERR_OK)
		return ERR_INVALID;
	char *value = dup_value(sip_msg_value(m, SIP_H_TO));

	if (value == NULL || learn_party(callee, m, to.tag) != ERR_OK) {
		free(value);
		return ERR_NO_MEMORY;
	}
	free(c->to);
	c->to = value;
	keep(callee->instance, sizeof(callee->instance), from->instance);
	keep(callee->session, sizeof(callee->session), session);
	callee->flow = from->flow;
	call_record_answered(c);
	return ERR_OK;
}

static bool tag_is(const struct call_party *p, struct str tag)
{
	return p->tag != NULL && str_eq(str_from(p->tag), tag);
}

struct call *calls_find(struct calls *cs, const struct sip_msg *m, enum call_side *sender)
{
	struct list *head = bucket_of(cs, cs->by_call_id, m->call_id), *it, *tmp;
	struct sip_addr from, to;

	if (sip_msg_addr(m, SIP_H_FROM, &from) != ERR_OK || sip_msg_addr(m, SIP_H_TO, &to) != ERR_OK)
		return NULL;
	LIST_FOR_EACH (it, tmp, head) {
		struct call *c = CONTAINER_OF(it, struct call, by_call_id);

		if (c->state == CALL_ENDED || !str_eq(str_from(c->call_id), m->call_id))
			continue;
		for (unsigned side = 0; side < 2; side++) {
			if (!tag_is(&c->party[side], from.tag) || !tag_is(&c->party[1 - side], to.tag))
				continue;
			*sender = (enum call_side)side;
			return c;
		}
	}
	return NULL;
}

struct call *calls_by_tags(struct calls *cs, struct str call_id, struct str to, struct str from, enum call_side *side)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, bucket_of(cs, cs->by_call_id, call_id)) {
		struct call *c = CONTAINER_OF(it, struct call, by_call_id);

		if (c->state != CALL_ANSWERED || !str_eq(str_from(c->call_id), call_id))
			continue;
		for (unsigned s = 0; s < 2; s++) {
			if (!tag_is(&c->party[s], to) || !tag_is(&c->party[1 - s], from))
				continue;
			*side = (enum call_side)s;
			return c;
		}
	}
	return NULL;
}

bool calls_merged(struct calls *cs, const struct sip_msg *m)
{
	struct list *it, *tmp;
	struct sip_addr from;

	if (sip_msg_addr(m, SIP_H_FROM, &from) != ERR_OK)
		return false;
	LIST_FOR_EACH (it, tmp, bucket_of(cs, cs->by_call_id, m->call_id)) {
		const struct call *c = CONTAINER_OF(it, struct call, by_call_id);

		if (c->state != CALL_ENDED && str_eq(str_from(c->call_id), m->call_id) && c->invite_cseq == m->cseq &&
		    tag_is(&c->party[CALL_CALLER], from.tag))
			return true;
	}
	return false;
}

bool calls_early(struct calls *cs, const struct sip_msg *m)
{
	struct list *head = bucket_of(cs, cs->by_call_id, m->call_id), *it, *tmp;
	struct sip_addr from, to;

	if (sip_msg_addr(m, SIP_H_FROM, &from) != ERR_OK || sip_msg_addr(m, SIP_H_TO, &to) != ERR_OK)
		return false;
	LIST_FOR_EACH (it, tmp, head) {
		const struct call *c = CONTAINER_OF(it, struct call, by_call_id);
		const struct call_party *caller = &c->party[CALL_CALLER];

		if (c->state < CALL_ANSWERED && str_eq(str_from(c->call_id), m->call_id) &&
		    (tag_is(caller, from.tag) || tag_is(caller, to.tag)))
			return true;
	}
	return false;
}

/* A walk over all: for an administrator's request and at the end. An empty `id` is any. */
struct call *calls_by_id(struct calls *cs, struct str id)
{
	struct list *it, *tmp;

	for (size_t i = 0; i < CALLS_BUCKETS; i++) {
		LIST_FOR_EACH (it, tmp, &cs->by_call_id[i]) {
			struct call *c = CONTAINER_OF(it, struct call, by_call_id);

			if (c->state != CALL_ENDED && (id.len == 0 || str_eq(str_from(c->id), id)))
				return c;
		}
	}
	return NULL;
}

void calls_each(struct calls *cs, void (*fn)(struct call *c, void *arg), void *arg)
{
	struct list *it, *tmp;

	for (size_t i = 0; i < CALLS_BUCKETS; i++) {
		LIST_FOR_EACH (it, tmp, &cs->by_call_id[i])
			fn(CONTAINER_OF(it, struct call, by_call_id), arg);
	}
}

struct call *calls_any(struct calls *cs)
{
	return calls_by_id(cs, STR_NONE);
}

struct call *calls_of_user(struct calls *cs, struct str user, struct call *after, enum call_side *side)
{
	struct list *head = bucket_of(cs, cs->by_user, user), *it;

	it = after == NULL ? head->next : after->party[*side].by_user.next;
	for (; it != head; it = it->next) {
		struct call_party *p = CONTAINER_OF(it, struct call_party, by_user);

		if (p->call->state == CALL_ENDED || !str_eq(str_from(p->user), user))
			continue;
		*side = p == &p->call->party[CALL_CALLER] ? CALL_CALLER : CALL_CALLEE;
		return p->call;
	}
	return NULL;
}

size_t calls_user_count(struct calls *cs, struct str user)
{
	enum call_side side;
	size_t n = 0;

	for (struct call *c = calls_of_user(cs, user, NULL, &side); c != NULL; c = calls_of_user(cs, user, c, &side))
		n++;
	return n;
}

static enum err put_request(struct call *c, enum sip_method method, uint32_t cseq, enum call_side to, struct str via,
			    struct str reason, struct buf *out)
{
	const struct call_party *target = &c->party[to];
	const struct call_party *sender = &c->party[call_other(to)];
	char line[512];
	struct buf headers = buf_fixed(line, sizeof(line));

	if (target->contact == NULL || target->tag == NULL || c->party[call_other(to)].tag == NULL)
		return ERR_CONFLICT;
	if (reason.len > 0)
		buf_printf(&headers, "Reason: %.*s\r\n", STR_FMT(reason));
	/* RFC 7989 §6: as the side would have sent it in whose name we speak. */
	if (sender->uuid[0] != '\0' || target->uuid[0] != '\0')
		buf_printf(&headers, "Session-ID: %s;remote=%s\r\n", sender->uuid[0] != '\0' ? sender->uuid : SIP_SESSION_NIL,
			   target->uuid[0] != '\0' ? target->uuid : SIP_SESSION_NIL);
	struct sip_request r = {
		.method = method,
		.uri = str_from(target->contact),
		.via = via,
		.from = str_from(to == CALL_CALLEE ? c->from : c->to),
		.to = str_from(to == CALL_CALLEE ? c->to : c->from),
		.call_id = str_from(c->call_id),
		.cseq = cseq,
		.headers = headers.overflow ? STR_NONE : buf_view(&headers),
	};
	return sip_request_put(out, &r);
}

enum err call_bye_put(struct call *c, enum call_side to, struct str via, struct str reason, struct buf *out)
{
	return put_request(c, SIP_BYE, ++c->party[call_other(to)].cseq, to, via, reason, out);
}

enum err call_ack_put(struct call *c, struct str via, struct buf *out)
{
	return put_request(c, SIP_ACK, c->invite_cseq, CALL_CALLEE, via, STR_NONE, out);
}
