/** Contacts, directory search, presence: everyone this page knows by name. */
import { computed, signal } from '@preact/signals';
import { ApiError, type Api, type Contact, type User } from '../api.ts';
import type { PresenceStatus } from '../sip/presence.ts';

const SEARCH_DELAY_MS = 180;
/** What a user name looks like (common/user.h); an exact one can be added even without permission to search. */
const USERNAME = /^[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])$/;

export type Status = PresenceStatus | 'unknown';

/** Online and busy are one group, so that the list does not jump with each call. */
const RANK: Record<Status, number> = { online: 0, busy: 0, dnd: 0, offline: 1, unknown: 1 };

export class People {
	readonly contacts = signal<readonly Contact[]>([]);
	readonly loaded = signal(false);
	readonly query = signal('');
	readonly results = signal<readonly User[]>([]);
	readonly searching = signal(false);
	readonly searchError = signal<string | null>(null);
	private readonly presence = signal<ReadonlyMap<string, PresenceStatus> | null>(null);
	private readonly names = new Map<string, string>();
	private timer: ReturnType<typeof setTimeout> | undefined;

	/** Who can be reached first, then by name. */
	readonly sorted = computed(() => {
		const q = this.query.value.trim().toLowerCase();
		return this.contacts.value
			.filter((c) => q === '' || c.username.includes(q) || c.display_name.toLowerCase().includes(q))
			.sort((a, b) => RANK[this.statusOf(a.username)] - RANK[this.statusOf(b.username)] || a.display_name.localeCompare(b.display_name));
	});

	constructor(
		private readonly api: Pick<Api, 'contacts' | 'addContact' | 'removeContact' | 'searchUsers'>,
		private readonly self: string,
	) {}

	async load(): Promise<void> {
		this.contacts.value = await this.api.contacts();
		for (const c of this.contacts.value) this.names.set(c.username, c.display_name);
		this.loaded.value = true;
	}

	setPresence(states: ReadonlyMap<string, PresenceStatus> | null): void {
		this.presence.value = states;
	}

	/** A contact the list does not speak of is unknown for the moment: the next notice will. */
	statusOf(username: string): Status {
		return this.presence.value?.get(username) ?? 'unknown';
	}

	isContact(username: string): boolean {
		return this.contacts.value.some((c) => c.username === username);
	}

	nameOf(username: string, offered = ''): string {
		return this.names.get(username) || offered || username;
	}

	learn(user: User): void {
		if (user.display_name) this.names.set(user.username, user.display_name);
	}

	search(text: string): void {
		this.query.value = text;
		this.searchError.value = null;
		clearTimeout(this.timer);
		const q = text.trim();
		if (q.length < 1) {
			this.results.value = [];
			this.searching.value = false;
			return;
		}
		this.searching.value = true;
		this.timer = setTimeout(() => void this.look(q), SEARCH_DELAY_MS);
	}

	async add(username: string): Promise<void> {
		const contact = await this.api.addContact(username);
		this.learn(contact);
		if (!this.isContact(username)) this.contacts.value = [...this.contacts.value, contact];
	}

	async remove(username: string): Promise<void> {
		await this.api.removeContact(username);
		this.contacts.value = this.contacts.value.filter((c) => c.username !== username);
	}

	private async look(q: string): Promise<void> {
		let found: User[] = [];
		try {
			found = await this.api.searchUsers(q);
		} catch (e) {
			const exact = q.toLowerCase();
			// Without the permission to search, a name that is known can still be added.
			if (e instanceof ApiError && e.status === 403 && USERNAME.test(exact)) found = [{ username: exact, display_name: exact }];
			else if (this.query.value.trim() === q) this.searchError.value = e instanceof Error ? e.message : 'The search failed.';
		}
		if (this.query.value.trim() !== q) return; // overtaken by more typing
		for (const u of found) this.learn(u);
		this.results.value = found.filter((u) => u.username !== this.self);
		this.searching.value = false;
	}
}
