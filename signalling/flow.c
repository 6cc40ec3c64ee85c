#include "signalling/flow.h"

#include "common/crypto.h"
#include "common/wire.h"
#include "signalling/conn.h"
#include "signalling/peer.h"
#include "signalling/worker.h"

#define TOKEN_VERSION 1u
#define MAC_LEN 10u /* 80 bits */
#define TOKEN_RAW_MAX (1 + 8 + 4 + 4 + WORKER_NAME_MAX + MAC_LEN)

static void mac(const uint8_t *p, size_t len, const uint8_t key[FLOW_KEY_LEN], uint8_t out[SHA256_LEN])
{
	crypto_hmac_sha256(str_of(key, FLOW_KEY_LEN), str_of(p, len), out);
}

void flow_token_put(struct buf *to, const struct flow *f, const uint8_t key[FLOW_KEY_LEN])
{
	uint8_t raw[TOKEN_RAW_MAX], sum[SHA256_LEN];
	struct wr w = wr_of(raw, sizeof(raw));

	wr_u8(&w, TOKEN_VERSION);
	wr_u32(&w, (uint32_t)(f->epoch >> 32));
	wr_u32(&w, (uint32_t)f->epoch);
	wr_u32(&w, f->slot);
	wr_u32(&w, f->generation);
	wr_bytes(&w, f->worker, strnlen(f->worker, WORKER_NAME_MAX));
	mac(raw, wr_len(&w), key, sum);
	wr_bytes(&w, sum, MAC_LEN);
	base64url_put(to, raw, wr_len(&w));
}

enum err flow_token_get(struct str token, const uint8_t key[FLOW_KEY_LEN], struct flow *out)
{
	uint8_t raw[TOKEN_RAW_MAX], sum[SHA256_LEN];
	struct flow f = { 0 };
	size_t len;

	if (token.len > FLOW_TOKEN_MAX || base64url_get(token, raw, sizeof(raw), &len) != ERR_OK || len < MAC_LEN)
		return ERR_INVALID;
	mac(raw, len - MAC_LEN, key, sum);
	if (!crypto_equal(sum, raw + len - MAC_LEN, MAC_LEN))
		return ERR_INVALID;

	struct rd r = rd_of(raw, len - MAC_LEN);
	uint8_t version = rd_u8(&r);
	f.epoch = (uint64_t)rd_u32(&r) << 32;
	f.epoch |= rd_u32(&r);
	f.slot = rd_u32(&r);
	f.generation = rd_u32(&r);
	struct str name = str_of(r.p, rd_left(&r));
	if (r.bad || version != TOKEN_VERSION || name.len == 0 || str_copy(name, f.worker, sizeof(f.worker)) != ERR_OK)
		return ERR_INVALID;
	*out = f;
	return ERR_OK;
}

bool flow_local(const struct worker *w, const struct flow *f)
{
	return strcmp(f->worker, w->name) == 0;
}

bool flow_alive(const struct worker *w, const struct flow *f)
{
	if (flow_none(f))
		return false;
	if (flow_local(w, f))
		return conn_of(w->conns, f) != NULL;
	return peers_alive(w->peers, str_from(f->worker), f->epoch);
}

enum err flow_send(struct worker *w, const struct flow *f, struct str message)
{
	if (flow_none(f))
		return ERR_CLOSED;
	if (!flow_local(w, f))
		return peers_send(w->peers, str_from(f->worker), f->epoch, PEER_TO_FLOW, f, message);
	struct conn *c = conn_of(w->conns, f);
	return c != NULL ? conn_send(c, message) : ERR_CLOSED;
}

enum err flow_send_worker(struct worker *w, struct str worker, const struct flow *client, struct str message)
{
	return peers_send(w->peers, worker, 0, client != NULL ? PEER_FROM_FLOW : PEER_PLAIN, client, message);
}
