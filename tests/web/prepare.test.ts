/** web/src/call/{configs,gathering,chat,stats}.ts: what makes a call fast, and what goes over its channel. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CallConfig } from '../../web/src/api.ts';
import { CallConfigs } from '../../web/src/call/configs.ts';
import { DIRECT_WAIT_MS, Gathering, RELAY_LIMIT_MS } from '../../web/src/call/gathering.ts';
import { ChatChannel, parseFrame, type Channel, type ChatEvents } from '../../web/src/call/chat.ts';
import { levelOf, summarise } from '../../web/src/call/stats.ts';
import { FakeClock, settle } from './fake_clock.ts';

function configs(lifeMs = 3_600_000) {
	const clock = new FakeClock();
	let made = 0;
	const failing = { next: 0 };
	const source = new CallConfigs(() => {
		if (failing.next > 0) {
			failing.next--;
			return Promise.reject(new Error('down'));
		}
		made++;
		return Promise.resolve({ session_id: String(made), expires_at: new Date(clock.now() + lifeMs).toISOString() } as CallConfig);
	}, clock);
	return { clock, source, made: () => made, failing };
}

test('each call has a configuration of its own, the next one is ready at once', async () => {
	const { source, made } = configs();
	source.prefetch();
	await settle();
	assert.equal(made(), 1);
	assert.equal((await source.take()).session_id, '1');
	await settle();
	assert.equal(made(), 2);
	const [a, b] = await Promise.all([source.take(), source.take()]);
	assert.notEqual(a.session_id, b.session_id);
});

test('two takers of one fetch under way do not share it', async () => {
	const { source } = configs();
	source.prefetch();
	const [a, b] = await Promise.all([source.take(), source.take()]);
	assert.notEqual(a.session_id, b.session_id);
});

test('a configuration kept ahead is renewed before it grows old', async () => {
	const { source, clock, made } = configs();
	source.prefetch();
	await settle();
	await clock.advance(30 * 60_000 + 1);
	assert.equal(made(), 2);
	assert.equal((await source.take()).session_id, '2');
});

test('a short credential is used for half its life only', async () => {
	const { source, clock, made } = configs(60_000);
	source.prefetch();
	await settle();
	await clock.advance(31_000);
	assert.ok(made() >= 2);
});

test('a failed prefetch is tried again, and take() reports what it meets', async () => {
	const { source, clock, made, failing } = configs();
	failing.next = 2;
	source.prefetch();
	await settle();
	assert.equal(made(), 0);
	await assert.rejects(source.take(), /down/);
	await clock.advance(15_000);
	assert.equal(made(), 1);
});

test('after stop nothing is fetched any more', async () => {
	const { source, clock, made } = configs();
	source.prefetch();
	await settle();
	source.stop();
	await clock.advance(86_400_000);
	assert.equal(made(), 1);
	assert.equal(clock.pending, 0);
});

const RELAY = { candidate: 'candidate:1 1 udp 1 10.0.0.1 50000 typ relay raddr 0.0.0.0 rport 0', sdpMLineIndex: 0 };
const HOST = { candidate: 'candidate:2 1 udp 9 abc.local 50000 typ host', sdpMLineIndex: 0 };

function gathering(policy: 'all' | 'relay') {
	const clock = new FakeClock();
	const seen = { ready: 0, noRelay: 0 };
	const g = new Gathering(policy, clock, () => seen.noRelay++);
	g.start();
	return { clock, seen, g, ready: () => void seen.ready++ };
}

test('relay policy: sent with the first relay candidate of the first m-line, at once and once', async () => {
	const { g, seen, ready, clock } = gathering('relay');
	g.candidate(HOST, ready);
	g.candidate({ ...RELAY, sdpMLineIndex: 1 }, ready);
	assert.equal(seen.ready, 0);
	g.candidate(RELAY, ready);
	g.candidate(RELAY, ready);
	assert.equal(seen.ready, 1);
	await clock.advance(60_000);
	assert.equal(seen.noRelay, 0);
	assert.equal(clock.pending, 0);
});

test('relay policy: none within the limit, or none when complete, is a failure, told once', async () => {
	const a = gathering('relay');
	await a.clock.advance(RELAY_LIMIT_MS);
	assert.equal(a.seen.noRelay, 1);
	a.g.candidate(RELAY, a.ready);
	assert.equal(a.seen.ready, 0);
	const b = gathering('relay');
	assert.equal(b.g.sending('v=0\r\na=candidate:2 1 udp 9 abc.local 50000 typ host\r\n'), false);
	assert.equal(b.g.sending('v=0\r\n'), false);
	assert.equal(b.seen.noRelay, 1);
});

test('otherwise: a little after the first candidate', async () => {
	const { g, seen, ready, clock } = gathering('all');
	g.candidate({ ...HOST, sdpMLineIndex: 1 }, ready);
	g.candidate(HOST, ready);
	await clock.advance(DIRECT_WAIT_MS - 1);
	assert.equal(seen.ready, 0);
	await clock.advance(1);
	assert.equal(seen.ready, 1);
});

test('otherwise: complete before that is sent at once, the timer is gone', async () => {
	const { g, seen, ready, clock } = gathering('all');
	g.candidate(HOST, ready);
	assert.equal(g.sending('v=0\r\n'), true);
	await clock.advance(10_000);
	assert.equal(seen.ready, 0);
	assert.equal(clock.pending, 0);
});

for (const [why, data] of [
	['not text', new ArrayBuffer(2)],
	['not JSON', '{"type":'],
	['null', 'null'],
	['an unknown type', '{"type":"file"}'],
	['text without id', '{"type":"text","text":"x"}'],
	['an empty text', '{"type":"text","id":"1","text":""}'],
	['a text too long', JSON.stringify({ type: 'text', id: '1', text: 'x'.repeat(4001) })],
	['a frame too long', `{"type":"text","id":"1","text":"x"${' '.repeat(17_000)}}`],
	['an id too long', JSON.stringify({ type: 'receipt', id: 'x'.repeat(65) })],
	['media that is none', '{"type":"media","audio":1,"video":true}'],
] as const) {
	test(`a frame is ignored: ${why}`, () => assert.equal(parseFrame(data), null));
}

function channel() {
	const sent: string[] = [];
	const raw: Channel = { readyState: 'connecting', send: (d) => void sent.push(d), onopen: null, onclose: null, onmessage: null };
	const heard: unknown[][] = [];
	const events = Object.fromEntries(['open', 'text', 'receipt', 'media'].map((n) => [n, (...a: unknown[]) => heard.push([n, ...a])])) as unknown as ChatEvents;
	return { raw, sent, heard, chat: new ChatChannel(raw, events) };
}

test('the channel: text is answered with a receipt; nothing is sent before it is open', () => {
	const { raw, sent, heard, chat } = channel();
	assert.equal(chat.send({ type: 'receipt', id: 'x' }), false);
	raw.readyState = 'open';
	raw.onopen?.(undefined as never);
	raw.onmessage?.({ data: '{"type":"text","id":"7","text":"hi","at":5}' } as MessageEvent);
	raw.onmessage?.({ data: '{"type":"receipt","id":"8"}' } as MessageEvent);
	raw.onmessage?.({ data: '{"type":"media","audio":false,"video":true}' } as MessageEvent);
	raw.onmessage?.({ data: 'noise' } as MessageEvent);
	assert.deepEqual(heard, [['open', true], ['text', '7', 'hi', 5], ['receipt', '8'], ['media', false, true]]);
	assert.deepEqual(sent, ['{"type":"receipt","id":"7"}']);
});

test('the channel: a send that throws is a send that failed', () => {
	const { raw, chat } = channel();
	raw.readyState = 'open';
	raw.send = () => {
		throw new Error('buffer full');
	};
	assert.equal(chat.send({ type: 'receipt', id: 'x' }), false);
});

test('statistics: loss since the last look, delay and path of the pair in use', () => {
	const report = [
		{ type: 'inbound-rtp', id: 'a', kind: 'audio', packetsReceived: 190, packetsLost: 10, audioLevel: 0.3 },
		{ type: 'inbound-rtp', id: 'v', kind: 'video', packetsReceived: 300, packetsLost: 0 },
		{ type: 'transport', id: 't', selectedCandidatePairId: 'p2' },
		{ type: 'candidate-pair', id: 'p1', currentRoundTripTime: 9, localCandidateId: 'l1' },
		{ type: 'candidate-pair', id: 'p2', currentRoundTripTime: 0.0421, localCandidateId: 'l2' },
		{ type: 'local-candidate', id: 'l2', candidateType: 'relay' },
	];
	const { quality, counters } = summarise(report, { received: 300, lost: 0 });
	assert.deepEqual(counters, { received: 490, lost: 10 });
	assert.equal(quality.loss, 10 / 200);
	assert.equal(quality.rtt, 42);
	assert.equal(quality.path, 'relay');
	assert.equal(quality.level, 'fair');
	assert.equal(quality.audioLevel, 0.3);
});

test('statistics: counters that step back, and an empty report', () => {
	const back = summarise([{ type: 'inbound-rtp', id: 'a', kind: 'audio', packetsReceived: 10, packetsLost: -2 }], { received: 5, lost: 1 });
	assert.equal(back.quality.loss, 0);
	const none = summarise([], { received: 0, lost: 0 });
	assert.deepEqual(none.quality, { level: 'good', rtt: null, loss: 0, path: null, audioLevel: 0 });
});

test('levels', () => {
	assert.equal(levelOf(0, 200), 'good');
	assert.equal(levelOf(0, 201), 'fair');
	assert.equal(levelOf(0.09, 20), 'poor');
	assert.equal(levelOf(0, null), 'good');
});
