/** Getting the attention of someone who looks elsewhere: title, system notifications, a short tone for a message. */
import { effect } from '@preact/signals';
import type { Client } from './client.ts';
import { playTone } from './tones.ts';

const BLINK_MS = 900;
const NAME = 'Duplex';

export function notificationsPossible(): boolean {
	return 'Notification' in window && Notification.permission === 'default';
}

export class Attention {
	private blink: ReturnType<typeof setInterval> | undefined;
	private ringing: Notification | null = null;

	constructor(private readonly client: Client) {}

	/** The returned function undoes it. */
	start(): () => void {
		const stop = effect(() => this.title());
		return () => {
			stop();
			clearInterval(this.blink);
			this.ringing?.close();
			document.title = NAME;
		};
	}

	message(peer: string, text: string): void {
		const here = !document.hidden && (this.client.selected.value === peer || this.client.panel.value);
		if (here) return;
		playTone('message');
		this.notify(this.client.people.nameOf(peer), text.slice(0, 120), `message-${peer}`, () => this.client.open(peer));
	}

	private title(): void {
		const { phase, peer, video } = this.client.calls.state.value;
		let unread = this.client.history.missed.value;
		for (const n of this.client.chats.unread.value.values()) unread += n;
		const quiet = unread > 0 ? `(${unread}) ${NAME}` : NAME;
		clearInterval(this.blink);
		if (phase !== 'incoming' || !peer) {
			document.title = phase === 'idle' ? quiet : `${peer?.name ?? ''} · ${NAME}`;
			this.ringing?.close();
			this.ringing = null;
			return;
		}
		const loud = `${peer.name} is calling`;
		document.title = loud;
		this.blink = setInterval(() => {
			document.title = document.title === loud ? '☎ ☎ ☎' : loud;
		}, BLINK_MS);
		this.ringing ??= this.notify(loud, video ? 'Video call' : 'Audio call', 'ringing', () => {}, true);
	}

	private notify(title: string, body: string, tag: string, click: () => void, stay = false): Notification | null {
		if (!document.hidden || !('Notification' in window) || Notification.permission !== 'granted') return null;
		try {
			const n = new Notification(title, { body, tag, icon: '/favicon.svg', requireInteraction: stay });
			n.onclick = () => {
				window.focus();
				n.close();
				click();
			};
			return n;
		} catch {
			return null; // browsers that only allow them from a service worker
		}
	}
}
