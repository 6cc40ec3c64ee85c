/** Which view the page shows, and the way between them: resume, log in, log out, session over. What comes after the log-in is loaded then (client.ts). */
import { signal } from '@preact/signals';
import type { FunctionComponent } from 'preact';
import { Api, ApiError, type Me } from './api.ts';
import type { Client } from './client.ts';
import type { TabGuard } from './tabs.ts';

export type View = 'boot' | 'login' | 'home' | 'elsewhere' | 'unreachable';
export type Notice = { code: 'session-ended' | 'logged-out' | 'certificate-failed'; text: string };

export const api = new Api();
export const view = signal<View>('boot');
export const notice = signal<Notice | null>(null);
export const client = signal<Client | null>(null);
/** Where to log in with a certificate; null when the server does not take any. */
export const certificateUrl = signal<string | null>(null);
/** The other tab is in a call. */
export const elsewhereInCall = signal(false);

/** The view after the log-in, once it is loaded. */
export const homeView = signal<FunctionComponent<{ client: Client }> | null>(null);

const STATE_KEY = 'duplex.certificate-state';
let guard: TabGuard | null = null;
let me: Me | null = null;

api.onSessionEnded = () => void sessionEnded();

export async function boot(): Promise<void> {
	const ticket = takeTicket();
	if (ticket) await ticketLogIn(ticket);
	try {
		me = await api.me();
		await enter(false);
	} catch (e) {
		if (e instanceof ApiError && e.status === 0) {
			view.value = 'unreachable';
			return;
		}
		showLogin();
	}
}

function showLogin(): void {
	view.value = 'login';
	api.version().then(
		(v) => {
			certificateUrl.value = v.certificate_url;
		},
		() => {},
	);
}

export async function logIn(username: string, password: string): Promise<void> {
	me = (await api.logIn(username, password)).user;
	await enter(true);
}

export async function signUp(username: string, name: string, password: string): Promise<void> {
	await api.signUp(username, name, password);
	await logIn(username, password);
}

/** Off to the certificate host; it comes back with a ticket and the state we give it, by which we know that we had asked. */
export function certificateLogIn(): void {
	const url = certificateUrl.value;
	if (!url) return;
	const state = crypto.randomUUID();
	sessionStorage.setItem(STATE_KEY, state);
	location.assign(`${url.replace(/\/$/, '')}/#${new URLSearchParams({ state }).toString()}`);
}

/** The ticket in the fragment, if it answers a request of this very tab. The fragment is wiped at once. */
function takeTicket(): string | null {
	const given = new URLSearchParams(location.hash.slice(1));
	const ticket = given.get('ticket');
	if (!ticket) return null;
	history.replaceState(null, '', location.pathname);
	const state = sessionStorage.getItem(STATE_KEY);
	sessionStorage.removeItem(STATE_KEY);
	return state !== null && given.get('state') === state ? ticket : null;
}

async function ticketLogIn(ticket: string): Promise<void> {
	try {
		await api.logInWithTicket(ticket);
	} catch (e) {
		notice.value = { code: 'certificate-failed', text: e instanceof ApiError ? e.message : 'The log-in with your certificate failed.' };
	}
}

/** `force`: take the line even from a tab that is in a call. */
async function enter(force: boolean): Promise<void> {
	if (!me) return;
	const [{ Client, Home }, { TabGuard }] = await Promise.all([import('./home.ts'), import('./tabs.ts')]);
	homeView.value = Home;
	guard ??= new TabGuard(
		() => client.value?.phone.busy ?? false,
		() => leave('elsewhere'),
		() => void regained(),
	);
	if (!(await guard.claim(force))) {
		elsewhereInCall.value = true;
		view.value = 'elsewhere';
		return;
	}
	notice.value = null;
	const started = new Client(api, me, (why) => void (why === 'superseded' ? leave('elsewhere') : lineClosed()));
	client.value = started;
	view.value = 'home';
	await started.start();
}

/** Duplex was taken to another tab; bring it back here. */
export async function takeHere(): Promise<void> {
	try {
		me = await api.me();
		await enter(true);
	} catch {
		await boot();
	}
}

/** The tab that had the line was closed. It may have logged out before, or as someone else in. */
async function regained(): Promise<void> {
	view.value = 'boot';
	try {
		me = await api.me();
	} catch (e) {
		guard?.free();
		if (e instanceof ApiError && e.status === 0) view.value = 'unreachable';
		else showLogin();
		return;
	}
	if (guard?.held) await enter(false);
}

export async function logOut(): Promise<void> {
	const leaving = client.value;
	client.value = null;
	view.value = 'boot';
	await leaving?.stop();
	await api.logOut().catch(() => {}); // the cookie may be dead already
	guard?.free();
	notice.value = { code: 'logged-out', text: 'You are logged out.' };
	showLogin();
}

async function leave(to: View): Promise<void> {
	const leaving = client.value;
	client.value = null;
	elsewhereInCall.value = false;
	view.value = to;
	await leaving?.stop();
}

/** The server closed the line: the session has ended, or lives on with other permissions, which takes a new line. */
async function lineClosed(): Promise<void> {
	await leave('boot');
	try {
		me = await api.me();
		await enter(true);
	} catch {
		await sessionEnded();
	}
}

async function sessionEnded(): Promise<void> {
	if (view.value === 'login') return;
	notice.value = { code: 'session-ended', text: 'Your session has ended. Log in again to go on.' };
	const leaving = client.value;
	client.value = null;
	showLogin();
	await leaving?.stop();
	guard?.free();
}
