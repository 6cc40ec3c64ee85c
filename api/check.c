#include "api/check.h"

#include "api/utf8.h"
#include "common/perm.h"
#include "common/user.h"

#define MARKS_IN_A_ROW 4u

const char *check_username(struct str s)
{
	if (!user_name_valid(s))
		return "must be 2 to 32 of a-z, 0-9, '.', '_' and '-', with a letter or digit at each end";
	return NULL;
}

const char *check_new_username(struct str s)
{
	const char *wrong = check_username(s);

	return wrong == NULL && user_name_reserved(s) ? "is reserved" : wrong;
}

static const char *printable_text(struct str s, size_t max_chars)
{
	size_t chars = 0, marks = 0;
	uint32_t cp, before = ' ';

	if (s.len == 0)
		return "must not be empty";
	while (s.len > 0) {
		if (utf8_next(&s, &cp) != ERR_OK)
			return "must be UTF-8";
		if (!utf8_printable(cp))
			return "holds a character that cannot be seen";
		marks = utf8_mark(cp) ? marks + 1 : 0;
		if (marks > MARKS_IN_A_ROW || (marks > 0 && utf8_blank(before)))
			return "holds stacked marks";
		if (utf8_blank(cp) && utf8_blank(before))
			return chars == 0 ? "must not begin with a blank" : "holds two blanks in a row";
		before = cp;
		if (++chars > max_chars)
			return "is longer than 64 characters";
	}
	return utf8_blank(before) ? "must not end with a blank" : NULL;
}

const char *check_display_name(struct str s)
{
	return printable_text(s, DISPLAY_NAME_CHARS);
}

const char *check_search(struct str s)
{
	return printable_text(s, DISPLAY_NAME_CHARS);
}

const char *check_password_given(struct str s)
{
	size_t chars = utf8_length(s);

	return chars == 0 ? "must not be empty" : chars > PASSWORD_MAX ? "is longer than 128 characters" : NULL;
}

const char *check_new_password(struct str s)
{
	size_t chars = utf8_length(s);

	if (chars == SIZE_MAX)
		return "must be UTF-8";
	if (chars > PASSWORD_MAX)
		return "is longer than 128 characters";
	return chars < PASSWORD_MIN ? "must have at least 10 characters" : NULL;
}

const char *check_ticket(struct str s)
{
	return s.len == 0 || s.len > 128 ? "must be a ticket of this server" : NULL;
}

const char *check_csr(struct str s)
{
	return str_starts(s, STR("-----BEGIN ")) ? NULL : "must be a certificate request in PEM";
}

const char *check_state(struct str s)
{
	return str_eq(s, STR("active")) || str_eq(s, STR("disabled")) ? NULL : "must be active or disabled";
}

const char *check_drain_state(struct str s)
{
	return str_eq(s, STR("serving")) || str_eq(s, STR("draining")) ? NULL : "must be serving or draining";
}

const char *check_availability(struct str s)
{
	return str_eq(s, STR("available")) || str_eq(s, STR("do_not_disturb")) ? NULL : "must be available or do_not_disturb";
}

const char *check_role(struct str s)
{
	perm_set set;

	return perm_role(s, &set) == ERR_OK ? NULL : "must be user or admin";
}
