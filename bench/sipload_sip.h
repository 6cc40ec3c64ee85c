/* SIP as the load generator needs it: it reads messages by itself, so that what it verifies was not made by the code it measures, and writes
 * the few that a browser with JsSIP sends. */
#ifndef DUPLEX_BENCH_SIPLOAD_SIP_H
#define DUPLEX_BENCH_SIPLOAD_SIP_H

#include "common/buf.h"

#define SIP_LINES_MAX 16u /* Vias, Record-Routes of a message */

/* All slices borrow from the message. */
struct reply_view {
	bool request;
	unsigned status; /* of a response */
	struct str method, uri; /* of a request; in a response the CSeq's method */
	struct str via[SIP_LINES_MAX], record_route[SIP_LINES_MAX];
	size_t vias, record_routes;
	struct str from, to, call_id, contact, body;
	uint64_t cseq;
	uint64_t content_length;
	bool has_length;
	uint64_t max_forwards;
};

/* One whole message. ERR_INVALID if it lacks what every message has, or if Content-Length is not what there is. */
enum err view_parse(struct str raw, struct reply_view *out);
/* Of a byte stream: bytes of the first message in `in` with *skip bytes of keep-alives before it; 0: more is needed. ERR_INVALID. */
enum err view_measure(struct str in, size_t *skip, size_t *len);
/* Parameter of a header value, behind its address; empty if there is none. */
struct str view_param(struct str value, struct str name);
/* What stands between < and >, or all up to the first ';'. */
struct str view_uri(struct str value);

/* What a message is made of. Slices borrowed. */
struct out_msg {
	struct str method, uri;
	struct str transport, host; /* of the Via and the Contact */
	struct str from_user, to_user, domain;
	uint64_t branch, from_tag;
	struct str to_tag;          /* empty: none */
	struct str call_id;
	uint32_t cseq;
	const struct str *route;    /* values, in order */
	size_t routes;
	struct str contact;         /* value; empty: no Contact */
	struct str headers;         /* whole lines */
	struct str type, body;
};

void out_put(struct buf *b, const struct out_msg *m);
/* A response to `req` as a device gives it; `tag` is put on a To without one. */
void out_reply_put(struct buf *b, const struct reply_view *req, unsigned status, const char *phrase, struct str tag, struct str contact,
		   struct str body);
/* A session description as Chromium's, of about 1.3 KiB with audio and video; static text. */
extern const char out_sdp[];
/* Ten hex digits, without printf, which would cost more than the rest of a message. */
void out_tag_put(struct buf *b, uint64_t n);
/* A branch: "z9hG4bK" and ten digits. */
void out_branch_put(struct buf *b, uint64_t branch);

#endif
