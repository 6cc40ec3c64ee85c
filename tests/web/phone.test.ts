/** web/src/call/phone.ts: two lines, on made-up legs. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CallConfig } from '../../web/src/api.ts';
import type { Outcome } from '../../web/src/call/calls.ts';
import { Phone } from '../../web/src/call/phone.ts';
import type { FailureCode } from '../../web/src/failures.ts';
import type { IncomingLeg, Leg, LegEnd, LegEvents, LegMedia, Referral } from '../../web/src/sip/agent.ts';
import { FakeClock, settle } from './fake_clock.ts';

const END: LegEnd = { by: 'remote', status: null, reason: null, local: null };

class FakeStream {
	private readonly track = { kind: 'audio', enabled: true, stop(): void {} };
	getTracks = (): unknown[] => [this.track];
	getAudioTracks = (): unknown[] => [this.track];
	getVideoTracks = (): unknown[] => [];
}

class FakeConnection extends EventTarget {
	connectionState = 'connected';
	createDataChannel = (): unknown => ({ readyState: 'closed', send(): void {}, onopen: null, onclose: null, onmessage: null });
	getStats = (): Promise<Map<string, unknown>> => Promise.resolve(new Map<string, unknown>());
	close(): void {}
}

class FakeLeg implements IncomingLeg {
	displayName = '';
	readonly video = false;
	replaces = false;
	log: string[] = [];
	taken = false;
	agrees: Promise<boolean> = Promise.resolve(true);
	instead: Leg | null = null;
	events: LegEvents | null = null;
	constructor(readonly from: string) {}
	take(events: LegEvents): void {
		this.taken = true;
		this.events = events;
	}
	answer(): void {
		this.log.push('answer');
		this.up();
	}
	up(): void {
		this.events?.peerConnection(new FakeConnection() as unknown as RTCPeerConnection);
		this.events?.accepted();
	}
	decline = (): void => this.finish('decline', { ...END, by: 'local' });
	busy = (): void => this.finish('busy', { ...END, by: 'local' });
	giveWay = (): void => void this.log.push('giveWay');
	hangUp = (): void => this.finish('hangUp', { ...END, by: 'local' });
	abort = (why: FailureCode): void => this.finish(`abort ${why}`, { ...END, by: 'local', local: why });
	restartIce(): void {}
	hold(on: boolean): Promise<boolean> {
		this.log.push(on ? 'hold' : 'unhold');
		return this.agrees;
	}
	transfer(user: string, instead: Leg | null): Promise<boolean> {
		this.log.push(`transfer ${user}`);
		this.instead = instead;
		return this.agrees;
	}
	finish(what: string, end: LegEnd): void {
		this.log.push(what);
		const { events } = this;
		this.events = null;
		events?.ended(end);
	}
}

const person = (username: string): { username: string; name: string } => ({ username, name: username });

function world(self = 'kim') {
	const clock = new FakeClock();
	const w = {
		clock,
		legs: new Map<string, FakeLeg>(),
		outcomes: [] as Outcome[],
		news: [] as string[],
		callWaiting: true,
		phone: null as unknown as Phone,
		leg: (user: string): FakeLeg => w.legs.get(user) as FakeLeg,
		shown: (): string => w.phone.shown.value.state.value.peer?.username ?? 'nobody',
		parked: (): string => w.phone.parked.value?.state.value.peer?.username ?? 'nobody',
		incoming: (user: string): FakeLeg => {
			const leg = new FakeLeg(user);
			w.legs.set(user, leg);
			w.phone.offer(leg);
			if (!leg.taken) leg.busy();
			return leg;
		},
		talkTo: async (user: string): Promise<void> => {
			await w.phone.dial(person(user), false);
			w.leg(user).up();
		},
	};
	w.phone = new Phone({
		self,
		callWaiting: () => w.callWaiting,
		agent: {
			call: (user, _media, events) => {
				const leg = new FakeLeg(user);
				leg.events = events;
				w.legs.set(user, leg);
				return leg;
			},
		},
		online: () => true,
		takeConfig: () => Promise.resolve({ ring_timeout_s: 45 } as CallConfig),
		media: {
			openStream: () => Promise.resolve(new FakeStream() as unknown as MediaStream),
			openTrack: () => Promise.reject(new Error('none')),
			stop: () => {},
			newStream: () => new FakeStream() as unknown as MediaStream,
		},
		clock,
		nameOf: (u) => u,
		onText: () => {},
		onReceipt: () => {},
		onOutcome: (o) => w.outcomes.push(o),
		onTransferred: (by, to) => w.news.push(`${by.username} hands us to ${to.username}`),
		onTransferFailed: (to) => w.news.push(`no transfer to ${to.username}`),
		onSideFailure: (title) => w.news.push(title),
	});
	return w;
}

test('call waiting: the second call is taken, the first waits, and comes back when the second ends', async () => {
	const w = world();
	await w.talkTo('bob');
	const carol = w.incoming('carol');
	assert.equal(w.phone.waiting.value?.state.value.peer?.username, 'carol');
	assert.equal(w.shown(), 'bob');
	await w.phone.takeWaiting(false, false);
	assert.deepEqual(w.leg('bob').log, ['hold']);
	assert.deepEqual([w.shown(), w.parked(), w.phone.waiting.value], ['carol', 'bob', null]);
	assert.deepEqual(carol.log, ['answer']);
	assert.equal(w.incoming('dave').log[0], 'busy', 'there are two lines');
	carol.finish('bye', END);
	await settle();
	assert.deepEqual(w.leg('bob').log, ['hold', 'unhold']);
	assert.deepEqual([w.shown(), w.parked()], ['bob', 'nobody']);
	w.phone.hangUpAll();
	assert.equal(w.phone.busy, false);
	assert.deepEqual(w.outcomes.map((o) => `${o.peer.username} ${o.kind}`), ['carol ended', 'bob ended']);
});

test('call waiting: end and accept, decline, and a caller who gives up', async () => {
	const w = world();
	await w.talkTo('bob');
	w.incoming('carol');
	await w.phone.takeWaiting(false, true);
	assert.deepEqual([w.leg('bob').log, w.shown(), w.parked()], [['hangUp'], 'carol', 'nobody']);
	w.incoming('dave');
	w.phone.waiting.value?.decline();
	assert.deepEqual([w.leg('dave').log, w.shown()], [['decline'], 'carol']);
	const erin = w.incoming('erin');
	let free: (done: boolean) => void = () => {};
	w.leg('carol').agrees = new Promise((resolve) => (free = resolve));
	const taking = w.phone.takeWaiting(false, false);
	erin.finish('cancel', END);
	free(true);
	await taking;
	assert.deepEqual([w.shown(), w.outcomes.at(-1)?.kind], ['carol', 'missed']);
});

test('nobody waits while it only rings: busy', async () => {
	const w = world();
	await w.phone.dial(person('bob'), false);
	assert.deepEqual(w.incoming('carol').log, ['busy']);
	w.leg('bob').hangUp();
	w.incoming('carol');
	assert.deepEqual(w.incoming('dave').log, ['busy']);
});

test('a second call of one\'s own puts the first on hold; when it fails the first goes on', async () => {
	const w = world();
	await w.talkTo('bob');
	await w.phone.dial(person('carol'), false);
	assert.deepEqual([w.leg('bob').log, w.shown(), w.parked()], [['hold'], 'carol', 'bob']);
	assert.equal(w.phone.canJoin.value, false);
	w.leg('carol').finish('486', { ...END, status: 486 });
	await settle();
	assert.deepEqual([w.leg('bob').log, w.shown()], [['hold', 'unhold'], 'bob']);
	assert.deepEqual(w.news, ['carol is in another call']);
	assert.ok(w.phone.lines.every((l) => l.failure.value === null));
	await w.phone.dial(person('bob'), false);
	assert.equal(w.phone.lines.filter((l) => l.busy).length, 1, 'whom we talk to is not called');
});

test('without call waiting who calls during a call is told that we are busy', async () => {
	const w = world();
	w.callWaiting = false;
	await w.talkTo('bob');
	assert.deepEqual(w.incoming('carol').log, ['busy']);
});

test('switching between two', async () => {
	const w = world();
	await w.talkTo('bob');
	await w.talkTo('carol');
	await w.phone.swap();
	assert.deepEqual([w.shown(), w.parked(), w.leg('carol').log, w.leg('bob').log], ['bob', 'carol', ['hold'], ['hold', 'unhold']]);
});

test('blind transfer: we leave when they talk, and stay when they do not', async () => {
	const w = world();
	await w.talkTo('bob');
	w.leg('bob').agrees = Promise.resolve(false);
	await w.phone.transfer(person('carol'));
	assert.deepEqual([w.news, w.shown(), w.phone.shown.value.transferring.value], [['no transfer to carol'], 'bob', false]);
	w.leg('bob').agrees = Promise.resolve(true);
	await w.phone.transfer(person('carol'));
	assert.deepEqual(w.leg('bob').log, ['transfer carol', 'transfer carol', 'hangUp']);
	assert.equal(w.phone.busy, false);
});

test('attended transfer: the one on hold calls whom we have asked, in the place of our call', async () => {
	const w = world();
	await w.talkTo('bob');
	await w.talkTo('carol');
	assert.equal(w.phone.canJoin.value, true);
	const carol = w.leg('carol');
	await w.phone.join();
	assert.deepEqual(w.leg('bob').log, ['hold', 'transfer carol', 'hangUp']);
	assert.equal(w.leg('bob').instead, carol);
	assert.deepEqual(carol.log, ['hangUp']);
	assert.equal(w.phone.busy, false);
});

test('we are handed over: the new call is shown, the old one waits to be ended, and is there if the new one fails', async () => {
	for (const works of [true, false]) {
		const w = world();
		await w.talkTo('bob');
		const carol = new FakeLeg('carol');
		const referral: Referral = {
			to: 'carol',
			start: (_media: LegMedia, events: LegEvents) => {
				carol.events = events;
				return carol;
			},
			refuse: () => assert.fail('refused'),
		};
		w.leg('bob').events?.referred(referral);
		await settle();
		assert.deepEqual([w.news, w.shown()], [['bob hands us to carol'], 'carol']);
		if (works) {
			carol.up();
			w.leg('bob').finish('bye', END);
			assert.equal(w.shown(), 'carol');
		} else {
			carol.finish('480', { ...END, status: 480 });
			assert.equal(w.shown(), 'bob');
		}
	}
});

test('a transfer is refused while both lines are taken', async () => {
	const w = world();
	await w.talkTo('bob');
	await w.talkTo('carol');
	let refused = 0;
	w.leg('bob').events?.referred({ to: 'dave', start: () => assert.fail('started'), refuse: () => refused++ });
	assert.equal(refused, 1);
});

test('who was handed to us takes the place of the one who asked', async () => {
	const w = world();
	await w.talkTo('alice');
	const bob = new FakeLeg('bob');
	bob.replaces = true;
	w.phone.offer(bob);
	await settle();
	assert.deepEqual([bob.log, w.shown(), w.phone.waiting.value], [['answer'], 'bob', null]);
	w.leg('alice').finish('replaced', { ...END, by: 'local' });
	assert.deepEqual([w.shown(), w.parked()], ['bob', 'nobody']);
});

test('both call each other: the call of the first by name stands, the other answers it', async () => {
	const first = world('alice');
	await first.phone.dial(person('bob'), false);
	const mine = first.leg('bob');
	const theirs = first.incoming('bob');
	assert.ok(theirs.taken);
	assert.deepEqual([theirs.log, mine.log, first.shown()], [[], [], 'bob']);
	theirs.finish('cancel', END);
	await first.clock.advance(5000);
	assert.deepEqual(theirs.log, ['cancel'], 'it has given way');
	mine.up();
	assert.equal(first.phone.shown.value.state.value.phase, 'active');
	assert.deepEqual(first.outcomes, []);

	const second = world('bob');
	await second.phone.dial(person('alice'), false);
	const ours = second.leg('alice');
	const standing = second.incoming('alice');
	await settle();
	assert.deepEqual([ours.log, standing.log], [['giveWay'], ['answer']]);
	ours.finish('487', { ...END, status: 487 });
	assert.deepEqual([second.shown(), second.phone.shown.value.state.value.phase, second.outcomes], ['alice', 'active', []]);
});

test('both call each other, and the other does not know it: busy after a while', async () => {
	const w = world('alice');
	await w.phone.dial(person('bob'), false);
	const theirs = w.incoming('bob');
	await w.clock.advance(4100);
	assert.deepEqual(theirs.log, ['busy']);
	assert.equal(w.phone.shown.value.state.value.phase, 'calling');
});

test('a hold that cannot be does not change what is shown', async () => {
	const w = world();
	await w.talkTo('bob');
	w.leg('bob').agrees = Promise.resolve(false);
	assert.equal(await w.phone.shown.value.hold(true), false);
	assert.deepEqual([w.phone.shown.value.held.value, w.phone.shown.value.holdPending.value], [false, false]);
	w.leg('bob').events?.held(true);
	assert.equal(w.phone.shown.value.remoteHeld.value, true);
});
