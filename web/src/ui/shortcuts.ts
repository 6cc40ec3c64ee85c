/** Keys during a call. Plain letters only where nobody types. */
import { useEffect } from 'preact/hooks';
import type { Client } from '../client.ts';
import { isEstablished } from '../call/machine.ts';

function typing(target: EventTarget | null): boolean {
	return target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));
}

export function useShortcuts(client: Client): void {
	useEffect(() => {
		const onKey = (e: KeyboardEvent): void => {
			const { calls } = client;
			const { phase } = calls.state.value;
			if (e.defaultPrevented || e.repeat) return;
			if (e.ctrlKey && e.shiftKey && !e.altKey && e.key.toLowerCase() === 'l') {
				if (phase === 'idle') return;
				e.preventDefault();
				calls.hangUp();
				return;
			}
			if (e.key === 'Escape') {
				escape(client);
				return;
			}
			if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || !isEstablished(phase)) return;
			if (e.key === 'm') calls.toggleMute();
			else if (e.key === 'v' && calls.state.value.video) void calls.toggleCamera().catch(() => {});
		};
		addEventListener('keydown', onKey);
		return () => removeEventListener('keydown', onKey);
	}, [client]);
}

/** Escape closes what lies on top; it ends a call only while nobody has answered it. */
function escape(client: Client): void {
	const { calls, panel } = client;
	const { phase } = calls.state.value;
	if (document.querySelector('dialog[open]')) return; // the dialog closes itself
	if (calls.failure.value) calls.dismissFailure();
	else if (panel.value) panel.value = false;
	else if (phase === 'preparing' || phase === 'calling' || phase === 'ringing') calls.hangUp();
}
