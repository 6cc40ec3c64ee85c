/* Forking and the choice of the best response (RFC 3261 §16.6 to §16.10). Owner: the worker's thread. A branch is one
 * client transaction; the fork lives until the last of them has ended, so that a 2xx that comes late still finds
 * someone who ends that call. */
#include "signalling/fork.h"

#include <stdlib.h>

#include "signalling/sip_build.h"

#define FORK_CHALLENGES_MAX 16u
#define ELSEWHERE "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"

struct branch {
	struct fork *fork;
	struct fork_target target; /* its slices are owned, see target_copy */
	struct txn *txn;           /* NULL when it has ended */
	bool rings;                /* a provisional response came: CANCEL is allowed (§9.1) */
	bool done;                 /* it has its final response, or failed */
	bool dead;                 /* the device was not there */
	bool cancel;               /* to be cancelled as soon as that is allowed */
	bool cancelled;
};

struct fork {
	struct txn_layer *layer; /* borrowed */
	struct timers *timers;   /* borrowed */
	struct sip_msg *request; /* owned */
	const struct fork_user *user;
	void *ctx;
	struct timer ring, patience;
	uint64_t patience_ms;
	size_t count, dead;
	bool begun, told, rang; /* told: final() was called, or nobody wants it */
	bool is_invite;
	struct branch *winner;
	unsigned best_status; /* 0: none yet */
	struct sip_msg *best; /* owned; NULL with a status: 408 of a branch that did not answer */
	size_t best_branch;
	char *cancel_headers; /* owned: Reason line for CANCELs */
	struct challenge {
		size_t branch;
		char *line; /* owned: a whole header line */
	} challenge[FORK_CHALLENGES_MAX];
	size_t challenges;
	struct branch branch[FORK_BRANCHES_MAX]; /* `count` of them; the last member, see fork_new */
};

static const struct txn_user branch_user, cancel_user;

void *fork_ctx(const struct fork *f)
{
	return f->ctx;
}

size_t fork_branches(const struct fork *f)
{
	return f->count;
}

bool fork_begun(const struct fork *f)
{
	return f->begun;
}

bool fork_open(const struct fork *f)
{
	return !f->told;
}

bool fork_waits(const struct fork *f)
{
	return timer_armed(&f->patience);
}

void fork_patience(struct fork *f, uint64_t ms)
{
	f->patience_ms = ms;
}

bool fork_has(const struct fork *f, struct str instance)
{
	for (size_t i = 0; i < f->count; i++)
		if (!f->branch[i].dead && str_eq(f->branch[i].target.instance, instance))
			return true;
	return false;
}

bool fork_rang(const struct fork *f)
{
	return f->rang;
}

enum err fork_strip_put(const struct sip_msg *m, struct str extra, struct buf *out)
{
	struct sip_edit e;

	sip_edit_init(&e, m);
	sip_edit_pop(&e, SIP_H_VIA);
	/* Nobody has checked whom a device asserts to be; what workers tell each other about it is nobody's business. */
	sip_edit_drop(&e, SIP_H_P_ASSERTED_IDENTITY);
	sip_edit_drop(&e, SIP_H_P_PREFERRED_IDENTITY);
	sip_edit_drop(&e, SIP_H_REMOTE_PARTY_ID);
	sip_edit_drop_prefix(&e, STR("X-Duplex-"));
	if (extra.len > 0)
		sip_edit_append(&e, "%.*s", STR_FMT(extra));
	return sip_edit_put(&e, out);
}

/* Both texts in one block, that of `uri`. */
static bool target_copy(struct fork_target *to, const struct fork_target *from)
{
	char *mem = malloc(from->uri.len + from->instance.len + 1);

	if (mem == NULL)
		return false;
	memcpy(mem, from->uri.p, from->uri.len);
	if (from->instance.len > 0)
		memcpy(mem + from->uri.len, from->instance.p, from->instance.len);
	to->flow = from->flow;
	to->uri = (struct str){ mem, from->uri.len };
	to->instance = (struct str){ mem + from->uri.len, from->instance.len };
	return true;
}

static void free_fork(struct fork *f)
{
	timer_stop(f->timers, &f->ring);
	timer_stop(f->timers, &f->patience);
	for (size_t i = 0; i < f->count; i++)
		free((void *)(uintptr_t)f->branch[i].target.uri.p);
	for (size_t i = 0; i < f->challenges; i++)
		free(f->challenge[i].line);
	free(f->request);
	free(f->best);
	free(f->cancel_headers);
	free(f);
}

/* --- choosing (§16.7 step 6) ------------------------------------------------------------------ */

/* Smaller is better. A 6xx beats all, then the lowest class; within 4xx those that tell the caller what to do, then
 * what a person did, then the rest. */
static unsigned rank(unsigned status)
{
	static const struct {
		uint16_t status;
		uint16_t rank;
	} within[] = { { 401, 1 }, { 407, 1 }, { 415, 1 },  { 420, 1 },  { 484, 1 },
		       { 486, 2 }, { 480, 3 }, { 408, 90 }, { 487, 91 }, { 430, 99 } };
	unsigned r = 50;

	if (status >= 600)
		return status - 600;
	for (size_t i = 0; i < ARRAY_LEN(within); i++)
		if (within[i].status == status)
			r = within[i].rank;
	return status / 100 * 100 + r;
}

static bool is_challenge(unsigned status)
{
	return status == 401 || status == 407;
}

/* §16.7 step 7: whoever is asked for credentials is told of all who ask. */
static void keep_challenges(struct fork *f, const struct branch *b, const struct sip_msg *m)
{
	for (size_t i = 0; i < m->count && f->challenges < FORK_CHALLENGES_MAX; i++) {
		const struct sip_field *h = &m->field[i];
		struct str name = sip_field_name(m, h);

		if (!str_ieq(name, STR("WWW-Authenticate")) && !str_ieq(name, STR("Proxy-Authenticate")))
			continue;
		char *line = strndup(m->raw.p + h->at, h->end - h->at);

		if (line != NULL) /* without memory it is one challenge less */
			f->challenge[f->challenges++] = (struct challenge){ (size_t)(b - f->branch), line };
	}
}

static void offer(struct fork *f, struct branch *b, unsigned status, const struct sip_msg *m)
{
	if (f->told)
		return;
	if (m != NULL && is_challenge(status))
		keep_challenges(f, b, m);
	if (f->best_status != 0 && rank(f->best_status) <= rank(status))
		return;
	free(f->best);
	f->best = m != NULL ? sip_msg_copy(m) : NULL;
	f->best_status = status;
	f->best_branch = (size_t)(b - f->branch);
}

static void tell_final(struct fork *f, unsigned status, const struct sip_msg *m, const struct fork_target *from)
{
	f->told = true;
	timer_stop(f->timers, &f->ring);
	timer_stop(f->timers, &f->patience);
	/* Nobody else is asked, and the transactions may last half a minute more. */
	free(f->request);
	f->request = NULL;
	if (f->user->final != NULL)
		f->user->final(f, status, m, from);
}

/* The best response with the challenges that others gave. */
static void tell_challenged(struct fork *f, const struct fork_target *from)
{
	struct buf out = buf_growing(2 * SIP_MSG_MAX);
	struct sip_msg m;
	struct sip_refusal why;
	struct sip_edit e;

	sip_edit_init(&e, f->best);
	for (size_t i = 0; i < f->challenges; i++)
		if (f->challenge[i].branch != f->best_branch)
			sip_edit_append(&e, "%s", f->challenge[i].line);
	if (sip_edit_put(&e, &out) == ERR_OK && sip_msg_parse(buf_view(&out), &m, &why) == ERR_OK)
		tell_final(f, f->best_status, &m, from);
	else
		tell_final(f, f->best_status, f->best, from);
	buf_fini(&out);
}

/* All branches have their answer and none was taken yet: the best one goes up. */
static void settle(struct fork *f)
{
	if (!f->begun || f->told)
		return;
	for (size_t i = 0; i < f->count; i++)
		if (!f->branch[i].done)
			return;
	const struct fork_target *from = &f->branch[f->best_branch].target;

	if (f->best_status == 0 && f->patience_ms > 0)
		timer_arm(f->timers, &f->patience, f->patience_ms);
	else if (f->best_status == 0)
		tell_final(f, 480, NULL, NULL);
	else if (f->best_status == 503)
		/* §16.7 step 6: a 503 of a device is no overload of ours. */
		tell_final(f, 500, NULL, NULL);
	else if (f->best != NULL && is_challenge(f->best_status))
		tell_challenged(f, from);
	else
		tell_final(f, f->best_status, f->best, from);
}

static void end_if_empty(struct fork *f)
{
	if (!f->begun || timer_armed(&f->patience))
		return;
	for (size_t i = 0; i < f->count; i++)
		if (f->branch[i].txn != NULL)
			return;
	if (f->user->ended != NULL)
		f->user->ended(f);
	free_fork(f);
}

/* --- cancelling (§9.1, §16.10) ---------------------------------------------------------------- */

static void cancel_branch(struct fork *f, struct branch *b)
{
	struct buf out = buf_growing(SIP_MSG_MAX);
	struct txn *t;

	if (!f->is_invite || b->done || b->cancelled || b->txn == NULL)
		return;
	b->cancel = true;
	if (!b->rings)
		return; /* waits for the first provisional response */
	b->cancelled = true;
	/* A CANCEL that cannot be sent leaves the branch to its own timers, or to the loss of its flow. */
	if (sip_cancel_put(&out, txn_request(b->txn), str_from(f->cancel_headers)) == ERR_OK)
		(void)txn_client_new(f->layer, &b->target.flow, buf_view(&out), &cancel_user, NULL, &t);
	buf_fini(&out);
	txn_cancel_sent(b->txn);
}

static void cancel_all(struct fork *f, const char *headers)
{
	if (f->cancel_headers == NULL)
		f->cancel_headers = strdup(headers); /* without memory the CANCEL just gives no reason */
	for (size_t i = 0; i < f->count; i++)
		cancel_branch(f, &f->branch[i]);
}

void fork_cancel(struct fork *f, struct str reason)
{
	struct buf b = buf_growing(1024);

	f->told = true;
	timer_stop(f->timers, &f->ring);
	if (reason.len > 0)
		buf_printf(&b, "Reason: %.*s\r\n", STR_FMT(reason));
	buf_char(&b, '\0');
	cancel_all(f, b.overflow ? "" : b.p);
	buf_fini(&b);
	if (timer_armed(&f->patience)) {
		timer_stop(f->timers, &f->patience);
		end_if_empty(f);
	}
}

void fork_pass_cancel(struct fork *f, struct str reason)
{
	bool told = f->told;

	fork_cancel(f, reason);
	f->told = told;
}

/* Ring time over: Timer C of §16.8. */
static void ring_due(struct timer *timer, UNUSED uint64_t now)
{
	struct fork *f = CONTAINER_OF(timer, struct fork, ring);

	if (f->told)
		return;
	cancel_all(f, "Reason: SIP;cause=408;text=\"No answer\"\r\n");
	tell_final(f, 408, NULL, NULL);
	end_if_empty(f);
}

/* The devices have not come back. */
static void patience_due(struct timer *timer, UNUSED uint64_t now)
{
	struct fork *f = CONTAINER_OF(timer, struct fork, patience);

	tell_final(f, 480, NULL, NULL);
	end_if_empty(f);
}

void fork_give_up(struct fork *f)
{
	if (!timer_armed(&f->patience))
		return;
	timer_stop(f->timers, &f->patience);
	patience_due(&f->patience, 0);
}

/* --- branches --------------------------------------------------------------------------------- */

static void on_success(struct fork *f, struct branch *b, const struct sip_msg *m)
{
	if (b == f->winner) {
		if (f->user->again != NULL)
			f->user->again(f, m);
		return;
	}
	b->done = true;
	if (f->told) {
		if (f->user->late_success != NULL)
			f->user->late_success(f, m, &b->target);
		return;
	}
	f->winner = b;
	/* The losers stop ringing before anything else. */
	cancel_all(f, ELSEWHERE);
	tell_final(f, m->status, m, &b->target);
}

static void on_dead(struct fork *f, struct branch *b)
{
	b->done = b->dead = true;
	f->dead++;
	if (f->user->branch_dead != NULL)
		f->user->branch_dead(f, &b->target);
	settle(f);
}

static void on_response(struct txn *t, const struct sip_msg *m)
{
	struct branch *b = txn_ctx(t);
	struct fork *f = b->fork;

	if (m->status < 200) {
		b->rings = true;
		if (b->cancel)
			cancel_branch(f, b);
		f->rang = f->rang || (m->status >= 180 && m->status < 190);
		if (!f->told && m->status > 100 && f->user->provisional != NULL)
			f->user->provisional(f, m);
		return;
	}
	if (m->status < 300) {
		on_success(f, b, m);
		return;
	}
	if (m->status == 430) {
		on_dead(f, b);
		return;
	}
	b->done = true;
	offer(f, b, m->status, m);
	/* A person declined for good: the other devices stop ringing (§16.7 step 5). */
	if (m->status >= 600 && !f->told)
		cancel_all(f, "Reason: SIP;cause=603;text=\"Declined elsewhere\"\r\n");
	settle(f);
}

static void on_failed(struct txn *t, enum txn_failure why)
{
	struct branch *b = txn_ctx(t);

	if (b->done)
		return;
	if (why == TXN_TRANSPORT) {
		on_dead(b->fork, b);
		return;
	}
	b->done = true;
	offer(b->fork, b, 408, NULL);
	settle(b->fork);
}

static void on_ended(struct txn *t)
{
	struct branch *b = txn_ctx(t);

	b->txn = NULL;
	b->done = true;
	end_if_empty(b->fork);
}

static const struct txn_user branch_user = { .response = on_response, .failed = on_failed, .ended = on_ended };

enum err fork_new(struct txn_layer *l, struct timers *timers, struct str edited, const struct fork_user *user,
		  void *ctx, struct fork **out)
{
	struct sip_msg m;
	struct sip_refusal why;
	enum err e = sip_msg_parse(edited, &m, &why);

	if (e != ERR_OK)
		return e;
	struct fork *f = malloc(sizeof(*f));

	if (f == NULL)
		return ERR_NO_MEMORY;
	memset(f, 0, offsetof(struct fork, branch));
	f->request = sip_msg_copy(&m);
	if (f->request == NULL) {
		free(f);
		return ERR_NO_MEMORY;
	}
	f->layer = l;
	f->timers = timers;
	f->user = user;
	f->ctx = ctx;
	f->is_invite = m.method == SIP_INVITE;
	timer_init(&f->ring, ring_due);
	timer_init(&f->patience, patience_due);
	*out = f;
	return ERR_OK;
}

enum err fork_add(struct fork *f, const struct fork_target *target)
{
	char via[256];
	struct buf v = buf_fixed(via, sizeof(via)), out = buf_growing(2 * SIP_MSG_MAX);
	struct sip_edit edit;

	if (f->count == FORK_BRANCHES_MAX)
		return ERR_FULL;
	if (f->request == NULL)
		return ERR_CONFLICT;
	struct branch *b = &f->branch[f->count];

	*b = (struct branch){ .fork = f };
	if (!target_copy(&b->target, target))
		return ERR_NO_MEMORY;
	txn_via_put(f->layer, &v);
	sip_edit_init(&edit, f->request);
	sip_edit_uri(&edit, target->uri);
	sip_edit_prepend(&edit, "Via: %.*s\r\n", STR_FMT(buf_view(&v)));
	enum err e = sip_edit_put(&edit, &out);

	if (e == ERR_OK)
		e = txn_client_new(f->layer, &target->flow, buf_view(&out), &branch_user, b, &b->txn);
	buf_fini(&out);
	if (e != ERR_OK) {
		free((void *)(uintptr_t)b->target.uri.p);
		return e;
	}
	f->count++;
	timer_stop(f->timers, &f->patience);
	return ERR_OK;
}

void fork_discard(struct fork *f)
{
	free_fork(f);
}

void fork_begin(struct fork *f, uint64_t timeout_ms)
{
	f->begun = true;
	if (timeout_ms > 0 && !f->told)
		timer_arm(f->timers, &f->ring, timeout_ms);
	settle(f);
	end_if_empty(f);
}
