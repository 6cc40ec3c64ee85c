/** One JsSIP session as a Leg: when its SDP is sent, which headers it carries, and what its end means. */
import type { UA } from 'jssip';
import type { CallOptions } from 'jssip/lib/UA';
import type { EndEvent, HoldEvent, IceCandidateEvent, PeerConnectionEvent, ReferEvent, ReInviteEvent, RTCSession, SDPEvent, TerminateOptions } from 'jssip/lib/RTCSession';
import type { IncomingRequest } from 'jssip/lib/SIPMessage';
import { Gathering } from '../call/gathering.ts';
import { systemClock } from '../call/configs.ts';
import type { FailureCode } from '../failures.ts';
import type { IncomingLeg, Leg, LegEnd, LegEvents, LegMedia, Referral } from './agent.ts';
import { parseReason, parseSessionId, sdpHas, sessionIdHeader } from './headers.ts';
import { userOf } from './presence.ts';

/** Long, so that a refresh seldom meets a moment without connection, which would end the call (RFC 4028). */
const SESSION_EXPIRES_S = 1800;

/** Someone who is called by a transfer may take as long to answer as anybody, and some more for the REFER and the notices. */
const TRANSFER_LIMIT_MS = 60_000;

const QUIET: LegEvents = { peerConnection() {}, provisional() {}, accepted() {}, held() {}, referred: (r) => r.refuse(), ended() {} };

/** What JsSIP says about an end, in our words; `established` and `connected` as they were in that moment. */
export function endOf(e: EndEvent, wanted: boolean, connected: boolean): LegEnd {
	const message = e.message as (Partial<{ status_code: number }> & { getHeader(name: string): string | undefined }) | null;
	const end: LegEnd = { by: e.originator === 'remote' ? 'remote' : 'local', status: null, reason: null, local: null };
	if (message?.status_code !== undefined && e.originator === 'remote') {
		return { ...end, status: message.status_code, reason: parseReason(message.getHeader('Reason')) };
	}
	if (message && e.originator === 'remote') return { ...end, reason: parseReason(message.getHeader('Reason')) };
	if (wanted) return end;
	switch (e.cause) {
		case 'Canceled': // JsSIP cancels by itself when the INVITE cannot be sent or is never answered
		case 'Connection Error':
		case 'Request Timeout':
		case 'Dialog Error':
			return { ...end, local: connected ? 'call-lost' : 'socket-lost' };
		case 'RTP Timeout':
			return { ...end, local: 'ice-failed' };
		case 'No ACK':
			return { ...end, local: 'call-lost' };
		case 'WebRTC Error':
		case 'Bad Media Description':
		case 'Incompatible SDP':
		case 'Missing SDP':
			return { ...end, local: 'no-common-media' };
		case 'No Answer':
		case 'Expires':
			return { ...end, status: 408 };
		default:
			return { ...end, local: 'unexpected' };
	}
}

function pcConfig(media: LegMedia): RTCConfiguration {
	return {
		iceServers: media.config.ice_servers,
		iceTransportPolicy: media.config.ice_transport_policy,
		bundlePolicy: 'max-bundle',
		rtcpMuxPolicy: 'require',
	};
}

/** What JsSIP keeps to itself, and an ICE restart needs. */
interface Inside {
	_iceReady: boolean;
	_rtcAnswerConstraints: { iceRestart: boolean } | null;
	_localHold: boolean;
	_setLocalMediaStatus(): void;
}

/** Ends that JsSIP makes of a setback: the path broke, or a re-INVITE failed. Neither need end a call that stood. */
export function isSetback(options: TerminateOptions | undefined): boolean {
	const phrase = options?.reason_phrase;
	switch (options?.cause) {
		case 'RTP Timeout':
		case 'Connection Error':
			return true;
		case 'Request Timeout':
			return phrase !== 'Session Timer Expired';
		case 'WebRTC Error':
			return phrase === 'Media Renegotiation Failed' || phrase === 'Hold Failed' || phrase === 'Unhold Failed';
		default:
			return false;
	}
}

/** Of the first media section; with max-bundle the others have the same. */
function iceUfrag(sdp: string | undefined): string | undefined {
	return /^a=ice-ufrag:(\S+)/m.exec(sdp ?? '')?.[1];
}

abstract class JsSipLeg implements Leg {
	protected session: RTCSession | null = null;
	protected events: LegEvents = QUIET;
	protected media: LegMedia | null = null;
	private gathering: Gathering | null = null;
	/** The end that follows is the one we asked for. */
	protected wanted = false;
	private aborted: FailureCode | null = null;
	private over = false;
	/** The other side does not agree to the hold that is under way. */
	private holdFailed: (() => void) | null = null;

	constructor(protected readonly ua: UA) {}

	hangUp(): void {
		this.wanted = true;
		this.terminate(undefined);
	}

	abort(why: FailureCode): void {
		this.aborted = why;
		this.terminate(480);
	}

	restartIce(): void {
		const { session } = this;
		if (!session?.isEstablished()) return;
		const pc = session.connection;
		const begin = (): void => {
			if (session.isEnded() || !session.isReadyToReOffer()) return;
			this.gatherAnew(session);
			session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
		};
		// An offer that was never answered stands in the way of the next.
		if (pc.signalingState === 'have-local-offer') {
			if (session.isReadyToReOffer()) void pc.setLocalDescription({ type: 'rollback' }).then(begin, () => {});
		} else begin();
	}

	/** JsSIP takes an ended gathering for the one that a restart begins. */
	private gatherAnew(session: RTCSession): void {
		(session as unknown as Inside)._iceReady = false;
		this.gathering?.stop();
		this.gathering = new Gathering(this.relayOnly() ? 'relay' : 'all', systemClock, () => {});
	}

	private relayOnly(): boolean {
		return this.media?.config.ice_transport_policy === 'relay';
	}

	/** For a session that is new. */
	protected guard(session: RTCSession): void {
		const terminate = session.terminate.bind(session);
		session.terminate = (options?: TerminateOptions): void => {
			if (session.isEstablished() && isSetback(options)) {
				this.holdFailed?.();
				return;
			}
			terminate(options);
		};
		session.on('reinvite', (e: ReInviteEvent) => {
			const restart = iceUfrag(e.request.body) !== iceUfrag(session.connection?.remoteDescription?.sdp);
			(session as unknown as Inside)._rtcAnswerConstraints = restart ? { iceRestart: true } : null;
			if (restart) this.gatherAnew(session);
		});
	}

	giveWay(): void {
		this.wanted = true;
		if (this.session && !this.session.isEnded()) this.session.terminate({ status_code: 200, reason_phrase: 'Both called' });
	}

	hold(on: boolean): Promise<boolean> {
		const { session } = this;
		return new Promise((resolve) => {
			const end = (done: boolean): void => {
				this.holdFailed = null;
				resolve(done);
			};
			const done = (): void => end(true);
			// Both sides may have asked at once (491): it is as it was before, and can be tried again.
			this.holdFailed = () => {
				const inside = session as unknown as Inside;
				inside._localHold = !on;
				inside._setLocalMediaStatus();
				end(false);
			};
			if (!session || session.isEnded() || !(on ? session.hold({}, done) : session.unhold({}, done))) end(false);
			else session.on('ended', () => end(false));
		});
	}

	transfer(user: string, instead: Leg | null): Promise<boolean> {
		const { session } = this;
		return new Promise((resolve) => {
			if (!session || session.isEnded()) {
				resolve(false);
				return;
			}
			const target = `sip:${encodeURIComponent(user)}@${session.local_identity.uri.host}`;
			const replaces = instead instanceof JsSipLeg ? instead.session : null;
			// JsSIP's types know nothing of what it returns.
			const refer = session.refer(target, replaces ? { replaces } : {}) as unknown as { on(event: string, fn: () => void): void } | false;
			if (!refer) {
				resolve(false);
				return;
			}
			const limit = setTimeout(() => resolve(false), TRANSFER_LIMIT_MS);
			const end = (done: boolean) => (): void => {
				clearTimeout(limit);
				resolve(done);
			};
			refer.on('accepted', end(true));
			refer.on('failed', end(false));
			refer.on('requestFailed', end(false));
			session.on('ended', end(false));
		});
	}

	protected terminate(status: number | undefined): void {
		if (!this.session || this.session.isEnded()) return;
		const bare = this.session.isEstablished() && status !== undefined;
		this.session.terminate(status === undefined || bare ? {} : { status_code: status });
	}

	protected handlers(): NonNullable<CallOptions['eventHandlers']> {
		const finish = (e: EndEvent): void => this.finish(e);
		return {
			peerconnection: (e: PeerConnectionEvent) => this.prepare(e.peerconnection),
			progress: () => this.events.provisional(),
			accepted: () => this.events.accepted(),
			ended: finish,
			failed: finish,
			hold: (e: HoldEvent) => {
				if (e.originator === 'remote') this.events.held(true);
			},
			unhold: (e: HoldEvent) => {
				if (e.originator === 'remote') this.events.held(false);
			},
			refer: (e: ReferEvent) => this.events.referred(new JsSipReferral(this.ua, e)),
			// Whom we talk to is replaced by whom they have handed us to: the server has checked that they asked for it.
			replaces: (e: ReferEvent) => {
				this.wanted = true;
				e.accept();
			},
			icecandidate: (e: IceCandidateEvent) => this.gathering?.candidate(e.candidate, e.ready),
			sdp: (e: SDPEvent) => {
				if (e.originator === 'local') this.gathering?.sending(e.sdp);
			},
		};
	}

	private prepare(pc: RTCPeerConnection): void {
		const media = this.media as LegMedia;
		const gathering = new Gathering(this.relayOnly() ? 'relay' : 'all', systemClock, () => this.abort('relay-unreachable'));
		this.gathering = gathering;
		pc.addEventListener('icegatheringstatechange', () => {
			if (pc.iceGatheringState === 'gathering') gathering.start();
		});
		// Someone who answers a video call without a picture may switch the camera on later, without another offer.
		pc.addEventListener('signalingstatechange', () => {
			if (pc.signalingState === 'have-remote-offer' && media.video) keepVideoOpen(pc, media.stream);
		});
		this.events.peerConnection(pc);
	}

	private finish(e: EndEvent): void {
		if (this.over) return;
		this.over = true;
		this.gathering?.stop();
		const end = endOf(e, this.wanted, this.ua.isConnected());
		this.events.ended(this.aborted ? { by: 'local', status: null, reason: null, local: this.aborted } : end);
	}
}

function keepVideoOpen(pc: RTCPeerConnection, stream: MediaStream): void {
	for (const t of pc.getTransceivers()) {
		if (t.receiver.track.kind !== 'video' || t.direction !== 'recvonly') continue;
		t.direction = 'sendrecv';
		t.sender.setStreams(stream);
	}
}

export class OutgoingJsSipLeg extends JsSipLeg {
	constructor(ua: UA, target: string, media: LegMedia, events: LegEvents) {
		super(ua);
		this.media = media;
		this.events = events;
		this.session = ua.call(target, {
			eventHandlers: this.handlers(),
			mediaStream: media.stream,
			pcConfig: pcConfig(media),
			sessionTimersExpires: SESSION_EXPIRES_S,
			extraHeaders: [sessionIdHeader(media.config.session_id, null)],
		});
		this.guard(this.session);
	}
}

class ReferredJsSipLeg extends JsSipLeg {
	constructor(ua: UA, e: ReferEvent, media: LegMedia, events: LegEvents) {
		super(ua);
		this.media = media;
		this.events = events;
		const by = e.request.getHeader('Referred-By');
		const begin = (session: RTCSession): void => {
			this.session = session;
			this.guard(session);
		};
		e.accept(begin, {
			eventHandlers: this.handlers(),
			mediaStream: media.stream,
			pcConfig: pcConfig(media),
			sessionTimersExpires: SESSION_EXPIRES_S,
			extraHeaders: [sessionIdHeader(media.config.session_id, null), ...(by ? [`Referred-By: ${by}`] : [])],
		});
	}
}

class JsSipReferral implements Referral {
	readonly to: string;

	constructor(
		private readonly ua: UA,
		private readonly event: ReferEvent,
	) {
		const uri = (event.request as unknown as { refer_to: { uri: { toString(): string } } }).refer_to.uri.toString();
		this.to = userOf(uri) ?? '';
	}

	start(media: LegMedia, events: LegEvents): Leg {
		return new ReferredJsSipLeg(this.ua, this.event, media, events);
	}

	refuse(): void {
		this.event.reject();
	}
}

export class IncomingJsSipLeg extends JsSipLeg implements IncomingLeg {
	readonly from: string;
	readonly displayName: string;
	readonly video: boolean;
	readonly replaces: boolean;
	private readonly remoteId: string | null;
	taken = false;

	constructor(ua: UA, session: RTCSession, request: IncomingRequest) {
		super(ua);
		this.session = session;
		this.guard(session);
		this.from = userOf(session.remote_identity.uri.toString()) ?? '';
		this.displayName = session.remote_identity.display_name || this.from;
		this.video = sdpHas(request.body ?? '', 'video');
		this.replaces = request.getHeader('Replaces') !== undefined;
		this.remoteId = parseSessionId(request.getHeader('Session-ID'));
	}

	take(events: LegEvents): void {
		this.taken = true;
		this.events = events;
		const handlers = this.handlers();
		for (const [name, handler] of Object.entries(handlers)) this.session?.on(name as 'ended', handler as (e: EndEvent) => void);
	}

	answer(media: LegMedia): void {
		this.media = media;
		this.session?.answer({
			mediaStream: media.stream,
			pcConfig: pcConfig(media),
			extraHeaders: [sessionIdHeader(media.config.session_id, this.remoteId)],
		});
	}

	decline(): void {
		this.reject(603);
	}

	busy(): void {
		this.reject(486);
	}

	private reject(status: number): void {
		if (this.session && !this.session.isEnded()) {
			this.wanted = true;
			this.terminate(status);
		}
	}
}
