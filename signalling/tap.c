#include "signalling/tap.h"

#include <stdlib.h>

#include "common/clock.h"
#include "signalling/hep.h"
#include "signalling/redact.h"
#include "signalling/sip_msg.h"
#include "signalling/trace.h"
#include "signalling/worker.h"

#define KEEP_S 60u /* a trace whose time is over waits so long to be fetched */

static void on_end(struct timer *timer, UNUSED uint64_t now_ms)
{
	tap_set_trace(CONTAINER_OF(timer, struct tap, end), NULL, 0);
}

enum err tap_new(struct worker *w, struct tap **out)
{
	const struct signalling_conf *c = w->conf;
	struct tap *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ERR_NO_MEMORY;
	t->w = w;
	timer_init(&t->end, on_end);
	enum err e = c->hep_address[0] == '\0' ? ERR_OK : hep_new(c->hep_address, c->hep_key, w->name, (uint32_t)c->hep_node_id, &t->hep);
	if (e != ERR_OK) {
		tap_free(t);
		return e;
	}
	t->on = t->hep != NULL;
	*out = t;
	return ERR_OK;
}

void tap_free(struct tap *t)
{
	if (t == NULL)
		return;
	timer_stop(loop_timers(t->w->loop), &t->end);
	trace_free(t->trace);
	hep_free(t->hep);
	free(t);
}

void tap_set_trace(struct tap *t, struct trace *trace, uint64_t seconds)
{
	trace_free(t->trace);
	t->trace = trace;
	t->on = t->trace != NULL || t->hep != NULL;
	if (trace == NULL)
		timer_stop(loop_timers(t->w->loop), &t->end);
	else
		timer_arm(loop_timers(t->w->loop), &t->end, (seconds + KEEP_S) * MS_PER_S);
}

void tap_message(struct tap *t, const struct tap_message *m)
{
	uint64_t wall_us = clock_wall_us();
	struct tap_message safe = *m;
	struct sip_msg parsed = { 0 };
	struct sip_refusal why;

	/* Keep-alives are no SIP. */
	if (m->text.len < 8)
		return;
	char *copy = malloc(m->text.len);
	if (copy == NULL)
		return;
	memcpy(copy, m->text.p, m->text.len);
	bool sip = sip_msg_parse(str_of(copy, m->text.len), &parsed, &why) == ERR_OK;
	struct str call_id = sip ? parsed.call_id : STR_NONE;
	bool wanted = t->trace != NULL && !trace_over(t->trace, worker_now(t->w)) && trace_wants(t->trace, m->user, sip ? &parsed : NULL);
	/* In place: none of what was read above is masked. */
	sip_redact(copy, m->text.len);
	safe.text = str_of(copy, m->text.len);
	if (wanted)
		trace_add(t->trace, &safe, wall_us);
	if (t->hep != NULL)
		hep_send(t->hep, &safe, wall_us, call_id);
	free(copy);
}
