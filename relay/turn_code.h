/* The answers that requests get: STUN error codes (RFC 8489 §14.8, RFC 8656 §19) in one list, and the methods
 * in the order in which they are counted. */
#ifndef DUPLEX_RELAY_TURN_CODE_H
#define DUPLEX_RELAY_TURN_CODE_H

#include "common/stun.h"

/* X(id, number, phrase). Phrases cost bytes in answers to unproven senders: 401 and 438 have none. */
#define TURN_CODES(X)                                              \
	X(TURN_OK, 200, "")                                        \
	X(TURN_TRY_ALTERNATE, 300, "Try Alternate")                \
	X(TURN_BAD_REQUEST, 400, "Bad Request")                    \
	X(TURN_UNAUTHENTICATED, 401, "")                           \
	X(TURN_FORBIDDEN, 403, "Forbidden")                        \
	X(TURN_MOBILITY, 405, "Mobility Forbidden")                \
	X(TURN_UNKNOWN_ATTRIBUTE, 420, "Unknown Attribute")        \
	X(TURN_MISMATCH, 437, "Allocation Mismatch")               \
	X(TURN_STALE_NONCE, 438, "")                               \
	X(TURN_FAMILY, 440, "Address Family not Supported")        \
	X(TURN_WRONG_CREDENTIALS, 441, "Wrong Credentials")        \
	X(TURN_TRANSPORT, 442, "Unsupported Transport Protocol")   \
	X(TURN_PEER_FAMILY, 443, "Peer Address Family Mismatch")   \
	X(TURN_QUOTA, 486, "Allocation Quota Reached")             \
	X(TURN_CAPACITY, 508, "Insufficient Capacity")

enum turn_code {
#define TURN_CODE_ENUM(id, number, phrase) id,
	TURN_CODES(TURN_CODE_ENUM)
#undef TURN_CODE_ENUM
	TURN_CODE_COUNT
};

/* X(id, stun method): those that can be a request. */
#define TURN_METHODS(X)                                            \
	X(TURN_M_BINDING, STUN_BINDING)                            \
	X(TURN_M_ALLOCATE, STUN_ALLOCATE)                          \
	X(TURN_M_REFRESH, STUN_REFRESH)                            \
	X(TURN_M_CREATE_PERMISSION, STUN_CREATE_PERMISSION)        \
	X(TURN_M_CHANNEL_BIND, STUN_CHANNEL_BIND)

enum turn_method {
#define TURN_METHOD_ENUM(id, method) id,
	TURN_METHODS(TURN_METHOD_ENUM)
#undef TURN_METHOD_ENUM
	TURN_METHOD_COUNT
};

extern const uint16_t turn_code_number[TURN_CODE_COUNT];
extern const uint16_t turn_method_number[TURN_METHOD_COUNT];

#endif
