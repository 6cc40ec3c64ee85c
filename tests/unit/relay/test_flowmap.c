#include <pthread.h>
#include <stdlib.h>

#include "relay/flowmap.h"
#include "tests/lib/cm.h"

#define SLOTS 4096u

static struct alloc *slots;
static struct flowmap map;

static int set_up(void **state)
{
	(void)state;
	slots = aligned_alloc(CACHE_LINE, SLOTS * sizeof(*slots));
	assert_non_null(slots);
	memset(slots, 0, SLOTS * sizeof(*slots));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(slots);
	flowmap_fini(&map);
	return 0;
}

static void set_key(uint32_t slot)
{
	flow_key_set(&slots[slot].key, addr_words_v4(0x01020304u + slot * 7u), (uint16_t)slot, 5, (uint8_t)(slot % 3), 17);
}

static uint64_t hash_of(uint32_t slot)
{
	return flowmap_hash(&map, &slots[slot].key);
}

static uint32_t find(uint32_t slot)
{
	return flowmap_find(&map, hash_of(slot), &slots[slot].key, slots);
}

static void a_key_is_the_words_of_its_fields(void **state)
{
	struct flow_key set, written = { .client = { { 1, 2, 3, 4 } }, .client_port = 0x1234, .relay_port = 0x5678, .local = 9, .proto = 17 };

	(void)state;
	flow_key_set(&set, addr_words(&written.client), 0x1234, 0x5678, 9, 17);
	assert_memory_equal(&set, &written, sizeof(set));
	assert_true(flow_key_eq(&set, &written));
	for (unsigned i = 0; i < sizeof(set); i++) {
		((uint8_t *)&set)[i] ^= 0x80;
		assert_false(flow_key_eq(&set, &written));
		((uint8_t *)&set)[i] ^= 0x80;
	}
}

static void every_entry_is_found_and_no_other(void **state)
{
	(void)state;
	assert_ok(flowmap_init(&map, SLOTS));
	for (uint32_t s = 0; s < SLOTS; s++)
		set_key(s);
	for (uint32_t s = 0; s < SLOTS; s += 2)
		assert_ok(flowmap_add(&map, hash_of(s), s));
	for (uint32_t s = 0; s < SLOTS; s++)
		assert_int_equal(find(s), s % 2 == 0 ? s : FLOWMAP_NONE);
	for (uint32_t s = 0; s < SLOTS; s += 4)
		flowmap_remove(&map, hash_of(s), s);
	for (uint32_t s = 0; s < SLOTS; s++)
		assert_int_equal(find(s), s % 4 == 2 ? s : FLOWMAP_NONE);
	for (uint32_t s = 2; s < SLOTS; s += 4)
		flowmap_remove(&map, hash_of(s), s);
	for (uint32_t b = 0; b <= map.mask; b++) {
		assert_int_equal(map.bucket[b].spilled, 0);
		for (unsigned i = 0; i < FLOWMAP_ENTRIES; i++)
			assert_int_equal(map.bucket[b].at[i], 0);
	}
}

/* All in one bucket and with one tag: what nobody can bring about from outside. */
static void full_buckets_overflow_into_the_next(void **state)
{
	const uint64_t hash = 3;
	uint32_t n = 0;

	(void)state;
	assert_ok(flowmap_init(&map, 1000));
	for (; flowmap_add(&map, hash, n) == ERR_OK; n++)
		set_key(n);
	assert_int_equal(n, 17 * FLOWMAP_ENTRIES);
	assert_int_equal(map.bucket[3].spilled, (n - FLOWMAP_ENTRIES) << 16 | 16);
	for (uint32_t s = 0; s < n; s++)
		assert_int_equal(flowmap_find(&map, hash, &slots[s].key, slots), s);
	/* A neighbour whose bucket is taken by others goes further on. */
	set_key(n);
	assert_ok(flowmap_add(&map, hash + 4, n));
	assert_int_equal(flowmap_find(&map, hash + 4, &slots[n].key, slots), n);
	flowmap_remove(&map, hash + 4, n);
	assert_int_equal(flowmap_find(&map, hash + 4, &slots[n].key, slots), FLOWMAP_NONE);
	for (uint32_t s = n; s-- > FLOWMAP_ENTRIES;)
		flowmap_remove(&map, hash, s);
	assert_int_equal(map.bucket[3].spilled, 0);
	for (uint32_t s = 0; s < n; s++)
		assert_int_equal(flowmap_find(&map, hash, &slots[s].key, slots), s < FLOWMAP_ENTRIES ? s : FLOWMAP_NONE);
}

static void the_last_slot_and_no_tag_of_zero(void **state)
{
	(void)state;
	assert_ok(flowmap_init(&map, 1));
	assert_int_equal(flowmap_tag(0), 1);
	assert_int_equal(flowmap_guess(&map, 0), FLOWMAP_NONE);
	assert_ok(flowmap_add(&map, 0, FLOWMAP_SLOTS_MAX - 1));
	assert_int_equal(flowmap_guess(&map, 0), FLOWMAP_SLOTS_MAX - 1);
	assert_ok(flowmap_add(&map, UINT64_MAX, FLOWMAP_SLOTS_MAX - 1));
	assert_int_equal(flowmap_guess(&map, UINT64_MAX), FLOWMAP_SLOTS_MAX - 1);
	flowmap_remove(&map, 0, FLOWMAP_SLOTS_MAX - 1);
	assert_int_equal(flowmap_guess(&map, 0), FLOWMAP_NONE);
	assert_int_equal(flowmap_guess(&map, UINT64_MAX), FLOWMAP_SLOTS_MAX - 1);
}

static atomic_bool done;

static void *churn(void *arg)
{
	(void)arg;
	for (unsigned round = 0; round < 300; round++) {
		for (uint32_t s = 1; s < SLOTS; s += 2)
			(void)flowmap_add(&map, hash_of(s), s);
		for (uint32_t s = 1; s < SLOTS; s += 2)
			flowmap_remove(&map, hash_of(s), s);
	}
	atomic_store(&done, true);
	return NULL;
}

/* What stays is found at every moment, whoever comes and goes beside it. */
static void readers_are_not_disturbed(void **state)
{
	pthread_t writer;

	(void)state;
	assert_ok(flowmap_init(&map, SLOTS));
	for (uint32_t s = 0; s < SLOTS; s++)
		set_key(s);
	for (uint32_t s = 0; s < SLOTS; s += 2)
		assert_ok(flowmap_add(&map, hash_of(s), s));
	atomic_store(&done, false);
	assert_int_equal(pthread_create(&writer, NULL, churn, NULL), 0);
	while (!atomic_load(&done)) {
		for (uint32_t s = 0; s < SLOTS; s++) {
			uint32_t got = find(s);

			assert_true(got == s || (s % 2 == 1 && got == FLOWMAP_NONE));
		}
	}
	pthread_join(writer, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_the_words_of_its_fields),
		cmocka_unit_test_setup_teardown(every_entry_is_found_and_no_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full_buckets_overflow_into_the_next, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_last_slot_and_no_tag_of_zero, set_up, tear_down),
		cmocka_unit_test_setup_teardown(readers_are_not_disturbed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
