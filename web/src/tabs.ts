/**
 * One line a browser: of several tabs only one is registered, or each call would ring in all of them. A Web Lock says who it is, and the browser frees it
 * with the tab; a BroadcastChannel asks the holder to let go. A holder in a call says no, unless it is told to.
 */

const LOCK = 'duplex-line';
/** A holder that does not answer is frozen in the background: its line is taken. */
const PATIENCE_MS = 3000;

type Note = { type: 'claim'; tab: string; force: boolean } | { type: 'held'; tab: string };

export class TabGuard {
	private readonly tab = crypto.randomUUID();
	private readonly channel = new BroadcastChannel('duplex-line');
	private release: (() => void) | null = null;
	private refused: (() => void) | null = null;

	/** `letGo` gives the line up (and resolves when that is done); `inCall` says whether that would hurt. */
	constructor(
		private readonly inCall: () => boolean,
		private readonly letGo: () => Promise<void>,
	) {
		this.channel.onmessage = (e: MessageEvent<Note>) => void this.hear(e.data);
	}

	/** True once the line is ours; false when another tab is in a call and keeps it. */
	async claim(force: boolean): Promise<boolean> {
		if (!navigator.locks) return true;
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
		return mine;
	}

	/** The line is free for another tab. */
	free(): void {
		this.release?.();
		this.release = null;
	}

	/** true: held until free(); null: given up waiting. */
	private lock(options: LockOptions): Promise<true | null> {
		return new Promise((resolve) => {
			navigator.locks
				.request(LOCK, options, () => {
					resolve(true);
					return new Promise<void>((free) => {
						this.release = free;
					});
				})
				.catch(() => {
					// Aborted while waiting; or stolen by a tab that found us frozen.
					const stolen = this.release !== null;
					this.release = null;
					resolve(null);
					if (stolen) void this.letGo();
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
		await this.letGo();
		this.free();
	}

	private post(note: Note): void {
		this.channel.postMessage(note);
	}
}
