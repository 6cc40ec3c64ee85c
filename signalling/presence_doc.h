/* The documents of a presence NOTIFY: RLMI (RFC 4662 §5) and PIDF (RFC 3863) in a multipart/related (RFC 2387). */
#ifndef DUPLEX_SIGNALLING_PRESENCE_DOC_H
#define DUPLEX_SIGNALLING_PRESENCE_DOC_H

#include "common/buf.h"
#include "signalling/presence.h"

#define PRESENCE_DOC_MAX 57344u /* bytes of a NOTIFY's body */
#define PRESENCE_TYPE_MAX 256u

struct presence_item {
	struct str user;                /* a valid user name */
	enum presence_status status;
	bool tell;                      /* with its PIDF, if it fits; else only named (in a full state) */
	bool told;                      /* out: its PIDF is in the document */
};

/* Writes the body. `full`: the list names every item that it has room for; else only those to tell. Items that no longer fit are left for the next
 * NOTIFY (told stays false), where those that were not even named are added. Needs a growing buffer. */
enum err presence_doc_put(struct buf *out, struct str domain, uint32_t version, bool full, struct presence_item *items, size_t count);
/* The Content-Type that goes with it. */
void presence_doc_type_put(struct buf *out, struct str domain);

#endif
