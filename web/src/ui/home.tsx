/** The frame after the log-in: sidebar, and beside it the call, the open conversation or the welcome. */
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { Client } from '../client.ts';
import { Conversation } from './conversation.tsx';
import { FailureCard } from './failure.tsx';
import { Incoming } from './incoming.tsx';
import { SettingsDialog } from './settings.tsx';
import { useShortcuts } from './shortcuts.ts';
import { Sidebar } from './sidebar.tsx';
import { Stage } from './stage.tsx';
import { Toasts } from './toasts.tsx';
import { Welcome } from './welcome.tsx';

export function Home({ client }: { client: Client }) {
	const settingsOpen = useSignal(false);
	const { phase } = client.calls.state.value;
	const stage = phase !== 'idle' && phase !== 'incoming';
	const selected = client.selected.value;
	useShortcuts(client);
	// A conversation that is opened from a row is where the eye and the keyboard go next.
	useEffect(() => {
		if (selected && matchMedia('(min-width: 761px)').matches) document.getElementById('chat-input')?.focus();
	}, [selected]);

	return (
		<div class="home" data-testid="home" data-user={client.me.username} data-pane={stage ? 'call' : selected ? 'conversation' : 'list'}>
			<Sidebar client={client} onSettings={() => (settingsOpen.value = true)} />
			<main class="pane" aria-label={stage ? 'Call' : selected ? 'Conversation' : 'Welcome'}>
				<LineBanner client={client} />
				{stage ? <Stage client={client} /> : selected ? <Conversation key={selected} client={client} peer={selected} /> : <Welcome client={client} />}
				<FailureCard client={client} />
			</main>
			<Incoming client={client} />
			{settingsOpen.value && <SettingsDialog client={client} onClose={() => (settingsOpen.value = false)} />}
			<Toasts />
		</div>
	);
}

/** Only after a moment: connecting right after the log-in is no news. */
function LineBanner({ client }: { client: Client }) {
	const line = client.line.value;
	const late = useSignal(false);
	useEffect(() => {
		late.value = false;
		if (line === 'online') return;
		const timer = setTimeout(() => (late.value = true), 1500);
		return () => clearTimeout(timer);
	}, [line]);
	if (line === 'online' || !late.value) return null;
	return (
		<div class="banner" role="status" data-testid="line-banner" data-state={line}>
			<span>No connection to the server. Reconnecting…</span>
			<button type="button" class="link" onClick={() => client.hurry()}>
				Try now
			</button>
		</div>
	);
}
