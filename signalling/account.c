#include "signalling/account.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/metrics.h"

COUNTER_NAMES(fate_names, FATES);

static const char *const class_names[ACCOUNT_CLASS_COUNT] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx" };

void account_begin(struct account *a)
{
	a->received++;
	a->now_us = clock_mono_us();
	a->settled = a->in_response = false;
	a->cause = NULL;
}

void account_settle(struct account *a, enum fate f)
{
	if (a->settled)
		return;
	a->settled = true;
	a->fate[f]++;
}

void account_end(struct account *a)
{
	account_settle(a, FATE_UNKNOWN);
	a->in_response = false;
	a->cause = NULL;
}

void account_open(struct account *a, struct account_mark *m, enum sip_method method)
{
	*m = (struct account_mark){ .received_us = a->now_us, .method = method, .open = !a->settled };
	if (!m->open)
		return;
	a->settled = true;
	a->open++;
}

void account_close(struct account *a, struct account_mark *m, enum fate f)
{
	if (!m->open)
		return;
	m->open = false;
	a->open--;
	a->fate[f]++;
}

void account_sending(struct account *a, struct account_mark *m)
{
	a->cause = m;
}

static void took(struct histogram *h, uint64_t since_us)
{
	uint64_t now = clock_mono_us();

	histogram_add(h, now > since_us ? now - since_us : 0);
}

static void first_sent(struct account *a, struct account_mark *m)
{
	if (m->sent || m->received_us == 0)
		return;
	m->sent = true;
	took(&a->request[m->method], m->received_us);
}

void account_sent(struct account *a)
{
	if (a->cause != NULL)
		first_sent(a, a->cause);
	a->cause = NULL;
}

void account_passed(struct account *a, enum sip_method method, bool response)
{
	took(response ? &a->response[method] : &a->request[method], a->now_us);
}

void account_responded(struct account *a, struct account_mark *m, unsigned status)
{
	if (a->in_response)
		account_passed(a, m->method, true);
	else if (status > 100)
		first_sent(a, m);
	if (status >= 200)
		account_close(a, m, a->in_response ? FATE_RELAYED : FATE_ANSWERED);
}

void account_finished(struct account *a, struct account_mark *m, unsigned status)
{
	size_t class = status < 200 ? ACCOUNT_CLASS_NONE : MIN(status / 100, 6u);

	a->outcome[m->method][class]++;
	account_close(a, m, FATE_DROP_CUT);
}

static const char *method_text(size_t m)
{
	const char *name = sip_method_name((enum sip_method)m);

	return name[0] != '\0' ? name : "other";
}

static void outcomes_put(struct buf *out, const struct account *a)
{
	metrics_head(out, "duplex_signal_outcomes_total", "counter", "server transactions ended, by method and class of the final response");
	for (size_t m = 0; m < SIP_METHOD_COUNT; m++) {
		for (size_t c = 0; c < ACCOUNT_CLASS_COUNT; c++) {
			if (a->outcome[m][c] > 0)
				buf_printf(out, "duplex_signal_outcomes_total{method=\"%s\",class=\"%s\"} %" PRIu64 "\n", method_text(m), class_names[c],
					   a->outcome[m][c]);
		}
	}
}

static void times_put(struct buf *out, const char *name, const char *help, const struct histogram *h)
{
	metrics_head(out, name, "histogram", help);
	for (size_t m = 0; m < SIP_METHOD_COUNT; m++) {
		if (histogram_count(&h[m]) > 0)
			histogram_put(out, name, "method", method_text(m), &h[m]);
	}
}

void account_metrics_put(struct buf *out, const struct account *a)
{
	metrics_head(out, "duplex_signal_sip_received_total", "counter", "SIP messages received; the sum of the fates and those open");
	metrics_line(out, "duplex_signal_sip_received_total", NULL, NULL, a->received);
	metrics_head(out, "duplex_signal_sip_open", "gauge", "requests that are not answered yet");
	metrics_line(out, "duplex_signal_sip_open", NULL, NULL, a->open);
	metrics_head(out, "duplex_signal_sip_total", "counter", "what became of the SIP messages received");
	for (size_t i = 0; i < FATE_COUNT; i++)
		metrics_line(out, "duplex_signal_sip_total", "fate", fate_names[i].name, a->fate[i]);
	outcomes_put(out, a);
	times_put(out, "duplex_signal_request_seconds", "from the receipt of a request until it is sent on or answered", a->request);
	times_put(out, "duplex_signal_response_seconds", "from the receipt of a response until it is sent on", a->response);
}
