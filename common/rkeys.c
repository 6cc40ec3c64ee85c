#include "common/rkeys.h"

#include <stdio.h>

static struct rkey finish(struct rkey *k, int n)
{
	k->len = n < 0 ? 0 : MIN((size_t)n, sizeof(k->z) - 1);
	return *k;
}

static struct rkey of_user(const char *kind, struct str user)
{
	struct rkey k;

	return finish(&k, snprintf(k.z, sizeof(k.z), "%s:{%.*s}", kind, STR_FMT(user)));
}

static struct rkey plain(const char *kind, struct str what)
{
	struct rkey k;

	return finish(&k, snprintf(k.z, sizeof(k.z), "%s:%.*s", kind, STR_FMT(what)));
}

struct rkey rkey_user(struct str user)
{
	return of_user("user", user);
}

struct rkey rkey_contacts(struct str user)
{
	return of_user("contacts", user);
}

struct rkey rkey_history(struct str user)
{
	return of_user("history", user);
}

struct rkey rkey_messages(struct str user)
{
	return of_user("messages", user);
}

struct rkey rkey_certs(struct str user)
{
	return of_user("cert", user);
}

struct rkey rkey_revoked(struct str user)
{
	return of_user("revoked", user);
}

struct rkey rkey_device(struct str user, struct str id)
{
	struct rkey k;

	return finish(&k, snprintf(k.z, sizeof(k.z), "device:{%.*s}:%.*s", STR_FMT(user), STR_FMT(id)));
}

struct rkey rkey_devices(struct str user)
{
	return of_user("devices", user);
}

struct rkey rkey_session(struct str user, struct str id)
{
	struct rkey k;

	return finish(&k, snprintf(k.z, sizeof(k.z), "session:{%.*s}:%.*s", STR_FMT(user), STR_FMT(id)));
}

struct rkey rkey_sessions(struct str user)
{
	return of_user("sessions", user);
}

struct rkey rkey_ticket(struct str hash)
{
	return plain("ticket", hash);
}

struct rkey rkey_location(struct str user)
{
	return of_user("location", user);
}

struct rkey rkey_busy(struct str user)
{
	return of_user("busy", user);
}

struct rkey rkey_media(struct str user, struct str call)
{
	struct rkey k;

	return finish(&k, snprintf(k.z, sizeof(k.z), "media:{%.*s}:%.*s", STR_FMT(user), STR_FMT(call)));
}

struct rkey rkey_live(struct str worker)
{
	return plain("live", worker);
}

struct rkey rkey_answer(struct str ask)
{
	return plain("answer", ask);
}

struct rkey rkey_peer(struct str worker)
{
	return plain("peers", worker);
}

struct rkey rkey_worker(struct str worker)
{
	return plain("worker", worker);
}

struct rkey rkey_relay(struct str name)
{
	return plain("relay", name);
}

struct rkey rkey_rate(const char *what, struct str who)
{
	struct rkey k;

	return finish(&k, snprintf(k.z, sizeof(k.z), "rate:%s:{%.*s}", what, STR_FMT(who)));
}
