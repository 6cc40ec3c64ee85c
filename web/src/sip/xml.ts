/**
 * A small XML reader for presence bodies: elements, attributes, text, CDATA, character references. No DTD, so no entity can expand or
 * reach out; depth and size are bounded. Namespace prefixes are dropped: RLMI and PIDF do not share element names in a way that matters.
 */

export interface XmlNode {
	name: string;
	attrs: Record<string, string>;
	children: XmlNode[];
	text: string;
}

export class XmlError extends Error {}

const SIZE_MAX = 1 << 20;
const DEPTH_MAX = 16;
const NAME = /[A-Za-z_:][\w:.-]*/y;
const ATTR = /\s+([A-Za-z_:][\w:.-]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decode(s: string): string {
	if (!s.includes('&')) return s;
	return s.replace(/&(#x[0-9a-fA-F]+|#[0-9]+|\w+);/g, (_, ref: string) => {
		if (ref[0] !== '#') {
			const plain = ENTITIES[ref];
			if (plain === undefined) throw new XmlError(`unknown entity ${ref}`);
			return plain;
		}
		const code = ref[1] === 'x' ? parseInt(ref.slice(2), 16) : parseInt(ref.slice(1), 10);
		if (!(code > 0 && code <= 0x10ffff)) throw new XmlError('bad character reference');
		return String.fromCodePoint(code);
	});
}

const local = (name: string): string => name.slice(name.indexOf(':') + 1);

/** The root element. Throws XmlError on anything that is not well formed or too large. */
export function parseXml(source: string): XmlNode {
	if (source.length > SIZE_MAX) throw new XmlError('too large');
	const top: XmlNode = { name: '', attrs: {}, children: [], text: '' };
	const stack: XmlNode[] = [top];
	const names: string[] = [];
	let at = source.charCodeAt(0) === 0xfeff ? 1 : 0;

	const skipTo = (mark: string, from: number): number => {
		const end = source.indexOf(mark, from);
		if (end < 0) throw new XmlError(`unterminated, expected ${mark}`);
		return end + mark.length;
	};
	const addText = (s: string): void => {
		const open = stack[stack.length - 1] as XmlNode;
		if (open !== top) open.text += s;
		else if (s.trim() !== '') throw new XmlError('text outside the root');
	};

	while (at < source.length) {
		const lt = source.indexOf('<', at);
		if (lt < 0) {
			addText(decode(source.slice(at)));
			break;
		}
		if (lt > at) addText(decode(source.slice(at, lt)));
		if (source.startsWith('<?', lt)) {
			at = skipTo('?>', lt + 2);
		} else if (source.startsWith('<!--', lt)) {
			at = skipTo('-->', lt + 4);
		} else if (source.startsWith('<![CDATA[', lt)) {
			at = skipTo(']]>', lt + 9);
			addText(source.slice(lt + 9, at - 3));
		} else if (source.startsWith('<!', lt)) {
			throw new XmlError('document type declarations are refused');
		} else if (source.startsWith('</', lt)) {
			at = skipTo('>', lt + 2);
			const name = source.slice(lt + 2, at - 1).trim();
			if (names.pop() !== name) throw new XmlError(`unexpected </${name}>`);
			stack.pop();
		} else {
			at = openElement(lt);
		}
	}
	if (names.length > 0) throw new XmlError(`<${names[names.length - 1]}> is not closed`);
	const root = top.children[0];
	if (!root || top.children.length !== 1) throw new XmlError('not exactly one root element');
	return root;

	function openElement(lt: number): number {
		NAME.lastIndex = lt + 1;
		const m = NAME.exec(source);
		if (!m) throw new XmlError('bad element name');
		if (stack.length > DEPTH_MAX) throw new XmlError('too deep');
		const node: XmlNode = { name: local(m[0]), attrs: {}, children: [], text: '' };
		let pos = NAME.lastIndex;
		for (;;) {
			ATTR.lastIndex = pos;
			const a = ATTR.exec(source);
			if (!a) break;
			node.attrs[local(a[1] as string)] = decode(a[2] ?? a[3] ?? '');
			pos = ATTR.lastIndex;
		}
		while (/\s/.test(source[pos] ?? '')) pos++;
		(stack[stack.length - 1] as XmlNode).children.push(node);
		if (source.startsWith('/>', pos)) return pos + 2;
		if (source[pos] !== '>') throw new XmlError(`bad attribute in <${m[0]}>`);
		stack.push(node);
		names.push(m[0]);
		return pos + 1;
	}
}

export function child(node: XmlNode, name: string): XmlNode | undefined {
	return node.children.find((c) => c.name === name);
}
