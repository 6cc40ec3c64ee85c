/** Messages with one person, and the line to write the next: in the conversation view, and beside the picture during a call. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { Client } from '../client.ts';
import { CHAT_TEXT_MAX } from '../call/chat.ts';
import { clockTime, dayOf } from '../format.ts';
import type { ChatItem } from '../store/conversations.ts';
import { IconButton } from './parts.tsx';

const STATE_WORDS: Record<ChatItem['state'], string> = {
	sending: 'Sending…',
	sent: 'Sent',
	stored: 'Sent, waiting until they are online',
	delivered: 'Delivered',
	read: 'Read',
	failed: 'Not sent',
	received: '',
};

/** Same side, same few minutes: one group. */
const GROUP_MS = 5 * 60_000;

export function Chat({ client, peer }: { client: Client; peer: string }) {
	const items = client.chats.items.value.get(peer) ?? [];
	const name = client.people.nameOf(peer);
	const log = useRef<HTMLDivElement>(null);
	useEffect(() => {
		if (log.current) log.current.scrollTop = log.current.scrollHeight;
	}, [items, peer]);
	// A phone that is turned, or opens its keyboard: who was at the newest message stays there.
	useEffect(() => {
		const e = log.current;
		if (!e) return;
		let atEnd = true;
		const look = (): void => {
			atEnd = e.scrollHeight - e.scrollTop - e.clientHeight < 24;
		};
		const resized = new ResizeObserver(() => {
			if (atEnd) e.scrollTop = e.scrollHeight;
		});
		e.addEventListener('scroll', look);
		resized.observe(e);
		return () => {
			e.removeEventListener('scroll', look);
			resized.disconnect();
		};
	}, []);
	return (
		<div class="chat">
			<div class="chat-log" ref={log} data-testid="chat-log" role="log" aria-label={`Messages with ${name}`} aria-live="polite" tabIndex={0}>
				{items.length === 0 && (
					<p class="chat-empty">
						No messages yet.
						<br />
						They are kept in this browser only.
					</p>
				)}
				{items.map((item, i) => (
					<Message key={`${item.from}${item.id}`} client={client} peer={peer} item={item} before={items[i - 1]} last={i === items.length - 1} />
				))}
			</div>
			<Composer client={client} peer={peer} name={name} />
		</div>
	);
}

function Message({ client, peer, item, before, last }: { client: Client; peer: string; item: ChatItem; before: ChatItem | undefined; last: boolean }) {
	const newDay = !before || dayOf(before.at) !== dayOf(item.at);
	const grouped = !newDay && before.from === item.from && item.at - before.at < GROUP_MS;
	const mine = item.from === 'me';
	const words = STATE_WORDS[item.state];
	const showState = mine && (last || item.state === 'sending' || item.state === 'stored' || item.state === 'failed');
	return (
		<>
			{newDay && <p class="chat-day">{dayOf(item.at)}</p>}
			<div class={`message ${mine ? 'is-mine' : 'is-theirs'} ${grouped ? 'is-grouped' : ''}`} data-testid="chat-message" data-from={item.from} data-state={item.state} data-via={item.via}>
				<p class="bubble">
					<span class="hidden">{mine ? 'You: ' : ''}</span>
					{item.text}
				</p>
				<p class="message-meta">
					{!grouped && <time dateTime={new Date(item.at).toISOString()}>{clockTime(item.at)}</time>}
					{showState && words && <span class={item.state === 'failed' ? 'is-failed' : ''}>{words}</span>}
					{item.state === 'failed' && (
						<button type="button" class="link" onClick={() => void client.resend(peer, item.id)}>
							Send again
						</button>
					)}
				</p>
			</div>
		</>
	);
}

function Composer({ client, peer, name }: { client: Client; peer: string; name: string }) {
	const text = useSignal('');
	const input = useRef<HTMLTextAreaElement>(null);
	const blank = text.value.trim() === '';

	function send(): void {
		const body = text.value.trim();
		if (body === '') return;
		text.value = '';
		void client.send(peer, body);
		input.current?.focus();
	}

	return (
		<form
			class="composer"
			onSubmit={(e) => {
				e.preventDefault();
				send();
			}}
		>
			<textarea
				ref={input}
				id="chat-input"
				data-testid="chat-input"
				rows={1}
				aria-label={`Message to ${name}`}
				placeholder={`Message ${name}`}
				value={text.value}
				maxLength={CHAT_TEXT_MAX}
				enterkeyhint="send"
				onInput={(e) => (text.value = e.currentTarget.value)}
				onKeyDown={(e) => {
					if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) {
						e.preventDefault();
						send();
					}
				}}
			/>
			<IconButton icon="send" kind="accept" label="Send the message" testid="chat-send" disabled={blank} onClick={send} size={20} />
		</form>
	);
}
