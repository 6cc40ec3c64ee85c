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
	X(REJ_EVENT, "event", "SUBSCRIBE with an unknown event package")

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
	X(STAT_EVENTS, "events_total", "events read from Redis")

COUNTER_ENUM(sig_stat, STAT_LIST, STAT_COUNT);

struct metrics_counters {
	uint64_t reject[REJ_COUNT];
	uint64_t stat[STAT_COUNT];
	/* gauges, set by their owners */
	uint64_t connections, registrations, watchers;
};

extern const struct counter_name reject_names[], stat_names[];

#endif
