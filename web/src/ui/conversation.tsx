/** One person: their state, the ways to reach them, the messages. */
import type { Client } from '../client.ts';
import { toast } from '../store/toasts.ts';
import { Chat } from './chat.tsx';
import { Avatar, IconButton, STATUS_WORDS } from './parts.tsx';

export function Conversation({ client, peer }: { client: Client; peer: string }) {
	const { people } = client;
	const name = people.nameOf(peer);
	const contact = people.isContact(peer);
	const status = people.statusOf(peer);
	const busy = !client.canCall(peer);

	async function toggleContact(): Promise<void> {
		try {
			if (contact) {
				await people.remove(peer);
				client.open(null);
				toast('contact-removed', `${name} is no longer a contact`);
			} else {
				await people.add(peer);
			}
		} catch (e) {
			toast('contact-failed', e instanceof Error ? e.message : 'That did not work.');
		}
	}

	return (
		<section class="conversation" data-testid="conversation" data-peer={peer}>
			<header class="pane-head">
				<span class="only-narrow">
					<IconButton icon="back" label="Back to the list" testid="conversation-back" onClick={() => client.open(null)} />
				</span>
				<Avatar username={peer} name={name} {...(contact ? { status } : {})} />
				<span class="row-words">
					<h1 class="pane-title">{name}</h1>
					<span class="presence">{contact ? STATUS_WORDS[status] : `@${peer}`}</span>
				</span>
				<span class="pane-actions">
					<IconButton icon="phone" kind="call" label={`Call ${name}`} testid="conversation-audio" disabled={busy} onClick={() => client.call(peer, false)} />
					<IconButton icon="video" kind="call" label={`Video call ${name}`} testid="conversation-video" disabled={busy} onClick={() => client.call(peer, true)} />
					<IconButton icon="trash" label="Delete this conversation from this browser" testid="conversation-delete" onClick={() => client.chats.forget(peer)} />
					<IconButton icon={contact ? 'userMinus' : 'plus'} label={contact ? `Remove ${name} from the contacts` : `Add ${name} to the contacts`} testid={contact ? 'remove-contact' : 'add-contact'} onClick={() => void toggleContact()} />
				</span>
			</header>
			<Chat client={client} peer={peer} />
		</section>
	);
}
