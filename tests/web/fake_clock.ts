/** Time that only moves when told to. */
import type { Clock } from '../../web/src/call/configs.ts';

export class FakeClock implements Clock {
	private time: number;
	private next = 1;
	private readonly timers = new Map<number, { at: number; fn: () => void }>();

	constructor(start = 1_000_000) {
		this.time = start;
	}

	now(): number {
		return this.time;
	}

	setTimeout(fn: () => void, ms: number): unknown {
		this.timers.set(this.next, { at: this.time + ms, fn });
		return this.next++;
	}

	clearTimeout(id: unknown): void {
		this.timers.delete(id as number);
	}

	get pending(): number {
		return this.timers.size;
	}

	/** Runs what falls due, in order; promises settle in between. */
	async advance(ms: number): Promise<void> {
		const until = this.time + ms;
		await settle();
		for (;;) {
			const due = [...this.timers].filter(([, t]) => t.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
			if (!due) break;
			this.timers.delete(due[0]);
			this.time = Math.max(this.time, due[1].at);
			due[1].fn();
			await settle();
		}
		this.time = until;
	}
}

export async function settle(): Promise<void> {
	for (let i = 0; i < 10; i++) await Promise.resolve();
}
