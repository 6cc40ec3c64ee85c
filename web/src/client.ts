/** Everything of a logged-in person: line, call, people, conversations, history, and the little things that connect them. One per log-in. */
import { computed, effect, signal } from '@preact/signals';
import type { Api, Me } from './api.ts';
import { ApiError } from './api.ts';
import { CallConfigs, systemClock } from './call/configs.ts';
import type { Calls, Outcome } from './call/calls.ts';
import { Phone } from './call/phone.ts';
import { openStream, openTrack, stopStream } from './call/media.ts';
import { instanceId, settings } from './settings.ts';
import type { Closed, Line } from './sip/agent.ts';
import { TextError, type Agent } from './sip/agent.ts';
import { JsSipAgent } from './sip/jssip_agent.ts';
import { Conversations } from './store/conversations.ts';
import { History } from './store/history.ts';
import { People } from './store/people.ts';
import { toast } from './store/toasts.ts';
import { playTone, stopTone } from './tones.ts';
import { Attention } from './attention.ts';
import { duration } from './format.ts';

export type Tab = 'contacts' | 'calls';

const START_RETRY_MS = 3000;

export class Client {
	readonly line = signal<Line>('connecting');
	readonly phone: Phone;
	readonly people: People;
	readonly chats: Conversations;
	readonly history: History;
	readonly tab = signal<Tab>('contacts');
	/** Whose conversation is open. */
	readonly selected = signal<string | null>(null);
	/** The chat panel of the call. */
	readonly panel = signal(false);
	/** The person wants no calls. */
	readonly dnd = signal(false);
	readonly status = computed(() => {
		if (this.line.value !== 'online') return this.line.value;
		if (this.dnd.value) return 'dnd';
		const { phase } = this.calls.state.value;
		return phase === 'idle' || phase === 'incoming' ? 'online' : 'busy';
	});
	private readonly visible = signal(!document.hidden);

	/** The call that is shown. */
	get calls(): Calls {
		return this.phone.shown.value;
	}

	private agent: Agent | null = null;
	private readonly configs: CallConfigs;
	private readonly attention: Attention;
	private readonly undo: (() => void)[] = [];
	private stopped = false;
	private checking = false;

	constructor(
		private readonly api: Api,
		readonly me: Me,
		private readonly onClosed: (why: Closed) => void,
	) {
		this.configs = new CallConfigs(() => api.callConfig());
		this.people = new People(api, me.username);
		this.chats = new Conversations(localStorage, me.username, (peer, ids) => this.tellRead(peer, ids));
		this.history = new History(api, localStorage, me.username);
		this.phone = new Phone({
			self: me.username,
			callWaiting: () => settings.value.callWaiting,
			agent: { call: (user, media, events) => (this.agent as Agent).call(user, media, events) },
			online: () => this.line.value === 'online',
			takeConfig: () => this.configs.take(),
			media: {
				openStream: (video) => openStream(video, settings.value),
				openTrack: (kind) => openTrack(kind, settings.value),
				stop: stopStream,
				newStream: (tracks) => new MediaStream(tracks ?? []),
			},
			clock: systemClock,
			nameOf: (username, offered) => this.people.nameOf(username, offered),
			onText: (peer, id, text, at) => this.received(peer, id, text, at || Date.now(), 'call', true),
			onReceipt: (peer, id) => this.chats.setState(peer, id, 'delivered'),
			onOutcome: (outcome) => this.onOutcome(outcome),
			onTransferred: (by, to) => toast('transferred', `${by.name} connects you to ${to.name}`),
			onSideFailure: (title) => toast('second-call-failed', title),
			onTransferFailed: (to) => toast('transfer-failed', `${to.name} could not be reached. You are still in the call.`),
		});
		this.attention = new Attention(this);
	}

	async start(): Promise<void> {
		this.wire();
		void this.loadPeople();
		void this.history.refresh();
		void this.loadPresence();
		await this.connect();
		this.openLink(location.hash, false);
	}

	/** Ends the call, deregisters, frees everything. */
	async stop(): Promise<void> {
		if (this.stopped) return;
		this.stopped = true;
		this.phone.hangUpAll();
		stopTone();
		this.configs.stop();
		this.history.stop();
		this.chats.flush();
		for (const undo of this.undo) undo();
		await this.agent?.stop();
	}

	call(username: string, video: boolean): void {
		void this.phone.dial({ username, name: this.people.nameOf(username) }, video);
	}

	/** Hands the call over to somebody. */
	transfer(username: string): void {
		void this.phone.transfer({ username, name: this.people.nameOf(username) });
	}

	async setDnd(on: boolean): Promise<void> {
		const before = this.dnd.value;
		this.dnd.value = on;
		try {
			await this.api.setPresence(on ? 'do_not_disturb' : 'available');
		} catch {
			this.dnd.value = before;
			toast('dnd-failed', 'That could not be changed. Try again.');
		}
	}

	/** There is a line for it, and we do not talk to that person already. */
	canCall(username: string): boolean {
		return this.phone.free.value && this.phone.lines.every((l) => l.state.value.peer?.username !== username);
	}

	open(username: string | null): void {
		this.selected.value = username;
	}

	/** Text to someone: by the data channel of the call with them, else by SIP. */
	async send(peer: string, text: string): Promise<void> {
		const id = crypto.randomUUID();
		const at = Date.now();
		const inCall = this.phone.sendText(peer, id, text, at);
		this.chats.add(peer, { id, from: 'me', text, at, via: inCall ? 'call' : 'sip', state: 'sending' });
		if (!inCall) await this.sendBySip(peer, id, text);
	}

	async resend(peer: string, id: string): Promise<void> {
		const item = this.chats.items.value.get(peer)?.find((i) => i.id === id && i.state === 'failed');
		if (!item) return;
		this.chats.setState(peer, id, 'sending');
		await this.sendBySip(peer, id, item.text);
	}

	hurry(): void {
		this.agent?.hurry();
	}

	private async sendBySip(peer: string, id: string, text: string): Promise<void> {
		try {
			if (!this.agent) throw new TextError(null);
			this.chats.setState(peer, id, await this.agent.text(peer, id, text));
		} catch (e) {
			this.chats.setState(peer, id, 'failed');
			const status = e instanceof TextError ? e.status : null;
			const why =
				status === 403 ? 'You may not send messages.' : status === 404 ? 'There is no such user.' : status === null ? 'There is no connection to the server.' : `The server refused it (${status}).`;
			toast('message-failed', `Message not sent. ${why}`);
		}
	}

	private received(peer: string, id: string, text: string, at: number, via: 'call' | 'sip', owed: boolean): void {
		if (text === '' || !this.chats.add(peer, { id, from: 'peer', text, at, via, state: 'received', ...(owed ? { owed } : {}) })) return;
		this.attention.message(peer, text);
	}

	private async connect(): Promise<void> {
		for (;;) {
			if (this.stopped) return;
			try {
				const config = await this.configs.take();
				if (this.stopped) return;
				this.agent = new JsSipAgent(
					{ config, displayName: this.me.display_name, instanceId: instanceId() },
					{
						line: (line) => this.onLine(line),
						incoming: (leg) => this.phone.offer(leg),
						text: (m) => this.received(m.from, m.id, m.text, m.at, 'sip', m.wantsRead),
						receipt: (from, id, what) => this.chats.setState(from, id, what),
						presence: (states) => this.people.setPresence(states),
						closed: (why) => this.onClosed(why),
						refused: () => void this.checkSession(),
					},
				);
				this.agent.start();
				return;
			} catch (e) {
				if (e instanceof ApiError && e.status === 401) return; // the owner has been told
				await new Promise((r) => setTimeout(r, START_RETRY_MS * (1 + Math.random())));
			}
		}
	}

	private onLine(line: Line): void {
		if (this.stopped) return;
		const before = this.line.value;
		this.line.value = line;
		if (line === 'online' && before !== 'online') {
			void this.history.refresh();
			this.chats.settle();
			this.phone.lineBack();
		}
		if (line !== 'online' && before === 'online') this.phone.lineLost();
	}

	/** The upgrade was refused or the connection broke: a session that is over says so here (api.onSessionEnded is told). */
	private async checkSession(): Promise<void> {
		if (this.checking || this.stopped) return;
		this.checking = true;
		try {
			await this.api.me();
		} catch (e) {
			if (e instanceof ApiError && e.status === 401 && !this.stopped) this.onClosed('session-ended');
		} finally {
			this.checking = false;
		}
	}

	private async loadPresence(): Promise<void> {
		try {
			this.dnd.value = (await this.api.presence()).status === 'do_not_disturb';
		} catch {
			// it is asked for again when the page is looked at
		}
	}

	/** Read receipts; what cannot be sent just now is owed until the line is back. */
	private tellRead(peer: string, ids: readonly string[]): boolean {
		if (!settings.value.readReceipts) return true;
		if (!this.agent || this.line.value !== 'online') return false;
		for (const id of ids) this.agent.read(peer, id);
		return true;
	}

	private async loadPeople(): Promise<void> {
		while (!this.stopped) {
			try {
				await this.people.load();
				return;
			} catch {
				await new Promise((r) => setTimeout(r, START_RETRY_MS));
			}
		}
	}

	private onOutcome(outcome: Outcome): void {
		const name = outcome.peer.name;
		switch (outcome.kind) {
			case 'ended':
				toast('call-ended', outcome.seconds === null ? 'Call ended' : `Call with ${name} ended after ${duration(outcome.seconds)}`);
				break;
			case 'cancelled':
				toast('cancelled', `Call to ${name} cancelled`);
				break;
			case 'missed':
				toast('missed', `Missed call from ${name}`);
				break;
			case 'answered-elsewhere':
				toast('answered-elsewhere', 'Answered on another device');
				break;
			case 'declined':
			case 'failed':
				break;
		}
		this.panel.value = false;
		this.history.refreshSoon();
	}

	private wire(): void {
		const on = <T extends EventTarget>(target: T, type: string, fn: (e: Event) => void): void => {
			target.addEventListener(type, fn);
			this.undo.push(() => target.removeEventListener(type, fn));
		};
		on(window, 'online', () => this.hurry());
		on(document, 'visibilitychange', () => {
			this.visible.value = !document.hidden;
			if (document.hidden) this.chats.flush();
			else {
				this.hurry();
				void this.history.refresh();
				void this.loadPresence();
			}
		});
		on(window, 'hashchange', () => this.openLink(location.hash, true));
		on(window, 'beforeunload', (e) => {
			if (this.phone.busy) e.preventDefault();
		});
		on(window, 'pagehide', () => {
			this.phone.hangUpAll();
			this.chats.flush();
		});
		this.undo.push(
			effect(() => this.tones()),
			effect(() => this.reading()),
			effect(() => {
				if (this.phone.waiting.value) playTone('message');
			}),
			this.attention.start(),
		);
	}

	private lastPhase = 'idle';

	private tones(): void {
		const { phase, connectedAt } = this.calls.state.value;
		const before = this.lastPhase;
		this.lastPhase = phase;
		if (phase === 'ringing') playTone('ringback');
		else if (phase === 'incoming') playTone('ring');
		else {
			stopTone();
			if (phase === 'active' && before === 'connecting' && connectedAt !== null) playTone('connected');
			if (phase === 'idle' && (before === 'active' || before === 'ringing' || before === 'interrupted')) playTone('ended');
		}
	}

	/** What is on the screen counts as read: the panel of the call, or the open conversation. */
	private reading(): void {
		const { phase, peer } = this.calls.state.value;
		const stage = phase !== 'idle' && phase !== 'incoming';
		if (!this.visible.value) this.chats.read(null);
		else this.chats.read(stage ? (this.panel.value ? (peer?.username ?? null) : null) : this.selected.value);
	}

	/**
	 * `#call=video:USER`. A link followed on this very page calls; one that the page was opened with only shows the person: no foreign page shall be
	 * able to start a call, with a microphone that is already allowed, by opening an address.
	 */
	private openLink(hash: string, mayCall: boolean): void {
		const m = /^#call=(audio|video):([a-z0-9._-]{2,32})$/.exec(hash);
		if (!m) return;
		history.replaceState(null, '', location.pathname);
		const user = m[2] as string;
		if (mayCall) this.call(user, m[1] === 'video');
		else this.open(user);
	}
}
