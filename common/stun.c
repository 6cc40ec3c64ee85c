#include "common/stun.h"

enum kind { BYTES, PLAIN_ADDRESS, XOR_ADDRESS };

static const struct {
	const char *name;
	uint16_t type, min, max;
	uint8_t kind;
} attrs[] = {
#define STUN_ATTR(id, type, kind, min, max) [id] = { #id, (type), (min), (max), (kind) },
#include "common/stun_attr.def"
#undef STUN_ATTR
};
static_assert(STUN_ATTR_COUNT <= 64, "struct stun_msg.present is a 64-bit mask");

/* Type to id + 1. All types that are assigned lie in the first 64 of either half of the space. */
static const uint8_t ids[2][64] = {
#define STUN_ATTR(id, type, kind, min, max) [(type) >> 15][(type) & 63] = (id) + 1,
#include "common/stun_attr.def"
#undef STUN_ATTR
};

static int attr_id(uint16_t type)
{
	if ((type & 0x7fff) >= 64)
		return -1;
	return ids[type >> 15][type & 63] - 1;
}

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

uint32_t stun_crc32(const void *p, size_t len)
{
	/* The reflected CRC-32 of IEEE 802.3, a nibble at a time. */
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *in = p;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc = table[(crc ^ in[i]) & 15] ^ crc >> 4;
		crc = table[(crc ^ in[i] >> 4) & 15] ^ crc >> 4;
	}
	return ~crc;
}

static void note_unknown(struct stun_msg *m, uint16_t type)
{
	if (type < 0x8000 && m->unknowns < STUN_UNKNOWN_MAX)
		m->unknown[m->unknowns++] = type;
}

/* After MESSAGE-INTEGRITY nothing counts but the second integrity and FINGERPRINT (RFC 8489 §14.5). */
static bool counts(const struct stun_msg *m, int id)
{
	const uint64_t sealed = STUN_BIT(STUN_MESSAGE_INTEGRITY) | STUN_BIT(STUN_MESSAGE_INTEGRITY_SHA256);

	return (m->present & sealed) == 0 || id == STUN_FINGERPRINT || id == STUN_MESSAGE_INTEGRITY_SHA256;
}

static enum err read_attr(struct stun_msg *m, struct rd *r)
{
	uint16_t type = rd_u16(r), len = rd_u16(r);
	size_t off = (size_t)(r->p - m->p);
	int id = attr_id(type);

	if (rd_bytes(r, padded(len)) == NULL)
		return ERR_TRUNCATED;
	if (stun_has(m, STUN_FINGERPRINT))
		return ERR_INVALID; /* it must be the last (RFC 8489 §14.7) */
	if (!counts(m, id))
		return ERR_OK;
	if (id < 0) {
		note_unknown(m, type);
		return ERR_OK;
	}
	if (stun_has(m, (enum stun_attr)id))
		return ERR_OK; /* only the first of a type counts (RFC 8489 §14) */
	if (len < attrs[id].min || len > attrs[id].max)
		m->malformed = true;
	m->present |= STUN_BIT(id);
	m->at[id].off = (uint16_t)off;
	m->at[id].len = len;
	if (id == STUN_FINGERPRINT && len == 4) {
		uint32_t crc = stun_crc32(m->p, off - STUN_ATTR_HEADER_LEN) ^ STUN_FINGERPRINT_XOR;

		m->fingerprint = be32_get(m->p + off) == crc ? STUN_FP_GOOD : STUN_FP_BAD;
	}
	return ERR_OK;
}

enum err stun_parse(const void *p, size_t len, struct stun_msg *out)
{
	struct rd r = rd_of(p, len);
	uint16_t type = rd_u16(&r), body = rd_u16(&r);
	uint32_t magic = rd_u32(&r);

	if (len < STUN_HEADER_LEN)
		return ERR_TRUNCATED;
	if (type >= 0x4000 || magic != STUN_MAGIC || (body & 3) != 0)
		return ERR_INVALID;
	if (len != STUN_HEADER_LEN + (size_t)body)
		return len < STUN_HEADER_LEN + (size_t)body ? ERR_TRUNCATED : ERR_INVALID;
	(void)rd_bytes(&r, STUN_TID_LEN);

	out->p = p;
	out->len = (uint16_t)len;
	out->method = (uint16_t)((type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2);
	out->class = (enum stun_class)((type >> 4 & 1) | (type >> 7 & 2));
	out->fingerprint = STUN_FP_NONE;
	out->malformed = false;
	out->present = 0;
	out->unknowns = 0;
	while (rd_left(&r) > 0) {
		enum err e = read_attr(out, &r);

		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

struct str stun_bytes(const struct stun_msg *m, enum stun_attr a)
{
	if (!stun_has(m, a))
		return STR_NONE;
	return str_of(m->p + m->at[a].off, m->at[a].len);
}

uint8_t stun_u8(const struct stun_msg *m, enum stun_attr a)
{
	struct str v = stun_bytes(m, a);

	return v.len >= 1 ? (uint8_t)v.p[0] : 0;
}

uint32_t stun_u32(const struct stun_msg *m, enum stun_attr a)
{
	struct str v = stun_bytes(m, a);

	return v.len >= 4 ? be32_get((const uint8_t *)v.p) : 0;
}

/* RFC 8489 §14.1 and §14.2: the XOR pad is the magic cookie followed by the transaction id, that is, bytes 4 to
 * 19 of the message. */
static enum err read_address(const uint8_t *msg, const uint8_t *v, size_t len, bool xored, struct stun_addr *out)
{
	struct stun_addr a = { 0 };
	size_t ip_len = len - 4;

	if (!((len == 8 && v[1] == STUN_IPV4) || (len == 20 && v[1] == STUN_IPV6)))
		return ERR_INVALID;
	a.family = len == 8 ? STUN_IPV4 : STUN_IPV6;
	a.port = (uint16_t)(be16_get(v + 2) ^ (xored ? be16_get(msg + 4) : 0));
	for (size_t i = 0; i < ip_len; i++)
		a.ip[i] = (uint8_t)(v[4 + i] ^ (xored ? msg[4 + i] : 0));
	*out = a;
	return ERR_OK;
}

enum err stun_address(const struct stun_msg *m, enum stun_attr a, struct stun_addr *out)
{
	if (!stun_has(m, a))
		return ERR_NOT_FOUND;
	return read_address(m->p, m->p + m->at[a].off, m->at[a].len, attrs[a].kind == XOR_ADDRESS, out);
}

enum err stun_next_peer(const struct stun_msg *m, size_t *cursor, struct stun_addr *out)
{
	size_t at = *cursor > 0 ? *cursor : STUN_HEADER_LEN;
	/* The parse has proved every length; only what integrity does not cover is left out here too. */
	size_t end = m->len;

	if (stun_has(m, STUN_MESSAGE_INTEGRITY))
		end = m->at[STUN_MESSAGE_INTEGRITY].off - STUN_ATTR_HEADER_LEN;
	else if (stun_has(m, STUN_MESSAGE_INTEGRITY_SHA256))
		end = m->at[STUN_MESSAGE_INTEGRITY_SHA256].off - STUN_ATTR_HEADER_LEN;

	while (at < end) {
		uint16_t type = be16_get(m->p + at), len = be16_get(m->p + at + 2);
		const uint8_t *v = m->p + at + STUN_ATTR_HEADER_LEN;

		at += STUN_ATTR_HEADER_LEN + padded(len);
		if (type != attrs[STUN_XOR_PEER_ADDRESS].type)
			continue;
		*cursor = at;
		return read_address(m->p, v, len, true, out);
	}
	return ERR_NOT_FOUND;
}

size_t stun_not_understood(const struct stun_msg *m, uint64_t understood, uint16_t *types, size_t max)
{
	size_t n = 0;

	for (size_t a = 0; a < STUN_ATTR_COUNT && n < max; a++) {
		if (attrs[a].type < 0x8000 && stun_has(m, (enum stun_attr)a) && (understood & STUN_BIT(a)) == 0)
			types[n++] = attrs[a].type;
	}
	for (size_t i = 0; i < m->unknowns && n < max; i++)
		types[n++] = m->unknown[i];
	return n;
}

/* What an integrity attribute covers: all before it, with the length field as if the message ended with it.
 * Returns its size, 0 if it is longer than `covered`. */
static size_t covered_by(const struct stun_msg *m, enum stun_attr a, uint8_t covered[STUN_MESSAGE_MAX])
{
	size_t off = m->at[a].off, len = off - STUN_ATTR_HEADER_LEN;

	if (len > STUN_MESSAGE_MAX)
		return 0;
	memcpy(covered, m->p, len);
	be16_put(covered + 2, (uint16_t)(off + m->at[a].len - STUN_HEADER_LEN));
	return len;
}

bool stun_integrity_ok(const struct stun_msg *m, struct str key)
{
	uint8_t covered[STUN_MESSAGE_MAX], mac[SHA1_LEN];

	if (!stun_has(m, STUN_MESSAGE_INTEGRITY) || m->at[STUN_MESSAGE_INTEGRITY].len != SHA1_LEN)
		return false;
	size_t len = covered_by(m, STUN_MESSAGE_INTEGRITY, covered);
	if (len == 0)
		return false;
	crypto_hmac_sha1(key, str_of(covered, len), mac);
	return crypto_equal(mac, m->p + m->at[STUN_MESSAGE_INTEGRITY].off, SHA1_LEN);
}

bool stun_integrity256_ok(const struct stun_msg *m, struct str key, size_t shortest)
{
	uint8_t covered[STUN_MESSAGE_MAX], mac[SHA256_LEN];
	struct str v = stun_bytes(m, STUN_MESSAGE_INTEGRITY_SHA256);

	if (v.len < shortest || v.len < 16 || v.len > SHA256_LEN || v.len % 4 != 0)
		return false;
	size_t len = covered_by(m, STUN_MESSAGE_INTEGRITY_SHA256, covered);
	if (len == 0)
		return false;
	crypto_hmac_sha256(key, str_of(covered, len), mac);
	return crypto_equal(mac, v.p, v.len);
}

unsigned stun_error_code(const struct stun_msg *m)
{
	struct str v = stun_bytes(m, STUN_ERROR_CODE);

	return v.len >= 4 ? (unsigned)(v.p[2] & 7) * 100 + (uint8_t)v.p[3] : 0;
}

const char *stun_method_name(unsigned method)
{
	switch (method) {
#define STUN_METHOD_CASE(id, number, name) case id: return name;
	STUN_METHOD_LIST(STUN_METHOD_CASE)
#undef STUN_METHOD_CASE
	default:
		return "other";
	}
}

const char *stun_attr_name(enum stun_attr a)
{
	return a < STUN_ATTR_COUNT ? attrs[a].name : "other";
}

void stun_begin(struct wr *w, enum stun_class class, unsigned method, const uint8_t tid[STUN_TID_LEN])
{
	unsigned c = (unsigned)class;

	wr_u16(w, (uint16_t)((method & 0x00f) | (method & 0x070) << 1 | (method & 0xf80) << 2 | (c & 1) << 4 | (c & 2) << 7));
	wr_u16(w, 0);
	wr_u32(w, STUN_MAGIC);
	wr_bytes(w, tid, STUN_TID_LEN);
}

/* Header and zeroed, padded room for a value of `len` bytes; NULL if it does not fit. */
static uint8_t *attr_room(struct wr *w, enum stun_attr a, size_t len)
{
	wr_u16(w, attrs[a].type);
	wr_u16(w, (uint16_t)len);
	uint8_t *room = len <= UINT16_MAX ? wr_room(w, padded(len)) : NULL;

	if (room == NULL)
		w->bad = true;
	else
		memset(room, 0, padded(len));
	return room;
}

void stun_put(struct wr *w, enum stun_attr a, struct str value)
{
	uint8_t *room = attr_room(w, a, value.len);

	if (room != NULL && value.len > 0)
		memcpy(room, value.p, value.len);
}

void stun_put_u32(struct wr *w, enum stun_attr a, uint32_t v)
{
	uint8_t bytes[4];

	be32_put(bytes, v);
	stun_put(w, a, str_of(bytes, sizeof(bytes)));
}

void stun_put_address(struct wr *w, enum stun_attr a, const struct stun_addr *addr)
{
	size_t ip_len = addr->family == STUN_IPV4 ? 4 : 16;
	uint8_t *v = attr_room(w, a, 4 + ip_len);
	bool xored = attrs[a].kind == XOR_ADDRESS;

	if (v == NULL)
		return;
	v[1] = (uint8_t)addr->family;
	be16_put(v + 2, (uint16_t)(addr->port ^ (xored ? STUN_MAGIC >> 16 : 0)));
	for (size_t i = 0; i < ip_len; i++)
		v[4 + i] = (uint8_t)(addr->ip[i] ^ (xored ? w->start[4 + i] : 0));
}

void stun_put_error(struct wr *w, unsigned code, struct str phrase)
{
	uint8_t *v = attr_room(w, STUN_ERROR_CODE, 4 + phrase.len);

	if (v == NULL)
		return;
	v[2] = (uint8_t)(code / 100);
	v[3] = (uint8_t)(code % 100);
	if (phrase.len > 0)
		memcpy(v + 4, phrase.p, phrase.len);
}

void stun_put_types(struct wr *w, const uint16_t *types, size_t count)
{
	uint8_t *v = attr_room(w, STUN_UNKNOWN_ATTRIBUTES, 2 * count);

	for (size_t i = 0; v != NULL && i < count; i++)
		be16_put(v + 2 * i, types[i]);
}

static void set_length(struct wr *w, size_t more)
{
	be16_put(w->start + 2, (uint16_t)(wr_len(w) + more - STUN_HEADER_LEN));
}

void stun_put_integrity(struct wr *w, struct str key)
{
	uint8_t mac[SHA1_LEN];

	if (w->bad || wr_len(w) < STUN_HEADER_LEN)
		return;
	set_length(w, STUN_INTEGRITY_LEN);
	crypto_hmac_sha1(key, str_of(w->start, wr_len(w)), mac);
	stun_put(w, STUN_MESSAGE_INTEGRITY, str_of(mac, sizeof(mac)));
}

void stun_put_integrity256(struct wr *w, struct str key)
{
	uint8_t mac[SHA256_LEN];

	if (w->bad || wr_len(w) < STUN_HEADER_LEN)
		return;
	set_length(w, STUN_INTEGRITY256_LEN);
	crypto_hmac_sha256(key, str_of(w->start, wr_len(w)), mac);
	stun_put(w, STUN_MESSAGE_INTEGRITY_SHA256, str_of(mac, sizeof(mac)));
}

void stun_put_fingerprint(struct wr *w)
{
	if (w->bad || wr_len(w) < STUN_HEADER_LEN)
		return;
	set_length(w, STUN_FINGERPRINT_LEN);
	stun_put_u32(w, STUN_FINGERPRINT, stun_crc32(w->start, wr_len(w)) ^ STUN_FINGERPRINT_XOR);
}

size_t stun_end(struct wr *w)
{
	if (w->bad || wr_len(w) < STUN_HEADER_LEN)
		return 0;
	set_length(w, 0);
	return wr_len(w);
}
