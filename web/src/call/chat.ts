/**
 * The data channel of a call: chat text with receipts, and what each side does with its microphone and camera (so that a camera that is off shows as such
 * and not as a frozen picture). Both sides make the channel with the same label and id before the offer (negotiated, RFC 8832 is not needed), so the
 * m-line is in the first SDP. Frames are JSON; unknown ones are ignored, so either side may learn more.
 */

export const CHAT_LABEL = 'chat';
export const CHAT_ID = 0;
export const CHAT_TEXT_MAX = 4000;
const FRAME_MAX = 16_384;

export type Frame =
	| { type: 'text'; id: string; text: string; at: number }
	| { type: 'receipt'; id: string }
	| { type: 'media'; audio: boolean; video: boolean };

/** null for anything that is not a frame we know, well formed and within bounds. */
export function parseFrame(data: unknown): Frame | null {
	if (typeof data !== 'string' || data.length > FRAME_MAX) return null;
	let v: unknown;
	try {
		v = JSON.parse(data);
	} catch {
		return null;
	}
	if (typeof v !== 'object' || v === null) return null;
	const f = v as Record<string, unknown>;
	const id = typeof f['id'] === 'string' && f['id'].length > 0 && f['id'].length <= 64 ? f['id'] : null;
	switch (f['type']) {
		case 'text':
			if (id === null || typeof f['text'] !== 'string' || f['text'] === '' || f['text'].length > CHAT_TEXT_MAX) return null;
			return { type: 'text', id, text: f['text'], at: typeof f['at'] === 'number' && Number.isFinite(f['at']) ? f['at'] : 0 };
		case 'receipt':
			return id === null ? null : { type: 'receipt', id };
		case 'media':
			return typeof f['audio'] === 'boolean' && typeof f['video'] === 'boolean' ? { type: 'media', audio: f['audio'], video: f['video'] } : null;
		default:
			return null;
	}
}

/** The part of RTCDataChannel that is used; tests bring their own. */
export interface Channel {
	readyState: string;
	send(data: string): void;
	onopen: ((e: never) => unknown) | null;
	onclose: ((e: never) => unknown) | null;
	onmessage: ((e: MessageEvent) => unknown) | null;
}

export interface ChatEvents {
	open(open: boolean): void;
	text(id: string, text: string, at: number): void;
	receipt(id: string): void;
	media(audio: boolean, video: boolean): void;
}

export class ChatChannel {
	constructor(
		private readonly channel: Channel,
		private readonly events: ChatEvents,
	) {
		channel.onopen = () => events.open(true);
		channel.onclose = () => events.open(false);
		channel.onmessage = (e) => this.receive(e.data);
	}

	get isOpen(): boolean {
		return this.channel.readyState === 'open';
	}

	/** False when the channel is not open: the caller then takes another way. */
	send(frame: Frame): boolean {
		if (!this.isOpen) return false;
		try {
			this.channel.send(JSON.stringify(frame));
			return true;
		} catch {
			return false; // the buffer is full, or it closed in this very moment
		}
	}

	private receive(data: unknown): void {
		const frame = parseFrame(data);
		switch (frame?.type) {
			case 'text':
				this.send({ type: 'receipt', id: frame.id });
				this.events.text(frame.id, frame.text, frame.at);
				break;
			case 'receipt':
				this.events.receipt(frame.id);
				break;
			case 'media':
				this.events.media(frame.audio, frame.video);
				break;
			case undefined:
				break;
		}
	}
}
