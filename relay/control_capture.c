/* GET /capture: finds the allocation, lets the workers copy its frames, and hands them on as a pcap file that grows until enough time or
 * enough frames have passed. One at a time. */
#include "relay/control_int.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/capture.h"
#include "relay/path.h"
#include "relay/table_walk.h"

#define SECONDS_DEFAULT 10u
#define SECONDS_MOST 3600u
#define SNAP_DEFAULT 65535u

struct session {
	struct control *control;
	struct capture *capture; /* owned, and by the workers until done */
	uint64_t end_ms, frames, frames_wanted; /* 0 = any number */
	bool header_sent;
};

struct search {
	const struct relayed_name *relayed;
	struct capture_ends ends;
	unsigned count;
};

static void look(void *ctx, const struct alloc *a)
{
	struct search *s = ctx;

	if (!relayed_name_fits(s->relayed, a))
		return;
	s->count++;
	s->ends = (struct capture_ends){ .client = a->key.client, .client_port = swap16(a->key.client_port), .relay = a->relay,
					 .relay_port = swap16(a->relay_port), .on_stream = flow_is_stream(&a->key) };
	if (s->ends.on_stream)
		s->ends.stream = flow_stream(&a->key);
}

static long more(void *source, char *to, size_t max)
{
	struct session *s = source;

	if (!s->header_sent) {
		s->header_sent = true;
		capture_header(s->capture, (uint8_t *)to);
		return CAPTURE_HEADER_LEN;
	}
	if (s->frames_wanted > 0 && s->frames >= s->frames_wanted)
		return -1;
	size_t n = capture_read(s->capture, to, max, &s->frames);
	if (n > 0)
		return (long)n;
	return clock_mono_ms() >= s->end_ms || atomic_load(&s->control->stop) ? -1 : 0;
}

static void done(void *source)
{
	struct session *s = source;
	struct relay *r = s->control->relay;

	atomic_store(&r->capture, NULL);
	rcu_wait(r->rcu);
	log_event(LOG_INFO, "capture-ended", "frames=%llu missed=%llu", (unsigned long long)s->frames,
		  (unsigned long long)capture_missed(s->capture));
	capture_free(s->capture);
	free(s);
}

static void start(struct httpd_call *c, struct control *control, const struct capture_ends *ends, uint64_t seconds, uint64_t frames,
		  uint64_t snap)
{
	struct session *s = calloc(1, sizeof(*s));
	struct capture *none = NULL;

	if (s == NULL || capture_new(ends, control->relay->workers, (uint32_t)snap, &s->capture) != ERR_OK) {
		free(s);
		control_refuse(c, 500, err_text(ERR_NO_MEMORY));
		return;
	}
	if (!atomic_compare_exchange_strong(&control->relay->capture, &none, s->capture)) {
		capture_free(s->capture);
		free(s);
		control_refuse(c, 409, "another capture is under way");
		return;
	}
	s->control = control;
	s->end_ms = clock_mono_ms() + seconds * MS_PER_S;
	s->frames_wanted = frames;
	c->type = "application/vnd.tcpdump.pcap";
	c->more = more;
	c->done = done;
	c->source = s;
}

void control_capture(struct httpd_call *c, void *user)
{
	struct control *control = user;
	struct str named = httpd_query(c, "relayed");
	struct relayed_name relayed;
	struct search s = { .relayed = &relayed };
	uint64_t seconds = SECONDS_DEFAULT, frames = 0, snap = SNAP_DEFAULT;

	if (!control_relayed(named, &relayed)) {
		control_refuse(c, 400, "relayed must be a port, or an address and a port like 192.0.2.1:50000");
		return;
	}
	if (!httpd_query_u64(c, "seconds", SECONDS_MOST, &seconds) || !httpd_query_u64(c, "frames", UINT32_MAX, &frames) ||
	    !httpd_query_u64(c, "snap", SNAP_DEFAULT, &snap) || snap == 0) {
		control_refuse(c, 400, "seconds is a number up to 3600, frames one of frames, snap one of bytes up to 65535");
		return;
	}
	table_each(control->relay->table, STR_NONE, path_seconds(clock_mono_ms()), look, &s);
	if (s.count == 0)
		control_refuse(c, 404, "no allocation has this relayed address");
	else if (s.count > 1)
		control_refuse(c, 409, "several addresses have an allocation at this port: name the address, too");
	else {
		s.ends.service_port = swap16(control->relay->turn_port);
		start(c, control, &s.ends, seconds, frames, snap);
	}
}
