/* From a request to its reply: route, limits, origin, identity, permission, body, handler. The only caller of
 * handlers. */
#ifndef DUPLEX_API_DISPATCH_H
#define DUPLEX_API_DISPATCH_H

#include "api/app.h"
#include "api/req.h"

/* `out` is initialised by the caller and complete afterwards, whatever happens. */
void dispatch(struct app *app, struct rds *rds, const struct http_request *in, struct http_response *out);

#endif
