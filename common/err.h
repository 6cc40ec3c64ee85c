/* The one list of errors that functions return. Wire-visible codes (SIP status, STUN error code, HTTP status, drop reason)
 * are enums of their own and are mapped from these in one table each. */
#ifndef DUPLEX_COMMON_ERR_H
#define DUPLEX_COMMON_ERR_H

#define ERR_LIST(X)                                                       \
	X(ERR_OK, "ok")                                                   \
	X(ERR_INVALID, "the input is not valid")                          \
	X(ERR_TRUNCATED, "the input ends too early")                      \
	X(ERR_TOO_LARGE, "larger than the limit")                         \
	X(ERR_NOT_FOUND, "not found")                                     \
	X(ERR_EXISTS, "exists already")                                   \
	X(ERR_FORBIDDEN, "not permitted")                                 \
	X(ERR_UNAUTHENTICATED, "credentials missing or wrong")            \
	X(ERR_EXPIRED, "expired")                                         \
	X(ERR_NO_MEMORY, "out of memory")                                 \
	X(ERR_FULL, "no room left")                                       \
	X(ERR_BUSY, "busy, try again")                                    \
	X(ERR_TIMEOUT, "no answer in time")                               \
	X(ERR_CLOSED, "the other side closed the connection")             \
	X(ERR_IO, "input/output error")                                   \
	X(ERR_UNSUPPORTED, "not supported")                               \
	X(ERR_CONFLICT, "conflicts with the present state")               \
	X(ERR_AGAIN, "would block")                                       \
	X(ERR_INTERNAL, "internal error")

/* Every function that can fail returns this; ignoring it is a compile-time error. Out-parameters are written on ERR_OK only. */
enum [[nodiscard]] err {
#define ERR_ENUM(name, text) name,
	ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

/* A lower-case English phrase for `e`, static storage. */
const char *err_text(enum err e);

#endif
