/* Counters of one worker, from X-lists, written by the loop's thread only and read by the metrics thread (plain 64-bit loads). */
#ifndef DUPLEX_SIGNALLING_METRICS_H
#define DUPLEX_SIGNALLING_METRICS_H

#include "common/counter.h"

/* Why a message, request or connection was refused or dropped. */
#define REJECT_LIST(X)                                                                            \
	X(REJ_UPGRADE, "upgrade", "WebSocket upgrade request not valid")                          \
	X(REJ_IDENTITY_HEADERS, "identity_headers", "upgrade without the identity headers")       \
	X(REJ_CONN_LIMIT, "connection_limit", "connection table full")                            \
	X(REJ_WS_PROTOCOL, "ws_protocol", "WebSocket protocol error")                             \
	X(REJ_WS_UTF8, "ws_utf8", "text frame that is not UTF-8")                                 \
	X(REJ_TOO_LARGE, "too_large", "message larger than the limit")                            \
	X(REJ_SLOW_READER, "slow_reader", "send queue full")                                      \
	X(REJ_BUDGET_BYTES, "budget_bytes", "byte budget of the connection used up")              \
	X(REJ_BUDGET_MESSAGES, "budget_messages", "message budget of the connection used up")     \
	X(REJ_PING_TIMEOUT, "ping_timeout", "two pings without an answer")                        \
	X(REJ_PARSE, "parse", "not a SIP message")                                                \
	X(REJ_SANITY, "sanity", "SIP message that breaks a rule")                                 \
	X(REJ_FORGED, "forged_identity", "From, Contact or P-Asserted-Identity of someone else")  \
	X(REJ_PERMISSION, "permission", "the user lacks the permission")                          \
	X(REJ_SESSION, "session", "the session has ended")                                        \
	X(REJ_DEVICES, "devices", "too many devices")                                             \
	X(REJ_STALE_REGISTER, "stale_register", "REGISTER older than the binding")                \
	X(REJ_REDIS, "redis", "Redis did not answer")                                             \
	X(REJ_DRAINING, "draining", "the worker is stopping")                                     \
	X(REJ_FLOW_GONE, "flow_gone", "430: the flow is gone")                                    \
	X(REJ_PEER_FRAME, "peer_frame", "peer stream not valid")                                  \
	X(REJ_PEER_SENDER, "peer_sender", "peer message in the name of another worker")           \
	X(REJ_PEER_TLS, "peer_tls", "TLS handshake with another node failed")                     \
	X(REJ_PEER_LIMIT, "peer_limit", "too many streams of other nodes that have not proven who they are") \
	X(REJ_EVENT, "event", "SUBSCRIBE with an unknown event package")                          \
	X(REJ_SOURCE, "source", "datagram or connection of an address beyond its budget")         \
	X(REJ_DATAGRAM, "datagram", "datagram that is no whole SIP message")                      \
	X(REJ_STREAM, "stream", "stream of a phone that cannot be cut into messages")             \
	X(REJ_TLS, "tls", "TLS handshake that failed")                                            \
	X(REJ_AUTH_LATE, "auth_late", "stream without a login in time")                           \
	X(REJ_AUTH_BAD, "auth_bad", "credentials that are not whole")                             \
	X(REJ_AUTH_STALE, "auth_stale", "credentials with a nonce that is old, used, or another's") \
	X(REJ_AUTH_WRONG, "auth_wrong", "credentials that are wrong, or another user's")          \
	X(REJ_NO_LINE, "no_line", "ACK, CANCEL or response of a phone that we do not know")       \
	X(REJ_DATAGRAM_SIZE, "datagram_size", "request too large for UDP")

COUNTER_ENUM(reject, REJECT_LIST, REJ_COUNT);

#define STAT_LIST(X)                                                                              \
	X(STAT_CONNS_OPENED, "connections_opened_total", "WebSocket connections accepted")        \
	X(STAT_CONNS_CLOSED, "connections_closed_total", "WebSocket connections closed")          \
	X(STAT_BYTES_IN, "bytes_in_total", "bytes read from clients")                             \
	X(STAT_BYTES_OUT, "bytes_out_total", "bytes written to clients")                          \
	X(STAT_MSG_IN, "messages_in_total", "SIP messages from clients")                          \
	X(STAT_MSG_OUT, "messages_out_total", "SIP messages to clients")                          \
	X(STAT_PEER_IN, "peer_messages_in_total", "SIP messages from peers")                      \
	X(STAT_PEER_OUT, "peer_messages_out_total", "SIP messages to peers")                      \
	X(STAT_KEEPALIVE, "keepalives_total", "CRLF keep-alives answered")                        \
	X(STAT_REGISTERED, "registers_total", "bindings written")                                 \
	X(STAT_UNREGISTERED, "unregisters_total", "bindings removed")                             \
	X(STAT_NOTIFY, "notifies_total", "NOTIFY requests sent")                                  \
	X(STAT_CHAT_DELIVERED, "chat_delivered_total", "MESSAGE answered by a device")            \
	X(STAT_CHAT_STORED, "chat_stored_total", "MESSAGE stored for later")                      \
	X(STAT_CHAT_DRAINED, "chat_drained_total", "stored MESSAGE delivered later")              \
	X(STAT_EVENTS, "events_total", "events read from Redis")                                  \
	X(STAT_CHALLENGED, "challenges_total", "requests of phones answered with a challenge")    \
	X(STAT_LOGINS, "phone_logins_total", "credentials of phones that were right")             \
	X(STAT_STUN, "stun_answers_total", "STUN keep-alives of phones answered")                 \
	X(STAT_FORWARDED, "phone_forwards_total", "datagrams passed to the worker that has the phone")

COUNTER_ENUM(sig_stat, STAT_LIST, STAT_COUNT);

struct metrics_counters {
	uint64_t reject[REJ_COUNT];
	uint64_t stat[STAT_COUNT];
	/* gauges, set by their owners */
	uint64_t connections, registrations, watchers, links;
};

extern const struct counter_name reject_names[], stat_names[];

#endif
