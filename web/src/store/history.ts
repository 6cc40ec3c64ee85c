/** Call history, and which missed calls the person has not seen yet. */
import { computed, signal } from '@preact/signals';
import type { Api, CallRecord } from '../api.ts';
import { duration } from '../format.ts';
import type { Store } from './conversations.ts';

/** Nobody of this user took it: not answered on any device, and not declined either. */
export function isMissed(call: CallRecord): boolean {
	return call.direction === 'incoming' && call.answered_at === null && call.sip_status !== 603;
}

/** Why a call was never answered, by the reason in its record. */
const REASON_WORDS: Record<string, string> = {
	declined: 'Declined',
	busy: 'Busy',
	no_answer: 'No answer',
	cancelled: 'Cancelled',
	do_not_disturb: 'Did not want to be disturbed',
	unreachable: 'Not online',
	not_found: 'No such user',
	forbidden: 'Not permitted',
	lost: 'Connection lost',
	hung_up: 'Ended by the server',
};

/** What became of a call, in a word or two: how long it was, or why there was none. */
export function outcomeWords(c: CallRecord): string {
	if (isMissed(c)) return 'Missed';
	if (c.answered_at && c.ended_at) return duration((Date.parse(c.ended_at) - Date.parse(c.answered_at)) / 1000);
	return REASON_WORDS[c.end_reason ?? ''] ?? 'Failed';
}

/** The server writes a record when a call has ended everywhere, so a look right after our own end may come too early. */
const LOOKS_MS = [150, 1000, 3000];

export class History {
	readonly calls = signal<readonly CallRecord[]>([]);
	readonly loaded = signal(false);
	readonly more = signal<string | null>(null);
	private readonly seen = signal('');
	readonly missed = computed(() => this.calls.value.filter((c) => isMissed(c) && c.started_at > this.seen.value).length);
	private timers: ReturnType<typeof setTimeout>[] = [];

	constructor(
		private readonly api: Pick<Api, 'calls'>,
		private readonly store: Store,
		user: string,
		private readonly key = `duplex.seen.${user}`,
	) {
		try {
			this.seen.value = store.getItem(key) ?? '';
		} catch {
			// blocked: everything counts as new
		}
	}

	async refresh(): Promise<void> {
		try {
			const page = await this.api.calls();
			this.calls.value = page.items;
			this.more.value = page.next;
			this.loaded.value = true;
		} catch {
			// the next call or the next look refreshes it
		}
	}

	async loadMore(): Promise<void> {
		const cursor = this.more.value;
		if (!cursor) return;
		try {
			const page = await this.api.calls(cursor);
			const known = new Set(this.calls.value.map((c) => c.id));
			this.calls.value = [...this.calls.value, ...page.items.filter((c) => !known.has(c.id))];
			this.more.value = page.next;
		} catch {
			// the button stays
		}
	}

	/** A call has just ended. */
	refreshSoon(): void {
		this.stop();
		this.timers = LOOKS_MS.map((ms) => setTimeout(() => void this.refresh(), ms));
	}

	/** The list is on the screen: nothing in it is new any more. */
	markSeen(): void {
		// The list is in the order in which calls ended; one that was refused meanwhile has started later.
		const newest = this.calls.value.reduce((max, c) => (c.started_at > max ? c.started_at : max), '');
		if (newest <= this.seen.value) return;
		this.seen.value = newest;
		try {
			this.store.setItem(this.key, newest);
		} catch {
			// blocked: it holds until the page is closed
		}
	}

	stop(): void {
		for (const t of this.timers) clearTimeout(t);
		this.timers = [];
	}
}
