/**
 * When the media path of a call that stood breaks: another network, another address, a relay that is gone. An ICE restart (RFC 8839 §4.4.1.1.1) by re-INVITE finds
 * a new one, as soon as there is a line to the server; it is tried again until the path stands or the time is over. The side whose own line was away begins at once,
 * the other gives it time, and of two that are both there the caller goes first, so that their offers seldom cross.
 */
import type { Clock } from './configs.ts';

/** The path must stand again within this, or the call is lost. The server waits as long for a side that has vanished (call-grace). */
export const RECOVER_LIMIT_MS = 30_000;
/** A short interruption passes by itself. */
export const PATIENCE_MS = { caller: 2500, callee: 6000 };
/** ICE has given up. */
export const FAILED_MS = { caller: 0, callee: 3000 };
const RETRY_MS = 4000;

export interface RecoveryPorts {
	clock: Clock;
	/** There is a line to the server. */
	online(): boolean;
	restart(): void;
	giveUp(): void;
}

export class Recovery {
	private since: number | null = null;
	private attempt: unknown = null;
	private limit: unknown = null;

	constructor(
		private readonly ports: RecoveryPorts,
		private readonly role: 'caller' | 'callee',
	) {}

	/** The path is interrupted; `failed`: for good. */
	broken(failed: boolean): void {
		const { clock } = this.ports;
		if (this.since === null) {
			this.since = clock.now();
			this.limit = clock.setTimeout(() => this.ports.giveUp(), RECOVER_LIMIT_MS);
		} else if (!failed) return;
		this.schedule((failed ? FAILED_MS : PATIENCE_MS)[this.role]);
	}

	/** The path stands. */
	whole(): void {
		this.stop();
		this.since = null;
	}

	/** Our own line is back: the network may be another one. */
	lineBack(): void {
		if (this.since !== null) this.schedule(0);
	}

	stop(): void {
		this.ports.clock.clearTimeout(this.attempt);
		this.ports.clock.clearTimeout(this.limit);
	}

	private schedule(ms: number): void {
		const { clock } = this.ports;
		clock.clearTimeout(this.attempt);
		this.attempt = clock.setTimeout(() => {
			// Without a line lineBack() comes later.
			if (this.ports.online()) this.ports.restart();
			this.schedule(RETRY_MS * (1 + Math.random() / 2));
		}, ms);
	}
}
