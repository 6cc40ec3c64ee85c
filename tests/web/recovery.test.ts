/** web/src/call/recovery.ts, and which ends that JsSIP makes are none (web/src/sip/leg.ts). */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FAILED_MS, PATIENCE_MS, RECOVER_LIMIT_MS, Recovery } from '../../web/src/call/recovery.ts';
import { isSetback } from '../../web/src/sip/leg.ts';
import { FakeClock } from './fake_clock.ts';

function world(role: 'caller' | 'callee') {
	const w = { clock: new FakeClock(), online: true, restarts: [] as number[], lost: 0, recovery: null as unknown as Recovery };
	const start = w.clock.now();
	w.recovery = new Recovery(
		{ clock: w.clock, online: () => w.online, restart: () => w.restarts.push(w.clock.now() - start), giveUp: () => w.lost++ },
		role,
	);
	return w;
}

for (const role of ['caller', 'callee'] as const) {
	test(`the ${role} waits, tries, and gives up in the end`, async () => {
		const w = world(role);
		w.recovery.broken(false);
		await w.clock.advance(RECOVER_LIMIT_MS);
		assert.equal(w.restarts[0], PATIENCE_MS[role]);
		assert.ok(w.restarts.length >= 4 && w.restarts.length <= 7, w.restarts.join());
		assert.equal(w.lost, 1);
	});

	test(`the ${role} does not wait so long once ICE has given up, and not longer for that`, async () => {
		const w = world(role);
		w.recovery.broken(false);
		await w.clock.advance(100);
		w.recovery.broken(false); // once more the same
		w.recovery.broken(true);
		await w.clock.advance(RECOVER_LIMIT_MS - 100);
		assert.equal(w.restarts[0], 100 + FAILED_MS[role]);
		assert.equal(w.lost, 1);
	});
}

test('the caller goes first by more than a round trip and an answer take', () => {
	assert.ok(PATIENCE_MS.callee - PATIENCE_MS.caller >= 2000 && FAILED_MS.callee - FAILED_MS.caller >= 2000);
});

test('a path that stands again is left alone, and the next break has its whole time', async () => {
	const w = world('caller');
	w.recovery.broken(false);
	await w.clock.advance(1000);
	w.recovery.whole();
	w.recovery.lineBack();
	await w.clock.advance(60_000);
	assert.deepEqual(w.restarts, []);
	w.recovery.broken(true);
	await w.clock.advance(RECOVER_LIMIT_MS - 1);
	assert.equal(w.lost, 0);
	w.recovery.stop();
	await w.clock.advance(60_000);
	assert.equal(w.lost, 0);
	assert.equal(w.clock.pending, 0);
});

test('setbacks of a call that stands are no ends; what the other side or the session timer says is', () => {
	for (const [cause, reason_phrase] of [['RTP Timeout', 'RTP Timeout'], ['Connection Error', 'Connection Error'], ['Request Timeout', 'Request Timeout'], ['WebRTC Error', 'Media Renegotiation Failed']])
		assert.equal(isSetback({ cause, reason_phrase } as never), true, cause);
	for (const [cause, reason_phrase] of [['Request Timeout', 'Session Timer Expired'], ['Dialog Error', 'Dialog Error'], ['WebRTC Error', 'other'], ['Terminated', '']])
		assert.equal(isSetback({ cause, reason_phrase } as never), false, cause);
	assert.equal(isSetback(undefined), false);
	assert.equal(isSetback({ status_code: 480 }), false);
});
