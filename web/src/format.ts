/** Times and names as people read them. */

/** 62 → "1:02"; with hours from the first one on. */
export function duration(seconds: number): string {
	const s = Math.max(0, Math.floor(seconds));
	const two = (n: number): string => String(n).padStart(2, '0');
	const h = Math.floor(s / 3600);
	return h > 0 ? `${h}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

export function clockTime(ms: number): string {
	return time.format(ms);
}

/** "Today", "Yesterday", a weekday of the last week, or a date. */
export function dayOf(ms: number, now = Date.now()): string {
	const midnight = new Date(now);
	midnight.setHours(0, 0, 0, 0);
	const days = Math.ceil((midnight.getTime() - ms) / 86_400_000);
	if (days <= 0) return 'Today';
	if (days === 1) return 'Yesterday';
	return days < 7 ? weekday.format(ms) : day.format(ms);
}

/** Up to two initials. */
export function initials(name: string): string {
	const words = name.trim().split(/[\s._-]+/).filter(Boolean);
	const first = [...(words[0] ?? '?')][0] ?? '?';
	const last = words.length > 1 ? ([...(words[words.length - 1] as string)][0] ?? '') : '';
	return (first + last).toUpperCase();
}

/** A steady colour number, 0 to 9, for a user. */
export function hue(username: string): number {
	let h = 2166136261;
	for (const c of username) h = Math.imul(h ^ (c.codePointAt(0) as number), 16777619);
	// Short names differ in few bits: mix them, or they share a colour.
	h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
	h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
	h ^= h >>> 16;
	return (h >>> 0) % 10;
}
