/**
 * Presence of a contact list: what a NOTIFY for an `eventlist` subscription says (RFC 4662: RLMI in multipart/related, RFC 2387) with one PIDF
 * document (RFC 3863) a contact, and the list those notices add up to.
 */
import { child, parseXml, type XmlNode } from './xml.ts';
import { parameter, splitMultipart, type Part } from './multipart.ts';

export type PresenceStatus = 'online' | 'busy' | 'dnd' | 'offline';

export interface PresenceNotice {
	version: number;
	/** The list as a whole, or only what changed. */
	full: boolean;
	/** By user name. A contact that the list no longer has is null. */
	states: Map<string, PresenceStatus | null>;
}

/** The user part of a SIP URI or of a `pres:` URI; undefined when there is none. */
export function userOf(uri: string): string | undefined {
	const m = /^(?:sips?|pres):([^@;?]+)@/i.exec(uri.trim());
	if (!m) return undefined;
	try {
		return decodeURIComponent(m[1] as string).toLowerCase();
	} catch {
		return undefined;
	}
}

/** What one PIDF document says. Notes refine the basic status: with "busy" someone is in a call, with "dnd" they want none. */
export function parsePidf(xml: string): PresenceStatus {
	const root = parseXml(xml);
	const tuples = root.children.filter((c) => c.name === 'tuple');
	const open = tuples.some((t) => {
		const status = child(t, 'status');
		const basic = status && child(status, 'basic');
		return basic?.text.trim().toLowerCase() === 'open';
	});
	if (!open) return 'offline';
	const notes = [root, ...tuples].flatMap((n) => n.children.filter((c) => c.name === 'note').map((c) => c.text.trim().toLowerCase()));
	if (notes.includes('dnd')) return 'dnd';
	return notes.includes('busy') ? 'busy' : 'online';
}

/** Of several devices the one that says most counts. */
const RANK: Record<PresenceStatus, number> = { offline: 0, online: 1, busy: 2, dnd: 3 };

const bare = (contentId: string): string => contentId.trim().replace(/^<|>$/g, '');

/** Reads the body of a NOTIFY. Throws on a body that is not what it says. */
export function parseNotice(contentType: string, body: string): PresenceNotice {
	const parts = splitMultipart(contentType, body);
	const start = parameter(contentType, 'start');
	const root = (start && parts.find((p) => bare(p.headers['content-id'] ?? '') === bare(start))) || parts[0];
	if (!root || !/^application\/rlmi\+xml/i.test(root.headers['content-type'] ?? '')) throw new Error('no RLMI part');
	const byId = new Map<string, Part>(parts.filter((p) => p !== root).map((p) => [bare(p.headers['content-id'] ?? ''), p]));
	const list = parseXml(root.body);
	if (list.name !== 'list') throw new Error('RLMI without <list>');
	const states = new Map<string, PresenceStatus | null>();
	for (const resource of list.children) {
		if (resource.name !== 'resource') continue;
		const user = userOf(resource.attrs['uri'] ?? '');
		if (user) states.set(user, stateOf(resource, byId));
	}
	return { version: Number(list.attrs['version'] ?? 0), full: list.attrs['fullState'] === 'true', states };
}

function stateOf(resource: XmlNode, byId: Map<string, Part>): PresenceStatus | null {
	const instances = resource.children.filter((c) => c.name === 'instance');
	if (instances.length === 0) return 'offline';
	if (instances.every((i) => i.attrs['state'] === 'terminated')) return null;
	let best: PresenceStatus = 'offline';
	for (const i of instances) {
		const part = i.attrs['cid'] === undefined ? undefined : byId.get(bare(i.attrs['cid']));
		if (!part) continue;
		const status = parsePidf(part.body);
		if (RANK[status] > RANK[best]) best = status;
	}
	return best;
}

/** The list as known so far. */
export class PresenceList {
	private states = new Map<string, PresenceStatus>();
	private version = -1;

	/** Takes a notice over. False when one was missed before it (RFC 4662 §5.2): the caller should ask for the whole list. */
	apply(notice: PresenceNotice): boolean {
		if (notice.full) this.states = new Map();
		const gap = !notice.full && notice.version > this.version + 1;
		if (!notice.full && notice.version <= this.version) return true; // an older one, overtaken
		for (const [user, status] of notice.states) {
			if (status === null) this.states.delete(user);
			else this.states.set(user, status);
		}
		this.version = notice.version;
		return !gap;
	}

	/** Nothing is known any more: the subscription is gone. */
	reset(): void {
		this.states = new Map();
		this.version = -1;
	}

	snapshot(): ReadonlyMap<string, PresenceStatus> {
		return new Map(this.states);
	}
}
