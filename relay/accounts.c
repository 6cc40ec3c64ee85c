#include "relay/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_MAX (64u << 20)

struct accounts {
	struct account *at; /* owned; sorted by userhash */
	size_t count, room;
	char realm[256];
	size_t realm_len;
};

static int compare(const void *a, const void *b)
{
	const struct account *one = a, *two = b;

	return memcmp(one->userhash, two->userhash, sizeof(one->userhash));
}

static enum err read_hex(struct str hex, size_t want, struct turn_key *out)
{
	size_t len;

	if (hex_get(hex, out->bytes, sizeof(out->bytes), &len) != ERR_OK || len != want)
		return ERR_INVALID;
	out->len = (uint8_t)len;
	return ERR_OK;
}

/* What follows the colon, if it is keys: *keys tells. A password that merely begins like one is refused rather
 * than guessed at. */
static enum err read_keys(struct str text, struct account *a, bool *keys)
{
	struct str rest = text;

	*keys = str_starts(text, STR("md5=")) || str_starts(text, STR("sha256="));
	while (*keys && rest.p != NULL) {
		struct str word = str_cut(&rest, ' ');
		enum err e = ERR_INVALID;

		if (str_starts(word, STR("md5=")) && a->md5.len == 0)
			e = read_hex(str_sub(word, 4, word.len), MD5_LEN, &a->md5);
		else if (str_starts(word, STR("sha256=")) && a->sha256.len == 0)
			e = read_hex(str_sub(word, 7, word.len), SHA256_LEN, &a->sha256);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static bool is_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
			return false;
	}
	return name.len > 0 && name.len <= TURN_USERNAME_MAX;
}

static enum err read_line(const struct accounts *all, struct str line, struct account *a)
{
	struct str realm = str_of(all->realm, all->realm_len), password = line, name = str_cut(&password, ':');
	bool keys = false;

	*a = (struct account){ 0 };
	if (!is_name(name) || password.p == NULL || password.len == 0)
		return ERR_INVALID;
	memcpy(a->name, name.p, name.len);
	a->name_len = (uint8_t)name.len;
	enum err e = turn_userhash(name, realm, a->userhash);
	if (e == ERR_OK)
		e = read_keys(password, a, &keys);
	if (e == ERR_OK && !keys)
		e = turn_key_make(STUN_PASSWORD_MD5, name, realm, password, &a->md5);
	if (e == ERR_OK && !keys)
		e = turn_key_make(STUN_PASSWORD_SHA256, name, realm, password, &a->sha256);
	return e;
}

static enum err grow(struct accounts *all)
{
	size_t room = all->room > 0 ? 2 * all->room : 64;
	struct account *bigger;

	if (all->count < all->room)
		return ERR_OK;
	if (all->count >= ACCOUNTS_MAX)
		return ERR_TOO_LARGE;
	/* Not realloc, which may leave keys behind. */
	bigger = calloc(room, sizeof(*bigger));
	if (bigger == NULL)
		return ERR_NO_MEMORY;
	if (all->count > 0) {
		memcpy(bigger, all->at, all->count * sizeof(*bigger));
		explicit_bzero(all->at, all->count * sizeof(*bigger));
	}
	free(all->at);
	all->at = bigger;
	all->room = room;
	return ERR_OK;
}

static enum err read_all(struct accounts *all, struct str text, char *why, size_t why_size)
{
	struct str rest = text;

	for (unsigned long n = 1; rest.p != NULL; n++) {
		struct str line = str_cut(&rest, '\n');

		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (line.len == 0 || line.p[0] == '#')
			continue;
		enum err e = grow(all);
		if (e == ERR_OK)
			e = read_line(all, line, &all->at[all->count]);
		if (e == ERR_NO_MEMORY || (e == ERR_TOO_LARGE && all->count >= ACCOUNTS_MAX)) {
			(void)snprintf(why, why_size, "[relay] users: more than %zu users do not fit", all->count);
			return e;
		}
		if (e != ERR_OK) {
			(void)snprintf(why, why_size, "[relay] users: line %lu is not name:password, name:md5=HEX or name:sha256=HEX", n);
			return e;
		}
		all->count++;
	}
	return ERR_OK;
}

enum err accounts_parse(struct str text, struct str realm, struct accounts **out, char *why, size_t why_size)
{
	struct accounts *all = calloc(1, sizeof(*all));

	(void)snprintf(why, why_size, "out of memory");
	if (all == NULL)
		return ERR_NO_MEMORY;
	all->realm_len = MIN(realm.len, sizeof(all->realm));
	memcpy(all->realm, realm.p, all->realm_len);
	enum err e = read_all(all, text, why, why_size);
	if (e == ERR_OK && all->count > 0)
		qsort(all->at, all->count, sizeof(*all->at), compare);
	for (size_t i = 1; e == ERR_OK && i < all->count; i++) {
		if (compare(&all->at[i - 1], &all->at[i]) == 0) {
			(void)snprintf(why, why_size, "[relay] users: the user %.*s is there twice", STR_FMT(account_name(&all->at[i])));
			e = ERR_EXISTS;
		}
	}
	if (e != ERR_OK) {
		accounts_free(all);
		return e;
	}
	*out = all;
	return ERR_OK;
}

static enum err read_file(FILE *f, const char *path, struct buf *out, char *why, size_t why_size)
{
	char part[4096];
	struct stat st;
	size_t n;

	if (fstat(fileno(f), &st) != 0 || (st.st_mode & S_IRWXO) != 0) {
		(void)snprintf(why, why_size, "[relay] users: the file %s must not be readable by others (chmod 640)", path);
		return ERR_FORBIDDEN;
	}
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_put(out, part, n);
	explicit_bzero(part, sizeof(part));
	if (ferror(f) != 0 || out->overflow) {
		(void)snprintf(why, why_size, "[relay] users: the file %s cannot be read, or has more than %u MB", path, FILE_MAX >> 20);
		return out->overflow ? ERR_TOO_LARGE : ERR_IO;
	}
	return ERR_OK;
}

enum err accounts_load(const char *path, struct str realm, struct accounts **out, char *why, size_t why_size)
{
	struct buf text = buf_growing(FILE_MAX);
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		(void)snprintf(why, why_size, "[relay] users: the file %s cannot be opened: %m", path);
		return ERR_NOT_FOUND;
	}
	enum err e = read_file(f, path, &text, why, why_size);
	(void)fclose(f);
	if (e == ERR_OK)
		e = accounts_parse(buf_view(&text), realm, out, why, why_size);
	if (text.len > 0)
		explicit_bzero(text.p, text.len);
	buf_fini(&text);
	return e;
}

void accounts_free(struct accounts *a)
{
	if (a == NULL)
		return;
	if (a->at != NULL)
		explicit_bzero(a->at, a->room * sizeof(*a->at));
	free(a->at);
	free(a);
}

const struct account *accounts_by_hash(const struct accounts *a, const uint8_t userhash[SHA256_LEN])
{
	struct account wanted;

	if (a == NULL || a->count == 0)
		return NULL;
	memcpy(wanted.userhash, userhash, sizeof(wanted.userhash));
	return bsearch(&wanted, a->at, a->count, sizeof(*a->at), compare);
}

const struct account *accounts_by_name(const struct accounts *a, struct str name)
{
	uint8_t hash[SHA256_LEN];

	if (a == NULL || turn_userhash(name, str_of(a->realm, a->realm_len), hash) != ERR_OK)
		return NULL;
	const struct account *found = accounts_by_hash(a, hash);
	return found != NULL && str_eq(account_name(found), name) ? found : NULL;
}

size_t accounts_count(const struct accounts *a)
{
	return a != NULL ? a->count : 0;
}
