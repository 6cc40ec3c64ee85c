/* The load generator's loop: connecting, pacing, deadlines. */
#include "bench/sipload.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/crypto.h"

#define BATCH 256
#define RETRY_US 2000u /* the server's queue was full */

COUNTER_NAMES(load_failure_names, LOAD_FAILURES);

static void on_open(struct link *l)
{
	struct load_ua *u = CONTAINER_OF(l, struct load_ua, link);

	u->open = true;
	u->load->open++;
	ops_register(u);
}

static void on_message(struct link *l, struct str message)
{
	ops_message(CONTAINER_OF(l, struct load_ua, link), message);
}

static void forget(struct load_ua *u)
{
	struct load *L = u->load;

	if (u->open)
		L->open--;
	if (u->registered)
		L->registered--;
	else
		L->opening--;
	u->open = u->registered = false;
}

static void on_closed(struct link *l, const char *why)
{
	struct load_ua *u = CONTAINER_OF(l, struct load_ua, link);
	struct load *L = u->load;
	bool registered = u->registered;

	forget(u);
	ops_lost(u);
	if (registered) {
		L->lost++;
		if (L->first_failure[0] == '\0')
			(void)str_copy(str_from(why), L->first_failure, sizeof(L->first_failure));
		return;
	}
	/* Turned away: again, but not at once. */
	L->refused++;
	L->retry_us = L->now_us + RETRY_US;
	list_append(&L->connecting, &u->connect);
}

static void upgrade_headers(struct link *l, struct buf *b)
{
	struct load_ua *u = CONTAINER_OF(l, struct load_ua, link);
	char user[LOAD_USER_SIZE], session[33];

	if (!u->load->duplex)
		return;
	buf_z(b, "X-Duplex-User: ");
	buf_str(b, ops_user(u, user));
	buf_z(b, "\r\nX-Duplex-Session: ");
	buf_str(b, ops_session(u, session));
	buf_z(b, "\r\nX-Duplex-Permissions: call.audio,call.video,chat.send\r\nX-Duplex-Address: 192.0.2.1\r\n");
}

static const struct link_ops link_ops = { .open = on_open, .message = on_message, .closed = on_closed, .upgrade_headers = upgrade_headers };

enum err load_init(struct load *L)
{
	uint32_t run;

	list_init(&L->connecting);
	list_init(&L->busy);
	list_init(&L->held);
	for (unsigned k = 0; k < LOAD_KINDS; k++)
		list_init(&L->stream[k].idle);
	L->ua = calloc(L->users, sizeof(*L->ua));
	if (L->ua == NULL)
		return ERR_NO_MEMORY;
	L->now_us = clock_mono_us();
	/* Forty bits are written; no two runs start alike. */
	crypto_random(&run, sizeof(run));
	L->next_serial = ((uint64_t)(run & 0xffff) << 24) + 1;
	L->next_branch = (uint64_t)(run >> 16) << 24;
	for (size_t i = 0; i < L->users; i++) {
		struct load_ua *u = &L->ua[i];

		u->load = L;
		u->n = L->first + (uint32_t)i;
		list_init(&u->connect);
		link_init(&u->link, &L->target, &link_ops, (uint32_t)i);
		for (unsigned k = 0; k < LOAD_KINDS; k++) {
			u->op[k].kind = (enum load_kind)k;
			list_init(&u->op[k].node);
			/* Calls and messages go from the even users to the odd ones. */
			if (k == LOAD_REGISTER || (i % 2 == 0 && i + 1 < L->users))
				list_append(&L->stream[k].idle, &u->op[k].node);
		}
	}
	return ERR_OK;
}

void load_fini(struct load *L)
{
	for (size_t i = 0; i < L->users && L->ua != NULL; i++) {
		struct load_ua *u = &L->ua[i];

		link_cut(&u->link);
		buf_fini(&u->link.rx);
		buf_fini(&u->link.tx);
		free(u->gruu);
		for (unsigned k = 0; k < LOAD_KINDS; k++)
			free(u->op[k].dialog);
	}
	free(L->ua);
	link_target_fini(&L->target);
}

void load_connect_all(struct load *L)
{
	for (size_t i = 0; i < L->users; i++) {
		if (L->ua[i].link.state == LINK_DOWN && list_empty(&L->ua[i].connect))
			list_append(&L->connecting, &L->ua[i].connect);
	}
}

void load_cut_all(struct load *L)
{
	for (size_t i = 0; i < L->users; i++) {
		struct load_ua *u = &L->ua[i];

		if (u->link.state == LINK_DOWN)
			continue;
		forget(u);
		link_cut(&u->link);
		ops_lost(u);
	}
}

static void connect_some(struct load *L)
{
	if (L->now_us < L->retry_us)
		return;
	while (!list_empty(&L->connecting) && (L->setup_window == 0 || L->opening < L->setup_window)) {
		struct load_ua *u = CONTAINER_OF(L->connecting.next, struct load_ua, connect);
		enum err e = link_connect(&u->link);

		if (e != ERR_OK) {
			L->again++;
			L->retry_us = L->now_us + RETRY_US;
			return;
		}
		list_remove(&u->connect);
		L->opening++;
	}
}

/* --- issuing --- */

static bool startable(const struct load *L, const struct load_ua *u, enum load_kind k)
{
	if (!u->registered)
		return false;
	return k == LOAD_REGISTER || L->ua[u->n - L->first + 1].registered;
}

/* The next user that can; one that cannot goes to the end. */
static struct load_ua *next_idle(struct load *L, enum load_kind k)
{
	struct list *idle = &L->stream[k].idle;

	for (size_t tries = 0; tries < 64 && !list_empty(idle); tries++) {
		struct load_op *op = CONTAINER_OF(idle->next, struct load_op, node);
		struct load_ua *u = load_ua_of(op);

		list_remove(&op->node);
		if (startable(L, u, k))
			return u;
		list_append(idle, &op->node);
	}
	return NULL;
}

static uint64_t due_of(const struct load *L, const struct load_stream *s)
{
	return s->rate > 0 ? L->start_us + (uint64_t)((double)s->issued * 1e6 / s->rate) : L->now_us;
}

static void issue(struct load *L, enum load_kind k)
{
	struct load_stream *s = &L->stream[k];

	/* Bounded a turn, so that answers are read as well. */
	for (unsigned i = 0; i < 64; i++) {
		uint64_t due = due_of(L, s);

		if (s->rate > 0 ? due > L->now_us : s->running >= s->window)
			return;
		if (s->limit > 0 && s->issued >= s->limit)
			return;
		struct load_ua *u = next_idle(L, k);
		if (u == NULL) {
			s->late += !s->stuck;
			s->stuck = true;
			return;
		}
		s->issued++;
		ops_start(u, k, due);
	}
}

static void expire(struct load *L)
{
	while (!list_empty(&L->busy)) {
		struct load_op *op = CONTAINER_OF(L->busy.next, struct load_op, node);

		if (op->sent_us + LOAD_DEADLINE_US > L->now_us)
			return;
		ops_fail(load_ua_of(op), op->kind, FAIL_TIMEOUT, STR_NONE);
	}
}

static void end_held(struct load *L)
{
	while (!list_empty(&L->held)) {
		struct load_op *op = CONTAINER_OF(L->held.next, struct load_op, node);

		if (op->sent_us + L->hold_us > L->now_us)
			return;
		ops_hang_up(load_ua_of(op));
	}
}

static uint64_t next_due(const struct load *L, uint64_t until_us)
{
	for (unsigned k = 0; k < LOAD_KINDS && L->running; k++) {
		const struct load_stream *s = &L->stream[k];

		if (s->rate > 0 && !s->stuck)
			until_us = MIN(until_us, due_of(L, s));
	}
	if (!list_empty(&L->held)) {
		const struct load_op *op = CONTAINER_OF(L->held.next, struct load_op, node);

		until_us = MIN(until_us, op->sent_us + L->hold_us);
	}
	if (!list_empty(&L->connecting) && (L->setup_window == 0 || L->opening < L->setup_window))
		until_us = MIN(until_us, MAX(L->retry_us, L->now_us));
	return until_us;
}

void load_turn(struct load *L, uint64_t until_us)
{
	struct epoll_event ready[BATCH];

	L->now_us = clock_mono_us();
	connect_some(L);
	end_held(L);
	for (unsigned k = 0; k < LOAD_KINDS && L->running; k++)
		issue(L, (enum load_kind)k);
	uint64_t due = MIN(next_due(L, until_us), L->now_us + 100000), wait = due > L->now_us ? due - L->now_us : 0;
	struct timespec ts = { .tv_sec = (time_t)(wait / 1000000), .tv_nsec = (long)(wait % 1000000 * 1000) };
	int n = epoll_pwait2(L->target.epfd, ready, BATCH, &ts, NULL);
	L->now_us = clock_mono_us();
	for (int i = 0; i < n; i++) {
		link_on_ready(ready[i].data.ptr, ready[i].events);
		/* A batch may take longer than what is measured. */
		if (i % 16 == 15)
			L->now_us = clock_mono_us();
	}
	expire(L);
}

void load_start(struct load *L)
{
	L->start_us = L->now_us = clock_mono_us();
	for (unsigned k = 0; k < LOAD_KINDS; k++)
		L->stream[k].issued = 0;
	L->running = true;
}

void load_count_from_here(struct load *L)
{
	for (unsigned k = 0; k < LOAD_KINDS; k++) {
		struct load_stream *s = &L->stream[k];

		s->started = s->completed = s->late = 0;
		memset(s->failed, 0, sizeof(s->failed));
		hist_reset(&s->latency);
		hist_reset(&s->ringing);
		hist_reset(&s->bye);
	}
	L->counting = true;
}
