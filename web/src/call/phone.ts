/**
 * Two lines, so that someone who talks can take or make a second call: call waiting, swapping, asking someone before handing a call over, and the
 * transfer itself. Each line is a Calls; one of them is shown. Also what happens when two people call each other in the same moment.
 */
import { computed, signal } from '@preact/signals';
import type { IncomingLeg, LegEvents, Referral } from '../sip/agent.ts';
import { Calls, type CallsPorts, type Outcome } from './calls.ts';
import { isEstablished, type Peer } from './machine.ts';

/** A device that does not know that the two of us are calling each other is told that we are busy after this. */
const GLARE_LIMIT_MS = 4000;

export interface PhonePorts extends Omit<CallsPorts, 'onOutcome' | 'onReferral'> {
	self: string;
	/** Whether someone may ring while we talk. */
	callWaiting(): boolean;
	onOutcome(outcome: Outcome): void;
	/** Someone hands us over. */
	onTransferred(by: Peer, to: Peer): void;
	/** A second call did not come about, while the first goes on. */
	onSideFailure(title: string): void;
	/** A transfer that we asked for did not come about. */
	onTransferFailed(to: Peer): void;
}

export class Phone {
	readonly lines: readonly [Calls, Calls];
	readonly shown = signal<Calls>(undefined as unknown as Calls);
	/** The line that is not shown. */
	readonly other = computed(() => this.otherOf(this.shown.value));
	/** Someone calls while we talk. */
	readonly waiting = computed(() => (this.other.value.state.value.phase === 'incoming' ? this.other.value : null));
	/** A call that is on hold behind the one that is shown. */
	readonly parked = computed(() => (isEstablished(this.other.value.state.value.phase) ? this.other.value : null));
	/** The two can be connected to each other. */
	readonly canJoin = computed(() => this.parked.value !== null && isEstablished(this.shown.value.state.value.phase));

	constructor(private readonly ports: PhonePorts) {
		const line = (): Calls => {
			const calls: Calls = new Calls({
				...ports,
				onOutcome: (outcome) => this.ended(calls, outcome),
				onReferral: (referral) => this.referred(calls, referral),
			});
			return calls;
		};
		this.lines = [line(), line()];
		this.shown.value = this.lines[0];
	}

	/** A further call can be made: there is none, or one that can be put on hold. */
	readonly free = computed(() => {
		const { phase } = this.shown.value.state.value;
		return this.other.value.state.value.phase === 'idle' && (phase === 'idle' || isEstablished(phase));
	});

	get busy(): boolean {
		return this.lines.some((l) => l.busy);
	}

	/** Call someone; a call that is up is put on hold for it. */
	async dial(peer: Peer, video: boolean): Promise<void> {
		const before = this.shown.value;
		if (before.busy) {
			const { phase, peer: talking } = before.state.value;
			if (!isEstablished(phase) || this.otherOf(before).busy || talking?.username === peer.username) return;
			await before.hold(true);
			if (this.otherOf(before).busy) return; // someone was quicker
			if (before.busy) this.shown.value = this.otherOf(before);
		}
		await this.shown.value.dial(peer, video);
	}

	/** Someone calls us. A leg that is not taken here is refused as busy. */
	offer(leg: IncomingLeg): void {
		const both = this.lines.find((l) => isCalling(l, leg.from));
		if (both) {
			this.bothCall(both, leg);
			return;
		}
		const shown = this.shown.value;
		const free = this.otherOf(shown);
		if (leg.replaces) {
			this.takeOver(leg);
			return;
		}
		if (!shown.busy) shown.offer(leg);
		else if (isEstablished(shown.state.value.phase) && !free.busy && this.ports.callWaiting()) free.offer(leg);
	}

	/** Answers the call that waits; the present one is put on hold, or ended. */
	async takeWaiting(video: boolean, end: boolean): Promise<void> {
		const next = this.waiting.value;
		const before = this.shown.value;
		if (!next) return;
		if (end) before.hangUp();
		else await before.hold(true);
		if (next.state.value.phase !== 'incoming') return; // the caller has given up meanwhile
		this.shown.value = next;
		await next.answer(video);
	}

	/** Back to the other one. */
	async swap(): Promise<void> {
		const next = this.parked.value;
		const before = this.shown.value;
		if (!next) return;
		await before.hold(true);
		this.shown.value = this.otherOf(before);
		await next.hold(false);
	}

	/** Hands the call over without a word. */
	async transfer(to: Peer): Promise<void> {
		const line = this.shown.value;
		if (await line.transfer(to.username, null)) line.hangUp();
		else if (line.busy) this.ports.onTransferFailed(to);
	}

	/** Connects the two we are talking to, and leaves. */
	async join(): Promise<void> {
		const asked = this.shown.value;
		const parked = this.parked.value;
		const to = asked.state.value.peer;
		if (!parked || !to || !this.canJoin.value) return;
		if (await parked.transfer(to.username, asked)) {
			parked.hangUp();
			asked.hangUp();
		} else if (parked.busy) {
			this.ports.onTransferFailed(to);
		}
	}

	hangUpAll(): void {
		for (const l of this.lines) l.hangUp();
	}

	lineLost(): void {
		for (const l of this.lines) l.lineLost();
	}

	lineBack(): void {
		for (const l of this.lines) l.lineBack();
	}

	/** True when the text went over the data channel of a call with this person. */
	sendText(peer: string, id: string, text: string, at: number): boolean {
		return this.lines.some((l) => l.sendText(peer, id, text, at));
	}

	private otherOf(line: Calls): Calls {
		return line === this.lines[0] ? this.lines[1] : this.lines[0];
	}

	/** Of two who call each other one gives way, and both know which: the call of the one whose name comes first stands. */
	private bothCall(line: Calls, leg: IncomingLeg): void {
		if (this.ports.self > leg.from) {
			void line.merge(leg);
			return;
		}
		let over = false;
		leg.take({ ...QUIET, ended: () => (over = true) });
		this.ports.clock.setTimeout(() => {
			if (!over) leg.busy();
		}, GLARE_LIMIT_MS);
	}

	/** Who was handed to us takes the place of the one who asked us before; we have agreed to talk then. */
	private takeOver(leg: IncomingLeg): void {
		const line = this.lines.find((l) => !l.busy);
		if (!line) return;
		line.offer(leg);
		this.shown.value = line;
		void line.answer(this.otherOf(line).camera.value);
	}

	private referred(line: Calls, referral: Referral): void {
		const free = this.otherOf(line);
		const by = line.state.value.peer;
		if (free.busy || by === null || !isEstablished(line.state.value.phase)) {
			referral.refuse();
			return;
		}
		const to: Peer = { username: referral.to, name: this.ports.nameOf(referral.to, '') };
		this.ports.onTransferred(by, to);
		this.shown.value = free;
		void free.dial(to, line.camera.value, referral);
	}

	private ended(line: Calls, outcome: Outcome): void {
		const next = this.otherOf(line);
		if (this.shown.value === line && next.busy) {
			this.shown.value = next;
			if (next.held.value) void next.hold(false);
		}
		const failure = line.failure.value;
		if (failure && next.busy) {
			line.dismissFailure();
			this.ports.onSideFailure(failure.title);
		}
		this.ports.onOutcome(outcome);
	}
}

const QUIET: LegEvents = { peerConnection() {}, provisional() {}, accepted() {}, held() {}, referred: (r) => r.refuse(), ended() {} };

function isCalling(line: Calls, user: string): boolean {
	const { phase, direction, peer } = line.state.value;
	return direction === 'outgoing' && peer?.username === user && (phase === 'preparing' || phase === 'calling' || phase === 'ringing');
}
