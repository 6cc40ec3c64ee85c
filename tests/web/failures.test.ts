/** web/src/failures.ts, and how ends of legs map to it (web/src/call/calls.ts). */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError } from '../../web/src/api.ts';
import { codeOfError, failureOf } from '../../web/src/call/calls.ts';
import { IDLE, type CallState } from '../../web/src/call/machine.ts';
import { MediaError } from '../../web/src/call/media.ts';
import { codeOfMediaError, codeOfAnswer, codeOfReason, codeOfStatus, failure, FAILURE_CODES } from '../../web/src/failures.ts';
import type { LegEnd } from '../../web/src/sip/agent.ts';

test('each failure has words of its own', () => {
	const titles = new Set<string>();
	for (const code of FAILURE_CODES) {
		const f = failure(code, 'Bob');
		assert.ok(f.title.length > 5 && f.action.length > 5, code);
		assert.ok(!f.title.includes('%') && !f.action.includes('%'), code);
		assert.ok(!titles.has(f.title), `${code}: ${f.title}`);
		titles.add(f.title);
	}
});

for (const [status, rang, code] of [
	[401, false, 'session-ended'],
	[403, false, 'no-permission'],
	[404, false, 'unknown-user'],
	[604, false, 'unknown-user'],
	[408, true, 'no-answer'],
	[410, false, 'gone'],
	[429, false, 'slow-down'],
	[480, false, 'not-registered'],
	[480, true, 'no-answer'],
	[486, false, 'busy'],
	[600, false, 'busy'],
	[487, true, 'cancelled'],
	[488, false, 'no-common-media'],
	[500, false, 'server'],
	[503, true, 'server'],
	[603, true, 'declined'],
	[420, false, 'unexpected'],
	[699, false, 'unexpected'],
] as const) {
	test(`SIP ${status}${rang ? ' after ringing' : ''} is ${code}`, () => assert.equal(codeOfStatus(status, rang), code));
}

test('what getUserMedia throws', () => {
	assert.equal(codeOfMediaError('NotAllowedError', true), 'media-denied');
	assert.equal(codeOfMediaError('NotFoundError', true), 'media-missing');
	assert.equal(codeOfMediaError('OverconstrainedError', true), 'media-missing');
	assert.equal(codeOfMediaError('NotReadableError', true), 'media-in-use');
	assert.equal(codeOfMediaError('TypeError', true), 'media-failed');
	assert.equal(codeOfMediaError('NotAllowedError', false), 'insecure-context');
});

test('reasons of the server', () => {
	assert.equal(codeOfReason(200, 'Hung up by an administrator'), 'ended-by-admin');
	assert.equal(codeOfReason(403, 'Session ended'), 'peer-logged-out');
	assert.equal(codeOfReason(410, 'Call lost'), 'call-lost');
	assert.equal(codeOfReason(200, 'Normal clearing'), null);
});

test('words are narrowed to what was asked for', () => {
	assert.match(failure('media-denied', 'Bob', null, false).title, /your microphone$/);
	assert.match(failure('media-denied', 'Bob', null, true).title, /microphone or camera$/);
	assert.doesNotMatch(failure('media-denied', 'Bob', null, false).action, /\bthem\b/, 'one microphone');
	assert.equal(failure('media-missing', 'Bob', null, true).audioOnly, true);
	assert.equal(failure('media-missing', 'Bob', null, false).audioOnly, false);
});

const state = (part: Partial<CallState>): CallState => ({ ...IDLE, peer: { username: 'bob', name: 'Bob' }, ...part });
const end = (part: Partial<LegEnd>): LegEnd => ({ by: 'remote', status: null, reason: null, local: null, ...part });

test('an end is explained only when there is something to explain', () => {
	const active = state({ phase: 'active', connectedAt: 1 });
	assert.equal(failureOf(active, end({})), null);
	assert.equal(failureOf(active, end({ by: 'local' })), null);
	assert.equal(failureOf(active, end({ reason: { protocol: 'SIP', cause: 200, text: 'Hung up by an administrator' } })), 'ended-by-admin');
	assert.equal(failureOf(active, end({ by: 'local', local: 'ice-failed' })), 'call-lost');
	assert.equal(failureOf(state({ phase: 'connecting' }), end({ by: 'local', local: 'ice-failed' })), 'ice-failed');
	assert.equal(failureOf(state({ phase: 'ringing', rang: true }), end({ status: 480 })), 'no-answer');
	assert.equal(failureOf(state({ phase: 'calling' }), end({ status: 480 })), 'not-registered');
	assert.equal(failureOf(state({ phase: 'calling' }), end({ by: 'local' })), null);
	assert.equal(failureOf(state({ phase: 'incoming', direction: 'incoming' }), end({ reason: { protocol: 'SIP', cause: 200, text: 'Call completed elsewhere' } })), null);
	assert.equal(failureOf(state({ phase: 'incoming', direction: 'incoming' }), end({ status: 408 })), null);
	assert.equal(failureOf(state({ phase: 'calling' }), end({ local: 'socket-lost' })), 'socket-lost');
});

test('what keeps a call from being prepared', () => {
	assert.equal(codeOfError(new MediaError('media-denied')), 'media-denied');
	assert.equal(codeOfError(new ApiError(0, 'network', '', '')), 'socket-lost');
	assert.equal(codeOfError(new ApiError(401, 'no_session', '', '')), 'session-ended');
	assert.equal(codeOfError(new ApiError(403, 'forbidden', '', '')), 'no-permission');
	assert.equal(codeOfError(new ApiError(429, 'throttled', '', '')), 'slow-down');
	assert.equal(codeOfError(new ApiError(503, 'busy', '', '')), 'server');
	assert.equal(codeOfError(new Error('?')), 'unexpected');
});

test('the Reason of an answer says more than its status', () => {
	assert.equal(codeOfAnswer(480, false, 'Do not disturb'), 'do-not-disturb');
	assert.equal(codeOfAnswer(480, false, ''), 'not-registered');
	assert.equal(codeOfAnswer(480, true, ''), 'no-answer');
	assert.equal(codeOfAnswer(403, false, 'Too many calls'), 'call-limit');
	assert.equal(codeOfAnswer(403, false, ''), 'no-permission');
	assert.equal(codeOfAnswer(486, false, 'Too many calls'), 'busy');
});
