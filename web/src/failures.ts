/**
 * The one table of what can go wrong with a call: what happened, what to do about it, whether trying again makes sense.
 * Causes are SIP statuses of the final answer (RFC 3261 §21) and local ones, which the browser or the page finds out itself.
 */

export type FailureCode =
	| 'declined' | 'cancelled' | 'no-answer' | 'busy' | 'unknown-user' | 'not-registered' | 'no-permission' | 'gone' | 'no-common-media'
	| 'do-not-disturb' | 'call-limit' | 'slow-down' | 'server' | 'media-denied' | 'media-missing' | 'media-in-use' | 'media-failed' | 'insecure-context' | 'ice-failed'
	| 'relay-unreachable' | 'socket-lost' | 'session-ended' | 'ended-by-admin' | 'peer-logged-out' | 'call-lost' | 'unexpected';

interface Entry {
	/** `%` stands for the other person's name. */
	title: string;
	action: string;
	retry: boolean;
	/** Offer to call without camera. */
	audioOnly?: boolean;
}

export interface Failure {
	code: FailureCode;
	/** Final SIP status, if one was received. */
	sip: number | null;
	title: string;
	action: string;
	retry: boolean;
	audioOnly: boolean;
}

const TABLE: Record<FailureCode, Entry> = {
	'declined': { title: '% declined the call', action: 'You can leave a message instead.', retry: false },
	'cancelled': { title: 'The call was cancelled', action: 'It was ended before anyone answered.', retry: true },
	'no-answer': { title: '% did not answer', action: 'Try again later, or leave a message.', retry: true },
	'busy': { title: '% is in another call', action: 'Try again in a few minutes, or leave a message.', retry: true },
	'unknown-user': { title: 'There is no such user', action: 'The account may have been removed. Check the name in the directory.', retry: false },
	'not-registered': { title: '% is not online', action: 'They will see a missed call. You can leave a message for them.', retry: true },
	'do-not-disturb': { title: '% does not want to be disturbed', action: 'They will see a missed call. You can leave a message for them.', retry: false },
	'call-limit': { title: 'You have too many calls', action: 'End one of them, then try again.', retry: true },
	'no-permission': { title: 'You may not make this call', action: 'Your account lacks the permission. Ask your administrator.', retry: false },
	'gone': { title: 'This account is gone', action: 'You can remove it from your contacts.', retry: false },
	'no-common-media': { title: 'The two devices have no media in common', action: 'Try an audio call instead.', retry: false, audioOnly: true },
	'slow-down': { title: 'Too many calls in a short time', action: 'Wait a moment before you try again.', retry: true },
	'server': { title: 'The server could not put the call through', action: 'Try again. If it stays like this, tell your administrator.', retry: true },
	'media-denied': { title: 'The browser may not use your microphone or camera', action: 'Allow it in the address bar of the browser, then try again.', retry: true, audioOnly: true },
	'media-missing': { title: 'No microphone or camera was found', action: 'Connect one, then try again.', retry: true, audioOnly: true },
	'media-in-use': { title: 'Your microphone or camera is used by another program', action: 'Close that program, then try again.', retry: true, audioOnly: true },
	'media-failed': { title: 'Your microphone or camera could not be started', action: 'Choose another device in the settings, then try again.', retry: true, audioOnly: true },
	'insecure-context': { title: 'This address is not secure', action: 'Browsers give microphone and camera to https pages only. Open Duplex by its https address.', retry: false },
	'ice-failed': { title: 'No connection for sound and picture', action: 'The call was accepted, but the media did not get through within 15 seconds. A firewall may block UDP.', retry: true },
	'relay-unreachable': { title: 'The media relay cannot be reached', action: 'UDP towards the relay seems to be blocked, or the relay is down. Try another network.', retry: true },
	'socket-lost': { title: 'The connection to the server was lost', action: 'Duplex reconnects by itself. Try again once you are online.', retry: true },
	'session-ended': { title: 'Your session has ended', action: 'Log in again to go on.', retry: false },
	'ended-by-admin': { title: 'The call was ended by an administrator', action: 'Ask your administrator if this was not expected.', retry: false },
	'peer-logged-out': { title: '% was logged out', action: 'Their session ended, and the call with it.', retry: false },
	'call-lost': { title: 'The call was lost', action: 'The other side is no longer connected.', retry: true },
	'unexpected': { title: 'The call could not be made', action: 'Try again. If it stays like this, tell your administrator.', retry: true },
};

const BY_STATUS: Record<number, FailureCode> = {
	401: 'session-ended', 403: 'no-permission', 404: 'unknown-user', 408: 'no-answer', 410: 'gone', 429: 'slow-down', 480: 'not-registered',
	486: 'busy', 487: 'cancelled', 488: 'no-common-media', 600: 'busy', 603: 'declined', 604: 'unknown-user', 606: 'no-common-media',
};

/** The code for the final SIP answer to an INVITE; `rang` says whether a 180 came before it. */
export function codeOfStatus(status: number, rang: boolean): FailureCode {
	// 480 after ringing is how a device says that nobody picked up (RFC 3261 §21.4.18); before it nobody is there.
	if (status === 480 && rang) return 'no-answer';
	const known = BY_STATUS[status];
	if (known) return known;
	return status >= 500 && status < 600 ? 'server' : 'unexpected';
}

/** Likewise, with the text of its Reason (RFC 3326), which says more where there is one. */
export function codeOfAnswer(status: number, rang: boolean, reason: string): FailureCode {
	if (status === 480 && /do not disturb/i.test(reason)) return 'do-not-disturb';
	if (status === 403 && /too many calls/i.test(reason)) return 'call-limit';
	return codeOfStatus(status, rang);
}

/** The code for a call that the server ended with a Reason (RFC 3326); null means that it simply ended. */
export function codeOfReason(cause: number, text: string): FailureCode | null {
	if (/administrator/i.test(text)) return 'ended-by-admin';
	// Whose session it was does not matter here: someone whose own has ended is at the log-in view by now.
	if (/session ended/i.test(text)) return 'peer-logged-out';
	if (/lost|timeout|timed out/i.test(text) || [403, 408, 410, 503].includes(cause)) return 'call-lost';
	return null;
}

/** The code for what getUserMedia threw (Media Capture and Streams §10.2). */
export function codeOfMediaError(name: string, secure: boolean): FailureCode {
	if (!secure) return 'insecure-context';
	switch (name) {
		case 'NotAllowedError':
		case 'SecurityError':
			return 'media-denied';
		case 'NotFoundError':
		case 'OverconstrainedError':
			return 'media-missing';
		case 'NotReadableError':
		case 'AbortError':
			return 'media-in-use';
		default:
			return 'media-failed';
	}
}

/** `video` narrows the words for local media to what the call asked for. */
export function failure(code: FailureCode, peerName: string, sip: number | null = null, video = false): Failure {
	const e = TABLE[code];
	return {
		code,
		sip,
		title: e.title.replace('%', peerName).replace('microphone or camera', video ? 'microphone or camera' : 'microphone'),
		action: e.action,
		retry: e.retry,
		audioOnly: video && e.audioOnly === true,
	};
}

export const FAILURE_CODES = Object.keys(TABLE) as FailureCode[];
