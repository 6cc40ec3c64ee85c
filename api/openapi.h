/* The contract, as it was when this program was built: api/openapi.json, byte for byte. */
#ifndef DUPLEX_API_OPENAPI_H
#define DUPLEX_API_OPENAPI_H

#include "common/str.h"

struct str openapi_document(void);

#endif
