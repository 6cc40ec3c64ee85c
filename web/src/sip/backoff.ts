/** How long to stay away from a server that cannot serve now: longer each time, and never the same for all who were turned away together. */
export class Backoff {
	private tries = 0;

	constructor(
		private readonly firstMs: number,
		private readonly maxMs: number,
		private readonly random: () => number = Math.random,
	) {}

	/** `askedMs`: what the server asked for (Retry-After); it is not disturbed before that. */
	next(askedMs = 0): number {
		const own = Math.min(this.maxMs, this.firstMs * 2 ** this.tries++);
		if (askedMs > 0) return Math.min(askedMs, ASKED_MAX_MS) * (1 + this.random() / 2);
		return own * (0.5 + this.random() / 2);
	}

	/** The server serves again. */
	reset(): void {
		this.tries = 0;
	}
}

/** No server shall keep a page away for hours. */
const ASKED_MAX_MS = 300_000;
