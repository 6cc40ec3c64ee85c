/* Inside of the edge to phones: what edge*.c share. */
#ifndef DUPLEX_SIGNALLING_EDGE_INT_H
#define DUPLEX_SIGNALLING_EDGE_INT_H

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/loop.h"
#include "signalling/digest.h"
#include "signalling/edge.h"
#include "signalling/edge_rewrite.h"
#include "signalling/source.h"
#include "signalling/worker.h"

#define EDGE_SOCKETS_MAX 16u      /* listening addresses in all */
#define EDGE_UDP_BUCKETS 1024u    /* power of two */
#define EDGE_SCRATCH 65536u
#define EDGE_HOST_MAX 300u
#define EDGE_LOGINS_MAX 512u      /* look-ups of credentials under way */
#define EDGE_LOGINS_PER_LINK 8u

enum link_kind { LINK_UDP, LINK_TCP, LINK_TLS };

/* How bytes go to one phone. */
struct link {
	struct edge *edge;
	enum link_kind kind;
	struct sockaddr_storage remote, local; /* local: with the port that it came to */
	char ip[INET6_ADDRSTRLEN];             /* of remote */
	char host[EDGE_HOST_MAX];              /* what it knows us by, with the port */
	struct list lines;                     /* struct line.by_link */
	struct list logins;                    /* look-ups under way: struct attempt.by_link */
	uint64_t salt;                         /* of its nonces: not that of another connection */
	bool dead;                             /* nothing can be sent any more */
	struct loop_job ended;                 /* frees it, at the end of the turn */
	/* UDP only */
	struct edge_socket *socket;
	struct list by_remote;                 /* not on a list: made for one datagram, no phone is logged in there */
};

/* One listening address. */
struct edge_socket {
	struct edge *edge;
	enum link_kind kind;
	struct loop_fd lf;
	struct sockaddr_storage address;
	bool wildcard; /* the local address is known for each datagram only */
};

enum auth_scheme { AUTH_SHA256, AUTH_MD5, AUTH_BEARER, AUTH_COUNT };

struct edge {
	struct worker *w;
	struct edge_socket socket[EDGE_SOCKETS_MAX];
	size_t sockets;
	enum auth_scheme scheme[AUTH_COUNT]; /* offered, best first */
	size_t schemes;
	struct list streams;                 /* struct stream.node */
	struct list udp[EDGE_UDP_BUCKETS];   /* struct link.by_remote */
	struct sources *sources;
	void *tls;                           /* SSL_CTX, owned; NULL without TLS */
	size_t logins, strangers;            /* look-ups under way; streams without a line */
	char scratch[EDGE_SCRATCH];
};

static inline bool address_eq(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)a, *b4 = (const struct sockaddr_in *)b;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a, *b6 = (const struct sockaddr_in6 *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id && memcmp(&a6->sin6_addr, &b6->sin6_addr, 16) == 0;
}

static inline uint16_t address_port(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port : ((const struct sockaddr_in *)a)->sin_port);
}

static inline socklen_t address_len(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* edge.c */
/* A link with its two addresses, lists and names, in memory of the caller's. */
void link_init(struct link *l, struct edge *e, enum link_kind kind, const struct sockaddr_storage *remote, const struct sockaddr_storage *local);
/* Its names for edge_rewrite; borrows. */
struct edge_names link_names(const struct link *l);
/* Nothing can be sent any more: its lines end, then it is freed, at the end of the turn. */
void link_dead(struct link *l);
/* One of its lines is gone; the last one takes the link along. */
void link_line_gone(struct link *l);
/* The line of a user, or NULL. */
struct conn *link_line_of(struct link *l, struct str user);
/* The line in that slot, or NULL. */
struct conn *link_line_at(struct link *l, uint32_t slot);
/* Bytes as they are. Errors as edge_send. */
enum err link_write(struct link *l, struct str bytes);

/* edge_gate.c */
/* One whole message from the link. `bytes` are the caller's and may be changed. A link made for one datagram may be taken over: then true. */
bool gate_receive(struct link *l, struct str bytes);
/* Redis knows the session of this line: what came by its token is done now. The line may be gone afterwards. */
void gate_admitted(struct conn *c);
/* The link goes: its look-ups are forgotten. */
void gate_forget(struct link *l);
/* Answers `m`, whole or not, with a status of ours on the link itself. */
void gate_refuse(struct link *l, const struct sip_msg *m, unsigned status, const char *phrase, struct str headers);

/* edge_udp.c */
enum err udp_open(struct edge_socket *s);
/* Puts a link that was made for one datagram into the table: a phone has logged in there. */
void udp_keep(struct link *l);
struct link *udp_find(struct edge *e, const struct edge_socket *s, const struct sockaddr_storage *remote);
enum err udp_write(struct link *l, struct str bytes, uint16_t port);
void udp_free(struct link *l);

/* edge_stream.c */
enum err stream_open(struct edge_socket *s);
enum err stream_write(struct link *l, struct str bytes);
/* A line was made: it is no stranger any more. */
void stream_known(struct link *l);
/* Nobody is on it any more: closed when what waits is written. */
void stream_finish(struct link *l);
void stream_free(struct link *l);
/* Those without a line. */
void stream_close_strangers(struct edge *e);
/* The edge ends: all, without a word. */
void stream_free_all(struct edge *e);

/* edge_tls.c */
enum err tls_load(struct edge *e);
void tls_unload(struct edge *e);
struct tls;
enum tls_io { TLS_OK, TLS_WANT_READ, TLS_WANT_WRITE, TLS_ENDED };
/* The server's side on a connected socket. NULL: out of memory. */
struct tls *tls_new(struct edge *e, int fd);
void tls_free(struct tls *t);
/* TLS_OK when the handshake is over. */
enum tls_io tls_handshake(struct tls *t);
/* *n bytes were moved, on TLS_OK. */
enum tls_io tls_read(struct tls *t, void *p, size_t size, size_t *n);
enum tls_io tls_write(struct tls *t, const void *p, size_t size, size_t *n);
/* Says good-bye, as far as the socket takes it. */
void tls_bye(struct tls *t);

#endif
