/* A plain TURN client over one socket of the kernel, UDP or TCP: the second opinion about the relay. Blocking, with deadlines; transactions are
 * retransmitted as RFC 8489 §6.2.1 says, scaled down because the "network" is a cable inside this machine. */
#ifndef DUPLEX_TESTS_NET_TCLIENT_H
#define DUPLEX_TESTS_NET_TCLIENT_H

#include "tests/net/tstun.h"

struct tc_env {
	struct sockaddr_in server;
	bool tcp;              /* instead of UDP; `relay` is then another address than the server's */
	struct in_addr relay;  /* where relayed addresses are */
	struct in_addr local;  /* clients */
	struct in_addr peer;   /* a peer the relay allows; ours */
	struct in_addr other;  /* a second one */
	const char *secret;
	char realm[128];
};

struct tc {
	const struct tc_env *env;
	int fd;
	struct sockaddr_in self; /* as bound */
	char user[512], realm[128], nonce[512];
	uint8_t key[16];
	uint8_t algorithms[64]; /* PASSWORD-ALGORITHMS of the last challenge */
	size_t algorithms_len;  /* 0 = none were offered */
	struct sockaddr_in relayed;
	uint8_t in[65536]; /* the last datagram received */
	size_t in_len;
	uint8_t stream[65536]; /* TCP: what has come and is no whole message yet */
	size_t stream_len;
	struct sockaddr_in from;
};

/* How long "no answer" is waited for. */
#define TC_SILENCE_MS 250

/* A socket on env->local, any port. `name` and `call` make the credentials; the nonce is empty until a challenge. Exits on failure. */
void tc_open(struct tc *c, const struct tc_env *env, const char *name, const char *call);
/* The same with another expiry (seconds since 1970). */
void tc_open_until(struct tc *c, const struct tc_env *env, const char *name, const char *call, long expiry);
void tc_close(struct tc *c);

void tc_txid(uint8_t out[TS_TXID]);
/* Starts a request of `method` with a random transaction id. */
void tc_request(struct ts_msg *m, unsigned method);
/* USERNAME, REALM, NONCE, MESSAGE-INTEGRITY. */
void tc_sign(const struct tc *c, struct ts_msg *m);

bool tc_send_raw(struct tc *c, const void *data, size_t len);
/* Next datagram (TCP: message) from the server into c->in, or false after `ms`. Frames from elsewhere are an error of the test and end it. */
bool tc_recv(struct tc *c, int ms);
/* Sends `m` and waits for the response with its transaction id (others are skipped); retransmits twice. False if there is none. */
bool tc_transact(struct tc *c, const struct ts_msg *m);
/* Signs and sends; follows one 401 or 438 with a new nonce. Returns 0 for success, the error code, or -1 for silence. */
int tc_call(struct tc *c, struct ts_msg *unsigned_m);

/* The usual steps; the same results as tc_call. */
int tc_challenge(struct tc *c); /* Allocate without credentials: takes realm and nonce, gives 401 */
int tc_allocate(struct tc *c);
int tc_refresh(struct tc *c, uint32_t lifetime);
int tc_permit(struct tc *c, struct sockaddr_in peer);
int tc_bind(struct tc *c, uint16_t channel, struct sockaddr_in peer);

void tc_send_indication(struct tc *c, struct sockaddr_in peer, const void *data, size_t len);
void tc_send_channel(struct tc *c, uint16_t channel, const void *data, size_t len);

/* A peer: a bound UDP socket. Returns the descriptor. */
int tc_peer_open(struct in_addr ip, struct sockaddr_in *bound);
/* Length received, or -1 after `ms`. `from` may be NULL. */
long tc_peer_recv(int fd, void *buf, size_t size, struct sockaddr_in *from, int ms);
void tc_peer_send(int fd, struct sockaddr_in to, const void *data, size_t len);

#endif
