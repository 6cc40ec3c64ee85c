/* Options of duplex-signalling: [common] and [signalling] of duplex.conf. The table with ranges and help is conf.c. */
#ifndef DUPLEX_SIGNALLING_CONF_H
#define DUPLEX_SIGNALLING_CONF_H

#include "common/conf.h"

struct signalling_conf {
	/* [common] */
	char *domain, *run_dir, *redis, *log_level, *turn_secret;
	/* [signalling] */
	char *node;                  /* name of this machine; workers are NODE.INDEX */
	char *socket_group;          /* group that may open signal.W.sock (nginx); empty = ours */
	char *peer_listen, *peer_address; /* of worker 0 for the other nodes; empty = none, the same as peer_listen */
	char *peer_certificate, *peer_key, *peer_ca;
	uint64_t connections_max, connections_per_user;
	uint64_t message_max;        /* bytes of one SIP message */
	uint64_t send_queue_max;     /* bytes waiting for one client */
	uint64_t bytes_per_s, bytes_burst;       /* budget of a connection */
	uint64_t messages_per_s, messages_burst;
	uint64_t transactions_max;   /* open transactions of the worker */
	uint64_t transactions_per_connection; /* open server transactions of one client */
	uint64_t handshake_timeout_ms;
	uint64_t ping_interval_ms;
	uint64_t register_min_s, register_max_s; /* of Expires; larger is cut, smaller gets 423 */
	uint64_t devices_max;
	uint64_t flow_grace_ms;      /* a closed flow keeps its binding this long */
	uint64_t subscribe_max_s;
	uint64_t chat_body_max;      /* bytes of a MESSAGE body */
	uint64_t chat_store_max;     /* stored messages a user */
	uint64_t ring_timeout_s;     /* no answer after this: 408 */
	uint64_t session_min_s;      /* shortest session interval; below: 422 */
	uint64_t calls_max;          /* parallel calls a user, on a worker; above: 403 to the caller, 486 for the callee */
	uint64_t call_grace_ms;      /* a call whose side has vanished waits this long for it */
	uint64_t redis_deadline_ms;
	uint64_t accept_rate;        /* connections a second */
	uint64_t arriving_max;       /* connections that are not admitted yet */
	uint64_t overload_wait_ms;   /* what is ready to be read waits so long: pressure 100 % */
	uint64_t redis_pending_max;  /* commands without an answer: pressure 100 % */
	uint64_t register_vary;      /* percent by which a granted Expires may be shorter */
	char *hep_address, *hep_key; /* capture server; "" = none; key may be NULL */
	uint64_t hep_node_id;
	uint64_t outbox_max;         /* bytes of the file of what Redis has not taken yet */
	/* phones: edge.h */
	char *sip_udp, *sip_tcp, *sip_tls; /* addresses to listen on */
	char *sip_host;              /* what phones shall call us; empty: the address they came to */
	char *sip_certificate, *sip_key;
	char *sip_auth;              /* schemes in the order of the challenge */
	uint64_t sip_udp_request_max; /* bytes (RFC 3261 §18.1.1) */
	uint64_t sip_login_ms;       /* for the first login on a stream */
	uint64_t sip_strangers_max;  /* streams without a login */
	uint64_t drain_ms;           /* SIGTERM: connections are closed spread over this, then we leave */
	uint64_t drain_wait_ms;      /* but those with a request under way get this much more */
};

extern const struct conf_option signalling_options[];
extern const size_t signalling_option_count;

#endif
