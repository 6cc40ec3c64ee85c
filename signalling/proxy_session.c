/* Session timers (RFC 4028), as a proxy keeps them: an interval that is too short is refused or made longer, one that the
 * callee does not know is kept by the caller, and a call whose refresh never comes is over. Owner: the worker's thread. */
#include "signalling/proxy_int.h"

#include <stdio.h>

#define SESSION_MAX_S 86400u
#define LATE_MS       5000u /* a refresh may come as late as that */

static bool interval_of(const struct sip_msg *m, uint32_t *s)
{
	return sip_msg_number(m, SIP_H_SESSION_EXPIRES, UINT32_MAX, s) == ERR_OK;
}

static bool knows_timers(const struct sip_msg *m)
{
	return sip_list_has(m, SIP_H_SUPPORTED, STR("timer"));
}

static bool carries(const struct sip_msg *m)
{
	return m->method == SIP_INVITE || m->method == SIP_UPDATE;
}

bool proxy_session_short(const struct proxy *p, const struct sip_msg *m, char line[PROXY_MIN_SE_SIZE])
{
	uint32_t s;

	if (!carries(m) || !interval_of(m, &s) || s >= p->config.session_min_s || !knows_timers(m))
		return false;
	(void)snprintf(line, PROXY_MIN_SE_SIZE, "Min-SE: %u\r\n", p->config.session_min_s);
	return true;
}

void proxy_session_raise(const struct proxy *p, struct sip_edit *e, const struct sip_msg *m)
{
	uint32_t s, least = 90;

	if (!carries(m) || !interval_of(m, &s))
		return;
	(void)sip_msg_number(m, SIP_H_MIN_SE, UINT32_MAX, &least);
	/* §8.1: who does not know timers cannot be told, so the interval is changed on its way. */
	if (s < p->config.session_min_s)
		sip_edit_set(e, SIP_H_SESSION_EXPIRES, "%u", p->config.session_min_s);
	if (least < p->config.session_min_s)
		sip_edit_set(e, SIP_H_MIN_SE, "%u", p->config.session_min_s);
}

struct str proxy_session_extra(const struct sip_msg *request, const struct sip_msg *m, char mem[PROXY_SESSION_SIZE])
{
	uint32_t s;

	if (!carries(request) || m->status < 200 || m->status >= 300 || m->first[SIP_H_SESSION_EXPIRES] != 0 || !interval_of(request, &s) ||
	    !knows_timers(request))
		return STR_NONE;
	/* §8.2: the callee knows nothing of timers, so the caller refreshes. */
	int n = snprintf(mem, PROXY_SESSION_SIZE, "Session-Expires: %u;refresher=uac\r\nRequire: timer\r\n", s);

	return (struct str){ mem, (size_t)MAX(n, 0) };
}

void proxy_session_heard(struct call *c, const struct sip_msg *request, const struct sip_msg *m)
{
	const struct proxy *p = c->driver;
	uint32_t s;

	if (!carries(request) || m->status < 200 || m->status >= 300)
		return;
	/* §8.2: a 2xx without an interval, to one who knows none either, is a session without end. */
	if (!interval_of(m, &s) && (!interval_of(request, &s) || !knows_timers(request)))
		c->session_until_ms = 0;
	else
		c->session_until_ms = p->timers->now_ms + (uint64_t)MIN(s, SESSION_MAX_S) * 1000 + LATE_MS;
}

bool proxy_session_over(const struct call *c)
{
	const struct proxy *p = c->driver;

	return c->session_until_ms != 0 && p->timers->now_ms >= c->session_until_ms;
}
