/* STUN and TURN messages (RFC 8489, RFC 8656): a codec over the attribute table stun_attr.def, for the relay,
 * its tests and the load generator. Reading is zero-copy: everything borrows from the message. Writing goes
 * through the sticky-error cursor of common/wire.h. No I/O, no state, no policy: which attributes a program
 * understands and what it answers is its own affair. */
#ifndef DUPLEX_COMMON_STUN_H
#define DUPLEX_COMMON_STUN_H

#include "common/crypto.h"
#include "common/wire.h"

#define STUN_HEADER_LEN 20u
#define STUN_MAGIC 0x2112a442u
#define STUN_TID_LEN 12u
#define STUN_ATTR_HEADER_LEN 4u
#define STUN_INTEGRITY_LEN 24u   /* MESSAGE-INTEGRITY with its header */
#define STUN_INTEGRITY256_LEN 36u /* MESSAGE-INTEGRITY-SHA256 in full, with its header */
#define STUN_FINGERPRINT_LEN 8u  /* FINGERPRINT with its header */
#define STUN_FINGERPRINT_XOR 0x5354554eu
#define STUN_UNKNOWN_MAX 16u     /* types a message may carry that the codec does not know and that are still told apart */
#define STUN_MESSAGE_MAX 2048u   /* longest message whose integrity is checked or written */
#define STUN_CHANNEL_MIN 0x4000u /* RFC 8656 §12 */
#define STUN_CHANNEL_MAX 0x4fffu
#define STUN_CHANNEL_MAX_5766 0x7fffu /* RFC 5766 §11, obsolete but alive in clients */
#define STUN_CHANNEL_HEADER_LEN 4u

enum stun_class { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };

#define STUN_METHOD_LIST(X)                             \
	X(STUN_BINDING, 0x001, "binding")               \
	X(STUN_ALLOCATE, 0x003, "allocate")             \
	X(STUN_REFRESH, 0x004, "refresh")               \
	X(STUN_SEND, 0x006, "send")                     \
	X(STUN_DATA_METHOD, 0x007, "data")              \
	X(STUN_CREATE_PERMISSION, 0x008, "create_permission") \
	X(STUN_CHANNEL_BIND, 0x009, "channel_bind")

enum stun_method {
#define STUN_METHOD_ENUM(id, number, name) id = (number),
	STUN_METHOD_LIST(STUN_METHOD_ENUM)
#undef STUN_METHOD_ENUM
};

enum stun_attr {
#define STUN_ATTR(id, type, kind, min, max) id,
#include "common/stun_attr.def"
#undef STUN_ATTR
	STUN_ATTR_COUNT
};
#define STUN_BIT(attr) (UINT64_C(1) << (attr))

enum stun_family { STUN_IPV4 = 1, STUN_IPV6 = 2 };

struct stun_addr {
	uint8_t ip[16]; /* network order; IPv4 uses the first four */
	uint16_t port;  /* host order */
	enum stun_family family;
};

/* RFC 8489 §18.5: the hash that makes a key of a password. */
enum stun_password_algorithm { STUN_PASSWORD_MD5 = 1, STUN_PASSWORD_SHA256 = 2 };

enum stun_fingerprint { STUN_FP_NONE, STUN_FP_GOOD, STUN_FP_BAD };

struct stun_msg {
	const uint8_t *p; /* the whole message; borrowed */
	uint16_t len;
	uint16_t method;  /* any 12-bit value; compare with enum stun_method */
	enum stun_class class;
	enum stun_fingerprint fingerprint;
	bool malformed;   /* an attribute's length is outside its bounds */
	uint64_t present; /* STUN_BIT of each known attribute that counts: none after MESSAGE-INTEGRITY but FINGERPRINT */
	struct {
		uint16_t off, len; /* value of the first of its type; valid if present */
	} at[STUN_ATTR_COUNT];
	uint16_t unknown[STUN_UNKNOWN_MAX]; /* comprehension-required types that the codec does not know */
	uint16_t unknowns;
};

/* ERR_TRUNCATED or ERR_INVALID if `p` is no STUN message of exactly `len` bytes. A bad FINGERPRINT and badly
 * sized attributes are left to the caller, who may want to answer. */
enum err stun_parse(const void *p, size_t len, struct stun_msg *out);

static inline bool stun_has(const struct stun_msg *m, enum stun_attr a)
{
	return (m->present & STUN_BIT(a)) != 0;
}

static inline const uint8_t *stun_tid(const struct stun_msg *m)
{
	return m->p + 8;
}

/* The value; an empty slice if the attribute is missing. */
struct str stun_bytes(const struct stun_msg *m, enum stun_attr a);
/* First byte and first four bytes of the value, 0 if it is missing or shorter. */
uint8_t stun_u8(const struct stun_msg *m, enum stun_attr a);
uint32_t stun_u32(const struct stun_msg *m, enum stun_attr a);
/* An address attribute, XORed or plain as the table says. ERR_NOT_FOUND, or ERR_INVALID for a bad family or
 * length. */
enum err stun_address(const struct stun_msg *m, enum stun_attr a, struct stun_addr *out);
/* Every XOR-PEER-ADDRESS in turn: *cursor starts at 0. ERR_NOT_FOUND at the end. */
enum err stun_next_peer(const struct stun_msg *m, size_t *cursor, struct stun_addr *out);
/* Comprehension-required attributes outside `understood` (a mask of STUN_BIT), as types. Returns how many, at
 * most `max`. */
size_t stun_not_understood(const struct stun_msg *m, uint64_t understood, uint16_t *types, size_t max);
/* MESSAGE-INTEGRITY (RFC 8489 §14.5), in constant time. False if there is none. */
bool stun_integrity_ok(const struct stun_msg *m, struct str key);
/* MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6), in constant time. A value cut to a multiple of four bytes, but not
 * below `shortest` (16 to 32), is right if that much of it is; a usage that does not allow it asks for 32. */
bool stun_integrity256_ok(const struct stun_msg *m, struct str key, size_t shortest);
/* ERROR-CODE's number, 0 if there is none. */
unsigned stun_error_code(const struct stun_msg *m);
/* RFC 8489 §14.7 over `len` bytes. */
uint32_t stun_crc32(const void *p, size_t len);

const char *stun_method_name(unsigned method); /* "other" for one not listed */
const char *stun_attr_name(enum stun_attr a);

/* Writing: begin, attributes, [integrity], [fingerprint], end. Padding is always zero. */
void stun_begin(struct wr *w, enum stun_class class, unsigned method, const uint8_t tid[STUN_TID_LEN]);
void stun_put(struct wr *w, enum stun_attr a, struct str value);
void stun_put_u32(struct wr *w, enum stun_attr a, uint32_t v);
void stun_put_address(struct wr *w, enum stun_attr a, const struct stun_addr *addr);
void stun_put_error(struct wr *w, unsigned code, struct str phrase);
void stun_put_types(struct wr *w, const uint16_t *types, size_t count); /* UNKNOWN-ATTRIBUTES */
void stun_put_integrity(struct wr *w, struct str key);
void stun_put_integrity256(struct wr *w, struct str key);
void stun_put_fingerprint(struct wr *w);
/* Sets the length; returns the size of the message, or 0 if it did not fit. */
size_t stun_end(struct wr *w);

#endif
