#include "common/cdr.h"

static const char *const names[] = {
#define CDR_NAME(id, name) [id] = name,
	CDR_REASON_LIST(CDR_NAME)
#undef CDR_NAME
};

const char *cdr_reason_name(enum cdr_reason r)
{
	return (size_t)r < ARRAY_LEN(names) ? names[r] : "failed";
}

enum cdr_reason cdr_reason_from_status(unsigned sip_status, bool rang)
{
	switch (sip_status) {
	case 403:
		return CDR_FORBIDDEN;
	case 404:
		return CDR_NOT_FOUND;
	case 408:
		return CDR_NO_ANSWER;
	case 480:
		return rang ? CDR_NO_ANSWER : CDR_UNREACHABLE;
	case 486:
	case 600:
		return CDR_BUSY;
	case 487:
		return CDR_CANCELLED;
	case 603:
		return CDR_DECLINED;
	default:
		return CDR_FAILED;
	}
}
