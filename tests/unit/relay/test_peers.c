#include "relay/peers.h"

#include <stdlib.h>

#include "relay/alloc.h"
#include "tests/lib/cm.h"

static struct addr ip(unsigned n)
{
	return addr_v4(__builtin_bswap32(0x09000000u + n));
}

static struct chan chan(uint16_t number, unsigned n, uint16_t port)
{
	return (struct chan){ .ip = ip(n), .port = port, .number = number, .home = -1 };
}

/* When the permission ends; there must be one. */
static const _Atomic uint32_t *ends(const struct peers *b, const struct addr *a)
{
	struct perm *p = peers_perm(b, a);

	if (p == NULL)
		abort();
	return &p->expires_s;
}

static struct chan *by_number(const struct peers *b, uint16_t number)
{
	struct chan *c = peers_by_number(b, number);

	if (c == NULL)
		abort();
	return c;
}

static void permissions_add_up_and_die(void **state)
{
	struct addr one = ip(1), two = ip(2), three = ip(3);
	struct peers *a = peers_extend(NULL, &one, 1, NULL, 100);
	struct peers *b = peers_extend(a, &two, 1, NULL, 200);

	(void)state;
	assert_int_equal(b->perms, 2);
	assert_true(peers_alive(ends(b, &one), 399));
	assert_false(peers_alive(ends(b, &one), 400));
	assert_true(peers_alive(ends(b, &two), 499));
	/* What is dead is left behind. */
	struct peers *c = peers_extend(b, &three, 1, NULL, 450);
	assert_int_equal(c->perms, 2);
	assert_null(peers_perm(c, &one));
	/* Renewing is not doubling. */
	struct peers *d = peers_extend(c, &two, 1, NULL, 460);
	assert_int_equal(d->perms, 2);
	assert_true(peers_alive(ends(d, &two), 759));
	free(a);
	free(b);
	free(c);
	free(d);
}

static void channel_keeps_its_permission(void **state)
{
	struct addr one = ip(1), two = ip(2);
	struct chan first = chan(0x40, 1, 7);
	struct peers *a = peers_extend(NULL, &one, 1, &first, 100);
	struct peers *b = peers_extend(a, &two, 1, NULL, 500); /* permission of 1 is dead, its channel lives until 700 */
	struct chan *c = by_number(b, 0x40);

	(void)state;
	assert_ptr_equal(c, peers_by_addr(b, &one, 7));
	assert_null(peers_by_addr(b, &one, 8));
	assert_null(peers_by_addr(b, &two, 7));
	assert_true(addr_eq(&peers_perms(b)[c->perm].ip, &one));
	assert_false(peers_alive(&peers_perms(b)[c->perm].expires_s, 500));
	struct peers *d = peers_extend(b, &two, 1, NULL, 700);
	assert_int_equal(d->chans, 0);
	assert_int_equal(d->perms, 1);
	free(a);
	free(b);
	free(d);
}

static void number_is_bound_anew_after_its_death(void **state)
{
	struct addr one = ip(1), two = ip(2);
	struct chan first = chan(0x40, 1, 7), second = chan(0x40, 2, 8);
	struct peers *a = peers_extend(NULL, &one, 1, &first, 100);
	struct peers *b = peers_extend(a, &two, 1, &second, 700);

	(void)state;
	assert_int_equal(b->chans, 1);
	assert_true(addr_eq(&by_number(b, 0x40)->ip, &two));
	free(a);
	free(b);
}

static void indexes_hold_for_many(void **state)
{
	struct peers *b = NULL;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct addr a = ip(i / 2);
		struct chan c = chan((uint16_t)i, i / 2, (uint16_t)(i + 1));
		struct peers *next = peers_extend(b, &a, 1, &c, 100);

		free(b);
		b = next;
	}
	assert_int_equal(b->chans, 200);
	assert_int_equal(b->perms, 100);
	for (unsigned i = 0; i < 200; i++) {
		struct addr a = ip(i / 2);
		struct chan *c = by_number(b, (uint16_t)i);

		assert_ptr_equal(c, peers_by_addr(b, &a, (uint16_t)(i + 1)));
		assert_ptr_equal(&peers_perms(b)[c->perm], peers_perm(b, &a));
	}
	assert_null(peers_by_number(NULL, 1));
	free(b);
}

static void time_may_wrap(void **state)
{
	struct addr one = ip(1);
	struct peers *a = peers_extend(NULL, &one, 1, NULL, UINT32_MAX - 10);

	(void)state;
	assert_true(peers_alive(ends(a, &one), UINT32_MAX));
	assert_true(peers_alive(ends(a, &one), 200));
	assert_false(peers_alive(ends(a, &one), 300));
	free(a);
}

static void a_block_of_given_ones(void **state)
{
	struct perm perms[] = { { .ip = ip(1), .expires_s = 10, .hop = 5 }, { .ip = ip(2), .expires_s = 20 } };
	struct chan chans[] = { chan(0x40, 2, 7), chan(0x41, 3, 7), chan(0x42, 1, 7) };
	struct addr one = ip(1);
	struct peers *b = peers_of(perms, 2, chans, 3);

	(void)state;
	/* A channel without a permission would point nowhere: it is left out. */
	assert_int_equal(b->chans, 2);
	assert_int_equal(b->perms, 2);
	assert_null(peers_by_number(b, 0x41));
	assert_int_equal(by_number(b, 0x40)->perm, 1);
	assert_int_equal(by_number(b, 0x42)->perm, 0);
	assert_int_equal(peers_perms(b)[0].hop, 5);
	assert_int_equal(*ends(b, &one), 10);
	free(b);
}

/* What one allocation takes; the figures stand in ARCHITECTURE.md. */
static void sizes(void **state)
{
	const size_t alloc = sizeof(struct alloc), block = sizeof(struct peers) + sizeof(struct perm) + sizeof(struct chan);

	(void)state;
	print_message("# an allocation: %zu bytes; its block of one permission and one channel: %zu bytes\n", alloc, block);
	assert_int_equal(alloc, 576);
	assert_int_equal(block, 84);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permissions_add_up_and_die), cmocka_unit_test(channel_keeps_its_permission),
		cmocka_unit_test(number_is_bound_anew_after_its_death), cmocka_unit_test(indexes_hold_for_many), cmocka_unit_test(time_may_wrap),
		cmocka_unit_test(a_block_of_given_ones), cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
