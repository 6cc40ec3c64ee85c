/* Every Redis key, field and lifetime of Duplex, in one place. A key of a user carries the hash tag {user}, so that all keys of one user live
 * in one slot of a Redis Cluster and one Lua call may touch them. Nothing is ever found by SCAN or KEYS.
 *
 * durable (must survive a power cut once acknowledged)
 *   user:{u}         hash    display_name, password (Argon2id string), role, state (active|disabled), denied (permission names),
 *                            created (ms), rev (grows with each change; the ETag),
 *                            dnd ("1": the user wants no calls; absent otherwise)
 *   users            zset    score 0, member = user name: the directory, by ZRANGEBYLEX
 *   names            zset    score 0, member = lower-case display name from the beginning of one of its words + "\n" + user name: search
 *   contacts:{u}     hash    contact's user name -> added (ms); at most CONTACTS_MAX: the API refuses more, signalling tells the presence of all
 *   history:{u}      stream  the user's call history, newest last, MAXLEN ~ HISTORY_MAX; the stream id is the cursor; fields in `enum` order of
 *                            common/cdr.h
 *   cdrs             stream  every call record once, MAXLEN ~ CDR_MAX
 *   messages:{u}     stream  SIP MESSAGEs waiting for delivery: from, id, type, body, time
 *   cert:{u}         hash    serial (hex) -> "not_after_s label" ; revoked:{u} set of serials
 *   device:{u}:ID    hash    a desk phone: name, created (ms), used (ms, 0 = never), sha256, md5 (HA1, common/device.h)
 *   devices:{u}      zset    score = created (ms), member = ID; at most DEVICES_PER_USER
 *   crl              zset    score = end of validity (s), member = serial (hex) + " " + time of revocation (s): what the CRL file lists
 * live (rebuilt by the clients when lost)
 *   session:{u}:ID   hash    created, seen, expires (ms), method (password|certificate), address, agent, certificate (serial, or empty); expires
 *                            with the session. ID = hex of the first 16 bytes of SHA-256 of the secret
 *   sessions:{u}     zset    score = expiry (ms), member = ID
 *   ticket:HASH      string  "user ID" (for a WebSocket) or "user certificate:SERIAL" (for a login); TICKET_TTL_S
 *   location:{u}     hash    instance + ";" + reg-id -> binding (signalling/location.c)
 *   busy:{u}         hash    WORKER -> boot epoch of a worker on which the user is in a call; BUSY_TTL_S
 *   media:{u}:CALL   hash    how the media of the user's side of a call went, by the relays: (sent|received).(audio|video).(packets|bytes|lost|
 *                            jitter_us), one_way_audio; CALL is the side's Session-ID; MEDIA_TTL_S
 *   live:WORKER      hash    call id -> JSON of the live call (signalling/call_record.c); the key has a lease
 *   answer:ASK       list    what the relays said to one question of the API, an element each: common/events.h; ANSWER_TTL_MS
 *   workers          zset    score = lease end (ms), member = WORKER ("n1.0"); peers:WORKER string = "boot epoch (ms) address of its SIP socket"
 *   worker:WORKER    hash    what it tells of itself: version, state (serving|draining), address, connections, registrations, calls, started (ms);
 *                            WORKER_LEASE_MS
 *   nodes:draining   set     nodes that an administrator drains; their workers ask when they start
 *   relays           zset    score = lease end (ms), member = NAME of a relay; relay:NAME hash (version, state, addresses, allocations, capacity,
 *                            workers, busy (thousandths), started (ms)) with the lease
 *   rate:WHAT:WHO    string  counter of a throttle, expires with its window
 * events (streams, MAXLEN ~ EVENTS_MAX, read with XREAD from the last id seen; field "t" is the type; see common/events.h)
 *   events:signal, events:presence, events:relay; {events:relay}:asked (the same slot, so that one XREAD follows both; MAXLEN ~ ASKED_MAX)
 */
#ifndef DUPLEX_COMMON_RKEYS_H
#define DUPLEX_COMMON_RKEYS_H

#include "common/user.h"

#define RKEY_SIZE 160u /* longest key with NUL */

#define CONTACTS_MAX 500u
#define DEVICES_PER_USER 16u
#define HISTORY_MAX "1000"
#define CDR_MAX "1000000"
#define EVENTS_MAX "100000"
#define ASKED_MAX "1000"
#define ANSWER_TTL_MS "5000"
#define TICKET_TTL_S 30u
#define MEDIA_TTL_S "7776000" /* 90 days */
#define BUSY_TTL_S 86400u
#define WORKER_LEASE_MS 6000u
#define RELAY_LEASE_MS 10000u

#define RKEY_USERS "users"
#define RKEY_NAMES "names"
#define RKEY_CDRS "cdrs"
#define RKEY_CRL "crl"
#define RKEY_WORKERS "workers"
#define RKEY_RELAYS "relays"
#define RKEY_NODES_DRAINING "nodes:draining"
#define RKEY_EV_SIGNAL "events:signal"
#define RKEY_EV_PRESENCE "events:presence"
#define RKEY_EV_RELAY "events:relay"
#define RKEY_EV_ASKED "{events:relay}:asked"

struct rkey {
	char z[RKEY_SIZE];
	size_t len;
};

static inline struct str rkey_str(const struct rkey *k)
{
	return (struct str){ k->z, k->len };
}

/* The caller has checked `user` with user_name_valid and the other parts come from us; too long a part is cut (and finds nothing). */
struct rkey rkey_user(struct str user);
struct rkey rkey_contacts(struct str user);
struct rkey rkey_history(struct str user);
struct rkey rkey_messages(struct str user);
struct rkey rkey_certs(struct str user);
struct rkey rkey_revoked(struct str user);
struct rkey rkey_device(struct str user, struct str id);
struct rkey rkey_devices(struct str user);
struct rkey rkey_session(struct str user, struct str id);
struct rkey rkey_sessions(struct str user);
struct rkey rkey_ticket(struct str hash);
struct rkey rkey_location(struct str user);
struct rkey rkey_busy(struct str user);
struct rkey rkey_media(struct str user, struct str call);
struct rkey rkey_live(struct str worker);
struct rkey rkey_answer(struct str ask);
struct rkey rkey_peer(struct str worker);
struct rkey rkey_worker(struct str worker);
struct rkey rkey_relay(struct str name);
struct rkey rkey_rate(const char *what, struct str who);

#endif
