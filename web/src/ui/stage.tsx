/** The call: large picture of the other side, own picture, state, controls, chat beside it. */
import { useEffect, useRef } from 'preact/hooks';
import type { Client } from '../client.ts';
import { isEstablished, type CallState } from '../call/machine.ts';
import type { Quality } from '../call/stats.ts';
import { duration } from '../format.ts';
import { settings } from '../settings.ts';
import { Chat } from './chat.tsx';
import { Controls } from './controls.tsx';
import { focusLost } from './focus.ts';
import { Icon } from './icons.tsx';
import { Avatar, IconButton, useSeconds } from './parts.tsx';

export function Stage({ client }: { client: Client }) {
	const { calls } = client;
	const state = calls.state.value;
	const ref = useRef<HTMLElement>(null);
	const established = isEstablished(state.phase);
	useEffect(() => ref.current?.focus(), []);
	useEffect(() => {
		if (!client.panel.value && focusLost()) (ref.current?.querySelector<HTMLElement>('[data-testid="chat-toggle"]') ?? ref.current)?.focus();
	}, [client.panel.value]);
	const peer = state.peer;
	if (!peer) return null;
	const panel = established && client.panel.value;
	return (
		<section
			class="stage"
			ref={ref}
			tabIndex={-1}
			aria-label={`Call with ${peer.name}`}
			data-testid="call"
			data-phase={state.phase}
			data-direction={state.direction}
			data-peer={peer.username}
			data-media={state.video ? 'video' : 'audio'}
			data-panel={panel}
		>
			<div class="screen" {...(established ? { 'data-testid': 'in-call' } : {})}>
				<Remote client={client} state={state} />
				<header class="screen-head">
					<div class="screen-who">
						<h1>{peer.name}</h1>
						<StateLine client={client} state={state} />
					</div>
					{(calls.held.value || calls.remoteHeld.value) && (
						<span class="chip" data-testid="hold-state" data-by={calls.held.value ? 'me' : 'peer'} role="status">
							<Icon name="pause" size={15} /> {calls.held.value ? 'On hold' : 'You are on hold'}
						</span>
					)}
					{calls.transferring.value && (
						<span class="chip" data-testid="transferring" role="status">
							<Icon name="transfer" size={15} /> Transferring…
						</span>
					)}
					{calls.remoteMuted.value && (
						<span class="chip" data-testid="remote-muted">
							<Icon name="micOff" size={15} /> Muted
						</span>
					)}
					{calls.quality.value && <QualityChip quality={calls.quality.value} />}
					<IconButton icon="expand" kind="control" label="Full screen" testid="fullscreen" size={19} onClick={() => toggleFullscreen(ref.current)} />
				</header>
				<Parked client={client} />
				<SelfView client={client} />
				<Controls client={client} />
			</div>
			{panel && (
				<aside class="side" aria-label="Chat" data-testid="chat-panel" data-channel={calls.chatOpen.value ? 'open' : 'closed'}>
					<header class="side-head">
						<h2>Chat</h2>
						<IconButton icon="close" label="Close the chat" testid="chat-close" onClick={() => (client.panel.value = false)} />
					</header>
					<Chat client={client} peer={peer.username} />
				</aside>
			)}
		</section>
	);
}

/** The call behind this one. */
function Parked({ client }: { client: Client }) {
	const { phone } = client;
	const peer = phone.parked.value?.state.value.peer;
	if (!peer) return null;
	const to = client.calls.state.value.peer;
	return (
		<div class="parked" data-testid="parked" data-peer={peer.username}>
			<Avatar username={peer.username} name={peer.name} size="s" />
			<span>{peer.name} is on hold</span>
			<button type="button" class="button is-small" data-testid="swap" onClick={() => void phone.swap()}>
				<Icon name="swap" size={16} /> Switch
			</button>
			{phone.canJoin.value && to && (
				<button type="button" class="button is-small" data-testid="join" title={`${peer.name} and ${to.name} go on without you`} onClick={() => void phone.join()}>
					<Icon name="transfer" size={16} /> Connect them
				</button>
			)}
		</div>
	);
}

function toggleFullscreen(element: HTMLElement | null): void {
	if (document.fullscreenElement) void document.exitFullscreen();
	else void element?.requestFullscreen?.().catch(() => {});
}

const WORDS: Partial<Record<CallState['phase'], string>> = {
	preparing: 'Starting…',
	calling: 'Calling…',
	ringing: 'Ringing…',
	answering: 'Answering…',
	connecting: 'Connecting…',
	interrupted: 'Connection interrupted, trying to recover…',
};

/** In words for everyone; the running time is outside the live region, or it would be read out each second. */
function StateLine({ client, state }: { client: Client; state: CallState }) {
	return (
		<span class="screen-state">
			<span role="status" aria-live="polite" data-testid="call-state">
				{WORDS[state.phase] ?? <span class="hidden">Connected</span>}
			</span>
			{state.phase === 'active' && state.connectedAt !== null && <Timer since={state.connectedAt} />}
			{state.phase === 'active' && client.line.value !== 'online' && <span> · server connection lost, the call goes on</span>}
		</span>
	);
}

function Timer({ since }: { since: number }) {
	const now = useSeconds();
	return (
		<span class="timer" role="timer" aria-live="off" data-testid="call-timer">
			{duration((now - since) / 1000)}
		</span>
	);
}

const LEVEL_WORDS = { good: 'Good connection', fair: 'Fair connection', poor: 'Poor connection' } as const;

function QualityChip({ quality }: { quality: Quality }) {
	const detail = [quality.rtt === null ? '' : `${quality.rtt} ms`, `${(quality.loss * 100).toFixed(quality.loss > 0.001 ? 1 : 0)} % lost`, quality.path ? `by ${quality.path}` : ''].filter(Boolean).join(' · ');
	return (
		<span class="chip" data-testid="quality" data-level={quality.level} title={detail}>
			<span class="bars" data-level={quality.level} aria-hidden="true">
				<i />
				<i />
				<i />
			</span>
			<span class="only-wide">{LEVEL_WORDS[quality.level]}</span>
			<span class="hidden">{detail}</span>
		</span>
	);
}

/** Sound goes through its own element, so that the speaker can be chosen and no picture is needed to hear. */
function Remote({ client, state }: { client: Client; state: CallState }) {
	const { calls } = client;
	const stream = calls.remoteStream.value;
	const video = useRef<HTMLVideoElement>(null);
	const audio = useRef<HTMLAudioElement>(null);
	const output = settings.value.audioOutput;
	useEffect(() => {
		if (video.current) video.current.srcObject = stream;
		if (audio.current) audio.current.srcObject = stream;
	}, [stream]);
	useEffect(() => {
		void audio.current?.setSinkId?.(output).catch(() => {}); // unplugged meanwhile: the default speaker plays
	}, [output, stream]);
	const hasPicture = state.video && calls.remoteCamera.value && (stream?.getVideoTracks().length ?? 0) > 0 && state.connectedAt !== null;
	const peer = state.peer;
	const ringing = state.phase === 'calling' || state.phase === 'ringing' || state.phase === 'preparing';
	const level = calls.quality.value?.audioLevel ?? 0;
	return (
		<div class="remote">
			<audio ref={audio} autoplay data-testid="remote-audio" />
			<video ref={video} class="remote-video" autoplay playsInline muted hidden={!hasPicture} data-testid="remote-video" aria-label={`Picture of ${peer?.name ?? ''}`} />
			{!hasPicture && peer && (
				<span class={`remote-avatar ${ringing ? 'pulse' : ''}`} data-testid="remote-avatar" data-loud={level > 0.02}>
					<Avatar username={peer.username} name={peer.name} size="xl" />
				</span>
			)}
		</div>
	);
}

function SelfView({ client }: { client: Client }) {
	const { calls } = client;
	const stream = calls.localStream.value;
	const camera = calls.camera.value;
	const ref = useRef<HTMLVideoElement>(null);
	useEffect(() => {
		if (ref.current) ref.current.srcObject = stream;
	}, [stream, camera]);
	if (!calls.state.value.video) return null;
	return (
		<div class="self-view" data-camera={camera}>
			{camera ? (
				<video ref={ref} autoplay playsInline muted data-testid="self-video" aria-label="Your own picture" />
			) : (
				<span class="self-off">
					<Icon name="videoOff" size={20} /> Camera off
				</span>
			)}
		</div>
	);
}
