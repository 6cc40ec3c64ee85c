/** How well a call does, from getStats() (W3C webrtc-stats): loss and delay as the receiver sees them, over the time since the last look. */

export type Level = 'good' | 'fair' | 'poor';

export interface Quality {
	level: Level;
	/** Round trip in ms; null while unknown. */
	rtt: number | null;
	/** Share of packets lost on the way here, 0 to 1. */
	loss: number;
	/** Of the candidate pair in use: "relay", "host", … */
	path: string | null;
	/** Loudness of the other side, 0 to 1. */
	audioLevel: number;
}

export interface Counters {
	received: number;
	lost: number;
}

type Stat = Record<string, unknown> & { type: string; id: string };

const num = (v: unknown): number => (typeof v === 'number' && Number.isFinite(v) ? v : 0);

/** Bounds of "good" and of "fair"; speech suffers visibly beyond them (ITU-T G.114 for delay; Opus concealment for loss). */
export const BOUNDS = { good: { loss: 0.02, rtt: 200 }, fair: { loss: 0.08, rtt: 400 } } as const;

export function levelOf(loss: number, rtt: number | null): Level {
	const delay = rtt ?? 0;
	if (loss <= BOUNDS.good.loss && delay <= BOUNDS.good.rtt) return 'good';
	return loss <= BOUNDS.fair.loss && delay <= BOUNDS.fair.rtt ? 'fair' : 'poor';
}

/** `before` are the counters of the last look. */
export function summarise(stats: Iterable<Stat>, before: Counters): { quality: Quality; counters: Counters } {
	const all = new Map<string, Stat>();
	for (const s of stats) all.set(s.id, s);
	const counters: Counters = { received: 0, lost: 0 };
	let audioLevel = 0;
	let pairId: unknown = null;
	for (const s of all.values()) {
		if (s.type === 'inbound-rtp') {
			counters.received += num(s['packetsReceived']);
			counters.lost += num(s['packetsLost']);
			if (s['kind'] === 'audio') audioLevel = num(s['audioLevel']);
		} else if (s.type === 'transport') {
			pairId = s['selectedCandidatePairId'] ?? pairId;
		}
	}
	const pair = all.get(String(pairId)) ?? [...all.values()].find((s) => s.type === 'candidate-pair' && s['nominated'] === true && s['state'] === 'succeeded');
	const rttSeconds = pair?.['currentRoundTripTime'];
	const rtt = typeof rttSeconds === 'number' ? Math.round(rttSeconds * 1000) : null;
	const localCandidate = pair && all.get(String(pair['localCandidateId']));
	const path = typeof localCandidate?.['candidateType'] === 'string' ? localCandidate['candidateType'] : null;
	// Counters may step back (a late packet is un-lost), so differences are clamped.
	const lost = Math.max(0, counters.lost - before.lost);
	const received = Math.max(0, counters.received - before.received);
	const loss = lost + received > 0 ? lost / (lost + received) : 0;
	return { quality: { level: levelOf(loss, rtt), rtt, loss, path, audioLevel }, counters };
}
