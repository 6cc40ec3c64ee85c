/* Bodies and query parameters: strict JSON, then one table of fields a route with a validator each. Errors are
 * collected, so that a form shows all of them at once. */
#ifndef DUPLEX_API_INPUT_H
#define DUPLEX_API_INPUT_H

#include "api/req.h"

#define JSON_DEPTH_MAX 8u

/* Parses a strict JSON object: UTF-8, no duplicate names, no NUL, at most JSON_DEPTH_MAX deep, nothing behind
 * it. ERR_INVALID, with the reason in `why`; ERR_UNSUPPORTED if it is JSON but not an object. */
enum err input_parse(struct str body, json_t **out, char *why, size_t why_size);

/* A validator says what is wrong with the text, in a phrase for people, or NULL. */
typedef const char *(*input_check)(struct str value);

enum input_type {
	INPUT_TEXT,  /* into a struct str; NULL slice when absent */
	INPUT_PERMS, /* list of permission names, into a struct input_perms */
};

struct input_perms {
	bool given;
	perm_set set;
};

struct field {
	const char *name;
	enum input_type type;
	bool required;
	input_check check; /* INPUT_TEXT; may be NULL */
	size_t offset;     /* into the route's struct of inputs */
};

/* Reads r->body by the table into `into` (zeroed). False: the 422 is written. Slices borrow from r->body. */
bool input_read(struct req *r, const struct field *fields, size_t count, void *into);
#define INPUT_READ(r, fields, into) input_read((r), (fields), ARRAY_LEN(fields), (into))

/* ?limit= (1 to 200, default 50) and ?cursor= (ours, hidden by base64url) of a list. False: the 422 is written. */
#define LIMIT_DEFAULT 50u
#define LIMIT_MAX 200u
#define CURSOR_MAX 300u
struct page {
	size_t limit;
	char cursor[CURSOR_MAX + 1]; /* NUL-terminated; may hold any other byte */
	size_t cursor_len;
};
bool input_page(struct req *r, struct page *out);
/* A query parameter, decoded into mem[size]; empty if it is absent. False: the 422 is written. */
bool input_query(struct req *r, const char *name, input_check check, char *mem, size_t size, struct str *out);

#endif
