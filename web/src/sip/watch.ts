/** The subscription to the user's own contact list (RFC 6665, RFC 4662), made anew with each connection and whenever it ends or a notice was missed. */
import type { UA } from 'jssip';
import type { IncomingRequest } from 'jssip/lib/SIPMessage';
import { parseNotice, PresenceList, type PresenceStatus } from './presence.ts';

const ACCEPT = 'multipart/related, application/rlmi+xml, application/pidf+xml';
const EXPIRES_S = 3600;
const RETRY_MS = [1000, 5000, 15_000, 60_000];

/** JsSIP's types leave the emitter's side of a Subscriber out. */
type Subscription = ReturnType<UA['subscribe']> & {
	on(event: 'notify', fn: (final: boolean, request: IncomingRequest, body: string | undefined, type: string | undefined) => void): void;
	on(event: 'terminated', fn: (code: number, reason: string | undefined, retryAfter: number | undefined) => void): void;
};

export class PresenceWatch {
	private readonly list = new PresenceList();
	private current: Subscription | null = null;
	private retries = 0;
	private timer: ReturnType<typeof setTimeout> | undefined;
	private stopped = false;

	constructor(
		private readonly ua: UA,
		private readonly target: string,
		private readonly changed: (states: ReadonlyMap<string, PresenceStatus> | null) => void,
	) {}

	/** The line is registered: ask for the whole list. */
	start(): void {
		if (this.stopped) return;
		clearTimeout(this.timer);
		this.drop();
		const options = { expires: EXPIRES_S, extraHeaders: ['Supported: eventlist'] };
		const subscription = this.ua.subscribe(this.target, 'presence', ACCEPT, options) as Subscription;
		this.current = subscription;
		subscription.on('notify', (_final, _request, body, type) => {
			if (subscription === this.current) this.take(type ?? '', body ?? '');
		});
		subscription.on('terminated', (_code, _reason, retryAfter) => {
			if (subscription === this.current) this.again(retryAfter);
		});
		subscription.subscribe();
	}

	/** The line is down: nothing is known until it is back. */
	pause(): void {
		clearTimeout(this.timer);
		this.current = null;
		this.list.reset();
		this.changed(null);
	}

	stop(): void {
		this.stopped = true;
		clearTimeout(this.timer);
		this.drop();
	}

	private take(type: string, body: string): void {
		try {
			const complete = this.list.apply(parseNotice(type, body));
			this.retries = 0;
			this.changed(this.list.snapshot());
			if (!complete) this.start();
		} catch (e) {
			console.warn('presence: a notice could not be read:', e instanceof Error ? e.message : e);
		}
	}

	private again(retryAfter: number | undefined): void {
		this.current = null;
		if (this.stopped || !this.ua.isConnected()) return;
		const wait = retryAfter !== undefined && Number.isFinite(retryAfter) ? retryAfter * 1000 : (RETRY_MS[Math.min(this.retries++, RETRY_MS.length - 1)] as number);
		this.timer = setTimeout(() => this.start(), wait * (0.75 + Math.random() / 2));
	}

	/** The old one must not refresh itself behind the new one's back. */
	private drop(): void {
		const old = this.current;
		this.current = null;
		if (!old || !this.ua.isConnected()) return;
		try {
			old.terminate();
		} catch {
			// it had already ended
		}
	}
}
