/** Who I am, whom I know, who called. */
import { logOut } from '../app.ts';
import type { CallRecord, User } from '../api.ts';
import type { Client, Tab } from '../client.ts';
import { clockTime, dayOf } from '../format.ts';
import { change, dark } from '../settings.ts';
import { isMissed, outcomeWords } from '../store/history.ts';
import { toast } from '../store/toasts.ts';
import type { Ref } from 'preact';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Icon, Mark } from './icons.tsx';
import { Avatar, IconButton, STATUS_WORDS } from './parts.tsx';

const LINE_WORDS = { online: 'Online', busy: 'In a call', dnd: 'Do not disturb', connecting: 'Connecting…', offline: 'Offline' } as const;

/** `place` takes the focus when nothing else has it. */
export function Sidebar({ client, place, onSettings }: { client: Client; place: Ref<HTMLElement>; onSettings: () => void }) {
	const tab = client.tab.value;
	return (
		<aside class="sidebar" ref={place} tabIndex={-1} aria-label="Contacts and calls">
			<header class="brandbar">
				<span class="brand">
					<Mark size={28} />
					Duplex
				</span>
				<IconButton icon={dark() ? 'sun' : 'moon'} label={dark() ? 'Switch to light' : 'Switch to dark'} testid="theme" onClick={() => change({ theme: dark() ? 'light' : 'dark' })} />
				<IconButton icon="gear" label="Open settings" testid="settings" onClick={onSettings} />
				<IconButton icon="logout" label="Log out" testid="logout" onClick={() => void logOut()} />
			</header>
			<Search client={client} />
			<Tabs client={client} />
			{tab === 'contacts' ? <Contacts client={client} /> : <History client={client} />}
			<SelfCard client={client} />
		</aside>
	);
}

function SelfCard({ client }: { client: Client }) {
	const status = client.status.value;
	return (
		<footer class="self">
			<Avatar username={client.me.username} name={client.me.display_name} />
			<span class="self-words">
				<strong>{client.me.display_name}</strong>
				<span class="presence" data-testid="self-status" data-status={status} role="status">
					<span class="dot" data-status={status === 'connecting' ? 'unknown' : status} />
					{LINE_WORDS[status]}
				</span>
			</span>
			<span class="self-name">@{client.me.username}</span>
			<IconButton
				icon={client.dnd.value ? 'bellOff' : 'bell'}
				label={client.dnd.value ? 'Take calls again' : 'Do not disturb: take no calls'}
				testid="dnd"
				pressed={client.dnd.value}
				onClick={() => void client.setDnd(!client.dnd.value)}
				size={20}
			/>
		</footer>
	);
}

function Search({ client }: { client: Client }) {
	const { people } = client;
	return (
		<div class="search">
			<Icon name="search" size={19} />
			<input
				type="search"
				data-testid="search"
				aria-label="Search people"
				placeholder="Search people"
				value={people.query.value}
				maxLength={64}
				autocomplete="off"
				spellcheck={false}
				onInput={(e) => {
					client.tab.value = 'contacts';
					people.search(e.currentTarget.value);
				}}
			/>
		</div>
	);
}

function Tabs({ client }: { client: Client }) {
	const missed = client.history.missed.value;
	const tab = (id: Tab, words: string) => (
		<button type="button" class="tab" aria-pressed={client.tab.value === id} data-testid={`tab-${id}`} onClick={() => (client.tab.value = id)}>
			<Icon name={id === 'contacts' ? 'people' : 'clock'} size={19} />
			{words}
			{id === 'calls' && missed > 0 && (
				<span class="badge" data-testid="missed-badge" data-count={missed}>
					{missed}
					<span class="hidden"> missed</span>
				</span>
			)}
		</button>
	);
	return (
		<div class="tabs" role="group" aria-label="Show">
			{tab('contacts', 'Contacts')}
			{tab('calls', 'Calls')}
		</div>
	);
}

function Contacts({ client }: { client: Client }) {
	const { people } = client;
	const searching = people.query.value.trim() !== '';
	const others = people.results.value.filter((u) => !people.isContact(u.username));
	const list = people.sorted.value;
	return (
		<div class="list">
			{list.length > 0 && (
				<ul aria-label="Contacts">
					{list.map((c) => (
						<ContactRow key={c.username} client={client} user={c} />
					))}
				</ul>
			)}
			{!searching && list.length === 0 && people.loaded.value && (
				<p class="empty">
					<strong>No contacts yet</strong>
					Search for someone by name, then add them.
				</p>
			)}
			{searching && (
				<>
					{others.length > 0 && <h2 class="list-title">Directory</h2>}
					<ul aria-label="Directory">
						{others.map((u) => (
							<ResultRow key={u.username} client={client} user={u} />
						))}
					</ul>
					<p class="empty" role="status">
						{people.searchError.value ?? (people.searching.value ? 'Searching…' : list.length + others.length === 0 ? 'Nobody of this name.' : '')}
					</p>
				</>
			)}
		</div>
	);
}

function ContactRow({ client, user }: { client: Client; user: User }) {
	const { username, display_name: name } = user;
	const status = client.people.statusOf(username);
	const unread = client.chats.unread.value.get(username) ?? 0;
	const busy = !client.canCall(username);
	return (
		<li class="row" data-testid={`contact-${username}`} data-status={status} data-selected={client.selected.value === username}>
			<button type="button" class="row-open" data-testid={`open-${username}`} onClick={() => client.open(username)}>
				<Avatar username={username} name={name} status={status} />
				<span class="row-words">
					<span class="row-name">{name}</span>
					<span class="presence" data-testid={`presence-${username}`} data-status={status}>
						{STATUS_WORDS[status]}
					</span>
				</span>
				{unread > 0 && (
					<span class="badge" data-testid={`unread-${username}`} data-count={unread}>
						{unread}
						<span class="hidden"> unread</span>
					</span>
				)}
			</button>
			<span class="row-actions">
				<IconButton icon="phone" kind="call" label={`Call ${name}`} testid={`call-audio-${username}`} disabled={busy} onClick={() => client.call(username, false)} size={20} />
				<IconButton icon="video" kind="call" label={`Video call ${name}`} testid={`call-video-${username}`} disabled={busy} onClick={() => client.call(username, true)} size={20} />
			</span>
		</li>
	);
}

function ResultRow({ client, user }: { client: Client; user: User }) {
	const { username, display_name: name } = user;
	async function add(): Promise<void> {
		try {
			await client.people.add(username);
			toast('contact-added', `${name} is now a contact`);
		} catch (e) {
			toast('contact-failed', e instanceof Error ? e.message : 'The contact could not be added.');
		}
	}
	return (
		<li class="row" data-testid={`result-${username}`}>
			<span class="row-open">
				<Avatar username={username} name={name} />
				<span class="row-words">
					<span class="row-name">{name}</span>
					<span class="row-sub">@{username}</span>
				</span>
			</span>
			<span class="row-actions">
				<button type="button" class="button is-small" data-testid={`add-${username}`} onClick={() => void add()}>
					<Icon name="plus" size={17} /> Add<span class="hidden"> {name}</span>
				</button>
			</span>
		</li>
	);
}

function History({ client }: { client: Client }) {
	const { history } = client;
	const calls = history.calls.value;
	// Looking at the list is seeing it; at first a little later, so that the badge does not vanish under the finger.
	const looked = useSignal(false);
	useEffect(() => {
		const timer = setTimeout(() => (looked.value = true), 700);
		return () => clearTimeout(timer);
	}, []);
	useEffect(() => {
		if (looked.value && !document.hidden) history.markSeen();
	}, [calls, looked.value]);
	const days = new Map<string, CallRecord[]>();
	for (const c of calls) {
		const day = dayOf(Date.parse(c.started_at));
		days.set(day, [...(days.get(day) ?? []), c]);
	}
	return (
		<div class="list" data-testid="history">
			{[...days].map(([day, list]) => (
				<section key={day}>
					<h2 class="list-title">{day}</h2>
					<ul>
						{list.map((c) => (
							<HistoryRow key={c.id} client={client} call={c} />
						))}
					</ul>
				</section>
			))}
			{history.loaded.value && calls.length === 0 && (
				<p class="empty">
					<strong>No calls yet</strong>
					They will be listed here, missed ones too.
				</p>
			)}
			{history.more.value && (
				<button type="button" class="button is-wide" data-testid="history-more" onClick={() => void history.loadMore()}>
					Show older calls
				</button>
			)}
		</div>
	);
}

function HistoryRow({ client, call }: { client: Client; call: CallRecord }) {
	const missed = isMissed(call);
	const { username, display_name } = call.peer;
	const name = client.people.nameOf(username, display_name);
	const busy = !client.canCall(username);
	const video = call.media === 'video';
	return (
		<li class="row" data-testid="history-item" data-peer={username} data-direction={call.direction} data-missed={missed}>
			<button type="button" class="row-open" onClick={() => client.open(username)}>
				<Avatar username={username} name={name} />
				<span class="row-words">
					<span class="row-name">{name}</span>
					<span class={missed ? 'row-sub is-missed' : 'row-sub'}>
						<Icon name={missed ? 'missed' : call.direction === 'incoming' ? 'incoming' : 'outgoing'} size={15} />
						<span class="hidden">{call.direction === 'incoming' ? 'Incoming' : 'Outgoing'}</span>
						{outcomeWords(call)} · {clockTime(Date.parse(call.started_at))}
						{call.referred_by && ` · transferred by ${client.people.nameOf(call.referred_by)}`}
					</span>
				</span>
			</button>
			<span class="row-actions">
				<IconButton icon={video ? 'video' : 'phone'} kind="call" label={`${video ? 'Video call' : 'Call'} ${name} back`} testid={`again-${call.id}`} disabled={busy} onClick={() => client.call(username, video)} size={20} />
			</span>
		</li>
	);
}
