/**
 * The one call of this page: brings together the state machine, the SIP leg, the media and the data channel, and says at the end what became of it.
 * Knows no DOM beyond the types of WebRTC; everything it uses is handed in.
 */
import { signal } from '@preact/signals';
import { ApiError, type CallConfig } from '../api.ts';
import { codeOfAnswer, codeOfReason, failure, type Failure, type FailureCode } from '../failures.ts';
import type { Agent, IncomingLeg, Leg, LegEnd, LegEvents, LegMedia, Referral } from '../sip/agent.ts';
import { CHAT_ID, CHAT_LABEL, ChatChannel, type Frame } from './chat.ts';
import type { Clock } from './configs.ts';
import { IDLE, isEstablished, step, type CallEvent, type CallState, type Peer } from './machine.ts';
import { MediaError } from './media.ts';
import { Recovery } from './recovery.ts';
import { summarise, type Counters, type Quality } from './stats.ts';

/** The media path must stand this long after the call was accepted. */
export const CONNECT_LIMIT_MS = 15_000;
/** Beyond the ring time the server grants, in case the server forgets. */
const RING_SLACK_S = 10;
const STATS_MS = 2000;

/** How a call ended that needs no explanation; failures are told apart from these. */
export interface Outcome {
	kind: 'ended' | 'cancelled' | 'missed' | 'declined' | 'answered-elsewhere' | 'failed';
	peer: Peer;
	incoming: boolean;
	/** Seconds of conversation; null when there was none. */
	seconds: number | null;
}

export interface CallFailure extends Failure {
	peer: Peer;
	video: boolean;
}

export interface MediaPort {
	openStream(video: boolean): Promise<MediaStream>;
	openTrack(kind: 'audio' | 'video'): Promise<MediaStreamTrack>;
	stop(stream: MediaStream | null): void;
	newStream(tracks?: MediaStreamTrack[]): MediaStream;
}

export interface CallsPorts {
	agent: Pick<Agent, 'call'>;
	/** There is a line to the server. */
	online(): boolean;
	takeConfig(): Promise<CallConfig>;
	media: MediaPort;
	clock: Clock;
	/** The display name of a user, as far as known. */
	nameOf(username: string, offered: string): string;
	/** Text that came over the data channel, and receipts for ours. */
	onText(peer: string, id: string, text: string, at: number): void;
	onReceipt(peer: string, id: string): void;
	onOutcome(outcome: Outcome): void;
	/** Whom we talk to asks us to call somebody else. To be started (dial) or refused. */
	onReferral(referral: Referral): void;
}

interface Live {
	leg: Leg | null;
	incoming: IncomingLeg | null;
	pc: RTCPeerConnection | null;
	chat: ChatChannel | null;
	recovery: Recovery;
	timer: unknown;
	statsTimer: unknown;
	counters: Counters;
}

export class Calls {
	readonly state = signal<CallState>(IDLE);
	readonly failure = signal<CallFailure | null>(null);
	readonly localStream = signal<MediaStream | null>(null);
	readonly remoteStream = signal<MediaStream | null>(null);
	readonly muted = signal(false);
	readonly camera = signal(false);
	/** A camera or a device change is under way. */
	readonly cameraPending = signal(false);
	readonly remoteMuted = signal(false);
	/** The other side says that it sends a picture. */
	readonly remoteCamera = signal(true);
	/** We have put the other side on hold; the other side has put us. */
	readonly held = signal(false);
	readonly remoteHeld = signal(false);
	/** Being put on hold or taken back. */
	readonly holdPending = signal(false);
	/** The other side is calling whom we hand it over to. */
	readonly transferring = signal(false);
	readonly chatOpen = signal(false);
	readonly quality = signal<Quality | null>(null);

	/** For tests: the peer connection and the local stream of the call, or of the last one. */
	lastPeerConnection: RTCPeerConnection | null = null;
	lastLocalStream: MediaStream | null = null;

	private live: Live | null = null;

	constructor(private readonly ports: CallsPorts) {}

	get busy(): boolean {
		return this.live !== null;
	}

	/** Call someone, perhaps because someone has asked us to. Does nothing while there is a call. */
	async dial(peer: Peer, video: boolean, referral: Referral | null = null): Promise<void> {
		if (this.live) return;
		const live = this.begin({ type: 'dial', peer, video, at: this.ports.clock.now() });
		const got = await this.acquire(live, video);
		if (!got) {
			referral?.refuse();
			return;
		}
		const media: LegMedia = { ...got, video };
		live.leg = referral ? referral.start(media, this.legEvents(live)) : this.ports.agent.call(peer.username, media, this.legEvents(live));
		if (this.live !== live) return; // it failed at once
		this.dispatch({ type: 'prepared', at: this.ports.clock.now() });
		this.limit(live, (got.config.ring_timeout_s + RING_SLACK_S) * 1000, 'no-answer');
	}

	/** Someone calls us. A leg that is not taken here is refused as busy. */
	offer(leg: IncomingLeg): void {
		if (this.live) return;
		const peer = { username: leg.from, name: this.ports.nameOf(leg.from, leg.displayName) };
		const live = this.begin({ type: 'offer', peer, video: leg.video, at: this.ports.clock.now() });
		live.leg = leg;
		live.incoming = leg;
		leg.take(this.legEvents(live));
	}

	async answer(video: boolean): Promise<void> {
		const { live } = this;
		if (!live?.incoming || this.state.value.phase !== 'incoming') return;
		this.dispatch({ type: 'answer', video, at: this.ports.clock.now() });
		const got = await this.acquire(live, video && live.incoming.video);
		if (got) live.incoming.answer({ ...got, video: live.incoming.video });
	}

	/** The person whom we are calling is calling us: their call is the one, and answers ours. */
	async merge(leg: IncomingLeg): Promise<void> {
		const { live } = this;
		const { video } = this.state.value;
		if (live) {
			this.live = null; // what the old leg still says is nobody's business
			live.leg?.giveWay();
			this.release(live);
		}
		this.offer(leg);
		await this.answer(video);
	}

	/** False when it cannot be just now. */
	async hold(on: boolean): Promise<boolean> {
		const { live } = this;
		if (!live?.leg || !isEstablished(this.state.value.phase) || this.holdPending.value) return false;
		if (this.held.value === on) return true;
		this.holdPending.value = true;
		const done = await live.leg.hold(on);
		if (this.live !== live) return false;
		this.holdPending.value = false;
		if (!done) return false;
		this.held.value = on;
		// The agent has switched the tracks; a microphone that was muted before stays so.
		const track = this.localStream.value?.getAudioTracks()[0];
		if (track && !on) track.enabled = !this.muted.value;
		return true;
	}

	/** Asks the other side to call `user` instead, in the place of our call with them if there is one. True once they talk. */
	async transfer(user: string, instead: Calls | null): Promise<boolean> {
		const { live } = this;
		if (!live?.leg || !isEstablished(this.state.value.phase) || this.transferring.value) return false;
		this.transferring.value = true;
		const done = await live.leg.transfer(user, instead?.live?.leg ?? null);
		if (this.live !== live) return false;
		this.transferring.value = false;
		return done;
	}

	decline(): void {
		this.live?.incoming?.decline();
	}

	/** Cancel, decline or hang up: whatever ends the call in its phase. */
	hangUp(): void {
		const { live } = this;
		if (!live) return;
		if (live.leg) live.leg.hangUp();
		else this.end(live, { by: 'local', status: null, reason: null, local: null });
	}

	/** The line went down: what rings can no longer be answered. An accepted call goes on, its media do not need the server. */
	lineLost(): void {
		const { phase } = this.state.value;
		if (this.live && (phase === 'incoming' || phase === 'answering')) {
			const { live } = this;
			live.leg?.hangUp();
			if (this.live === live) this.end(live, { by: 'remote', status: null, reason: null, local: null });
		}
	}

	/** The line is back: perhaps on another network, where the call needs another path. */
	lineBack(): void {
		this.live?.recovery.lineBack();
	}

	dismissFailure(): void {
		this.failure.value = null;
	}

	toggleMute(): void {
		const track = this.localStream.value?.getAudioTracks()[0];
		if (!track) return;
		track.enabled = this.muted.value;
		this.muted.value = !track.enabled;
		this.tellMedia();
	}

	/** Off stops the device, so that its light goes out; on opens it anew. Neither needs an offer. */
	async toggleCamera(): Promise<void> {
		const { live } = this;
		const stream = this.localStream.value;
		const sender = live?.pc && videoSender(live.pc);
		if (!live || !stream || !sender || this.cameraPending.value) return;
		this.cameraPending.value = true;
		try {
			if (this.camera.value) {
				this.camera.value = false;
				await sender.replaceTrack(null);
				if (this.live !== live) return; // the end of the call has stopped all tracks
				for (const track of stream.getVideoTracks()) {
					track.stop();
					stream.removeTrack(track);
				}
			} else {
				const track = await this.openInto(live, sender, 'video');
				if (!track) return;
				stream.addTrack(track);
				this.camera.value = true;
			}
			this.showLocal(stream);
		} finally {
			if (this.live === live) {
				this.cameraPending.value = false;
				this.tellMedia();
			}
		}
	}

	/** A new track that is being sent. null when the call ended meanwhile: nobody else would stop the device then. */
	private async openInto(live: Live, sender: RTCRtpSender, kind: 'audio' | 'video'): Promise<MediaStreamTrack | null> {
		const track = await this.ports.media.openTrack(kind);
		try {
			if (kind === 'audio') track.enabled = !this.muted.value;
			if (this.live === live) await sender.replaceTrack(track);
		} catch (e) {
			track.stop();
			if (this.live === live) throw e;
		}
		if (this.live === live) return track;
		track.stop();
		return null;
	}

	/** Another microphone or camera, chosen in the settings before. */
	async switchDevice(kind: 'audio' | 'video'): Promise<void> {
		const { live } = this;
		const stream = this.localStream.value;
		if (!live?.pc || !stream || (kind === 'video' && !this.camera.value)) return;
		const sender = kind === 'video' ? videoSender(live.pc) : live.pc.getSenders().find((s) => s.track?.kind === 'audio');
		if (!sender) return;
		const track = await this.openInto(live, sender, kind);
		if (!track) return;
		for (const t of stream.getTracks().filter((t) => t.kind === kind)) {
			t.stop();
			stream.removeTrack(t);
		}
		stream.addTrack(track);
		this.showLocal(stream);
	}

	/** True when the text went over the data channel of a call with this person. */
	sendText(peer: string, id: string, text: string, at: number): boolean {
		if (this.state.value.peer?.username !== peer) return false;
		return this.live?.chat?.send({ type: 'text', id, text, at }) ?? false;
	}

	private begin(event: CallEvent): Live {
		const recovery = new Recovery(
			{
				clock: this.ports.clock,
				online: () => this.ports.online(),
				restart: () => live.leg?.restartIce(),
				giveUp: () => {
					if (this.live === live) live.leg?.abort('call-lost');
				},
			},
			event.type === 'dial' ? 'caller' : 'callee',
		);
		const live: Live = { leg: null, incoming: null, pc: null, chat: null, recovery, timer: null, statsTimer: null, counters: { received: 0, lost: 0 } };
		this.live = live;
		this.failure.value = null;
		this.dispatch(event);
		return live;
	}

	private dispatch(event: CallEvent): boolean {
		const next = step(this.state.value, event);
		if (next === this.state.value) return false;
		this.state.value = next;
		return true;
	}

	/** Media and configuration, side by side. null when the call is over by then; what was opened is closed again. */
	private async acquire(live: Live, video: boolean): Promise<{ stream: MediaStream; config: CallConfig } | null> {
		const [media, config] = await Promise.allSettled([this.ports.media.openStream(video), this.ports.takeConfig()]);
		const stream = media.status === 'fulfilled' ? media.value : null;
		if (this.live !== live) {
			this.ports.media.stop(stream);
			return null;
		}
		if (stream && config.status === 'fulfilled') {
			this.muted.value = false;
			this.camera.value = stream.getVideoTracks().length > 0;
			this.lastLocalStream = stream;
			this.showLocal(stream);
			return { stream, config: config.value };
		}
		this.ports.media.stop(stream);
		const why = media.status === 'rejected' ? codeOfError(media.reason) : codeOfError((config as PromiseRejectedResult).reason);
		if (live.leg) live.leg.abort(why);
		else this.end(live, { by: 'local', status: null, reason: null, local: why });
		return null;
	}

	private legEvents(live: Live): LegEvents {
		const mine = (fn: () => void) => (): void => {
			if (this.live === live) fn();
		};
		return {
			peerConnection: (pc) => {
				if (this.live === live) this.attach(live, pc);
			},
			provisional: mine(() => this.dispatch({ type: 'provisional', at: this.ports.clock.now() })),
			held: (held) => {
				if (this.live === live) this.remoteHeld.value = held;
			},
			referred: (referral) => {
				if (this.live === live) this.ports.onReferral(referral);
				else referral.refuse();
			},
			accepted: mine(() => {
				if (!this.dispatch({ type: 'accepted', at: this.ports.clock.now() })) return;
				this.limit(live, CONNECT_LIMIT_MS, 'ice-failed');
				this.followConnection(live);
			}),
			ended: (end) => {
				if (this.live === live) this.end(live, end);
			},
		};
	}

	private attach(live: Live, pc: RTCPeerConnection): void {
		live.pc = pc;
		this.lastPeerConnection = pc;
		const { peer } = this.state.value;
		const username = peer?.username ?? '';
		live.chat = new ChatChannel(pc.createDataChannel(CHAT_LABEL, { negotiated: true, id: CHAT_ID, ordered: true }), {
			open: (open) => {
				if (this.live !== live) return;
				this.chatOpen.value = open;
				if (open) this.tellMedia();
			},
			text: (id, text, at) => this.ports.onText(username, id, text, at),
			receipt: (id) => this.ports.onReceipt(username, id),
			media: (audio, video) => {
				if (this.live !== live) return;
				this.remoteMuted.value = !audio;
				this.remoteCamera.value = video;
			},
		});
		pc.addEventListener('track', (e) => {
			if (this.live !== live) return;
			const known = this.remoteStream.value?.getTracks() ?? [];
			this.remoteStream.value = this.ports.media.newStream([...known, e.track]);
		});
		pc.addEventListener('connectionstatechange', () => this.followConnection(live));
	}

	private followConnection(live: Live): void {
		if (this.live !== live || !live.pc) return;
		const now = this.ports.clock.now();
		switch (live.pc.connectionState) {
			case 'connected':
				live.recovery.whole();
				if (!this.dispatch({ type: 'connected', at: now })) return;
				this.ports.clock.clearTimeout(live.timer);
				this.watchQuality(live);
				break;
			case 'disconnected':
				this.dispatch({ type: 'interrupted', at: now });
				if (this.state.value.connectedAt !== null) live.recovery.broken(false);
				break;
			case 'failed':
				if (this.state.value.connectedAt === null) {
					live.leg?.abort('ice-failed');
					break;
				}
				this.dispatch({ type: 'interrupted', at: now });
				live.recovery.broken(true);
				break;
			default:
				break;
		}
	}

	private watchQuality(live: Live): void {
		this.ports.clock.clearTimeout(live.statsTimer);
		const look = async (): Promise<void> => {
			if (this.live !== live || !live.pc) return;
			const report = await live.pc.getStats().catch(() => null);
			if (this.live !== live || !report) return;
			const { quality, counters } = summarise([...(report as unknown as Map<string, never>).values()], live.counters);
			live.counters = counters;
			this.quality.value = quality;
			live.statsTimer = this.ports.clock.setTimeout(() => void look(), STATS_MS);
		};
		live.statsTimer = this.ports.clock.setTimeout(() => void look(), STATS_MS);
	}

	private limit(live: Live, ms: number, why: FailureCode): void {
		this.ports.clock.clearTimeout(live.timer);
		live.timer = this.ports.clock.setTimeout(() => {
			if (this.live === live) live.leg?.abort(why);
		}, ms);
	}

	private tellMedia(): void {
		const frame: Frame = { type: 'media', audio: !this.muted.value, video: this.camera.value };
		this.live?.chat?.send(frame);
	}

	/** A new stream object each time, so that whoever shows it notices. */
	private showLocal(stream: MediaStream): void {
		this.lastLocalStream = stream;
		this.localStream.value = null;
		this.localStream.value = stream;
	}

	private end(live: Live, end: LegEnd): void {
		const before = this.state.value;
		const peer = before.peer as Peer;
		this.live = null;
		const seconds = before.connectedAt === null ? null : Math.round((this.ports.clock.now() - before.connectedAt) / 1000);
		const code = failureOf(before, end);
		this.release(live);
		if (code) this.failure.value = { ...failure(code, peer.name, end.status, before.video), peer, video: before.video };
		this.ports.onOutcome({ kind: code ? 'failed' : outcomeOf(before, end), peer, incoming: before.direction === 'incoming', seconds });
	}

	/** Everything of a call is given back. */
	private release(live: Live): void {
		this.ports.clock.clearTimeout(live.timer);
		this.ports.clock.clearTimeout(live.statsTimer);
		live.recovery.stop();
		live.pc?.close();
		this.ports.media.stop(this.localStream.value);
		this.localStream.value = null;
		this.remoteStream.value = null;
		this.muted.value = false;
		this.camera.value = false;
		this.cameraPending.value = false;
		this.remoteMuted.value = false;
		this.remoteCamera.value = true;
		this.chatOpen.value = false;
		this.held.value = false;
		this.remoteHeld.value = false;
		this.holdPending.value = false;
		this.transferring.value = false;
		this.quality.value = null;
		this.dispatch({ type: 'end', at: this.ports.clock.now() });
	}
}

function videoSender(pc: RTCPeerConnection): RTCRtpSender | undefined {
	return pc.getTransceivers().find((t) => t.receiver.track.kind === 'video' && t.direction !== 'stopped' && t.direction !== 'inactive')?.sender;
}

/** What kept a call from being prepared. */
export function codeOfError(e: unknown): FailureCode {
	if (e instanceof MediaError) return e.code;
	if (e instanceof ApiError) {
		if (e.status === 0) return 'socket-lost';
		if (e.status === 401) return 'session-ended';
		if (e.status === 403) return 'no-permission';
		if (e.status === 429) return 'slow-down';
		return 'server';
	}
	return 'unexpected';
}

/** The failure that an end in this state is, or null when there is nothing to explain. */
export function failureOf(state: CallState, end: LegEnd): FailureCode | null {
	if (end.local) return end.local === 'ice-failed' && state.connectedAt !== null ? 'call-lost' : end.local;
	if (isEstablished(state.phase)) return end.reason && end.by === 'remote' ? codeOfReason(end.reason.cause, end.reason.text) : null;
	if (state.direction === 'incoming') return null;
	return end.status === null ? null : codeOfAnswer(end.status, state.rang, end.reason?.text ?? '');
}

function outcomeOf(state: CallState, end: LegEnd): Outcome['kind'] {
	if (isEstablished(state.phase)) return 'ended';
	if (state.direction === 'outgoing') return 'cancelled';
	if (end.by === 'local' && end.status === null) return 'declined';
	const why = end.reason?.text ?? '';
	if (/completed elsewhere/i.test(why)) return 'answered-elsewhere';
	return /declined elsewhere/i.test(why) ? 'declined' : 'missed';
}
