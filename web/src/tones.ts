/** Tones made by WebAudio: no files to load. The context is unlocked by the first gesture on the page, as browsers ask for. */

type Note = { at: number; freq: number; len: number; gain?: number };
export type Tone = 'ring' | 'ringback' | 'ended' | 'connected' | 'message';

/** `every` in seconds: the pattern repeats until stopped; 0: it plays once. */
const PATTERNS: Record<Tone, { every: number; notes: Note[] }> = {
	// Two rising pairs, like a small chime.
	ring: {
		every: 2.8,
		notes: [
			{ at: 0, freq: 659.3, len: 0.28 },
			{ at: 0.16, freq: 880, len: 0.34 },
			{ at: 0.32, freq: 1108.7, len: 0.5 },
			{ at: 0.9, freq: 659.3, len: 0.28 },
			{ at: 1.06, freq: 880, len: 0.34 },
			{ at: 1.22, freq: 1108.7, len: 0.6 },
		],
	},
	// The European ringback: 425 Hz, one second in five (ITU-T E.182).
	ringback: { every: 5, notes: [{ at: 0.2, freq: 425, len: 1, gain: 0.5 }] },
	ended: {
		every: 0,
		notes: [
			{ at: 0, freq: 523.3, len: 0.14 },
			{ at: 0.16, freq: 392, len: 0.24 },
		],
	},
	connected: {
		every: 0,
		notes: [
			{ at: 0, freq: 523.3, len: 0.1 },
			{ at: 0.1, freq: 784, len: 0.18 },
		],
	},
	message: { every: 0, notes: [{ at: 0, freq: 988, len: 0.12, gain: 0.6 }] },
};

const VOLUME = 0.14;

let context: AudioContext | null = null;
let repeating: { tone: Tone; timer: ReturnType<typeof setInterval>; out: GainNode } | null = null;

function audio(): AudioContext | null {
	try {
		context ??= new AudioContext();
		if (context.state === 'suspended') void context.resume();
		return context;
	} catch {
		return null; // no sound card: the page rings by sight
	}
}

/** Call once; the first click or key lets later tones sound. */
export function unlockTones(): void {
	const unlock = (): void => {
		audio();
		removeEventListener('pointerdown', unlock, true);
		removeEventListener('keydown', unlock, true);
	};
	addEventListener('pointerdown', unlock, true);
	addEventListener('keydown', unlock, true);
}

function sound(ctx: AudioContext, out: AudioNode, notes: Note[]): void {
	for (const note of notes) {
		const start = ctx.currentTime + 0.02 + note.at;
		const osc = ctx.createOscillator();
		const gain = ctx.createGain();
		osc.type = 'sine';
		osc.frequency.value = note.freq;
		gain.gain.setValueAtTime(0, start);
		gain.gain.linearRampToValueAtTime(VOLUME * (note.gain ?? 1), start + 0.015);
		gain.gain.setTargetAtTime(0, start + note.len * 0.6, note.len * 0.18);
		osc.connect(gain).connect(out);
		osc.start(start);
		osc.stop(start + note.len * 1.6);
	}
}

export function playTone(tone: Tone): void {
	const pattern = PATTERNS[tone];
	if (repeating?.tone === tone) return;
	const ctx = audio();
	if (!ctx) return;
	if (pattern.every === 0) {
		sound(ctx, ctx.destination, pattern.notes);
		return;
	}
	stopTone();
	const out = ctx.createGain();
	out.connect(ctx.destination);
	const play = (): void => sound(ctx, out, pattern.notes);
	play();
	repeating = { tone, timer: setInterval(play, pattern.every * 1000), out };
}

/** Stops the repeating tone, also in the middle of a note. */
export function stopTone(): void {
	if (!repeating) return;
	clearInterval(repeating.timer);
	repeating.out.disconnect();
	repeating = null;
}
