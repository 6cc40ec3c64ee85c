/** The Agent on JsSIP: registration that keeps itself up, presence of the contact list, messages, and legs. */
import { UA } from 'jssip';
import type { DisconnectEvent, IncomingMessageEvent, OutgoingMessageEvent, RTCSessionEvent, UnRegisteredEvent } from 'jssip/lib/UA';
import type { IncomingResponse } from 'jssip/lib/SIPMessage';
import type { CallConfig } from '../api.ts';
import { CPIM_TYPE, unwrap, wrapReceipt, wrapText, type Receipt, type Wrapped } from './cpim.ts';
import { TextError, type Agent, type AgentEvents, type Closed, type Delivery, type IncomingText, type Leg, type LegEvents, type LegMedia } from './agent.ts';
import { IncomingJsSipLeg, OutgoingJsSipLeg } from './leg.ts';
import { Backoff } from './backoff.ts';
import { userOf } from './presence.ts';
import { PresenceWatch } from './watch.ts';
import { JitterSocket } from './socket.ts';

const CLOSE_TRY_LATER = 1013;
const CLOSE_SESSION_ENDED = 4001;
const CLOSE_SUPERSEDED = 4002;
const REGISTER_EXPIRES_S = 600;
const RECOVERY_MAX_S = 30;
const DEREGISTER_LIMIT_MS = 1500;
/** The server decides how long it rings; this only ends what the server forgot. */
const NO_ANSWER_S = 180;

export interface AgentIdentity {
	config: CallConfig;
	displayName: string;
	/** One a browser profile (RFC 5626 §4.1), so that a reload replaces its own binding. */
	instanceId: string;
}

export class JsSipAgent implements Agent {
	private readonly ua: UA;
	private readonly socket: JitterSocket;
	private readonly watch: PresenceWatch;
	private readonly domain: string;
	private readonly self: string;
	private closing = false;
	private everConnected = false;
	private readonly registerBackoff = new Backoff(4000, 60_000);
	/** After 1013: JsSIP itself would knock every few seconds, as each time the socket does open. */
	private readonly awayBackoff = new Backoff(4000, 60_000);
	private registerTimer: ReturnType<typeof setTimeout> | undefined;

	constructor(
		identity: AgentIdentity,
		private readonly events: AgentEvents,
	) {
		const { config } = identity;
		this.domain = config.domain;
		this.self = userOf(config.address_of_record) ?? '';
		this.socket = new JitterSocket(config.websocket_url);
		this.ua = new UA({
			sockets: this.socket,
			uri: config.address_of_record,
			display_name: identity.displayName,
			instance_id: identity.instanceId,
			user_agent: `Duplex/${DUPLEX_VERSION}`,
			register: true,
			register_expires: REGISTER_EXPIRES_S,
			no_answer_timeout: NO_ANSWER_S,
			session_timers: true,
			session_timers_force_refresher: true,
			connection_recovery_min_interval: 1,
			connection_recovery_max_interval: RECOVERY_MAX_S,
		});
		this.watch = new PresenceWatch(this.ua, config.contacts_uri, (states) => this.events.presence(states));
		this.listen();
	}

	start(): void {
		this.events.line('connecting');
		this.ua.start();
	}

	async stop(): Promise<void> {
		this.closing = true;
		clearTimeout(this.registerTimer);
		this.watch.stop();
		if (this.ua.isRegistered()) {
			await new Promise<void>((done) => {
				const limit = setTimeout(done, DEREGISTER_LIMIT_MS);
				this.ua.on('unregistered', () => {
					clearTimeout(limit);
					done();
				});
				this.ua.terminateSessions();
				this.ua.unregister();
			});
		}
		this.shut();
		this.events.line('offline');
	}

	call(user: string, media: LegMedia, events: LegEvents): Leg {
		return new OutgoingJsSipLeg(this.ua, this.uri(user), media, events);
	}

	text(user: string, id: string, body: string): Promise<Delivery> {
		return new Promise((resolve, reject) => {
			if (!this.ua.isConnected()) {
				reject(new TextError(null));
				return;
			}
			this.ua.sendMessage(this.uri(user), wrapText(this.uri(this.self), this.uri(user), id, body, Date.now()), {
				contentType: CPIM_TYPE,
				eventHandlers: {
					succeeded: (e) => resolve((e as { response: IncomingResponse }).response.status_code === 202 ? 'stored' : 'sent'),
					failed: (e) => reject(new TextError(e.response?.status_code ?? null)),
				},
			});
		});
	}

	read(user: string, id: string): void {
		this.confirm(user, id, 'read');
	}

	/** Nobody waits for a receipt of a receipt; the server keeps it for a sender who is away. */
	private confirm(user: string, id: string, receipt: Receipt): void {
		if (this.ua.isConnected()) this.ua.sendMessage(this.uri(user), wrapReceipt(this.uri(this.self), this.uri(user), id, receipt, Date.now()), { contentType: CPIM_TYPE });
	}

	hurry(): void {
		if (this.closing || this.ua.isConnected()) return;
		this.transport.connect();
		this.socket.hurry();
	}

	private uri(user: string): string {
		return `sip:${encodeURIComponent(user)}@${this.domain}`;
	}

	private listen(): void {
		const { ua } = this;
		ua.on('connected', () => {
			this.everConnected = true;
		});
		ua.on('disconnected', (e: DisconnectEvent) => this.onDisconnected(e));
		ua.on('registered', () => {
			this.registerBackoff.reset();
			this.awayBackoff.reset();
			if (this.closing) return;
			this.events.line('online');
			this.watch.start();
		});
		ua.on('unregistered', () => {
			if (!this.closing) this.events.line('connecting');
		});
		ua.on('registrationFailed', (e: UnRegisteredEvent) => this.onRegistrationFailed(e));
		ua.on('newRTCSession', (e: RTCSessionEvent) => this.onSession(e));
		ua.on('newMessage', (e: IncomingMessageEvent | OutgoingMessageEvent) => this.onMessage(e));
	}

	private onDisconnected(e: DisconnectEvent): void {
		this.watch.pause();
		if (this.closing) return;
		if (e.code === CLOSE_SESSION_ENDED) this.close('session-ended');
		else if (e.code === CLOSE_SUPERSEDED) this.close('superseded');
		else {
			this.events.line('connecting');
			if (e.code === CLOSE_TRY_LATER) this.socket.stayAway(this.awayBackoff.next());
			// A refused upgrade looks like any broken connection, so the owner asks by REST whether the session still is.
			if (e.error || !this.everConnected) this.events.refused();
		}
	}

	private close(why: Closed): void {
		this.closing = true;
		clearTimeout(this.registerTimer);
		this.watch.stop();
		this.shut();
		this.events.line('offline');
		this.events.closed(why);
	}

	/** JsSIP keeps the socket up to 2 s for transactions under way, and reconnects when the server closes it meanwhile: not after we are done. */
	private shut(): void {
		this.ua.stop();
		this.transport.disconnect();
	}

	/** Public in JsSIP but missing from its types. */
	private get transport(): { connect(): void; disconnect(): void } {
		return (this.ua as unknown as { transport: { connect(): void; disconnect(): void } }).transport;
	}

	private onRegistrationFailed(e: UnRegisteredEvent): void {
		if (this.closing) return;
		this.events.line('connecting');
		const response = e.response as IncomingResponse | null;
		if (!response) return; // the connection went away; coming back registers
		if (response.status_code === 401 || response.status_code === 403) this.events.refused();
		const asked = Number.parseInt(response.getHeader('Retry-After') ?? '', 10);
		clearTimeout(this.registerTimer);
		this.registerTimer = setTimeout(
			() => {
				if (!this.closing && this.ua.isConnected()) this.ua.register();
			},
			this.registerBackoff.next(Number.isFinite(asked) ? asked * 1000 : 0),
		);
	}

	private onSession(e: RTCSessionEvent): void {
		if (e.originator !== 'remote') return;
		const leg = new IncomingJsSipLeg(this.ua, e.session, e.request as never);
		this.events.incoming(leg);
		if (!leg.taken) leg.busy();
	}

	private onMessage(e: IncomingMessageEvent | OutgoingMessageEvent): void {
		if (e.originator !== 'remote') return;
		const { request } = e as IncomingMessageEvent;
		const from = userOf(request.from.uri.toString());
		const type = request.getHeader('Content-Type') ?? '';
		const date = Date.parse(request.getHeader('Date') ?? '');
		const callId = request.getHeader('Call-ID') ?? crypto.randomUUID();
		const got = contentOf(type, request.body ?? '');
		if (!from || !got) {
			e.message.reject({ status_code: 415 });
			return;
		}
		e.message.accept({});
		if (got.kind === 'receipt') {
			this.events.receipt(from, got.id, got.receipt);
			return;
		}
		const at = Number.isNaN(date) ? (got.at ?? Date.now()) : date;
		const message: IncomingText = { from, id: got.id ?? callId, text: got.text, at, wantsRead: got.id !== null && got.wants.includes('read') };
		if (got.id !== null && got.wants.includes('delivered')) this.confirm(from, got.id, 'delivered');
		this.events.text(message);
	}
}

/** null for what we cannot show. */
function contentOf(type: string, body: string): Wrapped | null {
	if (/^text\/plain\b/i.test(type)) return { kind: 'text', id: null, text: body, at: null, wants: [] };
	if (!/^message\/cpim\b/i.test(type)) return null;
	try {
		return unwrap(body);
	} catch (e) {
		console.warn('message:', e instanceof Error ? e.message : e);
		return null;
	}
}
