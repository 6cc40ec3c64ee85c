/** Chat messages that ask for receipts, and the receipts: CPIM (RFC 3862) around text or IMDN (RFC 5438). */
import { child, parseXml } from './xml.ts';

export const CPIM_TYPE = 'message/cpim';
const NS_IMDN = 'urn:ietf:params:imdn';

export type Receipt = 'delivered' | 'read';

export type Wrapped =
	| { kind: 'text'; id: string | null; text: string; at: number | null; wants: readonly Receipt[] }
	| { kind: 'receipt'; id: string; receipt: Receipt };

/** Header values stay on one line, whatever was put into them. */
const line = (s: string): string => s.replace(/[\r\n]+/g, ' ');

function wrap(from: string, to: string, at: number, id: string, more: string[], type: string, content: string): string {
	const headers = [`From: <${line(from)}>`, `To: <${line(to)}>`, `DateTime: ${new Date(at).toISOString()}`, `NS: imdn <${NS_IMDN}>`, `imdn.Message-ID: ${line(id)}`, ...more];
	return [...headers, '', `Content-Type: ${type}`, '', content].join('\r\n');
}

export function wrapText(from: string, to: string, id: string, text: string, at: number): string {
	return wrap(from, to, at, id, ['imdn.Disposition-Notification: positive-delivery, display'], 'text/plain;charset=UTF-8', text);
}

const escapeXml = (s: string): string => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** `id` is the message's, which is from `to`. */
export function wrapReceipt(from: string, to: string, id: string, receipt: Receipt, at: number): string {
	const status = receipt === 'read' ? '<display-notification><status><displayed/></status></display-notification>' : '<delivery-notification><status><delivered/></status></delivery-notification>';
	const xml = `<?xml version="1.0" encoding="UTF-8"?>\r\n<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${escapeXml(id)}</message-id><datetime>${new Date(at).toISOString()}</datetime>${status}</imdn>`;
	return wrap(from, to, at, crypto.randomUUID(), [], 'message/imdn+xml', xml);
}

/** Name and value of a header block's lines. */
function headersOf(block: string): [string, string][] {
	return block.split('\r\n').map((l) => {
		const colon = l.indexOf(':');
		if (colon < 1) throw new Error('CPIM: a line without a name');
		return [l.slice(0, colon), l.slice(colon + 1).trim()];
	});
}

/** Throws on what is none, or neither text nor a receipt. */
export function unwrap(body: string): Wrapped {
	const first = body.indexOf('\r\n\r\n');
	const second = first < 0 ? -1 : body.indexOf('\r\n\r\n', first + 4);
	if (second < 0) throw new Error('CPIM: not two header blocks');
	const headers = headersOf(body.slice(0, first));
	const mime = headersOf(body.slice(first + 4, second));
	const content = body.slice(second + 4);
	const prefix = headers.filter(([n]) => n === 'NS').map(([, v]) => /^(\S+) <urn:ietf:params:imdn>$/.exec(v)?.[1]).find((p) => p !== undefined);
	const value = (name: string): string | undefined => headers.find(([n]) => n === name)?.[1];
	const type = mime.find(([n]) => n.toLowerCase() === 'content-type')?.[1] ?? '';
	if (/^message\/imdn\+xml\b/i.test(type)) return receiptOf(content);
	if (!/^text\/plain\b/i.test(type)) throw new Error(`CPIM: ${type} is not understood`);
	const asked = (prefix && value(`${prefix}.Disposition-Notification`)) ?? '';
	const at = Date.parse(value('DateTime') ?? '');
	const wants: Receipt[] = [];
	if (/\bpositive-delivery\b/.test(asked)) wants.push('delivered');
	if (/\bdisplay\b/.test(asked)) wants.push('read');
	return { kind: 'text', id: (prefix && value(`${prefix}.Message-ID`)) || null, text: content, at: Number.isNaN(at) ? null : at, wants };
}

function receiptOf(xml: string): Wrapped {
	const root = parseXml(xml);
	const id = child(root, 'message-id')?.text.trim();
	const status = (name: string, what: string): boolean => {
		const s = child(root, name) && child(child(root, name) as NonNullable<ReturnType<typeof child>>, 'status');
		return s !== undefined && child(s, what) !== undefined;
	};
	if (root.name !== 'imdn' || !id) throw new Error('IMDN: no message id');
	if (status('display-notification', 'displayed')) return { kind: 'receipt', id, receipt: 'read' };
	if (status('delivery-notification', 'delivered')) return { kind: 'receipt', id, receipt: 'delivered' };
	throw new Error('IMDN: a status that is not understood');
}
