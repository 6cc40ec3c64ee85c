#include "common/err.h"

#include "common/base.h"

static const char *const texts[] = {
#define ERR_TEXT(name, text) [name] = text,
	ERR_LIST(ERR_TEXT)
#undef ERR_TEXT
};

const char *err_text(enum err e)
{
	return (size_t)e < ARRAY_LEN(texts) ? texts[e] : "unknown error";
}
