/* The transaction table: making, matching and ending transactions (RFC 3261 §17.1.3, §17.2.3). Owner: the worker's
 * thread. The machines are txn_fsm.c. */
#include <stdlib.h>

#include "common/crypto.h"
#include "signalling/sip_build.h"
#include "signalling/txn_fsm.h"

COUNTER_NAMES(txn_counter_names, TXN_COUNTERS);

#define BUCKETS_MIN 256u
#define BUCKETS_MAX 65536u

static bool is_client(enum txn_kind k)
{
	return k == TXN_INVITE_CLIENT || k == TXN_CLIENT;
}

/* Eight bytes a step: byte by byte it was a tenth of the cost of a MESSAGE. The finaliser of MurmurHash3 mixes each step through all 64 bits, so that the
 * seed decides every bit. */
static uint64_t mix(uint64_t h, struct str s)
{
	uint64_t word;
	size_t i = 0;

	for (; i < s.len; i += 8) {
		word = 0;
		memcpy(&word, s.p + i, MIN(s.len - i, sizeof(word)));
		h = (h ^ word) * 0xff51afd7ed558ccdull;
		h ^= h >> 33;
	}
	return (h ^ s.len) * 0xc4ceb9fe1a85ec53ull;
}

/* Clients choose their branches, so the seed is secret. */
static uint64_t hash_of(const struct txn_layer *l, struct str branch, struct str method, bool client)
{
	return mix(mix(l->seed ^ (client ? 1 : 0), branch), method) >> 16;
}

static struct list *bucket_of(const struct txn_layer *l, uint64_t hash)
{
	return &l->bucket[hash & (l->buckets - 1)];
}

static struct list *flow_bucket_of(const struct txn_layer *l, const struct flow *f)
{
	return &l->flow_bucket[mix(l->seed + f->slot, str_from(f->worker)) & (l->buckets - 1)];
}

/* ACK belongs to the INVITE it acknowledges (§17.2.3). */
static struct str key_method(const struct sip_msg *m)
{
	return m->method == SIP_ACK ? STR("INVITE") : m->method_text;
}

static void free_txn(struct txn *t)
{
	free(t->request);
	free(t->response);
	free(t);
}

static void sweep(struct timer *timer, UNUSED uint64_t now)
{
	struct txn_layer *l = CONTAINER_OF(timer, struct txn_layer, sweep);

	while (!list_empty(&l->dead)) {
		struct txn *t = CONTAINER_OF(l->dead.next, struct txn, by_key);

		list_remove(&t->by_key);
		free_txn(t);
	}
}

enum err txn_layer_new(struct timers *timers, const struct txn_ops *ops, void *host, struct str sent_by,
		       const struct txn_times *times, size_t max, size_t per_flow, struct txn_layer **out)
{
	struct txn_layer *l = calloc(1, sizeof(*l));
	size_t n = BUCKETS_MIN;

	while (n < max && n < BUCKETS_MAX)
		n *= 2;
	struct list *lists = calloc(2 * n, sizeof(*lists));

	if (l == NULL || lists == NULL) {
		free(l);
		free(lists);
		return ERR_NO_MEMORY;
	}
	for (size_t i = 0; i < 2 * n; i++)
		list_init(&lists[i]);
	*l = (struct txn_layer){ .timers = timers,
				 .ops = ops,
				 .host = host,
				 .sent_by = sent_by,
				 .times = *times,
				 .max = max,
				 .per_flow = per_flow,
				 .buckets = n,
				 .bucket = lists,
				 .flow_bucket = lists + n };
	crypto_random(&l->seed, sizeof(l->seed));
	crypto_random(&l->branch_salt, sizeof(l->branch_salt));
	timer_init(&l->sweep, sweep);
	list_init(&l->dead);
	*out = l;
	return ERR_OK;
}

void txn_layer_free(struct txn_layer *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->buckets; i++)
		while (!list_empty(&l->bucket[i]))
			txn_finish(CONTAINER_OF(l->bucket[i].next, struct txn, by_key));
	timer_stop(l->timers, &l->sweep);
	sweep(&l->sweep, 0);
	free(l->bucket);
	free(l);
}

void txn_via_put(struct txn_layer *l, struct buf *out)
{
	uint64_t random;

	/* Unguessable, so that a response proves that its sender saw the request; the counter makes it unique for sure.
	 */
	crypto_random(&random, sizeof(random));
	buf_printf(out, "SIP/2.0/WSS %.*s;branch=" SIP_BRANCH_COOKIE "%016llx%llx.%llx", STR_FMT(l->sent_by),
		   (unsigned long long)random, (unsigned long long)(l->branch_salt & 0xffffffffu),
		   (unsigned long long)++l->branch_count);
}

/* How many there may be for one more of this method. What ends something must get through when everything else is refused, or
 * an overload would keep itself up: for BYE a quarter is kept free; a CANCEL belongs to an INVITE, and of those there are only so many. */
static size_t room_for(enum sip_method method, size_t max)
{
	return method == SIP_CANCEL ? SIZE_MAX : method == SIP_BYE ? max + max / 4 : max;
}

/* What one client keeps us busy with (its chain also holds a few others' by chance of the hash). Those that have their final answer only linger, which
 * is none of the client's doing, and are at the end of the chain (txn_answered): they neither count nor are they walked past. */
static bool flow_full(const struct txn_layer *l, const struct flow *flow, size_t max)
{
	const struct list *head = flow_bucket_of(l, flow);
	size_t n = 0;

	for (const struct list *it = head->next; it != head; it = it->next) {
		const struct txn *t = CONTAINER_OF(it, const struct txn, by_flow);

		if (timer_armed(&t->linger))
			break;
		if (!is_client(t->kind) && flow_eq(&t->flow, flow) && ++n >= max)
			return true;
	}
	return false;
}

static enum err new_txn(struct txn_layer *l, enum txn_kind kind, const struct flow *flow, const struct sip_msg *request,
			const struct txn_user *user, void *ctx, struct txn **out)
{
	struct sip_via via;

	if (l->count >= room_for(request->method, l->max) ||
	    (!is_client(kind) && flow_full(l, flow, room_for(request->method, l->per_flow)))) {
		l->counter[TXN_C_FULL]++;
		return ERR_BUSY;
	}
	struct txn *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ERR_NO_MEMORY;
	t->request = sip_msg_copy(request);
	if (t->request == NULL || sip_msg_via(t->request, &via) != ERR_OK) {
		enum err e = t->request == NULL ? ERR_NO_MEMORY : ERR_INVALID;

		free_txn(t);
		return e;
	}
	t->layer = l;
	t->kind = kind;
	t->flow = *flow;
	t->user = user;
	t->ctx = ctx;
	t->branch = via.branch;
	t->host = via.host;
	t->port = via.port;
	t->reliable = l->ops->reliable(l->host, flow);
	t->hash = hash_of(l, t->branch, key_method(t->request), is_client(kind));
	list_append(bucket_of(l, t->hash), &t->by_key);
	list_append(flow_bucket_of(l, flow)->next, &t->by_flow); /* in front, see flow_full */
	l->count++;
	l->by_kind[kind]++;
	l->counter[is_client(kind) ? TXN_C_CLIENT : TXN_C_SERVER]++;
	if (!is_client(kind))
		account_open(&l->account, &t->mark, request->method);
	txn_fsm_start(t);
	*out = t;
	return ERR_OK;
}

void txn_answered(struct txn *t)
{
	list_remove(&t->by_flow);
	list_append(flow_bucket_of(t->layer, &t->flow), &t->by_flow);
}

void txn_finish(struct txn *t)
{
	struct txn_layer *l = t->layer;

	if (t->finished)
		return;
	t->finished = true;
	t->state = TXN_S_TERMINATED;
	timer_stop(l->timers, &t->resend);
	timer_stop(l->timers, &t->timeout);
	timer_stop(l->timers, &t->linger);
	list_remove(&t->by_key);
	list_remove(&t->by_flow);
	l->count--;
	l->by_kind[t->kind]--;
	if (!is_client(t->kind))
		account_finished(&l->account, &t->mark, t->status);
	if (t->user->ended != NULL)
		t->user->ended(t);
	/* Callers further up the stack may still look at it. */
	list_append(&l->dead, &t->by_key);
	if (!timer_armed(&l->sweep))
		timer_arm(l->timers, &l->sweep, 1);
}

static const struct txn_user nobody;

enum err txn_client_new(struct txn_layer *l, const struct flow *flow, struct str request, const struct txn_user *user,
			void *ctx, struct txn **out)
{
	struct txn *t = NULL;
	struct sip_msg m;
	struct sip_refusal why;
	enum err e = sip_msg_parse(request, &m, &why);

	if (e == ERR_OK)
		e = new_txn(l, m.method == SIP_INVITE ? TXN_INVITE_CLIENT : TXN_CLIENT, flow, &m, user, ctx, &t);
	if (e != ERR_OK)
		return e;
	e = l->ops->send(l->host, flow, t->request->raw);
	if (e != ERR_OK) {
		l->counter[TXN_C_TRANSPORT]++;
		t->user = &nobody;
		txn_finish(t);
		return e;
	}
	account_sent(&l->account);
	*out = t;
	return ERR_OK;
}

/* The server transaction that this request belongs to, or NULL. */
static struct txn *find_server(const struct txn_layer *l, const struct flow *flow, const struct sip_msg *m,
			       struct str method)
{
	struct sip_via via;

	if (sip_msg_via(m, &via) != ERR_OK)
		return NULL;
	uint64_t hash = hash_of(l, via.branch, method, false);
	struct list *head = bucket_of(l, hash), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		struct txn *t = CONTAINER_OF(it, struct txn, by_key);

		if (t->hash == hash && !is_client(t->kind) && str_eq(t->branch, via.branch) && t->port == via.port &&
		    str_ieq(t->host, via.host) && str_eq(key_method(t->request), method) && flow_eq(&t->flow, flow))
			return t;
	}
	return NULL;
}

enum err txn_server_new(struct txn_layer *l, const struct flow *flow, const struct sip_msg *request,
			const struct txn_user *user, void *ctx, struct txn **out)
{
	if (find_server(l, flow, request, key_method(request)) != NULL)
		return ERR_EXISTS;
	return new_txn(l, request->method == SIP_INVITE ? TXN_INVITE_SERVER : TXN_SERVER, flow, request, user, ctx,
		       out);
}

static enum txn_event event_of(unsigned status)
{
	return status < 200 ? TXN_E_1XX : status < 300 ? TXN_E_2XX : TXN_E_FINAL;
}

enum err txn_respond(struct txn *t, struct str response)
{
	uint64_t status;

	/* "SIP/2.0 NNN " */
	if (is_client(t->kind) || str_to_u64(str_sub(response, 8, 3), 699, &status) != ERR_OK)
		return ERR_INVALID;
	if (t->state == TXN_S_TERMINATED)
		return ERR_CONFLICT;
	unsigned before = t->status;

	t->status = (unsigned)status;
	enum err e = txn_fsm_event(t, event_of(t->status), NULL, response);

	if (e == ERR_CONFLICT)
		t->status = before;
	return e;
}

static enum txn_match receive_response(struct txn_layer *l, const struct sip_msg *m)
{
	struct sip_via via;
	struct list *it, *tmp;

	if (sip_msg_via(m, &via) != ERR_OK)
		return TXN_STRAY_RESPONSE;
	uint64_t hash = hash_of(l, via.branch, m->method_text, true);

	LIST_FOR_EACH (it, tmp, bucket_of(l, hash)) {
		struct txn *t = CONTAINER_OF(it, struct txn, by_key);

		if (t->hash != hash || !is_client(t->kind) || !str_eq(t->branch, via.branch) ||
		    !str_eq(t->request->method_text, m->method_text))
			continue;
		/* A response that means nothing any more (1xx after a final one) is absorbed as well. */
		(void)txn_fsm_event(t, event_of(m->status), m, STR_NONE);
		return TXN_ABSORBED;
	}
	l->counter[TXN_C_STRAY_RESPONSE]++;
	return TXN_STRAY_RESPONSE;
}

enum txn_match txn_layer_receive(struct txn_layer *l, const struct flow *flow, const struct sip_msg *m)
{
	if (!m->request)
		return receive_response(l, m);
	struct txn *t = find_server(l, flow, m, key_method(m));

	if (t == NULL)
		return TXN_NEW_REQUEST;
	/* The ACK of a 2xx is the user's, whatever its branch (RFC 6026 §8.7). */
	if (txn_fsm_event(t, m->method == SIP_ACK ? TXN_E_ACK : TXN_E_REQUEST, NULL, STR_NONE) == ERR_CONFLICT &&
	    m->method == SIP_ACK)
		return TXN_NEW_REQUEST;
	return TXN_ABSORBED;
}

bool txn_layer_knows(const struct txn_layer *l, const struct flow *flow, const struct sip_msg *request)
{
	return find_server(l, flow, request, key_method(request)) != NULL;
}

struct txn *txn_find_invite(struct txn_layer *l, const struct flow *flow, const struct sip_msg *cancel)
{
	return find_server(l, flow, cancel, STR("INVITE"));
}

/* A callback may end others on this list, so the walk starts again after each. Every transaction leaves the list, or its
 * Accepted state ignores the event and is passed over. */
static void fail_all(struct list *head, bool (*concerned)(const struct txn *t, const void *arg), const void *arg)
{
	for (struct list *it = head->next; it != head;) {
		struct txn *t = CONTAINER_OF(it, struct txn, by_flow);
		bool accepted = t->kind == TXN_INVITE_CLIENT && t->state == TXN_S_ACCEPTED;

		if (accepted || !concerned(t, arg)) {
			it = it->next;
			continue;
		}
		(void)txn_fsm_event(t, TXN_E_TRANSPORT, NULL, STR_NONE);
		it = head->next;
	}
}

static bool of_flow(const struct txn *t, const void *flow)
{
	return flow_eq(&t->flow, flow);
}

struct lost_worker {
	struct str name;
	uint64_t before;
};

static bool of_worker(const struct txn *t, const void *arg)
{
	const struct lost_worker *lost = arg;

	return is_client(t->kind) && t->flow.epoch < lost->before && str_eq(str_from(t->flow.worker), lost->name);
}

void txn_layer_flow_lost(struct txn_layer *l, const struct flow *flow)
{
	fail_all(flow_bucket_of(l, flow), of_flow, flow);
}

void txn_layer_worker_lost(struct txn_layer *l, struct str worker, uint64_t before)
{
	const struct lost_worker lost = { worker, before };

	for (size_t i = 0; i < l->buckets; i++)
		fail_all(&l->flow_bucket[i], of_worker, &lost);
}

bool txn_layer_flow_busy(const struct txn_layer *l, const struct flow *flow)
{
	struct list *head = flow_bucket_of(l, flow), *it, *tmp;

	LIST_FOR_EACH (it, tmp, head) {
		const struct txn *t = CONTAINER_OF(it, struct txn, by_flow);

		if (t->state < TXN_S_COMPLETED && of_flow(t, flow))
			return true;
	}
	return false;
}

void txn_abandon(struct txn *t)
{
	if (t->state != TXN_S_TERMINATED)
		txn_finish(t);
}

void txn_cancel_sent(struct txn *t)
{
	if (t->kind == TXN_INVITE_CLIENT && t->state <= TXN_S_PROCEEDING)
		timer_arm(t->layer->timers, &t->timeout, 64ull * t->layer->times.t1);
}

struct account *txn_layer_account(struct txn_layer *l)
{
	return &l->account;
}

void txn_sending_on(struct txn_layer *l, struct txn *server)
{
	account_sending(&l->account, server != NULL ? &server->mark : NULL);
}

enum txn_kind txn_kind(const struct txn *t)
{
	return t->kind;
}

const struct flow *txn_flow(const struct txn *t)
{
	return &t->flow;
}

void *txn_ctx(const struct txn *t)
{
	return t->ctx;
}

const struct txn_user *txn_user_of(const struct txn *t)
{
	return t->user;
}

void txn_set_user(struct txn *t, const struct txn_user *user, void *ctx)
{
	t->user = user;
	t->ctx = ctx;
}

const struct sip_msg *txn_request(const struct txn *t)
{
	return t->request;
}

unsigned txn_status(const struct txn *t)
{
	return t->status;
}

size_t txn_layer_count(const struct txn_layer *l, enum txn_kind kind)
{
	return l->by_kind[kind];
}

const uint64_t *txn_layer_counters(const struct txn_layer *l)
{
	return l->counter;
}
