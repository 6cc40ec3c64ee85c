#include "common/rds_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/rds.h"

#define OUT_MAX (32u << 20)
#define CONNECT_MS 1000u
#define GREETING "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nROLE\r\n"
#define GREETING_REPLIES 2u

/* Half of the present wait plus up to as much again at random: clients of a restarted Redis must not come at once. */
static uint64_t next_wait(struct rds_link *k)
{
	uint32_t random;
	uint64_t wait = k->wait_ms;

	crypto_random(&random, sizeof(random));
	/* Longer waits only after all addresses have been tried. */
	if (k->turn % MAX(rds_addr_count(str_from(k->addresses)), (size_t)1) == 0)
		k->wait_ms = MIN(k->wait_ms * 2, k->retry_max_ms);
	return wait / 2 + random % (wait + 1);
}

static void close_socket(struct rds_link *k)
{
	if (k->lf.fd >= 0) {
		loop_del(k->loop, &k->lf);
		(void)close(k->lf.fd);
		k->lf.fd = -1;
	}
	if (k->reader != NULL)
		redisReaderFree(k->reader);
	k->reader = NULL;
	buf_fini(&k->out);
	k->out = buf_growing(OUT_MAX);
	k->out_done = 0;
	k->connecting = false;
	k->greeting = 0;
	k->drop_wanted = false;
	loop_undefer(&k->flush);
	timer_stop(loop_timers(k->loop), &k->soon);
}

void rds_link_drop(struct rds_link *k, const char *why)
{
	if (k->reading) {
		if (!k->drop_wanted)
			(void)!str_copy(str_sub(str_from(why), 0, sizeof(k->why) - 1), k->why, sizeof(k->why));
		k->drop_wanted = true;
		return;
	}
	bool was_up = k->up;

	if (was_up || k->wait_ms == k->retry_min_ms)
		log_event(LOG_WARN, "redis-lost", "address=%s error=%s", log_value(str_from(k->address)), log_value(str_from(why)));
	k->up = false;
	close_socket(k);
	timer_arm(loop_timers(k->loop), &k->retry, next_wait(k));
	if (was_up)
		k->ops->down(k);
}

static int dial(const char *address)
{
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
	} a = { 0 };
	const char *colon = strrchr(address, ':');
	char host[INET_ADDRSTRLEN];
	socklen_t len = sizeof(a.un);
	uint64_t port;

	if (address[0] == '/' || colon == NULL) {
		a.un.sun_family = AF_UNIX;
		if (str_copy(str_from(address), a.un.sun_path, sizeof(a.un.sun_path)) != ERR_OK)
			return -1;
	} else {
		a.in.sin_family = AF_INET;
		len = sizeof(a.in);
		if (str_copy(str_of(address, (size_t)(colon - address)), host, sizeof(host)) != ERR_OK ||
		    str_to_u64(str_from(colon + 1), 65535, &port) != ERR_OK || inet_pton(AF_INET, host, &a.in.sin_addr) != 1)
			return -1;
		a.in.sin_port = htons((uint16_t)port);
	}
	int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (a.any.sa_family == AF_INET)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (connect(fd, &a.any, len) != 0 && errno != EINPROGRESS) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void connected(struct rds_link *k)
{
	int fault = 0;
	socklen_t len = sizeof(fault);

	if (getsockopt(k->lf.fd, SOL_SOCKET, SO_ERROR, &fault, &len) != 0 || fault != 0) {
		rds_link_drop(k, strerrordesc_np(fault));
		return;
	}
	k->reader = redisReaderCreate();
	if (k->reader == NULL) {
		rds_link_drop(k, "out of memory");
		return;
	}
	k->connecting = false;
	k->greeting = GREETING_REPLIES;
	loop_want(k->loop, &k->lf, EPOLLIN);
	/* So short that a socket just opened takes it whole. */
	if (send(k->lf.fd, GREETING, sizeof(GREETING) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(GREETING) - 1)
		rds_link_drop(k, "greeting not sent");
}

/* PONG, then the role. Who may not ask for the role takes the server for a master: a write will tell. */
static void greeted(struct rds_link *k, const struct redisReply *reply)
{
	struct str text = rds_text(rds_at(reply, 0));

	if (k->greeting == GREETING_REPLIES && !str_eq(rds_text(reply), STR("PONG"))) {
		rds_link_drop(k, reply->type == REDIS_REPLY_ERROR ? reply->str : "not Redis");
		return;
	}
	if (k->greeting == 1 && text.len > 0 && !str_eq(text, STR("master"))) {
		rds_link_drop(k, "a replica");
		return;
	}
	if (--k->greeting > 0)
		return;
	timer_stop(loop_timers(k->loop), &k->retry);
	k->up = true;
	k->wait_ms = k->retry_min_ms;
	log_event(LOG_INFO, "redis-connected", "address=%s", log_value(str_from(k->address)));
	k->ops->up(k);
}

static void write_out(struct rds_link *k)
{
	while (k->out_done < k->out.len) {
		ssize_t n = send(k->lf.fd, k->out.p + k->out_done, k->out.len - k->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_want(k->loop, &k->lf, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			rds_link_drop(k, strerrordesc_np(errno));
			return;
		}
		k->out_done += (size_t)n;
	}
	buf_reset(&k->out);
	k->out_done = 0;
	loop_want(k->loop, &k->lf, EPOLLIN);
}

static void take_replies(struct rds_link *k)
{
	void *reply;

	k->reading = true;
	while (!k->drop_wanted) {
		if (redisReaderGetReply(k->reader, &reply) != REDIS_OK) {
			rds_link_drop(k, "broken reply");
			break;
		}
		if (reply == NULL)
			break;
		if (k->up)
			k->ops->reply(k, reply);
		else
			greeted(k, reply);
		freeReplyObject(reply);
	}
	k->reading = false;
	if (k->drop_wanted)
		rds_link_drop(k, k->why);
}

static void read_in(struct rds_link *k)
{
	char bytes[16384];

	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(k->lf.fd, bytes, sizeof(bytes), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			rds_link_drop(k, n == 0 ? "closed by Redis" : strerrordesc_np(errno));
			return;
		}
		if (redisReaderFeed(k->reader, bytes, (size_t)n) != REDIS_OK) {
			rds_link_drop(k, "out of memory");
			return;
		}
		take_replies(k);
		if (k->lf.fd < 0 || (size_t)n < sizeof(bytes))
			return;
	}
}

static void on_ready(struct loop_fd *lf, uint32_t events)
{
	struct rds_link *k = CONTAINER_OF(lf, struct rds_link, lf);

	if (k->connecting) {
		connected(k);
		return;
	}
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		read_in(k);
	if (k->up && (events & EPOLLOUT) != 0)
		write_out(k);
}

static void attempt(struct rds_link *k)
{
	if (rds_addr_at(str_from(k->addresses), k->turn++, k->address, sizeof(k->address)) != ERR_OK) {
		rds_link_drop(k, "address not valid");
		return;
	}
	errno = EINVAL;
	k->lf.fd = dial(k->address);
	if (k->lf.fd < 0 || loop_add(k->loop, &k->lf, EPOLLOUT) != ERR_OK) {
		rds_link_drop(k, strerrordesc_np(errno));
		return;
	}
	k->connecting = true;
	timer_arm(loop_timers(k->loop), &k->retry, CONNECT_MS);
}

static void on_retry(struct timer *t, uint64_t now_ms)
{
	struct rds_link *k = CONTAINER_OF(t, struct rds_link, retry);

	(void)now_ms;
	if (k->connecting || k->greeting > 0)
		rds_link_drop(k, "connecting takes too long");
	else
		attempt(k);
}

static void flush(struct rds_link *k)
{
	timer_stop(loop_timers(k->loop), &k->soon);
	if (k->up)
		write_out(k);
}

static void on_flush(struct loop_job *job)
{
	flush(CONTAINER_OF(job, struct rds_link, flush));
}

static void on_soon(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	flush(CONTAINER_OF(t, struct rds_link, soon));
}

enum err rds_link_init(struct rds_link *k, struct loop *l, const struct rds_link_ops *ops, const char *addresses, uint64_t retry_min_ms,
		       uint64_t retry_max_ms)
{
	*k = (struct rds_link){ .loop = l, .ops = ops, .lf = { .fd = -1, .fn = on_ready } };
	enum err e = str_copy(str_from(addresses), k->addresses, sizeof(k->addresses));
	if (e != ERR_OK)
		return e;
	k->retry_min_ms = MAX(retry_min_ms, (uint64_t)1);
	k->retry_max_ms = MAX(retry_max_ms, k->retry_min_ms);
	k->wait_ms = k->retry_min_ms;
	k->out = buf_growing(OUT_MAX);
	timer_init(&k->retry, on_retry);
	timer_init(&k->soon, on_soon);
	loop_job_init(&k->flush, on_flush);
	attempt(k);
	return ERR_OK;
}

void rds_link_fini(struct rds_link *k)
{
	k->up = false;
	close_socket(k);
	buf_fini(&k->out);
	timer_stop(loop_timers(k->loop), &k->retry);
}

void rds_link_count_put(struct buf *b, size_t argc)
{
	buf_char(b, '*');
	buf_u64(b, argc);
	buf_str(b, STR("\r\n"));
}

void rds_link_bulk_put(struct buf *b, struct str s)
{
	/* In one piece: a call is forty of these. */
	char *to = buf_reserve(b, s.len + 32), digits[20];
	size_t i = sizeof(digits), n = s.len;

	if (to == NULL)
		return;
	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	char *at = to;
	*at++ = '$';
	memcpy(at, digits + i, sizeof(digits) - i);
	at += sizeof(digits) - i;
	memcpy(at, "\r\n", 2);
	at += 2;
	if (s.len > 0)
		memcpy(at, s.p, s.len);
	at += s.len;
	memcpy(at, "\r\n", 2);
	b->len += (size_t)(at + 2 - to);
}

/* Something was put into `out`. */
static enum err queued(struct rds_link *k, enum rds_when when)
{
	if (k->out.overflow) {
		/* Half a command must never reach Redis. */
		rds_link_drop(k, "out of memory");
		return ERR_CLOSED;
	}
	if (when == RDS_NOW || k->out.len - k->out_done >= RDS_SOON_BYTES)
		loop_defer(k->loop, &k->flush);
	else if (!timer_armed(&k->soon))
		timer_arm(loop_timers(k->loop), &k->soon, RDS_SOON_MS);
	return ERR_OK;
}

enum err rds_link_send_two(struct rds_link *k, struct str head, struct str tail, enum rds_when when)
{
	if (!k->up)
		return ERR_CLOSED;
	if (k->out.len + head.len + tail.len > OUT_MAX)
		return ERR_FULL;
	buf_str(&k->out, head);
	buf_str(&k->out, tail);
	return queued(k, when);
}

enum err rds_link_send_raw(struct rds_link *k, const void *p, size_t len, enum rds_when when)
{
	return rds_link_send_two(k, str_of(p, len), STR_NONE, when);
}

enum err rds_link_send(struct rds_link *k, size_t argc, const struct str *argv, enum rds_when when)
{
	size_t need = 16;

	if (!k->up)
		return ERR_CLOSED;
	if (argc > RDS_ARGS_MAX)
		return ERR_TOO_LARGE;
	for (size_t i = 0; i < argc; i++)
		need += argv[i].len + 32;
	if (k->out.len + need > OUT_MAX)
		return ERR_FULL;
	rds_link_count_put(&k->out, argc);
	for (size_t i = 0; i < argc; i++)
		rds_link_bulk_put(&k->out, argv[i]);
	return queued(k, when);
}
