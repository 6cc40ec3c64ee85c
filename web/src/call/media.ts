/** Microphone, camera and speaker: opening them with errors that can be explained, switching them during a call without a new offer. */
import { codeOfMediaError, type FailureCode } from '../failures.ts';
import type { Settings } from '../settings.ts';

export class MediaError extends Error {
	constructor(readonly code: FailureCode) {
		super(code);
		this.name = 'MediaError';
	}
}

type Choice = Pick<Settings, 'audioInput' | 'videoInput' | 'echoCancellation' | 'noiseSuppression' | 'autoGainControl'>;

/** A device that was chosen once may be unplugged today: `ideal`, so that another one serves. */
function audioConstraints(s: Choice): MediaTrackConstraints {
	return {
		echoCancellation: s.echoCancellation,
		noiseSuppression: s.noiseSuppression,
		autoGainControl: s.autoGainControl,
		...(s.audioInput ? { deviceId: { ideal: s.audioInput } } : {}),
	};
}

function videoConstraints(s: Choice): MediaTrackConstraints {
	return {
		width: { ideal: 1280 },
		height: { ideal: 720 },
		frameRate: { ideal: 30, max: 30 },
		...(s.videoInput ? { deviceId: { ideal: s.videoInput } } : {}),
	};
}

async function open(constraints: MediaStreamConstraints): Promise<MediaStream> {
	// Without a secure context the browser does not even have the API.
	if (!navigator.mediaDevices) throw new MediaError('insecure-context');
	try {
		return await navigator.mediaDevices.getUserMedia(constraints);
	} catch (e) {
		throw new MediaError(codeOfMediaError(e instanceof DOMException ? e.name : '', window.isSecureContext));
	}
}

export function openStream(video: boolean, choice: Choice): Promise<MediaStream> {
	return open({ audio: audioConstraints(choice), video: video ? videoConstraints(choice) : false });
}

export async function openTrack(kind: 'audio' | 'video', choice: Choice): Promise<MediaStreamTrack> {
	const stream = await open(kind === 'audio' ? { audio: audioConstraints(choice) } : { video: videoConstraints(choice) });
	return stream.getTracks()[0] as MediaStreamTrack;
}

export function stopStream(stream: MediaStream | null): void {
	for (const track of stream?.getTracks() ?? []) track.stop();
}

export interface DeviceLists {
	audioinput: MediaDeviceInfo[];
	videoinput: MediaDeviceInfo[];
	audiooutput: MediaDeviceInfo[];
}

export async function listDevices(): Promise<DeviceLists> {
	const lists: DeviceLists = { audioinput: [], videoinput: [], audiooutput: [] };
	if (!navigator.mediaDevices) return lists;
	for (const device of await navigator.mediaDevices.enumerateDevices()) if (device.deviceId) lists[device.kind].push(device);
	return lists;
}
