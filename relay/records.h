/* What is left of allocations that have ended: whose they were and how their media went, on the way to the record of the call. Workers put, the
 * thread that talks to Redis takes. Of fixed size: when nobody takes, the oldest are lost, and counted. */
#ifndef DUPLEX_RELAY_RECORDS_H
#define DUPLEX_RELAY_RECORDS_H

#include "relay/alloc.h"
#include "relay/spin.h"

#define RECORDS_MAX 8192u

/* Both directions of an allocation, over both halves of a dual one. */
struct media_summary {
	struct media_report sent[MEDIA_KINDS], received[MEDIA_KINDS]; /* by the client; MEDIA_OTHER is not used */
	bool one_way; /* audio */
};
/* `other` is the second half, or NULL. From any thread while the allocation lives. */
struct media_summary media_summary(const struct alloc *a, const struct alloc *other);
bool media_any(const struct media_summary *m);

struct media_record {
	uint8_t username_len;
	char username[TURN_USERNAME_MAX];
	struct media_summary media;
};

struct records {
	struct spin lock;
	uint32_t first, count;
	_Atomic uint64_t lost;
	struct media_record at[RECORDS_MAX];
};

/* NULL if memory is out. */
struct records *records_new(void);
void records_free(struct records *r);
/* At the end of an allocation; nothing is put for one without media, or without a call in its user name. Under its stripe lock. */
void records_put(struct records *r, const struct alloc *a, const struct alloc *other);
/* The oldest. False if there is none. */
bool records_take(struct records *r, struct media_record *out);

#endif
