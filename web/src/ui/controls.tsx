/** The bar of the call: each control says what a press will do. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Client } from '../client.ts';
import { isEstablished } from '../call/machine.ts';
import { codeOfError } from '../call/calls.ts';
import { failure } from '../failures.ts';
import { toast } from '../store/toasts.ts';
import { DevicePicker } from './devices.tsx';
import { IconButton } from './parts.tsx';

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
			<IconButton icon="hangup" kind="danger" label={established ? 'Hang up' : 'Cancel the call'} testid={established ? 'hangup' : 'cancel'} onClick={() => calls.hangUp()} size={26} />
		</div>
	);
}

function DevicesMenu({ client, onClose }: { client: Client; onClose: () => void }) {
	const ref = useRef<HTMLDivElement>(null);
	useEffect(() => {
		const button = document.activeElement as HTMLElement | null; // which opened it
		ref.current?.querySelector('select')?.focus();
		const outside = (e: Event): void => {
			const target = e.target as Element;
			if (!ref.current?.contains(target) && !target.closest('[data-testid="devices"]')) onClose();
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
	return (
		<div class="menu" ref={ref} role="group" aria-label="Devices">
			<DevicePicker withVideo={client.calls.state.value.video} onChange={(kind) => void client.calls.switchDevice(kind).catch(deviceTrouble)} />
		</div>
	);
}
