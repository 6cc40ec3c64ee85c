/** Choosing microphone, camera and speaker; follows devices that are plugged in or out. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { listDevices, type DeviceLists } from '../call/media.ts';
import { change, settings, type Settings } from '../settings.ts';

const EMPTY: DeviceLists = { audioinput: [], videoinput: [], audiooutput: [] };

export function DevicePicker({ withVideo, onChange }: { withVideo: boolean; onChange: (kind: 'audio' | 'video') => void }) {
	const lists = useSignal<DeviceLists>(EMPTY);
	useEffect(() => {
		let gone = false;
		const look = (): void => void listDevices().then((l) => !gone && (lists.value = l));
		look();
		navigator.mediaDevices?.addEventListener('devicechange', look);
		return () => {
			gone = true;
			navigator.mediaDevices?.removeEventListener('devicechange', look);
		};
	}, []);
	const s = settings.value;
	return (
		<>
			<Choice id="device-audio" label="Microphone" list={lists.value.audioinput} value={s.audioInput} field="audioInput" onChange={() => onChange('audio')} />
			{withVideo && <Choice id="device-video" label="Camera" list={lists.value.videoinput} value={s.videoInput} field="videoInput" onChange={() => onChange('video')} />}
			{lists.value.audiooutput.length > 0 && <Choice id="device-output" label="Speaker" list={lists.value.audiooutput} value={s.audioOutput} field="audioOutput" onChange={() => {}} />}
		</>
	);
}

function Choice(p: { id: string; label: string; list: MediaDeviceInfo[]; value: string; field: keyof Settings; onChange: () => void }) {
	const known = p.list.some((d) => d.deviceId === p.value);
	return (
		<label class="choice">
			<span>{p.label}</span>
			<select
				data-testid={p.id}
				value={known ? p.value : ''}
				onChange={(e) => {
					change({ [p.field]: e.currentTarget.value });
					p.onChange();
				}}
			>
				<option value="">{p.list.length === 0 ? 'None found' : 'Default'}</option>
				{p.list
					.filter((d) => d.deviceId !== 'default')
					.map((d, i) => (
						<option key={d.deviceId} value={d.deviceId}>
							{d.label || `${p.label} ${i + 1}`}
						</option>
					))}
			</select>
		</label>
	);
}
