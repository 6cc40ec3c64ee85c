/** MIME multipart bodies (RFC 2046 §5.1), as far as multipart/related needs (RFC 2387). */

export interface Part {
	/** Lower-case names. */
	headers: Record<string, string>;
	body: string;
}

/** A parameter of a header value, unquoted; undefined when absent. */
export function parameter(value: string, name: string): string | undefined {
	const m = new RegExp(`;\\s*${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, 'i').exec(value);
	return m ? (m[1] !== undefined ? m[1].replace(/\\(.)/g, '$1') : m[2]) : undefined;
}

/** The parts in order; empty when there is no boundary, no opening delimiter or no closing one. */
export function splitMultipart(contentType: string, body: string): Part[] {
	const boundary = parameter(contentType, 'boundary');
	if (!/^\s*multipart\//i.test(contentType) || !boundary || boundary.length > 70) return [];
	const parts: Part[] = [];
	// Delimiters stand at the start of a line; the line break before one belongs to it.
	const escaped = boundary.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
	const delimiter = new RegExp(`(?:^|\\r?\\n)--${escaped}(--)?[ \\t]*(?=\\r?\\n|$)`, 'g');
	let start = -1;
	for (let m = delimiter.exec(body); m; m = delimiter.exec(body)) {
		if (start >= 0) parts.push(parsePart(body.slice(start, m.index)));
		if (m[1]) return parts;
		start = delimiter.lastIndex;
	}
	return [];
}

function parsePart(raw: string): Part {
	const text = raw.replace(/^\r?\n/, '');
	const blank = /^\r?\n|\r?\n\r?\n/.exec(text);
	const head = blank ? text.slice(0, blank.index) : text;
	const headers: Record<string, string> = {};
	for (const line of head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
		const colon = line.indexOf(':');
		if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
	}
	return { headers, body: blank ? text.slice(blank.index + blank[0].length) : '' };
}
