#include "signalling/conf.h"

#define COMMON(key, type, field, preset, help) \
	{ "common", key, type, offsetof(struct signalling_conf, field), preset, 0, 0, "", false, help }
#define TEXT(key, field, preset, help) \
	{ "signalling", key, CONF_STRING, offsetof(struct signalling_conf, field), preset, 0, 0, "", false, help }
#define NUMBER(key, field, preset, min, max, unit, help) \
	{ "signalling", key, CONF_UINT, offsetof(struct signalling_conf, field), preset, min, max, unit, false, help }

const struct conf_option signalling_options[] = {
	COMMON("domain", CONF_STRING, domain, NULL, "SIP domain of all users"),
	COMMON("run-dir", CONF_STRING, run_dir, NULL, "directory of the sockets"),
	COMMON("redis", CONF_STRING, redis, NULL, "Redis: path of its unix socket, or IPv4:port; several, separated by commas, of which one is the master"),
	COMMON("log-level", CONF_STRING, log_level, "info", "error, warn, info or debug"),
	COMMON("turn-secret", CONF_SECRET, turn_secret, NULL, "file of the cluster's secret; the key of flow tokens is derived from it"),
	TEXT("node", node, "n1", "name of this machine, unique in the cluster: a-z, 0-9 and -, at most 16 characters"),
	TEXT("socket-group", socket_group, "", "group that may open signal.W.sock (nginx's); empty: our own group"),
	TEXT("peer-listen", peer_listen, "",
	     "address:port for the workers of other nodes, by mutual TLS; worker W has the port + W. Empty: this node is alone"),
	TEXT("peer-address", peer_address, "", "address:port that other nodes connect to instead, when there is a translation between; worker W as above"),
	TEXT("peer-certificate", peer_certificate, "", "PEM file of the cluster's certificate of this node, whose DNS name is the node's name"),
	TEXT("peer-key", peer_key, "", "PEM file of its key"),
	TEXT("peer-ca", peer_ca, "", "PEM file of the cluster's authority, which signs certificates of nodes and nothing else"),
	NUMBER("connections-max", connections_max, "50000", 1, 1000000, "", "WebSocket connections of a worker"),
	NUMBER("connections-per-user", connections_per_user, "16", 1, 1000, "", "WebSocket connections of one user on a worker"),
	NUMBER("message-max", message_max, "64000", 4096, 65000, "bytes", "largest SIP message"),
	NUMBER("send-queue-max", send_queue_max, "262144", 65536, 16777216, "bytes", "waiting for a slow client before it is closed"),
	NUMBER("bytes-per-second", bytes_per_s, "65536", 1024, 1000000000, "bytes/s", "input budget of a connection"),
	NUMBER("bytes-burst", bytes_burst, "524288", 65536, 1000000000, "bytes", "input a connection may send at once"),
	NUMBER("messages-per-second", messages_per_s, "50", 1, 1000000, "messages/s", "input budget of a connection"),
	NUMBER("messages-burst", messages_burst, "200", 10, 1000000, "messages", "messages a connection may send at once"),
	NUMBER("transactions-max", transactions_max, "100000", 100, 10000000, "", "open transactions of a worker; above: 503, CANCEL and BYE excepted"),
	NUMBER("transactions-per-connection", transactions_per_connection, "256", 16, 100000, "",
	       "requests of one connection that wait for their answer; above: 503, CANCEL and BYE excepted"),
	NUMBER("handshake-timeout", handshake_timeout_ms, "5000", 100, 60000, "ms", "for the upgrade request to arrive"),
	NUMBER("ping-interval", ping_interval_ms, "25000", 100, 600000, "ms", "between pings; two misses close the connection"),
	NUMBER("register-min", register_min_s, "60", 1, 86400, "s", "shortest Expires of REGISTER (else 423)"),
	NUMBER("register-max", register_max_s, "600", 1, 86400, "s", "longest Expires of REGISTER (more is cut)"),
	NUMBER("devices-max", devices_max, "8", 1, 16, "", "registered devices of a user"),
	NUMBER("flow-grace", flow_grace_ms, "4000", 0, 60000, "ms", "a lost connection keeps its registration this long"),
	NUMBER("subscribe-max", subscribe_max_s, "3600", 60, 86400, "s", "longest Expires of SUBSCRIBE (more is cut)"),
	NUMBER("chat-body-max", chat_body_max, "8192", 256, 32768, "bytes", "largest body of a MESSAGE"),
	NUMBER("chat-store-max", chat_store_max, "500", 1, 100000, "messages", "stored for a user who is away"),
	NUMBER("ring-timeout", ring_timeout_s, "45", 1, 180, "s", "no answer after this: 408"),
	NUMBER("session-min", session_min_s, "90", 90, 86400, "s", "shortest session interval (RFC 4028); below: 422 with Min-SE"),
	NUMBER("calls-max", calls_max, "4", 1, 1000, "", "parallel calls of a user: more are refused with 403, to the user with 486"),
	NUMBER("call-grace", call_grace_ms, "30000", 1000, 600000, "ms", "a call waits so long for the return of a side whose connection is lost"),
	NUMBER("redis-deadline", redis_deadline_ms, "100", 10, 5000, "ms", "for each Redis command"),
	NUMBER("outbox-max", outbox_max, "67108864", 0, 10737418240, "bytes",
	       "call records that Redis does not take are kept in a file of the run directory up to this size; 0: in memory alone"),
	TEXT("sip-listen-udp", sip_udp, "", "addresses for phones on UDP: ADDRESS:PORT or [ADDRESS]:PORT, separated by blanks; empty: none"),
	TEXT("sip-listen-tcp", sip_tcp, "", "the same for TCP"),
	TEXT("sip-listen-tls", sip_tls, "", "the same for TLS"),
	TEXT("sip-host", sip_host, "", "name or address by which phones reach these; empty: the address that they came to"),
	TEXT("sip-certificate", sip_certificate, "", "file of the TLS certificate with its chain (PEM); read again at SIGHUP"),
	TEXT("sip-certificate-key", sip_key, "", "file of its private key (PEM); read again at SIGHUP"),
	TEXT("sip-auth", sip_auth, "sha-256", "what phones may log in with, best first: sha-256, md5"),
	NUMBER("sip-udp-request-max", sip_udp_request_max, "1300", 576, 65000, "bytes",
	       "a larger request to a phone goes by its TCP or TLS, or is answered 513"),
	NUMBER("sip-login-timeout", sip_login_ms, "32000", 1000, 600000, "ms", "for the first login on a TCP or TLS connection"),
	NUMBER("sip-strangers-max", sip_strangers_max, "1000", 1, 1000000, "", "TCP and TLS connections without a login, a worker"),
	NUMBER("drain", drain_ms, "3000", 0, 60000, "ms", "after SIGTERM connections are closed spread over this time"),
	NUMBER("drain-wait", drain_wait_ms, "5000", 0, 600000, "ms", "those with a request under way, a call that rings above all, get so much more"),
};

const size_t signalling_option_count = ARRAY_LEN(signalling_options);
