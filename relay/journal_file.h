/* The file under the journal: found, locked, judged, made anew, put in place. Only at start and stop. */
#ifndef DUPLEX_RELAY_JOURNAL_FILE_H
#define DUPLEX_RELAY_JOURNAL_FILE_H

#include "relay/iface.h"
#include "relay/journal_format.h"

#define JOURNAL_PATH_MAX 512u

struct journal_file {
	char path[JOURNAL_PATH_MAX], fresh_path[JOURNAL_PATH_MAX + 8];
	int fd;                /* of the fresh file, locked; -1 = none */
	uint8_t *map;          /* the fresh file, shared */
	size_t size;
	int old_fd;            /* of the one before, locked until the commit; -1 = none */
	void *old_map;         /* private copy-on-write */
	size_t old_size;
};

/* As journal_open. */
enum err journal_file_open(const char *path, const struct ifaces *ifaces, uint32_t cells, struct journal_file *f,
			   struct journal_view *old, enum err *state, char *why, size_t why_size);
enum err journal_file_commit(struct journal_file *f);
void journal_file_close(struct journal_file *f, bool remove);
/* `map` is a whole journal. */
void journal_file_set_starts(uint8_t *map, uint32_t starts);
/* Which boot this is; zeros if the kernel does not say. */
void journal_file_boot(uint8_t out[JOURNAL_BOOT_LEN]);

#endif
