/* A BYE of our own that finds its device. The flow where a side was last seen may have died, here or on another worker
 * (430): then the device is looked up once more, as it may have come back by another. Owner: the worker's thread. */
#include "signalling/proxy_int.h"

#include <stdlib.h>

struct bye {
	struct list node; /* in proxy->byes */
	struct proxy *proxy;
	struct sip_msg *request; /* owned; without Via */
	struct txn *txn;
	unsigned holds; /* transactions, a look-up, callers up the stack */
	bool looking, looked;
	char user[USER_NAME_SIZE], instance[INSTANCE_MAX + 1];
};

static const struct txn_user bye_user;

static void release(struct bye *b)
{
	if (--b->holds > 0)
		return;
	list_remove(&b->node);
	free(b->request);
	free(b);
}

static enum err send_to(struct bye *b, const struct flow *flow)
{
	char mem[256];
	struct sip_edit e;
	struct buf out = buf_growing(2 * SIP_MSG_MAX);

	sip_edit_init(&e, b->request);
	sip_edit_prepend(&e, "Via: %.*s\r\n", STR_FMT(proxy_via(b->proxy, mem, sizeof(mem))));
	enum err err = sip_edit_put(&e, &out);

	if (err == ERR_OK)
		err = txn_client_new(b->proxy->txns, flow, buf_view(&out), &bye_user, b, &b->txn);
	buf_fini(&out);
	if (err == ERR_OK)
		b->holds++;
	return err;
}

static void on_location(void *arg, enum err e, const struct location *loc)
{
	struct bye *b = arg;

	b->looking = false;
	/* A device that is nowhere has no call to end. */
	if (e == ERR_OK && loc->count > 0)
		(void)!send_to(b, &loc->binding[0].flow);
	release(b);
}

static void look_up(struct bye *b)
{
	struct proxy *p = b->proxy;

	if (b->looked || b->instance[0] == '\0')
		return;
	b->looked = true;
	b->looking = true;
	b->holds++;
	p->ops->lookup(p->host, str_from(b->user), str_from(b->instance), on_location, b);
}

static void on_response(struct txn *t, const struct sip_msg *m)
{
	if (m->status == 430)
		look_up(txn_ctx(t));
}

static void on_failed(struct txn *t, enum txn_failure why)
{
	if (why == TXN_TRANSPORT)
		look_up(txn_ctx(t));
}

static void on_ended(struct txn *t)
{
	release(txn_ctx(t));
}

static const struct txn_user bye_user = { .response = on_response, .failed = on_failed, .ended = on_ended };

void proxy_bye(struct proxy *p, const struct flow *flow, struct str user, struct str instance, struct str bye)
{
	struct sip_msg m;
	struct sip_refusal why;
	struct bye *b;

	/* Via is missing, which the parser minds, but all else is indexed. */
	if (p->ending || (sip_msg_parse(bye, &m, &why) != ERR_OK && m.headers_end == 0))
		return;
	b = calloc(1, sizeof(*b));
	if (b == NULL || (b->request = sip_msg_copy(&m)) == NULL ||
	    str_copy(user, b->user, sizeof(b->user)) != ERR_OK ||
	    str_copy(instance, b->instance, sizeof(b->instance)) != ERR_OK) {
		proxy_count(p, PROXY_C_NO_MEMORY);
		if (b != NULL)
			free(b->request);
		free(b);
		return;
	}
	b->proxy = p;
	b->holds = 1;
	list_init(&b->node);
	list_append(&p->byes, &b->node);
	if (send_to(b, flow) != ERR_OK)
		look_up(b);
	release(b);
}

void proxy_bye_free_all(struct proxy *p)
{
	struct list *it, *tmp;

	LIST_FOR_EACH (it, tmp, &p->byes) {
		struct bye *b = CONTAINER_OF(it, struct bye, node);

		p->ops->forget(p->host, b);
		if (b->looking)
			release(b);
	}
}
