/** web/src/sip/backoff.ts: nobody comes back at the same time as the others, or sooner than asked. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Backoff } from '../../web/src/sip/backoff.ts';

test('waits double up to the longest, each between half and whole', () => {
	const least = new Backoff(1000, 6000, () => 0);
	const most = new Backoff(1000, 6000, () => 1);
	assert.deepEqual([1, 2, 3, 4, 5].map(() => least.next()), [500, 1000, 2000, 3000, 3000]);
	assert.deepEqual([1, 2, 3, 4, 5].map(() => most.next()), [1000, 2000, 4000, 6000, 6000]);
	least.reset();
	assert.equal(least.next(), 500);
	for (let i = 0; i < 2000; i++) most.next();
	assert.equal(most.next(), 6000, 'however often');
});

test('what the server asks for is the least, and bounded', () => {
	assert.equal(new Backoff(1000, 6000, () => 0).next(9000), 9000);
	assert.equal(new Backoff(1000, 6000, () => 1).next(9000), 13500);
	assert.equal(new Backoff(1000, 6000, () => 0).next(1e9), 300_000);
});
