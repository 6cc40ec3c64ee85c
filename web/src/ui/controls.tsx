/** The bar of the call: each control says what a press will do. */
import type { Ref } from 'preact';
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Client } from '../client.ts';
import { isEstablished } from '../call/machine.ts';
import { codeOfError } from '../call/calls.ts';
import { failure } from '../failures.ts';
import { toast } from '../store/toasts.ts';
import { DevicePicker } from './devices.tsx';
import { Avatar, IconButton } from './parts.tsx';

/** A device that cannot be opened in the middle of a call is news, not the end of the call. */
export function deviceTrouble(e: unknown): void {
	const f = failure(codeOfError(e), '', null, true);
	toast('device-failed', `${f.title}. ${f.action}`);
}

export function Controls({ client }: { client: Client }) {
	const { calls } = client;
	const state = calls.state.value;
	const established = isEstablished(state.phase);
	const devicesOpen = useSignal(false);
	const transferOpen = useSignal(false);
	const muted = calls.muted.value;
	const camera = calls.camera.value;
	const unread = client.chats.unread.value.get(state.peer?.username ?? '') ?? 0;
	const hasMicrophone = calls.localStream.value !== null;
	return (
		<div class="controls" role="toolbar" aria-label="Call controls">
			<IconButton icon={muted ? 'micOff' : 'mic'} kind="control" label={muted ? 'Unmute the microphone' : 'Mute the microphone'} testid="mute" pressed={muted} disabled={!hasMicrophone} onClick={() => calls.toggleMute()} />
			{state.video && (
				<IconButton
					icon={camera ? 'video' : 'videoOff'}
					kind="control"
					label={camera ? 'Switch the camera off' : 'Switch the camera on'}
					testid="camera"
					pressed={!camera}
					disabled={!established || calls.cameraPending.value}
					onClick={() => void calls.toggleCamera().catch(deviceTrouble)}
				/>
			)}
			<IconButton icon="sliders" kind="control" label={devicesOpen.value ? 'Close the device menu' : 'Choose microphone, camera and speaker'} testid="devices" expanded={devicesOpen.value} onClick={() => (devicesOpen.value = !devicesOpen.value)} />
			{devicesOpen.value && <DevicesMenu client={client} onClose={() => (devicesOpen.value = false)} />}
			{established && (
				<IconButton
					icon="chat"
					kind="control"
					label={client.panel.value ? 'Close the chat' : 'Open the chat'}
					testid="chat-toggle"
					expanded={client.panel.value}
					onClick={() => (client.panel.value = !client.panel.value)}
					badge={
						unread > 0 && (
							<span class="badge" data-testid="call-unread" data-count={unread}>
								{unread}
							</span>
						)
					}
				/>
			)}
			{established && (
				<IconButton
					icon={calls.held.value ? 'play' : 'pause'}
					kind="control"
					label={calls.held.value ? 'Go on with the call' : 'Put the call on hold'}
					testid="hold"
					pressed={calls.held.value}
					disabled={calls.holdPending.value}
					onClick={() => void calls.hold(!calls.held.value)}
				/>
			)}
			{established && (
				<IconButton
					icon="transfer"
					kind="control"
					label={transferOpen.value ? 'Close the list' : 'Transfer the call to someone else'}
					testid="transfer"
					expanded={transferOpen.value}
					disabled={calls.transferring.value}
					onClick={() => (transferOpen.value = !transferOpen.value)}
				/>
			)}
			{established && transferOpen.value && <TransferMenu client={client} onClose={() => (transferOpen.value = false)} />}
			<IconButton icon="hangup" kind="danger" label={established ? 'Hang up' : 'Cancel the call'} testid={established ? 'hangup' : 'cancel'} onClick={() => calls.hangUp()} size={26} />
		</div>
	);
}

/** What a menu of the bar needs: the keyboard goes into it, Escape and a press beside it close it. */
function useMenu(opener: string, onClose: () => void): Ref<HTMLDivElement> {
	const ref = useRef<HTMLDivElement>(null);
	useEffect(() => {
		const button = document.activeElement as HTMLElement | null; // which opened it
		ref.current?.querySelector<HTMLElement>('select, button')?.focus();
		const outside = (e: Event): void => {
			const target = e.target as Element;
			if (!ref.current?.contains(target) && !target.closest(`[data-testid="${opener}"]`)) onClose();
		};
		const key = (e: KeyboardEvent): void => {
			if (e.key !== 'Escape') return;
			e.preventDefault();
			button?.focus();
			onClose();
		};
		addEventListener('pointerdown', outside);
		addEventListener('keydown', key, true);
		return () => {
			removeEventListener('pointerdown', outside);
			removeEventListener('keydown', key, true);
		};
	}, []);
	return ref;
}

function DevicesMenu({ client, onClose }: { client: Client; onClose: () => void }) {
	const ref = useMenu('devices', onClose);
	return (
		<div class="menu" ref={ref} role="group" aria-label="Devices">
			<DevicePicker withVideo={client.calls.state.value.video} onChange={(kind) => void client.calls.switchDevice(kind).catch(deviceTrouble)} />
		</div>
	);
}

/** To whom: at once, or after a word with them. */
function TransferMenu({ client, onClose }: { client: Client; onClose: () => void }) {
	const ref = useMenu('transfer', onClose);
	const here = client.calls.state.value.peer?.username;
	const people = client.people.sorted.value.filter((c) => c.username !== here);
	const act = (fn: () => void) => (): void => {
		onClose();
		fn();
	};
	return (
		<div class="menu transfer-menu" ref={ref} role="group" aria-label="Transfer the call to" data-testid="transfer-menu">
			{people.length === 0 && <p class="empty">Nobody else is in your contacts.</p>}
			{people.map(({ username, display_name: name }) => (
				<div class="transfer-row" key={username}>
					<Avatar username={username} name={name} size="s" status={client.people.statusOf(username)} />
					<span class="row-name">{name}</span>
					<button type="button" class="button is-small" data-testid={`consult-${username}`} disabled={!client.canCall(username)} onClick={act(() => client.call(username, false))}>
						Ask first<span class="hidden"> {name}</span>
					</button>
					<button type="button" class="button is-small is-primary" data-testid={`transfer-${username}`} onClick={act(() => client.transfer(username))}>
						Transfer<span class="hidden"> to {name}</span>
					</button>
				</div>
			))}
		</div>
	);
}
