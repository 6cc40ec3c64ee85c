#include "signalling/edge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/log.h"
#include "signalling/conn_int.h"
#include "signalling/edge_int.h"

static void on_link_ended(struct loop_job *job);

static const char *const transports[] = { [LINK_UDP] = "UDP", [LINK_TCP] = "TCP", [LINK_TLS] = "TLS" };

/* --- addresses --- */

/* "192.0.2.1:5060" or "[2001:db8::1]:5060". */
static enum err address_parse(struct str text, struct sockaddr_storage *out)
{
	bool v6 = text.len > 0 && text.p[0] == '[';
	size_t end = v6 ? str_find(text, ']') : str_find(text, ':');
	char ip[INET6_ADDRSTRLEN];
	uint64_t port;
	struct sockaddr_storage a = { .ss_family = v6 ? AF_INET6 : AF_INET };

	struct str rest = str_sub(text, end + (v6 ? 1 : 0), text.len);
	if (end == text.len || rest.len < 2 || rest.p[0] != ':' || str_to_u64(str_sub(rest, 1, rest.len), 65535, &port) != ERR_OK || port == 0 ||
	    str_copy(str_sub(text, v6 ? 1 : 0, end - (v6 ? 1 : 0)), ip, sizeof(ip)) != ERR_OK)
		return ERR_INVALID;
	void *bytes = v6 ? (void *)&((struct sockaddr_in6 *)&a)->sin6_addr : (void *)&((struct sockaddr_in *)&a)->sin_addr;
	if (inet_pton(a.ss_family, ip, bytes) != 1)
		return ERR_INVALID;
	if (v6)
		((struct sockaddr_in6 *)&a)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)&a)->sin_port = htons((uint16_t)port);
	*out = a;
	return ERR_OK;
}

static void ip_put(const struct sockaddr_storage *a, char out[INET6_ADDRSTRLEN])
{
	const void *bytes = a->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
						     : (const void *)&((const struct sockaddr_in *)a)->sin_addr;

	if (inet_ntop(a->ss_family, bytes, out, INET6_ADDRSTRLEN) == NULL)
		out[0] = '\0';
}

static bool wildcard(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)a)->sin6_addr)
					: ((const struct sockaddr_in *)a)->sin_addr.s_addr == htonl(INADDR_ANY);
}

/* --- links --- */

void link_init(struct link *l, struct edge *e, enum link_kind kind, const struct sockaddr_storage *remote, const struct sockaddr_storage *local)
{
	char ip[INET6_ADDRSTRLEN];
	const char *name = e->w->conf->sip_host;

	*l = (struct link){ .edge = e, .kind = kind, .remote = *remote, .local = *local };
	list_init(&l->lines);
	list_init(&l->logins);
	list_init(&l->by_remote);
	loop_job_init(&l->ended, on_link_ended);
	ip_put(remote, l->ip);
	ip_put(local, ip);
	(void)snprintf(l->host, sizeof(l->host), name[0] != '\0' ? "%s:%u" : local->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		       name[0] != '\0' ? name : ip, address_port(local));
}

struct edge_names link_names(const struct link *l)
{
	return (struct edge_names){ .domain = l->edge->w->domain, .host = str_from(l->host), .transport = transports[l->kind],
				    .source = str_from(l->ip), .source_port = address_port(&l->remote) };
}

static void on_link_ended(struct loop_job *job)
{
	struct link *l = CONTAINER_OF(job, struct link, ended);

	/* The lines' own ends come in the same turn; the last one brings us back here. */
	if (!list_empty(&l->lines))
		return;
	if (l->kind == LINK_UDP)
		udp_free(l);
	else
		stream_free(l);
}

void link_dead(struct link *l)
{
	struct list *it, *tmp;

	l->dead = true;
	gate_forget(l);
	LIST_FOR_EACH (it, tmp, &l->lines)
		conn_abandon(CONTAINER_OF(it, struct line, by_link)->conn, WS_CODE_GOING_AWAY);
	loop_defer(l->edge->w->loop, &l->ended);
}

void link_line_gone(struct link *l)
{
	if (!list_empty(&l->lines))
		return;
	if (l->kind == LINK_UDP || l->dead)
		link_dead(l);
	else
		stream_finish(l);
}

struct conn *link_line_of(struct link *l, struct str user)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &l->lines) {
		struct conn *c = CONTAINER_OF(it, struct line, by_link)->conn;

		if (c->phase == PHASE_OPEN && str_eq(c->user, user))
			return c;
	}
	return NULL;
}

struct conn *link_line_at(struct link *l, uint32_t slot)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &l->lines) {
		struct conn *c = CONTAINER_OF(it, struct line, by_link)->conn;

		if (c->phase == PHASE_OPEN && c->flow.slot == slot)
			return c;
	}
	return NULL;
}

enum err link_write(struct link *l, struct str bytes)
{
	if (l->dead)
		return ERR_CLOSED;
	return l->kind == LINK_UDP ? udp_write(l, bytes, address_port(&l->remote)) : stream_write(l, bytes);
}

/* --- sending on a line --- */

/* Another line of the same device, on a stream (RFC 3261 §18.1.1). */
struct wider {
	const struct conn *than;
	struct conn *found;
};

static void consider(struct conn *c, void *arg)
{
	struct wider *w = arg;

	if (w->found == NULL && c->phase == PHASE_OPEN && c->line != NULL && c->line->link->kind != LINK_UDP && w->than->line->instance[0] != '\0' &&
	    strcmp(c->line->instance, w->than->line->instance) == 0)
		w->found = c;
}

static enum err send_on(struct conn *c, const struct sip_msg *m)
{
	struct link *l = c->line->link;
	struct worker *w = c->w;
	struct edge_names names = link_names(l);
	struct buf out = buf_growing(2 * SIP_MSG_MAX);
	enum err e = edge_out_put(&out, m, &names, c->flow.slot);

	if (e == ERR_OK && l->kind != LINK_UDP) {
		e = stream_write(l, buf_view(&out));
	} else if (e == ERR_OK && m->request && out.len > w->conf->sip_udp_request_max) {
		struct wider wide = { .than = c };

		conns_each(w->conns, c->user, consider, &wide);
		w->count->reject[REJ_DATAGRAM_SIZE] += wide.found == NULL;
		e = wide.found != NULL ? send_on(wide.found, m) : ERR_TOO_LARGE;
	} else if (e == ERR_OK) {
		e = udp_write(l, buf_view(&out), m->request ? address_port(&l->remote) : edge_response_port(m));
	}
	buf_fini(&out);
	return e;
}

enum err edge_send(struct conn *c, struct str message)
{
	struct sip_msg m;
	struct sip_refusal why;

	if (c->line->link->dead)
		return ERR_CLOSED;
	if (sip_msg_parse(message, &m, &why) != ERR_OK)
		return ERR_INVALID;
	enum err e = send_on(c, &m);
	if (e == ERR_OK)
		c->w->count->stat[STAT_MSG_OUT]++;
	return e;
}

/* --- life --- */

static enum err listen_on(struct edge *e, enum link_kind kind, struct str text)
{
	struct edge_socket *s = &e->socket[e->sockets];
	struct sockaddr_storage address;

	if (e->sockets == EDGE_SOCKETS_MAX || address_parse(text, &address) != ERR_OK) {
		log_event(LOG_ERROR, "phones-listen-failed", "address=%s error=%s", log_value(text),
			  e->sockets == EDGE_SOCKETS_MAX ? "too many addresses" : "no ADDRESS:PORT");
		return ERR_INVALID;
	}
	*s = (struct edge_socket){ .edge = e, .kind = kind, .lf = { .fd = -1 }, .address = address, .wildcard = wildcard(&address) };
	enum err err = kind == LINK_UDP ? udp_open(s) : stream_open(s);
	if (err != ERR_OK) {
		log_event(LOG_ERROR, "phones-listen-failed", "address=%s transport=%s error=%s", log_value(text), transports[kind],
			  log_value(str_from(strerrordesc_np(errno))));
		return err;
	}
	e->sockets++;
	return ERR_OK;
}

static enum err listen_all(struct edge *e, enum link_kind kind, const char *list)
{
	struct str rest = str_from(list);
	enum err err = ERR_OK;

	while (rest.p != NULL && err == ERR_OK) {
		struct str word = str_trim(str_cut(&rest, ' '));

		if (word.len > 0)
			err = listen_on(e, kind, word);
	}
	return err;
}

static enum err read_schemes(struct edge *e, const char *list)
{
	static const char *const names[AUTH_COUNT] = { [AUTH_SHA256] = "sha-256", [AUTH_MD5] = "md5", [AUTH_BEARER] = "bearer" };
	struct str rest = str_from(list);

	while (rest.p != NULL) {
		struct str word = str_trim(str_cut(&rest, ' '));
		size_t at = 0;

		if (word.len == 0)
			continue;
		while (at < AUTH_COUNT && !str_eq(word, str_from(names[at])))
			at++;
		for (size_t i = 0; i < e->schemes; i++)
			at = e->scheme[i] == at ? AUTH_COUNT : at;
		if (at == AUTH_COUNT) {
			log_event(LOG_ERROR, "sip-auth-invalid", "word=%s", log_value(word));
			return ERR_INVALID;
		}
		e->scheme[e->schemes++] = (enum auth_scheme)at;
	}
	return e->schemes > 0 ? ERR_OK : ERR_INVALID;
}

static enum err start(struct edge *e)
{
	const struct signalling_conf *conf = e->w->conf;
	enum err err = sources_new(conf->messages_per_s, conf->messages_burst, worker_now(e->w), &e->sources);

	if (err == ERR_OK)
		err = read_schemes(e, conf->sip_auth);
	if (err == ERR_OK && conf->sip_tls[0] != '\0')
		err = tls_load(e);
	if (err == ERR_OK)
		err = listen_all(e, LINK_UDP, conf->sip_udp);
	if (err == ERR_OK)
		err = listen_all(e, LINK_TCP, conf->sip_tcp);
	if (err == ERR_OK)
		err = listen_all(e, LINK_TLS, conf->sip_tls);
	return err;
}

enum err edge_new(struct worker *w, struct edge **out)
{
	const struct signalling_conf *conf = w->conf;

	if (conf->sip_udp[0] == '\0' && conf->sip_tcp[0] == '\0' && conf->sip_tls[0] == '\0')
		return ERR_OK;
	struct edge *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return ERR_NO_MEMORY;
	e->w = w;
	list_init(&e->streams);
	for (size_t i = 0; i < EDGE_UDP_BUCKETS; i++)
		list_init(&e->udp[i]);
	enum err err = start(e);
	if (err != ERR_OK) {
		edge_free(e);
		return err;
	}
	*out = e;
	return ERR_OK;
}

static void close_sockets(struct edge *e, bool datagrams)
{
	for (size_t i = 0; i < e->sockets; i++) {
		struct edge_socket *s = &e->socket[i];

		if (s->lf.fd < 0 || (s->kind == LINK_UDP && !datagrams))
			continue;
		loop_del(e->w->loop, &s->lf);
		(void)close(s->lf.fd);
		s->lf.fd = -1;
	}
}

void edge_stop(struct edge *e)
{
	if (e == NULL)
		return;
	/* Datagrams go on: answers to what is under way still come by them. */
	close_sockets(e, false);
	stream_close_strangers(e);
}

enum err edge_serve(struct edge *e)
{
	enum err err = ERR_OK;

	for (size_t i = 0; e != NULL && i < e->sockets && err == ERR_OK; i++) {
		if (e->socket[i].lf.fd < 0)
			err = stream_open(&e->socket[i]);
	}
	return err;
}

void edge_reload(struct edge *e)
{
	if (e != NULL && e->tls != NULL && tls_load(e) == ERR_OK)
		log_event(LOG_INFO, "certificate-loaded", "file=%s", log_value(str_from(e->w->conf->sip_certificate)));
}

void edge_free(struct edge *e)
{
	if (e == NULL)
		return;
	close_sockets(e, true);
	for (size_t i = 0; i < EDGE_UDP_BUCKETS; i++) {
		while (!list_empty(&e->udp[i]))
			udp_free(CONTAINER_OF(e->udp[i].next, struct link, by_remote));
	}
	stream_free_all(e);
	tls_unload(e);
	sources_free(e->sources);
	free(e);
}
