/** What a person set up on this device. Kept in localStorage, never sent anywhere. */
import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

export interface Settings {
	theme: Theme;
	audioInput: string;
	videoInput: string;
	audioOutput: string;
	echoCancellation: boolean;
	noiseSuppression: boolean;
	autoGainControl: boolean;
	/** Someone who calls during a call rings; otherwise they are told that we are busy. */
	callWaiting: boolean;
	/** Whoever writes to us may see that we have read it. */
	readReceipts: boolean;
}

const DEFAULTS: Settings = {
	theme: 'auto',
	audioInput: '',
	videoInput: '',
	audioOutput: '',
	echoCancellation: true,
	noiseSuppression: true,
	autoGainControl: true,
	callWaiting: true,
	readReceipts: true,
};

const KEY = 'duplex.settings';
const INSTANCE_KEY = 'duplex.instance';

function load(): Settings {
	const out: Record<string, unknown> = { ...DEFAULTS };
	try {
		const stored = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, unknown>;
		for (const [k, v] of Object.entries(DEFAULTS)) if (typeof stored[k] === typeof v) out[k] = stored[k];
	} catch {
		// unreadable or blocked: the defaults do
	}
	return out as unknown as Settings;
}

export const settings = signal<Settings>(load());

export function change(part: Partial<Settings>): void {
	settings.value = { ...settings.value, ...part };
	try {
		localStorage.setItem(KEY, JSON.stringify(settings.value));
	} catch {
		// blocked or full: it holds until the page is closed
	}
}

/** The SIP instance of this browser profile (RFC 5626 §4.1). */
export function instanceId(): string {
	try {
		const kept = localStorage.getItem(INSTANCE_KEY);
		if (kept && /^[0-9a-f-]{36}$/.test(kept)) return kept;
		const made = crypto.randomUUID();
		localStorage.setItem(INSTANCE_KEY, made);
		return made;
	} catch {
		return crypto.randomUUID();
	}
}

const systemDark = matchMedia('(prefers-color-scheme: dark)');
const prefersDark = signal(systemDark.matches);
systemDark.addEventListener('change', (e) => (prefersDark.value = e.matches));

export const dark = (): boolean => (settings.value.theme === 'auto' ? prefersDark.value : settings.value.theme === 'dark');

/** CSS reads the choice from the root element. */
export function applyTheme(): void {
	effect(() => {
		document.documentElement.dataset['theme'] = dark() ? 'dark' : 'light';
	});
}
