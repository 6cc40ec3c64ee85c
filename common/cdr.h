/* The call record (CDR): its fields in Redis (history:{u}, cdrs) and the one closed list of end reasons that the page, the REST API and the
 * metrics use. */
#ifndef DUPLEX_COMMON_CDR_H
#define DUPLEX_COMMON_CDR_H

#include "common/err.h"
#include "common/str.h"

/* Stream fields. Times are ms since 1970, "0" = never. */
#define CDR_ID "id"               /* the server's id of the call, 32 hex digits */
#define CDR_CALL_ID "call_id"     /* SIP Call-ID */
#define CDR_CALLER "caller"
#define CDR_CALLEE "callee"
#define CDR_MEDIA "media"         /* audio | video */
#define CDR_STARTED "started"
#define CDR_RINGING "ringing"
#define CDR_ANSWERED "answered"
#define CDR_ENDED "ended"
#define CDR_REASON "reason"
#define CDR_STATUS "status"       /* final SIP status of the INVITE */
#define CDR_BY "by"               /* who ended it: caller | callee | server | admin */
#define CDR_CALLER_SESSION "caller_session" /* Session-ID (RFC 7989) of each side, empty if there was none: names media:{u}:CALL */
#define CDR_CALLEE_SESSION "callee_session"
#define CDR_REFERRED_BY "referred_by" /* who transferred the caller to the callee (RFC 3892), empty if nobody did */

#define CDR_REASON_LIST(X)                                     \
	X(CDR_COMPLETED, "completed")     /* answered, hung up by one side */ \
	X(CDR_DECLINED, "declined")       /* 603 */            \
	X(CDR_BUSY, "busy")               /* 486, 600 */       \
	X(CDR_NO_ANSWER, "no_answer")     /* 408, 480 after ringing */ \
	X(CDR_CANCELLED, "cancelled")     /* 487 */            \
	X(CDR_DO_NOT_DISTURB, "do_not_disturb") /* 480: the callee wants no calls */ \
	X(CDR_GLARE, "glare")             /* the two called each other: the other call is theirs; in no history */ \
	X(CDR_UNREACHABLE, "unreachable") /* 480: not registered */ \
	X(CDR_NOT_FOUND, "not_found")     /* 404 */            \
	X(CDR_FORBIDDEN, "forbidden")     /* 403 */            \
	X(CDR_LOST, "lost")               /* a side vanished */ \
	X(CDR_HUNG_UP, "hung_up")         /* by an administrator, or the session ended */ \
	X(CDR_FAILED, "failed")           /* anything else */

enum cdr_reason {
#define CDR_ENUM(id, name) id,
	CDR_REASON_LIST(CDR_ENUM)
#undef CDR_ENUM
	CDR_REASON_COUNT
};

const char *cdr_reason_name(enum cdr_reason r);
/* The reason for an INVITE that ended with this final SIP status without being answered. `rang`: a 180 had been seen. */
enum cdr_reason cdr_reason_from_status(unsigned sip_status, bool rang);

#endif
