#include "api/openapi.h"

/* The assembler brings the file in: no generated source, and the document always fits the program. The rule in
 * part.mk makes this depend on it. */
__asm__(".section .rodata\n"
	".global openapi_begin\n"
	".global openapi_end\n"
	"openapi_begin:\n"
	".incbin \"api/openapi.json\"\n"
	"openapi_end:\n"
	".previous\n");

extern const char openapi_begin[], openapi_end[];

struct str openapi_document(void)
{
	return str_of(openapi_begin, (size_t)(openapi_end - openapi_begin));
}
