#include "relay/claimed.h"

#include "common/log.h"

static void tell(const struct ifaces *all, unsigned local, uint64_t who)
{
	uint8_t mac[ETH_ADDR_LEN];
	char text[ADDR_TEXT_SIZE];

	memcpy(mac, &who, sizeof(mac));
	log_event(LOG_ERROR, "address-claimed",
		  "address=%s port=%u by=%02x:%02x:%02x:%02x:%02x:%02x hint=\"two hosts with one address: neither is reached reliably\"",
		  addr_text(&iface_local(all, local)->addr, text), local / 2, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

unsigned claimed_tell(struct claimed *c, struct neigh *n, const struct ifaces *all, uint64_t now_ms)
{
	unsigned told = 0;

	for (unsigned i = 0; i < iface_locals(all); i++) {
		uint64_t who = atomic_exchange_explicit(&n->claimed[i], 0, memory_order_relaxed);

		/* Another sender is told sooner, but not all that a sender may claim to be. */
		uint64_t wait_ms = who == c->who[i] ? CLAIMED_AGAIN_MS : CLAIMED_OTHER_MS;
		if (who == 0 || (c->who[i] != 0 && now_ms - c->told_ms[i] < wait_ms))
			continue;
		c->who[i] = who;
		c->told_ms[i] = now_ms;
		tell(all, i, who);
		told++;
	}
	return told;
}
