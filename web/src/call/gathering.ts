/**
 * When to send an offer or an answer while ICE still gathers. With max-bundle only the first m-line counts: the others share its transport.
 * Relay policy: as soon as there is a relay candidate, none within the limit means that the relay cannot be reached.
 * Otherwise: a short while after the first candidate, so that the cheap ones are in.
 */
import type { Clock } from './configs.ts';

export const DIRECT_WAIT_MS = 500;
export const RELAY_LIMIT_MS = 8000;

export interface Candidate {
	candidate: string;
	sdpMLineIndex: number | null;
}

export class Gathering {
	private timer: unknown = null;
	private done = false;

	/** `noRelay` is called, at most once, when under relay policy no relay candidate came. */
	constructor(
		private readonly policy: 'all' | 'relay',
		private readonly clock: Clock,
		private readonly noRelay: () => void,
	) {}

	/** Gathering has begun. */
	start(): void {
		if (this.policy === 'relay') this.timer = this.clock.setTimeout(() => this.fail(), RELAY_LIMIT_MS);
	}

	/** `ready` sends the description as it is now. */
	candidate(c: Candidate, ready: () => void): void {
		if (this.done || (c.sdpMLineIndex ?? 0) !== 0 || c.candidate === '') return;
		if (this.policy === 'relay') {
			if (/ typ relay( |$)/.test(c.candidate)) this.finish(ready);
		} else if (this.timer === null) {
			this.timer = this.clock.setTimeout(() => this.finish(ready), DIRECT_WAIT_MS);
		}
	}

	/** The description is about to be sent, perhaps because gathering is complete. False: it must not be, there is no relay. */
	sending(sdp: string): boolean {
		if (this.policy === 'relay' && !/^a=candidate:.* typ relay/m.test(sdp)) {
			this.fail();
			return false;
		}
		this.stop();
		return true;
	}

	stop(): void {
		this.done = true;
		this.clock.clearTimeout(this.timer);
	}

	private finish(ready: () => void): void {
		this.stop();
		ready();
	}

	private fail(): void {
		if (this.done) return;
		this.stop();
		this.noRelay();
	}
}
