/** web/src/call/machine.ts: the table, walked and attacked. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { IDLE, isEstablished, step, type CallEvent, type CallState, type Phase } from '../../web/src/call/machine.ts';

const bob = { username: 'bob', name: 'Bob' };
const at = 1000;
const dial: CallEvent = { type: 'dial', peer: bob, video: true, at };
const offer: CallEvent = { type: 'offer', peer: bob, video: false, at };
const plain = (type: 'prepared' | 'provisional' | 'accepted' | 'connected' | 'interrupted' | 'end', when = at): CallEvent => ({ type, at: when });
const answer: CallEvent = { type: 'answer', video: false, at };

const walk = (...events: CallEvent[]): CallState => events.reduce(step, IDLE);

test('the way of the caller', () => {
	const phases: Phase[] = [];
	let s = IDLE;
	for (const e of [dial, plain('prepared'), plain('provisional'), plain('accepted'), plain('connected'), plain('interrupted'), plain('connected'), plain('end')]) {
		s = step(s, e);
		phases.push(s.phase);
	}
	assert.deepEqual(phases, ['preparing', 'calling', 'ringing', 'connecting', 'active', 'interrupted', 'active', 'idle']);
});

test('the way of the callee', () => {
	const s = walk(offer, answer, plain('accepted'), plain('connected', 1500));
	assert.equal(s.phase, 'active');
	assert.equal(s.direction, 'incoming');
	assert.equal(s.video, false);
	assert.equal(s.connectedAt, 1500);
});

test('accepted without a 180 before', () => {
	const s = walk(dial, plain('prepared'), plain('accepted'));
	assert.equal(s.phase, 'connecting');
	assert.equal(s.rang, false);
});

test('the time of the call counts from the first connection', () => {
	const s = walk(dial, plain('prepared'), plain('accepted'), plain('connected', 2000), plain('interrupted', 3000), plain('connected', 4000));
	assert.equal(s.connectedAt, 2000);
});

test('the end is possible in every phase but idle, and leaves nothing behind', () => {
	const ways: CallEvent[][] = [
		[dial],
		[dial, plain('prepared')],
		[dial, plain('prepared'), plain('provisional')],
		[offer],
		[offer, answer],
		[offer, answer, plain('accepted')],
		[offer, answer, plain('accepted'), plain('connected')],
		[offer, answer, plain('accepted'), plain('connected'), plain('interrupted')],
	];
	for (const way of ways) assert.equal(step(walk(...way), plain('end')), IDLE);
	assert.equal(step(IDLE, plain('end')), IDLE);
});

test('what has no meaning changes nothing', () => {
	const cases: [CallEvent[], CallEvent][] = [
		[[], plain('accepted')],
		[[], answer],
		[[dial], offer],
		[[dial], plain('provisional')],
		[[dial, plain('prepared'), plain('accepted')], plain('provisional')],
		[[offer], dial],
		[[offer], plain('accepted')],
		[[offer, answer], answer],
		[[offer, answer, plain('accepted'), plain('connected')], plain('connected')],
		[[dial, plain('prepared'), plain('accepted')], plain('interrupted')],
	];
	for (const [way, event] of cases) {
		const s = walk(...way);
		assert.equal(step(s, event), s, `${s.phase} + ${event.type}`);
	}
});

test('established phases', () => {
	const yes = (['idle', 'preparing', 'calling', 'ringing', 'incoming', 'answering', 'connecting', 'active', 'interrupted'] as Phase[]).filter(isEstablished);
	assert.deepEqual(yes, ['connecting', 'active', 'interrupted']);
});
