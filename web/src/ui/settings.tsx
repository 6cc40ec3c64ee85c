/** Settings: appearance, devices with a test, sound processing, certificates. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Client } from '../client.ts';
import { openStream, stopStream } from '../call/media.ts';
import { change, settings, type Theme } from '../settings.ts';
import { Certificates } from './certificates.tsx';
import { deviceTrouble } from './controls.tsx';
import { DevicePicker } from './devices.tsx';
import { IconButton } from './parts.tsx';

export function SettingsDialog({ client, onClose }: { client: Client; onClose: () => void }) {
	const ref = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		const dialog = ref.current;
		dialog?.showModal();
		return () => dialog?.close();
	}, []);
	return (
		<dialog class="dialog" ref={ref} aria-labelledby="settings-title" data-testid="settings-dialog" onClose={onClose} onClick={(e) => e.target === ref.current && onClose()}>
			<div class="dialog-body">
				<header class="dialog-head">
					<h2 id="settings-title">Settings</h2>
					<IconButton icon="close" label="Close the settings" testid="settings-close" onClick={onClose} />
				</header>
				<section>
					<h3>Appearance</h3>
					<div class="segments" role="group" aria-label="Appearance">
						{(['auto', 'light', 'dark'] as Theme[]).map((t) => (
							<button key={t} type="button" class="segment" aria-pressed={settings.value.theme === t} data-testid={`theme-${t}`} onClick={() => change({ theme: t })}>
								{t === 'auto' ? 'As the system' : t === 'light' ? 'Light' : 'Dark'}
							</button>
						))}
					</div>
				</section>
				<section>
					<h3>Devices</h3>
					<DevicePicker withVideo onChange={(kind) => void client.calls.switchDevice(kind).catch(deviceTrouble)} />
					<DeviceTest />
				</section>
				<section>
					<h3>Sound</h3>
					<Toggle label="Remove echo" on={settings.value.echoCancellation} set={(v) => change({ echoCancellation: v })} />
					<Toggle label="Suppress noise" on={settings.value.noiseSuppression} set={(v) => change({ noiseSuppression: v })} />
					<Toggle label="Adjust the volume automatically" on={settings.value.autoGainControl} set={(v) => change({ autoGainControl: v })} />
					<p class="field-hint">Used from the next call on.</p>
				</section>
				<section>
					<h3>Calls</h3>
					<Toggle label="Let others ring during a call" testid="call-waiting" on={settings.value.callWaiting} set={(v) => change({ callWaiting: v })} />
				</section>
				<section>
					<h3>Messages</h3>
					<Toggle label="Let people see that I have read their messages" testid="read-receipts" on={settings.value.readReceipts} set={(v) => change({ readReceipts: v })} />
				</section>
				<Certificates />
				<p class="dialog-foot">Duplex {DUPLEX_VERSION}</p>
			</div>
		</dialog>
	);
}

function Toggle({ label, testid, on, set }: { label: string; testid?: string; on: boolean; set: (v: boolean) => void }) {
	return (
		<label class="toggle">
			<span>{label}</span>
			<input type="checkbox" role="switch" data-testid={testid} checked={on} onChange={(e) => set(e.currentTarget.checked)} />
		</label>
	);
}

/** See yourself and how loud you are, before anyone else does. */
function DeviceTest() {
	const stream = useSignal<MediaStream | null>(null);
	const level = useSignal(0);
	const video = useRef<HTMLVideoElement>(null);
	const { audioInput, videoInput } = settings.value;

	async function start(): Promise<void> {
		stopStream(stream.value);
		stream.value = null;
		try {
			stream.value = await openStream(true, settings.value).catch(() => openStream(false, settings.value));
		} catch (e) {
			deviceTrouble(e);
		}
	}

	useEffect(() => {
		if (stream.value) void start();
	}, [audioInput, videoInput]);
	useEffect(() => () => stopStream(stream.value), []);
	useEffect(() => {
		const s = stream.value;
		if (video.current) video.current.srcObject = s;
		if (!s) return;
		const context = new AudioContext();
		const analyser = context.createAnalyser();
		analyser.fftSize = 512;
		context.createMediaStreamSource(s).connect(analyser);
		const samples = new Uint8Array(analyser.fftSize);
		const timer = setInterval(() => {
			analyser.getByteTimeDomainData(samples);
			let peak = 0;
			for (const v of samples) peak = Math.max(peak, Math.abs(v - 128));
			level.value = Math.min(1, peak / 90);
		}, 80);
		return () => {
			clearInterval(timer);
			void context.close();
		};
	}, [stream.value]);

	return (
		<div class="device-test">
			{stream.value ? (
				<>
					<video ref={video} autoplay playsInline muted aria-label="Your own picture" />
					<meter min={0} max={1} low={0.05} value={level.value} aria-label="Loudness of the microphone" />
					<button
						type="button"
						class="button is-small"
						data-testid="device-test-stop"
						onClick={() => {
							stopStream(stream.value);
							stream.value = null;
						}}
					>
						Stop the test
					</button>
				</>
			) : (
				<button type="button" class="button is-small" data-testid="device-test" onClick={() => void start()}>
					Test microphone and camera
				</button>
			)}
		</div>
	);
}
