#include "signalling/outbox_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void outbox_record_put(struct buf *out, const struct outbox_record *r)
{
	buf_u64(out, r->made_ms);
	buf_char(out, ' ');
	buf_u64(out, r->count);
	for (size_t i = 0; i < r->count; i++) {
		buf_char(out, ' ');
		buf_u64(out, r->word[i].len);
	}
	buf_char(out, '\n');
	for (size_t i = 0; i < r->count; i++)
		buf_str(out, r->word[i]);
}

enum err outbox_record_get(struct str *bytes, struct outbox_record *out)
{
	size_t end = str_find(*bytes, '\n');
	struct str head = str_sub(*bytes, 0, end), rest = str_sub(*bytes, end + 1, bytes->len);
	uint64_t count, len;

	if (end == bytes->len)
		return bytes->len < OUTBOX_RECORD_MAX ? ERR_TRUNCATED : ERR_INVALID;
	if (str_to_u64(str_cut(&head, ' '), UINT64_MAX, &out->made_ms) != ERR_OK ||
	    str_to_u64(str_cut(&head, ' '), OUTBOX_WORDS_MAX, &count) != ERR_OK || count < 3)
		return ERR_INVALID;
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		if (str_to_u64(str_cut(&head, ' '), OUTBOX_RECORD_MAX, &len) != ERR_OK)
			return ERR_INVALID;
		if (at + len > rest.len)
			return at + len < OUTBOX_RECORD_MAX ? ERR_TRUNCATED : ERR_INVALID;
		out->word[i] = str_sub(rest, at, len);
		at += len;
	}
	if (head.p != NULL)
		return ERR_INVALID;
	out->count = count;
	*bytes = str_sub(rest, at, rest.len);
	return ERR_OK;
}

enum err outbox_file_open(struct outbox_file *f, const char *path, size_t max)
{
	struct stat st;

	*f = (struct outbox_file){ .fd = -1, .max = max };
	if (max == 0)
		return ERR_OK;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_IO;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return ERR_IO;
	}
	f->fd = fd;
	f->len = (size_t)st.st_size;
	return ERR_OK;
}

void outbox_file_close(struct outbox_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
}

enum err outbox_file_append(struct outbox_file *f, struct str record)
{
	size_t done = 0;

	if (f->fd < 0)
		return ERR_IO;
	if (f->len + record.len > f->max)
		return ERR_FULL;
	while (done < record.len) {
		ssize_t n = pwrite(f->fd, record.p + done, record.len - done, (off_t)(f->len + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)!ftruncate(f->fd, (off_t)f->len);
			return ERR_IO;
		}
		done += (size_t)n;
	}
	f->len += record.len;
	return ERR_OK;
}

enum err outbox_file_read(struct outbox_file *f, char *mem, struct outbox_record *out)
{
	if (f->fd < 0 || f->next == f->len)
		return ERR_NOT_FOUND;
	ssize_t n = pread(f->fd, mem, MIN((size_t)OUTBOX_RECORD_MAX, f->len - f->next), (off_t)f->next);
	struct str bytes = str_of(mem, (size_t)MAX(n, (ssize_t)0));
	size_t before = bytes.len;
	if (n <= 0 || outbox_record_get(&bytes, out) != ERR_OK) {
		f->next = f->len;
		return ERR_INVALID;
	}
	f->next += before - bytes.len;
	return ERR_OK;
}

void outbox_file_clear(struct outbox_file *f)
{
	if (f->fd < 0 || f->len == 0)
		return;
	(void)!ftruncate(f->fd, 0);
	f->len = f->next = 0;
}
