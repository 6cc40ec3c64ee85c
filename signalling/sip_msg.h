/* A SIP message as an index of offsets into the buffer it was received in (RFC 3261 §7). One pass finds the start line,
 * every header and the body; nothing is copied or allocated, so a sip_msg is valid as long as that buffer. Values are
 * typed lazily by the accessors below, strictly, and only where they are used. Folded lines stay as they came; the
 * accessors read a fold as a blank. */
#ifndef DUPLEX_SIGNALLING_SIP_MSG_H
#define DUPLEX_SIGNALLING_SIP_MSG_H

#include "common/buf.h"

#define SIP_MSG_MAX   65536u /* bytes; a larger one is answered with 513 */
#define SIP_HDR_MAX   96u    /* header lines; more is 400 "Too many headers" */
#define SIP_START_MAX 2048u  /* bytes of the start line; more is 414 */

enum sip_hdr {
	SIP_H_OTHER,
#define X(id, name, compact, kind) id,
#include "signalling/sip_hdr.def"
#undef X
	SIP_H_COUNT
};

enum sip_method {
	SIP_METHOD_OTHER,
#define X(id, name) id,
#include "signalling/sip_method.def"
#undef X
	SIP_METHOD_COUNT
};

/* One header line. Offsets from the start of the message; the value has no blanks at its ends. */
struct sip_field {
	uint32_t at; /* first byte of the name */
	uint32_t value_at;
	uint32_t value_len;
	uint32_t end;  /* behind the line's (last) CRLF */
	uint16_t next; /* 1 + index of the next field of the same kind, 0 = none */
	uint16_t name_len;
	uint16_t id; /* enum sip_hdr */
};

struct sip_msg {
	struct str raw; /* borrowed: start line to end of body */
	bool request;
	bool response;          /* begins like one, even if its status line is bad */
	bool twice;             /* a header that may occur once does not: refused */
	enum sip_method method; /* of the request, or of a response's CSeq */
	unsigned status;        /* 0 in a request */
	struct str method_text; /* as written; in a response that of the CSeq */
	struct str uri;         /* Request-URI, not parsed; see sip_uri.h */
	struct str phrase;      /* of a response */
	uint32_t cseq;
	struct str call_id;
	struct str body;
	uint32_t start_end;   /* behind the start line's CRLF */
	uint32_t headers_end; /* first byte of the empty line */
	uint16_t count;
	uint16_t first[SIP_H_COUNT]; /* 1 + index of the first field of a kind, 0 = none */
	uint16_t last[SIP_H_COUNT];
	struct sip_field field[SIP_HDR_MAX];
};

/* Why a message was refused: the answer it deserves and our own reason. `phrase` is static text. */
struct sip_refusal {
	unsigned status; /* 400, 413, 414, 416, 420, 483, 501, 505, 513 … */
	const char *phrase;
};

/* Indexes `raw` (one whole message, as from one WebSocket message or one sip_msg_measure). Checks what everything else
 * relies on: start line, line ends, header names, Via, From, To, Call-ID and CSeq there and sound, headers that occur
 * once, Content-Length against the body. ERR_INVALID with *why set if it is refused. *m is then still filled as far as
 * the index got, and sip_msg_answerable tells whether an answer can be built from it. A message of a single CRLF or
 * CRLF CRLF (RFC 5626 keep-alive) is for the caller to see before. */
enum err sip_msg_parse(struct str raw, struct sip_msg *m, struct sip_refusal *why);

/* A copy with its bytes in one block, released with free(). NULL: out of memory. */
struct sip_msg *sip_msg_copy(const struct sip_msg *m);

/* Whether a refused message is a request other than ACK and has what a response copies: Via, From, To, Call-ID, CSeq.
 */
bool sip_msg_answerable(const struct sip_msg *m);

/* For a byte stream (TCP, the socket between workers): length of the first message in `in` by its Content-Length, 0 in
 * *len if more bytes are needed; leading CRLFs (keep-alives) are counted in *skip. ERR_TOO_LARGE above SIP_MSG_MAX,
 * ERR_INVALID when the stream cannot be cut (no Content-Length): close it. */
enum err sip_msg_measure(struct str in, size_t *skip, size_t *len);

/* Case-sensitive (RFC 3261 §7.1). SIP_METHOD_OTHER for one that is not on our list. */
enum sip_method sip_method_from(struct str name);
/* "" for SIP_METHOD_OTHER. */
const char *sip_method_name(enum sip_method m);
/* The long name; "" for SIP_H_OTHER. */
const char *sip_hdr_name(enum sip_hdr h);
/* Long or compact (§7.3.3), in any case. SIP_H_OTHER for one that is not in sip_hdr.def. */
enum sip_hdr sip_hdr_from(struct str name);
/* The RFC's phrase for a status, "Unknown" if there is none. */
const char *sip_status_phrase(unsigned status);

/* Value of the first header line of this kind; {NULL, 0} if there is none. An empty value has p != NULL. */
struct str sip_msg_value(const struct sip_msg *m, enum sip_hdr h);
/* The next line of the same kind; NULL at the end. Start with sip_msg_first. */
const struct sip_field *sip_msg_first(const struct sip_msg *m, enum sip_hdr h);
const struct sip_field *sip_msg_next(const struct sip_msg *m, const struct sip_field *f);
static inline struct str sip_field_value(const struct sip_msg *m, const struct sip_field *f)
{
	return (struct str){ m->raw.p + f->value_at, f->value_len };
}
static inline struct str sip_field_name(const struct sip_msg *m, const struct sip_field *f)
{
	return (struct str){ m->raw.p + f->at, f->name_len };
}
/* First header line with this name that is not in sip_hdr.def. */
struct str sip_msg_other(const struct sip_msg *m, struct str name);

/* Walks all values of a LIST header over all its lines: the commas outside quotes, <> and comments part them (§7.3.1).
 *   struct sip_list it = sip_list(m, SIP_H_ROUTE); struct str v; while (sip_list_next(&it, &v)) … */
struct sip_list {
	const struct sip_msg *m;
	const struct sip_field *f;
	struct str rest;
};
/* Before the first value; borrows `m`. */
struct sip_list sip_list(const struct sip_msg *m, enum sip_hdr h);
/* False at the end; *value is trimmed and borrows from the message. */
bool sip_list_next(struct sip_list *it, struct str *value);
/* Whether a list of tokens (Supported, Require, Accept …) holds `token`, ASCII case-insensitive. */
bool sip_list_has(const struct sip_msg *m, enum sip_hdr h, struct str token);
/* Cuts the first element off a comma list; false when nothing is left. */
bool sip_comma_next(struct str *rest, struct str *value);

/* A parameter of a `;name=value;flag` tail (starting at or before its first ';'), name case-insensitive. false if there
 * is none; a flag gives an empty value. Quotes are left on. */
bool sip_param(struct str params, struct str name, struct str *value);

/* name-addr or addr-spec with header parameters (§20.10): From, To, Contact, Route, Record-Route, Path, Refer-To,
 * P-Asserted-Identity. */
struct sip_addr {
	struct str display; /* without quotes, escapes left as they are; empty if none */
	struct str uri;     /* without <> */
	struct str params;  /* from the first ';' behind the address, or empty */
	struct str tag;     /* of From and To, or empty */
	bool brackets;
};
/* ERR_INVALID. Slices borrow from `value`. */
enum err sip_addr_parse(struct str value, struct sip_addr *out);
/* The address and its URI in one go. ERR_TOO_LARGE as well, for a URI above SIP_URI_MAX. */
struct sip_uri;
enum err sip_addr_uri_parse(struct str value, struct sip_addr *out, struct sip_uri *uri);
/* From, To, or the first of a list. ERR_NOT_FOUND if the header is missing. */
enum err sip_msg_addr(const struct sip_msg *m, enum sip_hdr h, struct sip_addr *out);
enum err sip_msg_addr_uri(const struct sip_msg *m, enum sip_hdr h, struct sip_addr *out, struct sip_uri *uri);

/* One Via value (§20.42). */
struct sip_via {
	struct str transport; /* "WSS", "UDP" … */
	struct str sent_by;   /* host[:port] as written */
	struct str host;      /* IPv6 with brackets */
	uint16_t port;        /* 0 = none given */
	struct str params;
	struct str branch; /* empty if none */
};
/* ERR_INVALID. Slices borrow from `value`. */
enum err sip_via_parse(struct str value, struct sip_via *out);
/* The topmost Via. */
enum err sip_msg_via(const struct sip_msg *m, struct sip_via *out);

struct sip_cseq {
	uint32_t number;
	enum sip_method method;
	struct str method_text;
};
/* §20.16. ERR_INVALID, also for a number of 2^31 or more. */
enum err sip_cseq_parse(struct str value, struct sip_cseq *out);

/* A header that is one number (Max-Forwards, Expires, Min-Expires, Content-Length; delta-seconds before ';' for
 * Session-Expires, Min-SE, Retry-After). ERR_NOT_FOUND, ERR_INVALID, ERR_TOO_LARGE above `max`. */
enum err sip_msg_number(const struct sip_msg *m, enum sip_hdr h, uint32_t max, uint32_t *out);

#define SIP_SESSION_NIL "00000000000000000000000000000000"
/* Session-ID (RFC 7989): 32 lower-case hex digits each; `remote` is empty if absent. */
struct sip_session_id {
	struct str local;
	struct str remote;
};
/* ERR_NOT_FOUND without the header, ERR_INVALID. */
enum err sip_msg_session_id(const struct sip_msg *m, struct sip_session_id *out);

/* First Reason value with protocol SIP (RFC 3326): its cause, 0 if none. */
unsigned sip_msg_reason_cause(const struct sip_msg *m);

/* Main part of Event or Content-Type without parameters, trimmed. */
struct str sip_msg_token(const struct sip_msg *m, enum sip_hdr h);

/* Whether an SDP body offers or accepts video: an m=video line whose port is not 0 (RFC 8866 §5.14, RFC 3264 §8.2). */
bool sip_body_has_video(const struct sip_msg *m);

#endif
