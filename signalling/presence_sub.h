/* What presence.c and presence_notify.c share: subscriptions, and the users they watch. */
#ifndef DUPLEX_SIGNALLING_PRESENCE_SUB_H
#define DUPLEX_SIGNALLING_PRESENCE_SUB_H

#include "common/loop.h"
#include "signalling/presence_state.h"

/* A user whom someone here watches. */
struct target {
	struct worker *w;
	struct list by_user;
	struct list watches;          /* watch.of_target */
	struct list todo;             /* on presence.todo: to be looked at again */
	struct timer expiry;          /* when a binding ends by itself */
	struct presence_ask *asking;  /* borrowed; NULL = none under way */
	bool again;                   /* something happened while asking */
	bool known;
	enum presence_status status;
	char user[USER_NAME_SIZE];
};

/* One contact of one subscription. */
struct watch {
	struct list of_target;
	struct target *target;
	struct sub *sub;
	bool dirty;                   /* its state is to be told */
};

/* A subscription to one's own contact list: a dialog (RFC 6665 §4.4.1) on one flow. */
struct sub {
	struct worker *w;
	struct list node;             /* on presence.subs */
	struct flow flow;
	struct timer expiry;
	struct timer reading;         /* the contacts could not be read: once more */
	struct timer gather;          /* a NOTIFY is due: changes of the next moment go along */
	struct txn *notify;           /* the one under way (RFC 6665 §4.2.2: one after the other); NULL = none */
	bool loading;                 /* its contacts are being read */
	bool reload;                  /* … and have changed again meanwhile */
	bool loaded;
	bool full;                    /* the next NOTIFY tells all */
	bool ending;                  /* the next NOTIFY is the last */
	bool ended;                   /* … and is under way */
	bool dead;                    /* the client does not take part any more */
	const char *reason;           /* of the end; literal, NULL = timeout */
	uint64_t until_ms;            /* monotonic */
	uint64_t loaded_ms;           /* when the contacts were there; the first NOTIFY waits a moment for their states */
	uint32_t cseq, peer_cseq, version;
	struct watch *watch;          /* owned array */
	size_t count;
	char local_tag[17];
	char *text;                   /* owns the slices below */
	struct str user, call_id, remote_tag, from, to, contact, event;
};

struct presence {
	struct worker *w;
	struct list subs, todo;
	size_t sub_count;
	struct usermap targets;
	struct presence_busy busy;
	struct timer sweep;
};

/* Watching. */
struct target *target_of(struct worker *w, struct str user, bool make);
/* Asks for its state again; once more afterwards if that is under way already. Watchers are told when it has
 * changed. */
void target_look(struct target *t);
/* timer_fn of `sweep`: looks at some of those on `todo`. */
void presence_on_sweep(struct timer *t, uint64_t now_ms);
/* `watch` is one of the array of `s`, to be told as soon as the state is known. ERR_NO_MEMORY: it watches nobody. */
enum err sub_watch(struct sub *s, struct watch *watch, struct str user);
/* Frees the array; targets that nobody watches any more go. */
void sub_unwatch_all(struct sub *s);
/* The subscription is over without a further word. With a NOTIFY under way it goes when that has ended. */
void sub_free(struct sub *s);

/* Telling: as soon as nothing else is under way. */
void sub_notify_soon(struct sub *s);
/* timer_fn of `gather`: sends the NOTIFY that is due. */
void sub_on_gather(struct timer *t, uint64_t now_ms);

#endif
