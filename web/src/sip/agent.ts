/**
 * What the page needs from a SIP user agent. The rest of the page knows these interfaces only, so that another agent can take JsSIP's place and
 * tests can bring a made-up one.
 */
import type { CallConfig } from '../api.ts';
import type { FailureCode } from '../failures.ts';
import type { PresenceStatus } from './presence.ts';
import type { Receipt } from './cpim.ts';
import type { Reason } from './headers.ts';

/** The line to the server: registered, on the way there, or given up. */
export type Line = 'connecting' | 'online' | 'offline';

export interface IncomingText {
	from: string;
	/** Unique per message: a message that is delivered twice has the same one. */
	id: string;
	text: string;
	/** When it was sent, ms. */
	at: number;
	/** The sender would like to know when it has been read. */
	wantsRead: boolean;
}

export type Delivery = 'sent' | 'stored';

/** Why the agent stopped for good. */
export type Closed = 'session-ended' | 'superseded';

export interface AgentEvents {
	line(line: Line): void;
	incoming(leg: IncomingLeg): void;
	text(message: IncomingText): void;
	/** What became of a message of ours. */
	receipt(from: string, id: string, receipt: Receipt): void;
	/** The whole list as known now; null while nothing is known. */
	presence(states: ReadonlyMap<string, PresenceStatus> | null): void;
	closed(why: Closed): void;
	/** The connection cannot be made: perhaps the session is over. The owner checks. */
	refused(): void;
}

/** Someone we talk to asks us to call somebody else instead of them (RFC 3515). */
export interface Referral {
	readonly to: string;
	/** Calls them, with this media; whoever asked is told how it goes. */
	start(media: LegMedia, events: LegEvents): Leg;
	refuse(): void;
}

/** How a leg ended. Exactly one of `status`, `local` and neither (it simply ended). */
export interface LegEnd {
	by: 'local' | 'remote';
	/** Final SIP status of the other side, if that ended it. */
	status: number | null;
	/** Reason header of the final response, the BYE or the CANCEL. */
	reason: Reason | null;
	/** A cause on our side. */
	local: FailureCode | null;
}

export interface LegEvents {
	/** The peer connection exists; the place to add channels before there is an SDP. */
	peerConnection(pc: RTCPeerConnection): void;
	/** 180. */
	provisional(): void;
	/** 2xx sent or received. */
	accepted(): void;
	/** The other side has put us on hold, or has taken us back. */
	held(held: boolean): void;
	/** To be started or refused. */
	referred(referral: Referral): void;
	/** Once, at the very end, whatever the reason. */
	ended(end: LegEnd): void;
}

export interface LegMedia {
	stream: MediaStream;
	/** With a video line, whether or not the stream has a picture now. */
	video: boolean;
	config: CallConfig;
}

export interface Leg {
	/** Cancel, decline or BYE, as the state asks for. Harmless when it is over. */
	hangUp(): void;
	/** End it for a reason of our own, which `ended` then carries. */
	abort(why: FailureCode): void;
	/** Look for a new media path (re-INVITE with ICE restart). Does nothing while another offer is under way; a failure does not end the call. */
	restartIce(): void;
	/** Gives way to the call that the other side has made in the same moment. */
	giveWay(): void;
	/** Puts the other side on hold, or takes it back. False when that cannot be just now. */
	hold(on: boolean): Promise<boolean>;
	/** Asks the other side to call `user`; `instead` is our call with that person, whose place the new one takes. True once they talk. */
	transfer(user: string, instead: Leg | null): Promise<boolean>;
}

export interface IncomingLeg extends Leg {
	readonly from: string;
	readonly displayName: string;
	readonly video: boolean;
	/** It takes the place of a call of ours, and is to be answered (RFC 3891). */
	readonly replaces: boolean;
	/** Must be called in the very event that announces the leg, or the leg is refused as busy. */
	take(events: LegEvents): void;
	answer(media: LegMedia): void;
	decline(): void;
	/** In another call. */
	busy(): void;
}

export interface Agent {
	start(): void;
	/** Deregister, then close. */
	stop(): Promise<void>;
	call(user: string, media: LegMedia, events: LegEvents): Leg;
	/** Rejects with a TextError. */
	text(user: string, id: string, body: string): Promise<Delivery>;
	/** Tells the sender of a message that it has been read. */
	read(user: string, id: string): void;
	/** Try to connect at once instead of waiting for the next attempt. */
	hurry(): void;
}

export class TextError extends Error {
	constructor(readonly status: number | null) {
		super(status === null ? 'no connection' : `SIP ${status}`);
		this.name = 'TextError';
	}
}
