/** web/src/tabs.ts: who has the line, when tabs come and go. Locks and the channel are played after their specifications (Web Locks API §4, HTML §9.5). */
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import test from 'node:test';
import { TabGuard } from '../../web/src/tabs.ts';

interface Request {
	fn: () => Promise<void>;
	resolve: (v: unknown) => void;
	reject: (e: unknown) => void;
}

/** One lock; a tab that is closed gives it back without a word. */
class Locks {
	holder: Request | null = null;
	queue: Request[] = [];

	request(_name: string, options: LockOptions, fn: () => Promise<void>): Promise<unknown> {
		return new Promise((resolve, reject) => {
			const request = { fn, resolve, reject };
			if (options.steal) {
				const before = this.holder;
				this.holder = null;
				before?.reject(new Error('AbortError'));
				this.queue.unshift(request);
			} else {
				this.queue.push(request);
			}
			options.signal?.addEventListener('abort', () => {
				if (!this.queue.includes(request)) return;
				this.queue = this.queue.filter((r) => r !== request);
				reject(new Error('AbortError'));
			});
			setImmediate(() => this.next());
		});
	}

	close(request: Request | null): void {
		if (this.holder !== request) return;
		this.holder = null;
		this.next();
	}

	private next(): void {
		const request = this.queue[0];
		if (this.holder || !request) return;
		this.queue.shift();
		this.holder = request;
		void request.fn().then(() => {
			request.resolve(undefined);
			this.close(request);
		});
	}
}

class Channel {
	static all: Channel[] = [];
	onmessage: ((e: { data: unknown }) => void) | null = null;
	deaf = false;

	constructor() {
		Channel.all.push(this);
	}

	postMessage(data: unknown): void {
		for (const c of Channel.all) if (c !== this && !c.deaf) setImmediate(() => c.onmessage?.({ data }));
	}
}

const locks = new Locks();
Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
Object.assign(globalThis, { BroadcastChannel: Channel });
globalThis.crypto ??= webcrypto as Crypto; // Debian's Node 18 has it in a module only

/** A tab that is as busy as it is told, and counts what becomes of it. */
function tab() {
	const seen = { letGo: 0, regained: 0, inCall: false };
	const guard = new TabGuard(
		() => seen.inCall,
		async () => void seen.letGo++,
		() => void seen.regained++,
	);
	const channel = Channel.all.at(-1) as Channel;
	return { guard, seen, channel };
}

function world() {
	Channel.all = [];
	locks.holder = null;
	locks.queue = [];
}

const wait = (ms: number) => new Promise((r) => setTimeout(r, ms));
const GRACE_MS = 1600;

test('a second tab takes the line; when it is closed the line comes back', async () => {
	world();
	const a = tab();
	const b = tab();
	assert.equal(await a.guard.claim(false), true);
	assert.equal(await b.guard.claim(false), true);
	assert.deepEqual([a.seen.letGo, a.guard.held, b.guard.held], [1, false, true]);
	await wait(GRACE_MS);
	assert.equal(a.seen.regained, 0, 'the other tab is there');
	b.channel.deaf = true;
	locks.close(locks.holder);
	await wait(GRACE_MS);
	assert.deepEqual([a.seen.regained, a.seen.letGo, a.guard.held], [1, 1, true]);
	assert.equal(await a.guard.claim(false), true);
});

test('a tab that is reloaded has its line back without a change at the resting one', async () => {
	world();
	const a = tab();
	const b = tab();
	await a.guard.claim(false);
	await b.guard.claim(false);
	b.channel.deaf = true;
	locks.close(locks.holder);
	await wait(200);
	const reloaded = tab();
	assert.equal(await reloaded.guard.claim(false), true);
	await wait(GRACE_MS);
	assert.deepEqual([a.seen.regained, a.seen.letGo, reloaded.guard.held], [0, 1, true]);
	reloaded.channel.deaf = true;
	locks.close(locks.holder);
	await wait(GRACE_MS);
	assert.equal(a.seen.regained, 1, 'it is still in the queue');
});

test('a tab in a call keeps the line; who was refused gets it when that tab is closed', async () => {
	world();
	const a = tab();
	const b = tab();
	await a.guard.claim(false);
	a.seen.inCall = true;
	assert.equal(await b.guard.claim(false), false);
	assert.deepEqual([a.seen.letGo, a.guard.held, b.guard.held], [0, true, false]);
	a.channel.deaf = true;
	locks.close(locks.holder);
	await wait(GRACE_MS);
	assert.deepEqual([b.seen.regained, b.guard.held], [1, true]);
});

test('a tab in a call lets go when it is forced to', async () => {
	world();
	const a = tab();
	const b = tab();
	await a.guard.claim(false);
	a.seen.inCall = true;
	assert.equal(await b.guard.claim(true), true);
	assert.equal(a.seen.letGo, 1);
});

test('a frozen tab loses the line, and waits for it once it wakes', async () => {
	world();
	const a = tab();
	const b = tab();
	await a.guard.claim(false);
	a.channel.deaf = true;
	assert.equal(await b.guard.claim(false), true);
	await wait(10);
	assert.deepEqual([a.seen.letGo, a.guard.held, b.guard.held], [1, false, true]);
	b.channel.deaf = true;
	locks.close(locks.holder);
	await wait(GRACE_MS);
	assert.equal(a.seen.regained, 1);
});

test('who has logged out does not wait', async () => {
	world();
	const a = tab();
	const b = tab();
	await a.guard.claim(false);
	await b.guard.claim(false);
	a.guard.free();
	b.guard.free();
	await wait(GRACE_MS);
	assert.deepEqual([a.seen.regained, b.seen.regained, locks.holder, locks.queue.length], [0, 0, null, 0]);
});
