/* The events that processes tell each other over Redis streams (RKEY_EV_*). XADD <stream> MAXLEN ~ EVENTS_MAX * t <type> field value …
 * A reader that lost its connection goes on from the last id it saw, so none is missed.
 *
 * events:signal (read by every signalling worker; written by the API)
 *   session.end        user, session   close that session's WebSockets (code 4001), remove its bindings, end its calls
 *   user.disable       user            the same for all of the user's sessions; also written when the user's permissions changed: then the
 *                                      sessions stay, and the clients come back with the new set
 *   contacts.changed   user            the user's contact list is different now: notify its watchers
 *   call.hangup        id, by          end the live call
 *   flow.close         flow            the flow token lost its binding to a younger one: its worker closes it (4002)   (by signalling)
 *   device.new         user            one more device of the user has registered: who rings the user rings there, too     (by signalling)
 *   node.drain         node, state     that node's workers take no new sockets and close those they have ("draining"), or serve again ("serving")
 *   messages.waiting   user, since     a message was stored: deliver to devices that have registered since then (ms)   (by signalling)
 * events:presence (read by signalling workers; written by them and by the API)
 *   presence           user, status    "online", "offline", "busy", "dnd" or "available": the readers ask for the state themselves; the last two
 *                                      are written by the API
 * events:relay (read by every relay)
 *   call.end           user, call      free the allocations made with the TURN user name <expiry>:user:call   (by signalling)
 *   user.revoke        user, until     free the user's allocations whose credentials end at or before `until` (s since 1970), and take none of
 *                                      these credentials again                                                  (by the API)
 *   relay.drain        relay, state    that relay takes no new clients ("draining"), or takes them again ("serving")    (by the API)
 * {events:relay}:asked (read by every relay; questions, which are worth nothing later and must not push events out of their stream)
 *   media.ask          ask, caller, caller_call, callee, callee_call
 *                      how is the media of this call, now? *_call: the Session-ID of that side, or empty. Every relay puts one JSON text into
 *                      the list answer:ASK, at once, also if it has nothing of the call: {"relay": name, "caller": SIDE, "callee": SIDE} with
 *                      SIDE = {"allocations": n, "sent": KINDS, "received": KINDS, "one_way_audio": bool} over its living allocations of
 *                      that side, KINDS = {"audio": STREAM, "video": STREAM}, STREAM = {"packets", "bytes", "lost", "jitter_ms"}  (by the API)
 * A relay reads all that events:relay holds when it starts, so that what ended while it was away ends, and who was disabled stays out; drains it
 * obeys only from its start on.
 */
#ifndef DUPLEX_COMMON_EVENTS_H
#define DUPLEX_COMMON_EVENTS_H

#define EV_SESSION_END "session.end"
#define EV_USER_DISABLE "user.disable"
#define EV_CONTACTS_CHANGED "contacts.changed"
#define EV_CALL_HANGUP "call.hangup"
#define EV_FLOW_CLOSE "flow.close"
#define EV_DEVICE_NEW "device.new"
#define EV_MESSAGES_WAITING "messages.waiting"
#define EV_PRESENCE "presence"
#define EV_CALL_END "call.end"
#define EV_USER_REVOKE "user.revoke"
#define EV_RELAY_DRAIN "relay.drain"
#define EV_MEDIA_ASK "media.ask"
#define EV_NODE_DRAIN "node.drain"

/* WebSocket close codes of our own (RFC 6455 §7.4.2, private use). */
#define WS_CLOSE_SESSION_ENDED 4001
#define WS_CLOSE_SUPERSEDED 4002

#endif
