/** Someone is calling. */
import { useEffect, useRef } from 'preact/hooks';
import type { Client } from '../client.ts';
import { Avatar } from './parts.tsx';
import { Icon } from './icons.tsx';

export function Incoming({ client }: { client: Client }) {
	const { phase, peer, video } = client.calls.state.value;
	const ref = useRef<HTMLDivElement>(null);
	const shown = phase === 'incoming' && peer !== null;
	useEffect(() => {
		// The card takes the focus, not one of its buttons: someone in the middle of a sentence must not accept a call with the next space.
		const typing = document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLTextAreaElement;
		if (shown && !typing) ref.current?.focus();
	}, [shown]);
	if (!shown) return null;
	return (
		<div class="veil">
			<div class="ring-card" ref={ref} tabIndex={-1} role="alertdialog" aria-labelledby="incoming-name" aria-describedby="incoming-kind" data-testid="incoming" data-peer={peer.username} data-media={video ? 'video' : 'audio'}>
				<span class="pulse">
					<Avatar username={peer.username} name={peer.name} size="xl" />
				</span>
				<h2 id="incoming-name">{peer.name}</h2>
				<p id="incoming-kind">{video ? 'Incoming video call' : 'Incoming call'}</p>
				{/* A display name is chosen by its owner; the user name is not. */}
				{!client.people.isContact(peer.username) && <p class="ring-stranger">@{peer.username}, not in your contacts</p>}
				<div class="ring-buttons">
					<RoundChoice kind="danger" icon="hangup" words="Decline" testid="decline" onClick={() => client.calls.decline()} />
					<RoundChoice kind={video ? 'plain' : 'accept'} icon="phone" words={video ? 'Audio only' : 'Accept'} testid="accept-audio" onClick={() => void client.calls.answer(false)} />
					{video && <RoundChoice kind="accept" icon="video" words="Accept" testid="accept-video" onClick={() => void client.calls.answer(true)} />}
				</div>
			</div>
		</div>
	);
}

function RoundChoice(p: { kind: 'danger' | 'accept' | 'plain'; icon: 'hangup' | 'phone' | 'video'; words: string; testid: string; onClick: () => void }) {
	return (
		<button type="button" class={`round is-${p.kind}`} data-testid={p.testid} onClick={p.onClick}>
			<span class="round-disc">
				<Icon name={p.icon} size={28} />
			</span>
			{p.words}
		</button>
	);
}
