/** Values of SIP headers that JsSIP does not parse itself. */

const NIL = '0'.repeat(32);

/** Session-ID (RFC 7989 §5): ours, and the other side's as far as known. */
export function sessionIdHeader(own: string, remote: string | null): string {
	return `Session-ID: ${own};remote=${remote ?? NIL}`;
}

/** The sender's half of a Session-ID; null if absent, malformed or the nil value. */
export function parseSessionId(value: string | undefined): string | null {
	const m = /^\s*([0-9a-f]{32})\s*(?:;|$)/.exec(value ?? '');
	return m && m[1] !== NIL ? (m[1] as string) : null;
}

export interface Reason {
	protocol: string;
	cause: number;
	text: string;
}

/** The first value of a Reason header (RFC 3326). */
export function parseReason(value: string | undefined): Reason | null {
	const m = /^\s*([\w.-]+)/.exec(value ?? '');
	if (!m || value === undefined) return null;
	const cause = /;\s*cause\s*=\s*(\d+)/i.exec(value);
	const text = /;\s*text\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,]+))/i.exec(value);
	return {
		protocol: m[1] as string,
		cause: cause ? Number(cause[1]) : 0,
		text: text ? (text[1] !== undefined ? text[1].replace(/\\(.)/g, '$1') : (text[2] as string)) : '',
	};
}

/** Which media an offer really has: an m-line with port 0 is none (RFC 3264 §6). */
export function sdpHas(sdp: string, kind: 'audio' | 'video'): boolean {
	const m = new RegExp(`^m=${kind} (\\d+)`, 'm').exec(sdp);
	return m !== null && m[1] !== '0';
}
