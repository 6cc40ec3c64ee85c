/** What the page shows when nothing is going on. */
import { useSignal } from '@preact/signals';
import { notificationsPossible } from '../attention.ts';
import type { Client } from '../client.ts';
import { Icon } from './icons.tsx';
import { Waves } from './login.tsx';

function greeting(): string {
	const hour = new Date().getHours();
	return hour < 5 ? 'Good night' : hour < 12 ? 'Good morning' : hour < 18 ? 'Good afternoon' : 'Good evening';
}

export function Welcome({ client }: { client: Client }) {
	const online = client.people.contacts.value.filter((c) => client.people.statusOf(c.username) === 'online').length;
	const ask = useSignal(notificationsPossible());
	const first = client.me.display_name.split(/\s+/)[0] || client.me.username;
	return (
		<section class="welcome">
			<div class="welcome-art" aria-hidden="true">
				<Waves />
			</div>
			<div class="welcome-words">
				<h1>
					{greeting()}, {first}
				</h1>
				<p>{online === 0 ? 'Pick a contact to write, or to leave a message for later.' : online === 1 ? 'One of your contacts is online.' : `${online} of your contacts are online.`}</p>
				{ask.value && (
					<button
						type="button"
						class="button"
						data-testid="notifications"
						onClick={() => void Notification.requestPermission().then(() => (ask.value = notificationsPossible()))}
					>
						<Icon name="bell" size={18} /> Notify me of calls when this tab is hidden
					</button>
				)}
				<dl class="keys" aria-label="Keys during a call">
					<div>
						<dt>
							<kbd>M</kbd>
						</dt>
						<dd>mute</dd>
					</div>
					<div>
						<dt>
							<kbd>V</kbd>
						</dt>
						<dd>camera</dd>
					</div>
					<div>
						<dt>
							<kbd>Ctrl</kbd> <kbd>Shift</kbd> <kbd>L</kbd>
						</dt>
						<dd>hang up</dd>
					</div>
				</dl>
			</div>
		</section>
	);
}
