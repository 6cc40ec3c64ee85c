/**
 * Conversations, by the other person's user name. The server keeps a message until a device has it; from then on this browser does, in localStorage,
 * bounded in length, until the person deletes the conversation.
 */
import { signal } from '@preact/signals';

/** A message of ours is sent (a device took it) or stored, then delivered, then read; one of theirs is received. */
export type ItemState = 'sending' | 'sent' | 'stored' | 'failed' | 'delivered' | 'read' | 'received';

/** A receipt may overtake an answer, and another device's "delivered" our "read": a state never goes back. */
const RANK: Record<ItemState, number> = { sending: 0, failed: 0, stored: 1, sent: 1, delivered: 2, read: 3, received: 0 };

export interface ChatItem {
	id: string;
	from: 'me' | 'peer';
	text: string;
	/** ms */
	at: number;
	via: 'call' | 'sip';
	state: ItemState;
	/** Of theirs: they would like to know when it has been read, and do not know yet. */
	owed?: boolean;
}

export interface Store {
	getItem(key: string): string | null;
	setItem(key: string, value: string): void;
	removeItem(key: string): void;
}

export const ITEMS_MAX = 200;
const PEERS_MAX = 100;

interface Saved {
	items: Record<string, ChatItem[]>;
	unread: Record<string, number>;
}

function isItem(v: unknown): v is ChatItem {
	if (typeof v !== 'object' || v === null) return false;
	const i = v as Partial<ChatItem>;
	return typeof i.id === 'string' && typeof i.text === 'string' && typeof i.at === 'number' && (i.from === 'me' || i.from === 'peer');
}

export class Conversations {
	readonly items = signal<ReadonlyMap<string, readonly ChatItem[]>>(new Map());
	readonly unread = signal<ReadonlyMap<string, number>>(new Map());
	/** The conversation that is being read now. */
	private reading: string | null = null;
	private saveTimer: ReturnType<typeof setTimeout> | undefined;

	constructor(
		private readonly store: Store,
		user: string,
		/** These have been read, and their sender asked for it. False: they cannot be told now. */
		private readonly onRead: (peer: string, ids: readonly string[]) => boolean = () => true,
		private readonly key = `duplex.chat.${user}`,
	) {
		this.load();
	}

	/** Adds a message, unless it is known already (delivered twice). False when it was. */
	add(peer: string, item: ChatItem): boolean {
		const before = this.items.value.get(peer) ?? [];
		if (before.some((i) => i.id === item.id && i.from === item.from)) return false;
		// By time, but not before what was already read on the screen a moment ago: clocks differ.
		const list = [...before, item];
		for (let i = list.length - 1; i > 0 && (list[i - 1] as ChatItem).at > (list[i] as ChatItem).at + 60_000; i--) {
			[list[i - 1], list[i]] = [list[i] as ChatItem, list[i - 1] as ChatItem];
		}
		// First that it is unread: whoever looks at the list then must not take it for read.
		if (item.from === 'peer' && this.reading !== peer) this.count(peer, (this.unread.value.get(peer) ?? 0) + 1);
		this.put(peer, list.slice(-ITEMS_MAX));
		if (this.reading === peer) this.settle();
		this.save();
		return true;
	}

	setState(peer: string, id: string, state: ItemState): void {
		const list = this.items.value.get(peer);
		if (!list?.some((i) => i.id === id && i.from === 'me' && i.state !== state && RANK[i.state] <= Math.max(1, RANK[state]))) return;
		this.put(
			peer,
			list.map((i) => (i.id === id && i.from === 'me' ? { ...i, state } : i)),
		);
		this.save();
	}

	/** The conversation on the screen; null when there is none. What is on the screen is read. */
	read(peer: string | null): void {
		this.reading = peer;
		if (peer !== null && this.unread.value.has(peer)) {
			this.count(peer, 0);
			this.save();
		}
		this.settle();
	}

	/** Tells the senders of what has been read. Of a conversation with something unread nothing is: it is not on the screen. */
	settle(): void {
		for (const [peer, list] of this.items.peek()) {
			const ids = list.filter((i) => i.owed).map((i) => i.id);
			if (ids.length === 0 || (peer !== this.reading && this.unread.peek().has(peer)) || !this.onRead(peer, ids)) continue;
			this.put(
				peer,
				list.map(({ owed, ...i }) => i),
			);
			this.save();
		}
	}

	forget(peer: string): void {
		const items = new Map(this.items.value);
		items.delete(peer);
		this.items.value = items;
		this.count(peer, 0);
		this.save();
	}

	/** Writes at once what save() would write a little later. */
	flush(): void {
		clearTimeout(this.saveTimer);
		this.saveTimer = undefined;
		const last = (list: readonly ChatItem[]): number => list[list.length - 1]?.at ?? 0;
		const kept = [...this.items.value].sort((a, b) => last(b[1]) - last(a[1])).slice(0, PEERS_MAX);
		const saved: Saved = { items: Object.fromEntries(kept) as Record<string, ChatItem[]>, unread: Object.fromEntries(this.unread.value) };
		try {
			this.store.setItem(this.key, JSON.stringify(saved));
		} catch {
			// full or blocked: it lives as long as the page
		}
	}

	private put(peer: string, list: readonly ChatItem[]): void {
		this.items.value = new Map(this.items.value).set(peer, list);
	}

	private count(peer: string, n: number): void {
		const unread = new Map(this.unread.value);
		if (n > 0) unread.set(peer, n);
		else unread.delete(peer);
		this.unread.value = unread;
	}

	private save(): void {
		this.saveTimer ??= setTimeout(() => this.flush(), 300);
	}

	private load(): void {
		try {
			const saved = JSON.parse(this.store.getItem(this.key) ?? '{}') as Partial<Saved>;
			const items = new Map<string, readonly ChatItem[]>();
			for (const [peer, list] of Object.entries(saved.items ?? {})) {
				if (!Array.isArray(list)) continue;
				// What was on its way when the page was closed did not arrive as far as we know.
				items.set(
					peer,
					list.filter(isItem).map((i) => (i.state === 'sending' ? { ...i, state: 'failed' as const } : i)),
				);
			}
			this.items.value = items;
			this.unread.value = new Map(Object.entries(saved.unread ?? {}).filter(([, n]) => typeof n === 'number' && n > 0));
		} catch {
			// unreadable: start afresh
		}
	}
}
