/**
 * REST client. One method a route, one error class: every failure, be it a problem document (RFC 9457), an answer that is none,
 * or no answer at all, becomes an ApiError with a code that the page can show and branch on.
 */

export interface User {
	username: string;
	display_name: string;
}

export interface Me extends User {
	role: string;
	permissions: string[];
	created_at: string;
}

export interface Contact extends User {
	added_at: string;
}

export interface CallRecord {
	id: string;
	direction: 'incoming' | 'outgoing';
	peer: User;
	media: 'audio' | 'video';
	started_at: string;
	answered_at: string | null;
	ended_at: string | null;
	end_reason: string | null;
	sip_status: number | null;
	/** Who transferred the caller to the callee. */
	referred_by: string | null;
}

export type Availability = 'available' | 'do_not_disturb';

export interface CallConfig {
	address_of_record: string;
	domain: string;
	websocket_url: string;
	contacts_uri: string;
	ice_servers: RTCIceServer[];
	ice_transport_policy: RTCIceTransportPolicy;
	media_policy: string;
	session_id: string;
	expires_at: string;
	ring_timeout_s: number;
	permissions: string[];
}

export interface Certificate {
	serial: string;
	label: string;
	not_after: string;
}

export interface Version {
	version: string;
	/** Where to go to log in with a client certificate; null when the server takes none. */
	certificate_url: string | null;
}

interface Page<T> {
	items: T[];
	next: string | null;
}

export interface FieldError {
	pointer: string;
	detail: string;
}

export class ApiError extends Error {
	constructor(
		/** HTTP status; 0 when there was no answer. */
		readonly status: number,
		readonly code: string,
		readonly title: string,
		readonly detail: string,
		readonly fields: FieldError[] = [],
		/** Seconds to wait, from Retry-After. */
		readonly retryAfter: number | null = null,
	) {
		super(detail || title);
		this.name = 'ApiError';
	}

	/** The complaint about one field, by its name in the request. */
	field(name: string): string | undefined {
		return this.fields.find((f) => f.pointer === `/${name}` || f.pointer === `#/${name}`)?.detail;
	}
}

const TIMEOUT_MS = 15_000;
const PAGE_SIZE = 200;
/** More contacts than this are not loaded: a page that never ends must not hold the browser. */
const PAGES_MAX = 25;

function isRecord(v: unknown): v is Record<string, unknown> {
	return typeof v === 'object' && v !== null && !Array.isArray(v);
}

function text(v: unknown): string {
	return typeof v === 'string' ? v : '';
}

/** Makes the error out of whatever came back; exported for its tests. */
export function problem(status: number, body: unknown, retryAfter: string | null): ApiError {
	const p = isRecord(body) ? body : {};
	const fields = (Array.isArray(p['errors']) ? p['errors'] : [])
		.filter(isRecord)
		.map((e) => ({ pointer: text(e['pointer']), detail: text(e['detail']) }));
	const seconds = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
	return new ApiError(
		status,
		text(p['code']) || `http-${status}`,
		text(p['title']) || (status >= 500 ? 'The server has a problem' : 'The request was refused'),
		text(p['detail']),
		fields,
		seconds,
	);
}

export type Fetcher = (input: string, init: RequestInit) => Promise<Response>;

export class Api {
	/** Called when a request says that the session is over; not for the log-in itself. */
	onSessionEnded: () => void = () => {};

	constructor(
		private readonly fetcher: Fetcher = (input, init) => fetch(input, init),
		private readonly base = '/api/v1',
	) {}

	signUp(username: string, displayName: string, password: string): Promise<Me> {
		return this.send('POST', '/users', { username, display_name: displayName, password }, false);
	}

	logIn(username: string, password: string): Promise<{ user: Me }> {
		return this.send('POST', '/sessions', { username, password }, false);
	}

	logInWithTicket(ticket: string): Promise<{ user: Me }> {
		return this.send('POST', '/sessions', { ticket }, false);
	}

	/** Only on the certificate host, where the browser has shown a certificate. */
	certificateTicket(): Promise<{ ticket: string }> {
		return this.send('POST', '/sessions/certificate', undefined, false);
	}

	logOut(): Promise<void> {
		return this.send('DELETE', '/sessions/current', undefined, false);
	}

	me(): Promise<Me> {
		return this.send('GET', '/me', undefined, false);
	}

	version(): Promise<Version> {
		return this.send('GET', '/version', undefined, false);
	}

	presence(): Promise<{ status: Availability }> {
		return this.send('GET', '/me/presence');
	}

	setPresence(status: Availability): Promise<{ status: Availability }> {
		return this.send('PUT', '/me/presence', { status });
	}

	callConfig(): Promise<CallConfig> {
		return this.send('GET', '/me/call-config');
	}

	async contacts(): Promise<Contact[]> {
		const all: Contact[] = [];
		let cursor: string | null = null;
		for (let i = 0; i < PAGES_MAX; i++) {
			const page: Page<Contact> = await this.send('GET', `/contacts?${query({ limit: PAGE_SIZE, cursor })}`);
			all.push(...page.items);
			cursor = page.next;
			if (!cursor) break;
		}
		return all;
	}

	addContact(username: string): Promise<Contact> {
		return this.send('POST', '/contacts', { username });
	}

	removeContact(username: string): Promise<void> {
		return this.send('DELETE', `/contacts/${encodeURIComponent(username)}`);
	}

	async searchUsers(q: string): Promise<User[]> {
		const page: Page<User> = await this.send('GET', `/users?${query({ q, limit: 20 })}`);
		return page.items;
	}

	calls(cursor: string | null = null, limit = 50): Promise<Page<CallRecord>> {
		return this.send('GET', `/calls?${query({ limit, cursor })}`);
	}

	async certificates(): Promise<Certificate[]> {
		const page: Page<Certificate> = await this.send('GET', '/me/certificates');
		return page.items;
	}

	/** Key and certificate in one file (PKCS#12, base64), made by the server and not kept there. */
	issueCertificate(label: string, passphrase: string): Promise<Certificate & { pkcs12: string }> {
		return this.send('POST', '/me/certificates', { label, passphrase });
	}

	revokeCertificate(serial: string): Promise<void> {
		return this.send('DELETE', `/me/certificates/${encodeURIComponent(serial)}`);
	}

	private async send<T>(method: string, path: string, body?: unknown, withSession = true): Promise<T> {
		const headers: Record<string, string> = { Accept: 'application/json, application/problem+json' };
		if (method !== 'GET') headers['X-Duplex-Request'] = '1';
		if (body !== undefined) headers['Content-Type'] = 'application/json';
		const stop = new AbortController();
		const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
		try {
			const reply = await this.fetcher(this.base + path, {
				method,
				headers,
				body: body === undefined ? null : JSON.stringify(body),
				credentials: 'same-origin',
				cache: 'no-store',
				redirect: 'error',
				signal: stop.signal,
			});
			const json: unknown = reply.status === 204 ? null : await reply.json().catch(() => undefined);
			if (reply.ok && (json !== undefined || reply.status === 204)) return json as T;
			const error = problem(reply.status, json, reply.headers.get('Retry-After'));
			if (withSession && reply.status === 401) this.onSessionEnded();
			throw error;
		} catch (e) {
			if (e instanceof ApiError) throw e;
			throw new ApiError(
				0,
				stop.signal.aborted ? 'timeout' : 'network',
				'The server cannot be reached',
				stop.signal.aborted ? 'It did not answer in time.' : 'Check your connection, then try again.',
			);
		} finally {
			clearTimeout(timer);
		}
	}
}

function query(values: Record<string, string | number | null>): string {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(values)) if (v !== null) q.set(k, String(v));
	return q.toString();
}
