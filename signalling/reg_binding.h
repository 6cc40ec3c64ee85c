/* A binding as it is stored in location:{user}: field "INSTANCE;REG-ID", value
 *   TOKEN \n EXPIRES \n CSEQ \n UPDATED \n KIND \n SESSION \n CALL-ID \n CONTACT
 * with times in ms since 1970; KIND is one digit: 1 for video, and 2 for a phone. The scripts of reg_script.c read the same form. */
#ifndef DUPLEX_SIGNALLING_REG_BINDING_H
#define DUPLEX_SIGNALLING_REG_BINDING_H

#include "signalling/location.h"

#define BINDING_FIELD_MAX (INSTANCE_MAX + 12u)
#define BINDING_VALUE_MAX (FLOW_TOKEN_MAX + CONTACT_MAX + 512u)
#define CALL_ID_MAX 255u

/* Slices borrow from the field and the value. */
struct stored {
	struct str instance;
	uint32_t reg_id;
	struct str token;
	uint64_t expires_ms;
	uint32_t cseq;
	uint64_t updated_ms;
	bool video, phone;
	struct str session;
	struct str call_id;
	struct str contact;
};

/* Appends the field of the hash location:{user}: at most BINDING_FIELD_MAX bytes. */
void stored_field_put(struct buf *to, const struct stored *s);
/* Appends its value: at most BINDING_VALUE_MAX bytes. */
void stored_value_put(struct buf *to, const struct stored *s);
/* ERR_INVALID for anything that stored_*_put does not write. */
enum err stored_get(struct str field, struct str value, struct stored *out);
/* The same as a binding, where the flow is known without its token. ERR_INVALID when the contact is no URI. */
enum err stored_at_flow(const struct stored *s, const struct flow *flow, struct binding *out);
/* ERR_INVALID also when the token is not one under `key`. */
enum err stored_to_binding(const struct stored *s, const uint8_t key[FLOW_KEY_LEN], struct binding *out);

#endif
