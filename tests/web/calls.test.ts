/** web/src/call/calls.ts: whole calls on made-up legs, media and time. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError, type CallConfig } from '../../web/src/api.ts';
import { Calls, CONNECT_LIMIT_MS, type Outcome } from '../../web/src/call/calls.ts';
import { PATIENCE_MS, RECOVER_LIMIT_MS } from '../../web/src/call/recovery.ts';
import { MediaError } from '../../web/src/call/media.ts';
import type { FailureCode } from '../../web/src/failures.ts';
import type { IncomingLeg, LegEnd, LegEvents, LegMedia } from '../../web/src/sip/agent.ts';
import { FakeClock, settle } from './fake_clock.ts';

class FakeTrack {
	enabled = true;
	readyState = 'live';
	constructor(readonly kind: string) {}
	stop(): void {
		this.readyState = 'ended';
	}
}

class FakeStream {
	constructor(private tracks: FakeTrack[]) {}
	getTracks = (): FakeTrack[] => this.tracks;
	getAudioTracks = (): FakeTrack[] => this.tracks.filter((t) => t.kind === 'audio');
	getVideoTracks = (): FakeTrack[] => this.tracks.filter((t) => t.kind === 'video');
	addTrack = (t: FakeTrack): void => void this.tracks.push(t);
	removeTrack = (t: FakeTrack): void => void (this.tracks = this.tracks.filter((x) => x !== t));
}

class FakeConnection extends EventTarget {
	connectionState = 'new';
	closed = false;
	videoTrack: FakeTrack | null = new FakeTrack('video');
	audioTrack: FakeTrack | null = new FakeTrack('audio');
	/** What replaceTrack waits for. */
	replacing: Promise<void> = Promise.resolve();
	channel = { readyState: 'open', send: (_: string): void => {}, onopen: null, onclose: null, onmessage: null };
	createDataChannel = (label: string, init: RTCDataChannelInit): unknown => {
		assert.equal(label, 'chat');
		assert.deepEqual(init, { negotiated: true, id: 0, ordered: true });
		return this.channel;
	};
	getTransceivers = (): unknown[] => [
		{ direction: 'sendrecv', receiver: { track: { kind: 'video' } }, sender: { replaceTrack: (t: FakeTrack | null): Promise<void> => ((this.videoTrack = t), this.replacing) } },
	];
	getSenders = (): unknown[] => [{ track: this.audioTrack, replaceTrack: (t: FakeTrack | null): Promise<void> => ((this.audioTrack = t), this.replacing) }];
	getStats = (): Promise<Map<string, unknown>> => Promise.resolve(new Map<string, unknown>());
	close(): void {
		this.closed = true;
	}
	become(state: string): void {
		this.connectionState = state;
		this.dispatchEvent(new Event('connectionstatechange'));
	}
}

const END: LegEnd = { by: 'remote', status: null, reason: null, local: null };

class FakeLeg implements IncomingLeg {
	readonly from = 'bob';
	readonly displayName = 'Bob B';
	readonly replaces = false;
	log: string[] = [];
	/** What the other side says to a hold or a transfer. */
	agrees = true;
	events: LegEvents | null = null;
	constructor(readonly video = true) {}
	take(events: LegEvents): void {
		this.events = events;
	}
	answer(media: LegMedia): void {
		this.log.push(`answer ${media.stream.getVideoTracks().length}`);
	}
	busy(): void {
		this.log.push('busy');
	}
	giveWay(): void {
		this.log.push('giveWay');
	}
	hold(on: boolean): Promise<boolean> {
		this.log.push(on ? 'hold' : 'unhold');
		return Promise.resolve(this.agrees);
	}
	transfer(user: string): Promise<boolean> {
		this.log.push(`transfer ${user}`);
		return Promise.resolve(this.agrees);
	}
	decline(): void {
		this.log.push('decline');
		this.events?.ended({ ...END, by: 'local' });
	}
	hangUp(): void {
		this.log.push('hangUp');
		this.events?.ended({ ...END, by: 'local' });
	}
	restartIce(): void {
		this.log.push('restartIce');
	}
	abort(why: FailureCode): void {
		this.log.push(`abort ${why}`);
		this.events?.ended({ ...END, by: 'local', local: why });
	}
}

function world() {
	const clock = new FakeClock();
	const w = {
		clock,
		leg: new FakeLeg(),
		pc: new FakeConnection(),
		outcomes: [] as Outcome[],
		texts: [] as string[],
		opened: [] as FakeStream[],
		tracks: [] as FakeTrack[],
		mediaError: null as Error | null,
		configError: null as Error | null,
		online: true,
		calls: null as unknown as Calls,
	};
	w.calls = new Calls({
		agent: {
			call: (_user, _media, events) => {
				w.leg.events = events;
				events.peerConnection(w.pc as unknown as RTCPeerConnection);
				return w.leg;
			},
		},
		online: () => w.online,
		takeConfig: () => (w.configError ? Promise.reject(w.configError) : Promise.resolve({ ring_timeout_s: 45 } as CallConfig)),
		media: {
			openStream: (video) => {
				if (w.mediaError) return Promise.reject(w.mediaError);
				const s = new FakeStream(video ? [new FakeTrack('audio'), new FakeTrack('video')] : [new FakeTrack('audio')]);
				w.opened.push(s);
				return Promise.resolve(s as unknown as MediaStream);
			},
			openTrack: (kind) => {
				const t = new FakeTrack(kind);
				w.tracks.push(t);
				return Promise.resolve(t as unknown as MediaStreamTrack);
			},
			stop: (s) => s?.getTracks().forEach((t) => t.stop()),
			newStream: (tracks) => new FakeStream((tracks ?? []) as unknown as FakeTrack[]) as unknown as MediaStream,
		},
		clock,
		nameOf: (_u, offered) => offered,
		onText: (peer, id, text) => w.texts.push(`${peer} ${id} ${text}`),
		onReceipt: () => {},
		onOutcome: (o) => w.outcomes.push(o),
		onReferral: (r) => r.refuse(),
	});
	return w;
}

const bob = { username: 'bob', name: 'Bob' };
const phase = (w: ReturnType<typeof world>): string => w.calls.state.value.phase;

/** Everything of a call is given back. */
function assertClean(w: ReturnType<typeof world>): void {
	assert.equal(phase(w), 'idle');
	assert.equal(w.calls.busy, false);
	for (const s of w.opened) assert.ok(s.getTracks().every((t) => t.readyState === 'ended'));
	assert.ok(w.tracks.every((t) => t.readyState === 'ended'));
	assert.equal(w.clock.pending, 0);
	assert.equal(w.calls.localStream.value, null);
	assert.equal(w.calls.remoteStream.value, null);
}

async function active(w: ReturnType<typeof world>): Promise<void> {
	await w.calls.dial(bob, true);
	w.leg.events?.provisional();
	w.leg.events?.accepted();
	w.pc.become('connected');
}

test('a call from the click to the hang-up', async () => {
	const w = world();
	await w.calls.dial(bob, true);
	assert.equal(phase(w), 'calling');
	w.leg.events?.provisional();
	assert.equal(phase(w), 'ringing');
	w.leg.events?.accepted();
	assert.equal(phase(w), 'connecting');
	w.pc.become('connected');
	assert.equal(phase(w), 'active');
	await w.clock.advance(62_000);
	w.calls.hangUp();
	assert.deepEqual(w.leg.log, ['hangUp']);
	assert.deepEqual(w.outcomes, [{ kind: 'ended', peer: bob, incoming: false, seconds: 62 }]);
	assert.equal(w.pc.closed, true);
	assert.equal(w.calls.failure.value, null);
	assertClean(w);
});

test('hung up by the other side', async () => {
	const w = world();
	await active(w);
	w.leg.events?.ended(END);
	assert.equal(w.outcomes[0]?.kind, 'ended');
	assertClean(w);
});

test('a second call is not begun, an incoming one is left to be refused', async () => {
	const w = world();
	await active(w);
	await w.calls.dial({ username: 'carol', name: 'Carol' }, false);
	assert.equal(w.calls.state.value.peer?.username, 'bob');
	const second = new FakeLeg();
	w.calls.offer(second);
	assert.equal(second.events, null);
});

test('declined', async () => {
	const w = world();
	await w.calls.dial(bob, false);
	w.leg.events?.provisional();
	w.leg.events?.ended({ ...END, status: 603 });
	assert.equal(w.calls.failure.value?.code, 'declined');
	assert.equal(w.calls.failure.value?.sip, 603);
	assert.equal(w.outcomes[0]?.kind, 'failed');
	assertClean(w);
	await w.calls.dial(bob, false);
	assert.equal(w.calls.failure.value, null, 'a new call clears it');
});

test('cancelled before the media are open: they are closed again, nothing is sent', async () => {
	const w = world();
	const dialling = w.calls.dial(bob, true);
	w.calls.hangUp();
	await dialling;
	assert.deepEqual(w.leg.log, []);
	assert.equal(w.outcomes[0]?.kind, 'cancelled');
	assertClean(w);
});

test('no microphone, no configuration', async () => {
	for (const [media, config, code] of [
		[new MediaError('media-denied'), null, 'media-denied'],
		[null, new ApiError(503, 'busy', '', ''), 'server'],
		[new MediaError('media-missing'), new ApiError(0, 'network', '', ''), 'media-missing'],
	] as const) {
		const w = world();
		w.mediaError = media;
		w.configError = config;
		await w.calls.dial(bob, true);
		assert.equal(w.calls.failure.value?.code, code);
		assert.equal(w.calls.failure.value?.video, true);
		assertClean(w);
	}
});

test('accepted, but the media path never stands', async () => {
	const w = world();
	await w.calls.dial(bob, true);
	w.leg.events?.accepted();
	await w.clock.advance(CONNECT_LIMIT_MS - 1);
	assert.equal(phase(w), 'connecting');
	await w.clock.advance(1);
	assert.equal(w.calls.failure.value?.code, 'ice-failed');
	assertClean(w);
});

test('a path that stood before the 200 arrived counts', async () => {
	const w = world();
	await w.calls.dial(bob, true);
	w.pc.become('connected');
	assert.equal(phase(w), 'calling');
	w.leg.events?.accepted();
	assert.equal(phase(w), 'active');
});

test('nobody answers and the server forgets', async () => {
	const w = world();
	await w.calls.dial(bob, false);
	w.leg.events?.provisional();
	await w.clock.advance(55_000);
	assert.equal(w.calls.failure.value?.code, 'no-answer');
	assertClean(w);
});

test('interrupted and recovered; interrupted and lost', async () => {
	const w = world();
	await active(w);
	w.pc.become('disconnected');
	assert.equal(phase(w), 'interrupted');
	w.pc.become('connected');
	assert.equal(phase(w), 'active');
	w.pc.become('failed');
	assert.equal(phase(w), 'interrupted');
	await w.clock.advance(RECOVER_LIMIT_MS);
	assert.equal(w.leg.log.at(-1), 'abort call-lost');
	assert.ok(w.leg.log.slice(0, -1).every((entry) => entry === 'restartIce') && w.leg.log.length > 4, w.leg.log.join());
	assert.equal(w.calls.failure.value?.code, 'call-lost');
	assertClean(w);
});

test('a path that breaks is looked for anew: by the caller after a moment, at once when the line is back, until it stands', async () => {
	const w = world();
	await active(w);
	w.pc.become('disconnected');
	await w.clock.advance(PATIENCE_MS.caller - 1);
	assert.deepEqual(w.leg.log, []);
	await w.clock.advance(1);
	assert.deepEqual(w.leg.log, ['restartIce']);
	w.pc.become('connected');
	await w.clock.advance(60_000);
	assert.deepEqual(w.leg.log, ['restartIce']);
	assert.equal(phase(w), 'active');

	w.online = false;
	w.pc.become('failed');
	await w.clock.advance(8000);
	assert.deepEqual(w.leg.log, ['restartIce']);
	w.online = true;
	w.calls.lineBack();
	await w.clock.advance(0);
	assert.deepEqual(w.leg.log, ['restartIce', 'restartIce']);
	await w.clock.advance(6001);
	assert.deepEqual(w.leg.log, ['restartIce', 'restartIce', 'restartIce']);
	w.pc.become('connected');
	w.calls.hangUp();
	assertClean(w);
});

test('a line that comes back while the path stands changes nothing', async () => {
	const w = world();
	await active(w);
	w.calls.lineBack();
	await w.clock.advance(60_000);
	assert.deepEqual(w.leg.log, []);
	w.calls.hangUp();
	assertClean(w);
});

test('an incoming video call, answered with sound only', async () => {
	const w = world();
	w.calls.offer(w.leg);
	assert.equal(phase(w), 'incoming');
	assert.equal(w.calls.state.value.peer?.name, 'Bob B');
	await w.calls.answer(false);
	assert.deepEqual(w.leg.log, ['answer 0']);
	assert.equal(w.calls.camera.value, false);
	w.leg.events?.peerConnection(w.pc as unknown as RTCPeerConnection);
	w.leg.events?.accepted();
	w.pc.become('connected');
	assert.equal(phase(w), 'active');
	await w.calls.toggleCamera();
	assert.equal(w.calls.camera.value, true, 'the camera can be switched on later');
	w.calls.hangUp();
	assertClean(w);
});

test('an incoming call declined, missed, taken elsewhere', async () => {
	const cases: [(w: ReturnType<typeof world>) => void, Outcome['kind']][] = [
		[(w) => w.calls.decline(), 'declined'],
		[(w) => w.leg.events?.ended(END), 'missed'],
		[(w) => w.leg.events?.ended({ ...END, by: 'local', status: 408 }), 'missed'],
		[(w) => w.leg.events?.ended({ ...END, reason: { protocol: 'SIP', cause: 200, text: 'Call completed elsewhere' } }), 'answered-elsewhere'],
	];
	for (const [act, kind] of cases) {
		const w = world();
		w.calls.offer(w.leg);
		act(w);
		assert.equal(w.outcomes[0]?.kind, kind);
		assert.equal(w.calls.failure.value, null);
		assertClean(w);
	}
});

test('answering without a microphone refuses the call and says why', async () => {
	const w = world();
	w.mediaError = new MediaError('media-denied');
	w.calls.offer(w.leg);
	await w.calls.answer(true);
	assert.deepEqual(w.leg.log, ['abort media-denied']);
	assert.equal(w.calls.failure.value?.code, 'media-denied');
	assertClean(w);
});

test('the line is lost: what rings ends, what is accepted goes on', async () => {
	const ringing = world();
	ringing.calls.offer(ringing.leg);
	ringing.calls.lineLost();
	assertClean(ringing);
	const talking = world();
	await active(talking);
	talking.calls.lineLost();
	assert.equal(phase(talking), 'active');
});

test('mute and camera: tracks, flags, and the device is really off', async () => {
	const w = world();
	await active(w);
	const stream = w.opened[0] as FakeStream;
	w.calls.toggleMute();
	assert.equal(w.calls.muted.value, true);
	assert.equal(stream.getAudioTracks()[0]?.enabled, false);
	w.calls.toggleMute();
	assert.equal(stream.getAudioTracks()[0]?.enabled, true);
	const camera = stream.getVideoTracks()[0] as FakeTrack;
	await w.calls.toggleCamera();
	assert.equal(camera.readyState, 'ended');
	assert.equal(w.pc.videoTrack, null);
	assert.equal(stream.getVideoTracks().length, 0);
	await w.calls.toggleCamera();
	assert.equal(w.calls.camera.value, true);
	assert.equal(stream.getVideoTracks().length, 1);
	w.calls.hangUp();
	assertClean(w);
});

test('a device that is being changed when the call ends is given back, and the next call is not touched', async () => {
	const changes: [string, (w: ReturnType<typeof world>) => Promise<void>][] = [
		['camera on', async (w) => w.calls.toggleCamera()],
		['other camera', async (w) => w.calls.switchDevice('video')],
		['other microphone', async (w) => w.calls.switchDevice('audio')],
	];
	for (const [name, change] of changes) {
		for (const refused of [false, true]) {
			const w = world();
			await active(w);
			if (name === 'camera on') await w.calls.toggleCamera();
			let settleReplacing: () => void = () => {};
			w.pc.replacing = new Promise((done, fail) => (settleReplacing = refused ? () => fail(new Error('closed')) : done));
			const changing = change(w);
			await settle();
			w.calls.hangUp();
			settleReplacing();
			await changing;
			assert.equal(w.tracks.length, 1, name);
			assertClean(w);
			assert.equal(w.calls.camera.value, false);
			assert.equal(w.calls.cameraPending.value, false);
		}
	}
	const off = world();
	await active(off);
	let done: () => void = () => {};
	off.pc.replacing = new Promise((resolve) => (done = resolve));
	const changing = off.calls.toggleCamera();
	off.calls.hangUp();
	done();
	await changing;
	assertClean(off);
});

test('a camera that cannot be sent is switched off again', async () => {
	const w = world();
	await active(w);
	await w.calls.toggleCamera();
	w.pc.replacing = Promise.reject(new Error('no'));
	await assert.rejects(w.calls.toggleCamera());
	assert.equal(w.calls.camera.value, false);
	assert.equal(w.calls.cameraPending.value, false);
	assert.equal(w.tracks[0]?.readyState, 'ended');
	w.calls.hangUp();
	assertClean(w);
});

test('text goes over the channel to the one in the call only', async () => {
	const w = world();
	assert.equal(w.calls.sendText('bob', '1', 'x', 0), false);
	await active(w);
	assert.equal(w.calls.sendText('carol', '1', 'x', 0), false);
	assert.equal(w.calls.sendText('bob', '1', 'x', 0), true);
	(w.pc.channel.onmessage as unknown as (e: unknown) => void)({ data: '{"type":"text","id":"9","text":"hello","at":1}' });
	assert.deepEqual(w.texts, ['bob 9 hello']);
});

test('events of a call that is over are ignored', async () => {
	const w = world();
	await active(w);
	const late = w.leg.events;
	w.calls.hangUp();
	await settle();
	late?.provisional();
	late?.accepted();
	late?.ended(END);
	w.pc.become('connected');
	assert.equal(w.outcomes.length, 1);
	assertClean(w);
});
