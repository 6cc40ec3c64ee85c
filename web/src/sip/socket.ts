/** JsSIP's WebSocket with what it lacks: jitter on reconnection. Its first retry comes after the same time at every client, and a restarted server would meet them all at once. */
import { WebSocketInterface } from 'jssip';

const SPREAD_MS = 2500;

export class JitterSocket extends WebSocketInterface {
	private opened = false;
	private waiting: ReturnType<typeof setTimeout> | null = null;
	private awayMs = 0;

	override connect(): void {
		if (!this.opened) {
			this.opened = true;
			super.connect();
			return;
		}
		if (this.waiting !== null) return;
		this.waiting = setTimeout(() => {
			this.waiting = null;
			super.connect();
		}, this.awayMs + Math.random() * SPREAD_MS);
		this.awayMs = 0;
	}

	/** The server cannot serve now: the next connection is made that much later. */
	stayAway(ms: number): void {
		this.awayMs = ms;
	}

	override disconnect(): void {
		this.cancelWait();
		super.disconnect();
	}

	override isConnecting(): boolean {
		return this.waiting !== null || Boolean(super.isConnecting());
	}

	/** The wait is cut short: someone is waiting, or the network has just come back. */
	hurry(): void {
		if (this.waiting === null) return;
		this.cancelWait();
		super.connect();
	}

	private cancelWait(): void {
		if (this.waiting !== null) clearTimeout(this.waiting);
		this.waiting = null;
	}
}
