/**
 * One line a browser: of several tabs only one is registered, or each call would ring in all of them. A Web Lock says who it is, and the browser frees it
 * with the tab; a BroadcastChannel asks the holder to let go. A holder in a call says no, unless it is told to. A tab that rests stands in the queue for
 * the lock, so that the line comes back to it when the other tab is closed.
 */

const LOCK = 'duplex-line';
/** A holder that does not answer is frozen in the background: its line is taken. */
const PATIENCE_MS = 3000;
/** A line that has come free is not taken up at once: a tab that is reloaded wants it back. */
const GRACE_MS = 1500;

type Note = { type: 'claim'; tab: string; force: boolean } | { type: 'held'; tab: string };

export class TabGuard {
	private readonly tab = crypto.randomUUID();
	private readonly channel = new BroadcastChannel('duplex-line');
	private release: (() => void) | null = null;
	private refused: (() => void) | null = null;
	private queued: AbortController | null = null;
	private grace: ReturnType<typeof setTimeout> | undefined;

	/**
	 * `letGo` gives the line up (and resolves when that is done); `inCall` says whether that would hurt. `regained`: the tab that had the line is gone,
	 * and it is ours again.
	 */
	constructor(
		private readonly inCall: () => boolean,
		private readonly letGo: () => Promise<void>,
		private readonly regained: () => void,
	) {
		this.channel.onmessage = (e: MessageEvent<Note>) => void this.hear(e.data);
	}

	/** True once the line is ours; false when another tab is in a call and keeps it. */
	async claim(force: boolean): Promise<boolean> {
		if (!navigator.locks) return true;
		this.unqueue();
		if (this.release) return true;
		const stop = new AbortController();
		const verdict = new Promise<false>((resolve) => {
			this.refused = () => {
				stop.abort();
				resolve(false);
			};
		});
		this.post({ type: 'claim', tab: this.tab, force });
		const granted = this.lock({ signal: stop.signal });
		const impatient = setTimeout(() => {
			stop.abort();
		}, PATIENCE_MS);
		const mine = await Promise.race([granted, verdict]);
		clearTimeout(impatient);
		this.refused = null;
		if (mine === null) return this.lock({ steal: true }).then((ok) => ok === true);
		if (!mine) this.queue();
		return mine;
	}

	/** The line is ours, though we may not have taken it up yet. */
	get held(): boolean {
		return this.release !== null;
	}

	/** The line is free for another tab, and we do not wait for it. */
	free(): void {
		this.unqueue();
		this.release?.();
		this.release = null;
	}

	private queue(): void {
		this.unqueue();
		const stop = new AbortController();
		this.queued = stop;
		void this.lock({ signal: stop.signal }).then((ok) => {
			if (!ok || this.queued !== stop) return;
			this.grace = setTimeout(() => {
				this.unqueue();
				this.regained();
			}, GRACE_MS);
		});
	}

	private unqueue(): void {
		clearTimeout(this.grace);
		this.queued?.abort(); // nothing to a lock that is granted already
		this.queued = null;
	}

	/** true: held until free(); null: given up waiting. */
	private lock(options: LockOptions): Promise<true | null> {
		return new Promise((resolve) => {
			let ours: (() => void) | null = null;
			navigator.locks
				.request(LOCK, options, () => {
					resolve(true);
					return new Promise<void>((free) => {
						ours = this.release = free;
					});
				})
				.catch(() => {
					resolve(null);
					if (ours === null || this.release !== ours) return; // aborted while waiting
					// Stolen by a tab that found us frozen.
					this.release = null;
					void this.give();
				});
		});
	}

	private async hear(note: Note): Promise<void> {
		if (note.type === 'held') {
			if (note.tab === this.tab) this.refused?.();
			return;
		}
		if (!this.release || note.tab === this.tab) return;
		if (this.inCall() && !note.force) {
			this.post({ type: 'held', tab: note.tab });
			return;
		}
		await this.give();
	}

	private async give(): Promise<void> {
		if (!this.queued) await this.letGo(); // in the queue, or in the grace after it, there is nothing to let go of
		this.free();
		this.queue();
	}

	private post(note: Note): void {
		this.channel.postMessage(note);
	}
}
