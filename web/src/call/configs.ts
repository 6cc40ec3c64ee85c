/**
 * Call configurations, one a call (the Session-ID and the relay credential in it are bound to that call). One is fetched ahead, so that a click
 * rings at once; it is replaced well before its credential runs out.
 */
import type { CallConfig } from '../api.ts';

export interface Clock {
	now(): number;
	setTimeout(fn: () => void, ms: number): unknown;
	clearTimeout(id: unknown): void;
}

export const systemClock: Clock = {
	now: () => Date.now(),
	setTimeout: (fn, ms) => globalThis.setTimeout(fn, ms),
	clearTimeout: (id) => globalThis.clearTimeout(id as ReturnType<typeof setTimeout>),
};

/** A configuration must outlive ringing and the start of the call by this much. */
const MARGIN_MS = 10 * 60_000;
const RETRY_MS = 15_000;
/** Whatever the server says, a configuration made ahead is not older than this: addresses of relays and permissions change. */
const AGE_MAX_MS = 30 * 60_000;

export class CallConfigs {
	private ready: { config: CallConfig; until: number } | null = null;
	/** The prefetch under way. */
	private pending: Promise<CallConfig> | null = null;
	private timer: unknown = null;
	private stopped = false;

	constructor(
		private readonly fetchConfig: () => Promise<CallConfig>,
		private readonly clock: Clock = systemClock,
	) {}

	/** Have one ready. Failing is quiet: take() tries again and reports. */
	prefetch(): void {
		if (this.stopped || this.pending || this.fresh()) return;
		const fetched = this.fetchConfig();
		this.pending = fetched;
		const mine = (): boolean => {
			if (this.pending !== fetched) return false; // a call has taken it while it was under way
			this.pending = null;
			return true;
		};
		fetched.then(
			(config) => mine() && this.keep(config),
			() => mine() && this.later(RETRY_MS),
		);
	}

	/** A configuration for one call; it is not given out again. */
	async take(): Promise<CallConfig> {
		const kept = this.fresh();
		if (kept) {
			this.ready = null;
			this.prefetch();
			return kept;
		}
		const fetched = this.pending ?? this.fetchConfig();
		this.pending = null;
		const config = await fetched;
		this.prefetch();
		return config;
	}

	stop(): void {
		this.stopped = true;
		this.clock.clearTimeout(this.timer);
		this.ready = null;
	}

	private fresh(): CallConfig | null {
		return this.ready && this.clock.now() < this.ready.until ? this.ready.config : null;
	}

	private keep(config: CallConfig): void {
		const now = this.clock.now();
		if (this.stopped) return;
		const left = Date.parse(config.expires_at) - now;
		// A credential shorter than the margin (tests, strict sites) is still good for half its life.
		const life = Math.min(AGE_MAX_MS, left > 2 * MARGIN_MS ? left - MARGIN_MS : left / 2);
		this.ready = { config, until: now + life };
		this.later(Math.max(1000, life));
	}

	private later(ms: number): void {
		if (this.stopped) return;
		this.clock.clearTimeout(this.timer);
		this.timer = this.clock.setTimeout(() => this.prefetch(), ms);
	}
}
