#include "signalling/digest.h"

#include "common/wire.h"
#include "signalling/sip_char.h"
#include "signalling/sip_msg.h"

#define MAC_LEN 16u
#define RAW_LEN (8u + 4u + MAC_LEN) /* time and counter, random, MAC */
#define SKEW_MS 10000u              /* another worker of the cluster may be ahead */

/* --- credentials --- */

enum directive { D_USERNAME, D_REALM, D_NONCE, D_URI, D_RESPONSE, D_CNONCE, D_NC, D_ALGORITHM, D_QOP, D_COUNT };

static const char *const names[D_COUNT] = { "username", "realm", "nonce", "uri", "response", "cnonce", "nc", "algorithm", "qop" };

static enum err unquote(struct str *s)
{
	if (s->len == 0 || s->p[0] != '"')
		return s->len > 0 ? ERR_OK : ERR_INVALID;
	if (s->len < 2 || s->p[s->len - 1] != '"')
		return ERR_INVALID;
	*s = str_sub(*s, 1, s->len - 2);
	return str_find(*s, '\\') == s->len && str_find(*s, '"') == s->len ? ERR_OK : ERR_INVALID;
}

static enum err directives(struct str rest, struct str found[D_COUNT])
{
	struct str part;

	while (sip_comma_next(&rest, &part)) {
		size_t equals = str_find(part, '=');
		struct str name = str_trim(str_sub(part, 0, equals)), value = str_trim(str_sub(part, equals + 1, part.len));

		if (equals == part.len || unquote(&value) != ERR_OK)
			return ERR_INVALID;
		for (size_t i = 0; i < D_COUNT; i++) {
			if (!str_ieq(name, str_from(names[i])))
				continue;
			if (found[i].p != NULL)
				return ERR_INVALID;
			found[i] = value;
		}
	}
	return ERR_OK;
}

static enum err nc_get(struct str text, uint32_t *out)
{
	uint8_t raw[4];
	size_t len;

	if (text.len != 8 || hex_get(text, raw, sizeof(raw), &len) != ERR_OK || len != sizeof(raw))
		return ERR_INVALID;
	*out = be32_get(raw);
	return ERR_OK;
}

enum err digest_parse(struct str value, struct digest *out)
{
	struct str found[D_COUNT] = { 0 };
	struct digest d = { 0 };

	value = str_trim(value);
	if (value.len < 7 || !str_ieq(str_sub(value, 0, 6), STR("Digest")) || !sip_is_blank(value.p[6]))
		return ERR_UNSUPPORTED;
	if (directives(str_sub(value, 7, value.len), found) != ERR_OK)
		return ERR_INVALID;
	for (size_t i = D_USERNAME; i <= D_RESPONSE; i++) {
		if (found[i].p == NULL)
			return ERR_INVALID;
	}
	/* RFC 7616 §3.3: without an algorithm MD5 is meant. */
	d.algorithm = DIGEST_MD5;
	if (found[D_ALGORITHM].p != NULL && str_ieq(found[D_ALGORITHM], STR("SHA-256")))
		d.algorithm = DIGEST_SHA256;
	else if (found[D_ALGORITHM].p != NULL && !str_ieq(found[D_ALGORITHM], STR("MD5")))
		return ERR_UNSUPPORTED;
	/* Without qop there is no counter, and every request could be sent again by whoever has seen it. */
	if (found[D_QOP].p == NULL || !str_ieq(found[D_QOP], STR("auth")))
		return ERR_UNSUPPORTED;
	if (found[D_CNONCE].p == NULL || found[D_NC].p == NULL || nc_get(found[D_NC], &d.nc) != ERR_OK)
		return ERR_INVALID;
	d.username = found[D_USERNAME];
	d.realm = found[D_REALM];
	d.nonce = found[D_NONCE];
	d.uri = found[D_URI];
	d.response = found[D_RESPONSE];
	d.cnonce = found[D_CNONCE];
	d.nc_text = found[D_NC];
	*out = d;
	return ERR_OK;
}

static void hash_put(struct buf *to, enum digest_algorithm a, struct str data)
{
	uint8_t sum[SHA256_LEN];

	if (a == DIGEST_SHA256)
		crypto_sha256(data, sum);
	else
		crypto_md5(data, sum);
	hex_put(to, sum, a == DIGEST_SHA256 ? SHA256_LEN : MD5_LEN);
}

bool digest_ok(const struct digest *d, struct str ha1, struct str method)
{
	char a2_hex[2 * SHA256_LEN], right_hex[2 * SHA256_LEN];
	struct buf a2 = buf_fixed(a2_hex, sizeof(a2_hex)), right = buf_fixed(right_hex, sizeof(right_hex));
	struct buf text = buf_growing(2 * SIP_MSG_MAX);
	const struct str parts[] = { ha1, d->nonce, d->nc_text, d->cnonce, STR("auth") };

	buf_str(&text, method);
	buf_char(&text, ':');
	buf_str(&text, d->uri);
	hash_put(&a2, d->algorithm, buf_view(&text));
	buf_reset(&text);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		buf_str(&text, parts[i]);
		buf_char(&text, ':');
	}
	buf_str(&text, buf_view(&a2));
	hash_put(&right, d->algorithm, buf_view(&text));
	bool good = !text.overflow && ha1.len == right.len && d->response.len == right.len;

	/* Some clients write their hex in capitals. */
	for (size_t i = 0; good && i < right.len; i++)
		a2_hex[i] = (char)(d->response.p[i] >= 'A' && d->response.p[i] <= 'F' ? d->response.p[i] + 32 : d->response.p[i]);
	good = good && crypto_equal(a2_hex, right_hex, right.len);
	buf_fini(&text);
	return good;
}

void digest_challenge_put(struct buf *to, enum digest_algorithm a, struct str realm, struct str nonce, bool stale)
{
	buf_printf(to, "Digest realm=\"%.*s\", nonce=\"%.*s\", algorithm=%s, qop=\"auth\"%s", STR_FMT(realm), STR_FMT(nonce),
		   a == DIGEST_SHA256 ? "SHA-256" : "MD5", stale ? ", stale=true" : "");
}

/* --- nonces --- */

static void mac(const uint8_t key[DIGEST_KEY_LEN], const uint8_t *head, size_t len, struct str where, uint8_t out[SHA256_LEN])
{
	struct buf b = buf_growing(1024);

	buf_z(&b, "nonce ");
	buf_put(&b, head, len);
	buf_str(&b, where);
	crypto_hmac_sha256(str_of(key, DIGEST_KEY_LEN), buf_view(&b), out);
	/* Without memory: one that nobody accepts. */
	if (b.overflow)
		crypto_random(out, SHA256_LEN);
	buf_fini(&b);
}

void digest_nonce_put(struct buf *to, const uint8_t key[DIGEST_KEY_LEN], struct str where, uint64_t now_ms)
{
	uint8_t raw[RAW_LEN], sum[SHA256_LEN];
	struct wr w = wr_of(raw, sizeof(raw));
	uint32_t random;

	crypto_random(&random, sizeof(random));
	wr_u32(&w, (uint32_t)(now_ms >> 32));
	wr_u32(&w, (uint32_t)now_ms);
	wr_u32(&w, random);
	mac(key, raw, wr_len(&w), where, sum);
	wr_bytes(&w, sum, MAC_LEN);
	base64url_put(to, raw, wr_len(&w));
}

enum err digest_nonce_get(struct str nonce, const uint8_t key[DIGEST_KEY_LEN], struct str where, uint64_t now_ms, uint64_t *made)
{
	uint8_t raw[RAW_LEN], sum[SHA256_LEN];
	size_t len;

	if (nonce.len != DIGEST_NONCE_LEN || base64url_get(nonce, raw, sizeof(raw), &len) != ERR_OK || len != RAW_LEN)
		return ERR_INVALID;
	mac(key, raw, RAW_LEN - MAC_LEN, where, sum);
	if (!crypto_equal(sum, raw + RAW_LEN - MAC_LEN, MAC_LEN))
		return ERR_INVALID;
	uint64_t at = (uint64_t)be32_get(raw) << 32 | be32_get(raw + 4);
	if (at > now_ms + SKEW_MS || now_ms > at + DIGEST_NONCE_MS)
		return ERR_EXPIRED;
	/* Two of the same millisecond differ in their random part. */
	*made = at << 16 | (be32_get(raw + 8) & 0xffff);
	return ERR_OK;
}

bool nonces_use(struct nonces *n, uint64_t made, uint32_t count)
{
	size_t oldest = 0;

	for (size_t i = 0; i < NONCES_MAX; i++) {
		if (n->used[i].made == made) {
			if (count <= n->used[i].count)
				return false;
			n->used[i].count = count;
			return true;
		}
		if (n->used[i].made < n->used[oldest].made)
			oldest = i;
	}
	if (made <= n->forgotten)
		return false;
	/* A free one is the oldest of all. One older than all that are kept would be forgotten at once: it makes no room. */
	if (n->used[oldest].made > made)
		return false;
	n->forgotten = MAX(n->forgotten, n->used[oldest].made);
	n->used[oldest].made = made;
	n->used[oldest].count = count;
	return true;
}
