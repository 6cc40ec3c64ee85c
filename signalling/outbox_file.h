/* The file of an outbox: records one behind the other, appended and read from the front, emptied when all are done. One record is a line of
 * its lengths and then its words; a record that was cut short by a crash ends the file. */
#ifndef DUPLEX_SIGNALLING_OUTBOX_FILE_H
#define DUPLEX_SIGNALLING_OUTBOX_FILE_H

#include "common/buf.h"

#define OUTBOX_WORDS_MAX 40u
#define OUTBOX_RECORD_MAX 65536u

/* One entry: key, MAXLEN, fields. Slices borrow. */
struct outbox_record {
	uint64_t made_ms; /* wall clock */
	size_t count;
	struct str word[OUTBOX_WORDS_MAX];
};

/* "MADE COUNT LEN LEN …\n" and the words. */
void outbox_record_put(struct buf *out, const struct outbox_record *r);
/* The record at the front of *bytes, which moves behind it; slices borrow from it. ERR_TRUNCATED: more bytes are needed. ERR_INVALID: no record. */
enum err outbox_record_get(struct str *bytes, struct outbox_record *out);

struct outbox_file {
	int fd;           /* owned; -1 = there is none */
	size_t max, len;  /* bytes */
	size_t next;      /* what lies before has been read or was known already */
};

/* ERR_IO: not to be had. */
enum err outbox_file_open(struct outbox_file *f, const char *path, size_t max);
void outbox_file_close(struct outbox_file *f);
/* At the end. ERR_FULL, ERR_IO; then the file is as before. */
enum err outbox_file_append(struct outbox_file *f, struct str record);
/* The next record, in `mem` of OUTBOX_RECORD_MAX bytes. ERR_NOT_FOUND at the end. ERR_INVALID: the rest cannot be read, and is skipped. */
enum err outbox_file_read(struct outbox_file *f, char *mem, struct outbox_record *out);
/* Everything is done. */
void outbox_file_clear(struct outbox_file *f);

#endif
