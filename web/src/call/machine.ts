/**
 * The state of a call, without DOM, SIP or media: phases, events, one table.
 *
 *            dial            prepared          provisional
 *   idle ───────────▶ preparing ─────▶ calling ─────▶ ringing        caller
 *    ▲ │                  │              │ accepted     │ accepted
 *    │ │ offer            │              ▼              ▼
 *    │ └──▶ incoming ──▶ answering ───▶ connecting ──▶ active ◀─▶ interrupted
 *    │          │ answer    │  accepted     │ connected   │ interrupted / connected
 *    └──────────┴───────────┴───────────────┴─────────────┴── end, from every phase
 *
 * An event that has no meaning in a phase (a late 180, an answer after the end) leaves the state as it is.
 */

export type Phase = 'idle' | 'preparing' | 'calling' | 'ringing' | 'incoming' | 'answering' | 'connecting' | 'active' | 'interrupted';

export interface Peer {
	username: string;
	name: string;
}

export type CallEvent =
	| { type: 'dial'; peer: Peer; video: boolean; at: number }
	| { type: 'offer'; peer: Peer; video: boolean; at: number }
	| { type: 'prepared' | 'provisional' | 'accepted' | 'connected' | 'interrupted'; at: number }
	| { type: 'answer'; video: boolean; at: number }
	| { type: 'end'; at: number };

export interface CallState {
	phase: Phase;
	direction: 'outgoing' | 'incoming';
	peer: Peer | null;
	/** The call has video: offered for an outgoing or a ringing call, agreed for an accepted one. */
	video: boolean;
	/** The phone rang at the other side (a 180 came). */
	rang: boolean;
	startedAt: number;
	/** When the media path first stood; null before. */
	connectedAt: number | null;
}

export const IDLE: CallState = { phase: 'idle', direction: 'outgoing', peer: null, video: false, rang: false, startedAt: 0, connectedAt: null };

const NEXT: Record<Phase, Partial<Record<CallEvent['type'], Phase>>> = {
	idle: { dial: 'preparing', offer: 'incoming' },
	preparing: { prepared: 'calling', end: 'idle' },
	calling: { provisional: 'ringing', accepted: 'connecting', end: 'idle' },
	ringing: { provisional: 'ringing', accepted: 'connecting', end: 'idle' },
	incoming: { answer: 'answering', end: 'idle' },
	answering: { accepted: 'connecting', end: 'idle' },
	connecting: { connected: 'active', end: 'idle' },
	active: { interrupted: 'interrupted', end: 'idle' },
	interrupted: { connected: 'active', end: 'idle' },
};

/** The next state; the very same object when the event does not apply. */
export function step(state: CallState, event: CallEvent): CallState {
	const phase = NEXT[state.phase][event.type];
	if (phase === undefined) return state;
	switch (event.type) {
		case 'dial':
		case 'offer':
			return {
				...IDLE,
				phase,
				direction: event.type === 'dial' ? 'outgoing' : 'incoming',
				peer: event.peer,
				video: event.video,
				startedAt: event.at,
			};
		case 'provisional':
			return { ...state, phase, rang: true };
		case 'connected':
			return { ...state, phase, connectedAt: state.connectedAt ?? event.at };
		case 'end':
			return IDLE;
		case 'answer':
		case 'prepared':
		case 'accepted':
		case 'interrupted':
			return { ...state, phase };
	}
}

/** Accepted by both sides: from here on an end is a hang-up, before it is a cancel or a decline. */
export function isEstablished(phase: Phase): boolean {
	return phase === 'connecting' || phase === 'active' || phase === 'interrupted';
}
