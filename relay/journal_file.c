#include "relay/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/journal.h"

#define LOCK_TRIES 100u

#define FAIL(e, ...)                                           \
	do {                                                   \
		(void)snprintf(why, why_size, __VA_ARGS__);    \
		return (e);                                    \
	} while (0)

void journal_file_boot(uint8_t out[JOURNAL_BOOT_LEN])
{
	char text[64] = { 0 };
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	uint8_t digest[SHA256_LEN];

	memset(out, 0, JOURNAL_BOOT_LEN);
	if (fd < 0)
		return;
	ssize_t n = read(fd, text, sizeof(text));
	(void)close(fd);
	if (n <= 0)
		return;
	crypto_sha256(str_of(text, (size_t)n), digest);
	memcpy(out, digest, JOURNAL_BOOT_LEN);
}

static struct journal_state *state_of(uint8_t *map)
{
	return (struct journal_state *)(void *)(map + JOURNAL_STATE_AT);
}

void journal_file_set_starts(uint8_t *map, uint32_t starts)
{
	atomic_store(&state_of(map)->starts, journal_word(starts, JOURNAL_STATE_AT));
}

/* What others could have written or could read is not taken. */
static bool is_ours(int fd)
{
	struct stat s;

	return fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_uid == geteuid() && (s.st_mode & 077) == 0;
}

/* Whether the path still leads to the open file: whoever had it may have put a fresh one there meanwhile. */
static bool still_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* Opens, or makes, and locks what stands at the path. */
static enum err lock_old(struct journal_file *f, char *why, size_t why_size)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		f->old_fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (f->old_fd < 0)
			FAIL(ERR_IO, "[relay] journal: %s cannot be opened: %s", f->path, strerrordesc_np(errno));
		if (!is_ours(f->old_fd))
			FAIL(ERR_FORBIDDEN, "[relay] journal: %s is not a file that we alone may read and write", f->path);
		if (flock(f->old_fd, LOCK_EX | LOCK_NB) != 0)
			FAIL(ERR_BUSY, "[relay] journal: %s is in use: another relay runs with it", f->path);
		if (still_there(f->old_fd, f->path))
			return ERR_OK;
		(void)close(f->old_fd);
		f->old_fd = -1;
	}
	FAIL(ERR_BUSY, "[relay] journal: %s is in use: another relay runs with it", f->path);
}

/* Counts this start in the old file, before anything of it is read, so that a start that dies of it is counted too. */
static uint32_t count_start(int fd)
{
	const off_t at = JOURNAL_STATE_AT + (off_t)offsetof(struct journal_state, starts);
	uint64_t word = 0;
	uint32_t starts = 0;

	if (pread(fd, &word, sizeof(word), at) != (ssize_t)sizeof(word))
		return 0;
	if (journal_word_ok(word, JOURNAL_STATE_AT))
		starts = (uint32_t)word;
	word = journal_word(starts + 1, JOURNAL_STATE_AT);
	return pwrite(fd, &word, sizeof(word), at) == (ssize_t)sizeof(word) ? starts : 0;
}

/* A view of the old journal's bytes as they are now; the pages go when it is unmapped. */
static enum err view_old(struct journal_file *f, uint32_t *starts, struct journal_view *old)
{
	uint8_t boot[JOURNAL_BOOT_LEN];
	struct stat s;

	if (fstat(f->old_fd, &s) != 0 || s.st_size == 0)
		return ERR_NOT_FOUND;
	*starts = count_start(f->old_fd);
	f->old_size = (size_t)s.st_size;
	void *map = mmap(NULL, f->old_size, PROT_READ, MAP_PRIVATE, f->old_fd, 0);
	if (map == MAP_FAILED)
		return ERR_INVALID;
	f->old_map = map;
	if (*starts >= JOURNAL_STARTS_MAX)
		return ERR_CONFLICT;
	journal_file_boot(boot);
	return journal_view_open(f->old_map, f->old_size, boot, old);
}

static void write_header(struct journal_file *f, const struct ifaces *ifaces, uint32_t cells, uint32_t starts)
{
	struct journal_header h = { .magic = JOURNAL_MAGIC, .version = JOURNAL_VERSION, .cell_size = JOURNAL_CELL, .cells = cells };

	h.locals = iface_locals(ifaces);
	for (unsigned i = 0; i < h.locals; i++)
		h.local[i] = iface_local(ifaces, i)->addr;
	journal_file_boot(h.boot);
	h.crc = journal_header_crc(&h);
	memcpy(f->map, &h, sizeof(h));
	memcpy(f->map + f->size - JOURNAL_PAGE, &h, sizeof(h));
	journal_file_set_starts(f->map, starts);
}

static enum err make_fresh(struct journal_file *f, uint32_t cells, char *why, size_t why_size)
{
	f->size = journal_size(cells);
	(void)unlink(f->fresh_path);
	f->fd = open(f->fresh_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd < 0 || flock(f->fd, LOCK_EX | LOCK_NB) != 0)
		FAIL(ERR_IO, "[relay] journal: %s cannot be made: %s", f->fresh_path, strerrordesc_np(errno));
	/* All room is taken now: a store into a full file system would be the end of the relay. */
	int e = posix_fallocate(f->fd, 0, (off_t)f->size);
	if (e != 0)
		FAIL(ERR_FULL, "[relay] journal: there is no room for the %zu bytes of %s: %s", f->size, f->fresh_path,
		     strerrordesc_np(e));
	void *map = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (map == MAP_FAILED)
		FAIL(ERR_NO_MEMORY, "[relay] journal: %s cannot be mapped: %s", f->fresh_path, strerrordesc_np(errno));
	f->map = map;
	return ERR_OK;
}

static void close_old(struct journal_file *f)
{
	if (f->old_map != NULL)
		(void)munmap(f->old_map, f->old_size);
	if (f->old_fd >= 0)
		(void)close(f->old_fd);
	f->old_map = NULL;
	f->old_fd = -1;
}

enum err journal_file_open(const char *path, const struct ifaces *ifaces, uint32_t cells, struct journal_file *f,
			   struct journal_view *old, enum err *state, char *why, size_t why_size)
{
	uint32_t starts = 0;

	*f = (struct journal_file){ .fd = -1, .old_fd = -1 };
	*old = (struct journal_view){ 0 };
	*state = ERR_OK;
	if (str_copy(str_from(path), f->path, sizeof(f->path)) != ERR_OK)
		FAIL(ERR_TOO_LARGE, "[relay] journal: the path is too long");
	(void)snprintf(f->fresh_path, sizeof(f->fresh_path), "%s.new", f->path);
	enum err e = lock_old(f, why, why_size);
	if (e == ERR_OK) {
		enum err read = view_old(f, &starts, old);

		*state = read == ERR_NOT_FOUND ? ERR_OK : read;
		e = make_fresh(f, cells, why, why_size);
	}
	if (e != ERR_OK) {
		journal_file_close(f, false);
		return e;
	}
	write_header(f, ifaces, cells, *state == ERR_OK && old->cells > 0 ? starts + 1 : 0);
	return ERR_OK;
}

enum err journal_file_commit(struct journal_file *f)
{
	if (rename(f->fresh_path, f->path) != 0)
		return ERR_IO;
	f->fresh_path[0] = '\0';
	close_old(f);
	return ERR_OK;
}

void journal_file_close(struct journal_file *f, bool remove)
{
	close_old(f);
	if (f->fd >= 0 && f->fresh_path[0] != '\0')
		(void)unlink(f->fresh_path);
	else if (f->fd >= 0 && remove)
		(void)unlink(f->path);
	if (f->map != NULL)
		(void)munmap(f->map, f->size);
	if (f->fd >= 0)
		(void)close(f->fd);
	*f = (struct journal_file){ .fd = -1, .old_fd = -1 };
}
