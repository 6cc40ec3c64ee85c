/** The frame after the log-in: sidebar, and beside it the call, the open conversation or the welcome. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { Client } from '../client.ts';
import { Conversation } from './conversation.tsx';
import { FailureCard } from './failure.tsx';
import { useFocusReturn } from './focus.ts';
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
	const sidebar = useRef<HTMLElement>(null);
	const pane = useRef<HTMLElement>(null);
	// A conversation that is opened from a row is where the eye and the keyboard go next. On a phone that would open the keyboard over it.
	const input = (): HTMLElement | null => (matchMedia('(min-width: 761px)').matches ? document.getElementById('chat-input') : null);
	useEffect(() => {
		if (selected) input()?.focus();
	}, [selected]);
	// Who accepts a call wants to see it; during the call the settings can be opened again. Not in an effect: the stage takes the focus after that.
	const onStage = useRef(false);
	if (stage && !onStage.current) settingsOpen.value = false;
	onStage.current = stage;
	useFocusReturn(phase !== 'idle' || client.calls.failure.value !== null, () => (selected ? (input() ?? pane.current) : sidebar.current));

	return (
		<div class="home" data-testid="home" data-user={client.me.username} data-pane={stage ? 'call' : selected ? 'conversation' : 'list'}>
			<Sidebar client={client} place={sidebar} onSettings={() => (settingsOpen.value = true)} />
			<main class="pane" ref={pane} tabIndex={-1} aria-label={stage ? 'Call' : selected ? 'Conversation' : 'Welcome'}>
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
