/** Someone is calling. */
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Client } from '../client.ts';
import type { Calls } from '../call/calls.ts';
import type { Peer } from '../call/machine.ts';
import { Avatar } from './parts.tsx';
import { Icon } from './icons.tsx';

export function Incoming({ client }: { client: Client }) {
	const line = client.phone.waiting.value ?? client.calls;
	const { phase, peer, video } = line.state.value;
	return phase === 'incoming' && peer !== null ? <Ringing key={peer.username} client={client} line={line} peer={peer} video={video} /> : null;
}

/** Modal: it lies above an open dialog too, nothing else takes keys or clicks meanwhile, and the focus goes back to where it was. */
function Ringing({ client, line, peer, video }: { client: Client; line: Calls; peer: Peer; video: boolean }) {
	const waiting = client.phone.waiting.value === line;
	const dialog = useRef<HTMLDialogElement>(null);
	const card = useRef<HTMLDivElement>(null);
	function open(): void {
		if (!dialog.current || dialog.current.open) return;
		dialog.current.showModal();
		// The card takes the focus, not one of its buttons: someone in the middle of a sentence must not accept a call with the next space.
		card.current?.focus();
	}
	useLayoutEffect(() => {
		open();
		return () => dialog.current?.close();
	}, []);
	return (
		<dialog
			class="veil"
			ref={dialog}
			role="alertdialog"
			aria-labelledby="incoming-name"
			aria-describedby="incoming-kind"
			onKeyDown={(e) => e.key === 'Escape' && e.preventDefault()}
			onCancel={(e) => e.preventDefault()}
			onClose={open} // browsers may close it against our will (HTML §6.13, close watchers); a call is declined by its button
		>
			<div class="ring-card" ref={card} tabIndex={-1} data-testid="incoming" data-peer={peer.username} data-media={video ? 'video' : 'audio'} data-waiting={waiting}>
				<span class="pulse">
					<Avatar username={peer.username} name={peer.name} size="xl" />
				</span>
				<h2 id="incoming-name">{peer.name}</h2>
				<p id="incoming-kind">{video ? 'Incoming video call' : 'Incoming call'}</p>
				{/* A display name is chosen by its owner; the user name is not. */}
				{!client.people.isContact(peer.username) && <p class="ring-stranger">@{peer.username}, not in your contacts</p>}
				{waiting && <p class="ring-stranger">You are in a call with {client.calls.state.value.peer?.name ?? 'someone'}.</p>}
				<div class="ring-buttons">
					<RoundChoice kind="danger" icon="hangup" words="Decline" testid="decline" onClick={() => line.decline()} />
					{waiting ? (
						<>
							<RoundChoice kind="plain" icon="phone" words="End and accept" testid="accept-end" onClick={() => void client.phone.takeWaiting(video && client.calls.camera.value, true)} />
							<RoundChoice kind="accept" icon="pause" words="Hold and accept" testid="accept-hold" onClick={() => void client.phone.takeWaiting(video && client.calls.camera.value, false)} />
						</>
					) : (
						<>
							<RoundChoice kind={video ? 'plain' : 'accept'} icon="phone" words={video ? 'Audio only' : 'Accept'} testid="accept-audio" onClick={() => void line.answer(false)} />
							{video && <RoundChoice kind="accept" icon="video" words="Accept" testid="accept-video" onClick={() => void line.answer(true)} />}
						</>
					)}
				</div>
			</div>
		</dialog>
	);
}

function RoundChoice(p: { kind: 'danger' | 'accept' | 'plain'; icon: 'hangup' | 'phone' | 'video' | 'pause'; words: string; testid: string; onClick: () => void }) {
	return (
		<button type="button" class={`round is-${p.kind}`} data-testid={p.testid} onClick={p.onClick}>
			<span class="round-disc">
				<Icon name={p.icon} size={28} />
			</span>
			{p.words}
		</button>
	);
}
