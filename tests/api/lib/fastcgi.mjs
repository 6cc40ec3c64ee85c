// A small FastCGI client (FastCGI 1.0): one request a connection, as nginx without keep-alive.
import net from "node:net";

const BEGIN = 1, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, STDERR = 7;

export function record(type, content = Buffer.alloc(0)) {
	const head = Buffer.from([1, type, 0, 1, content.length >> 8, content.length & 255, 0, 0]);
	return Buffer.concat([head, content]);
}

// A stream may be longer than a record; an empty record ends it.
function stream(type, content) {
	const parts = [];
	for (let at = 0; at < content.length; at += 65528)
		parts.push(record(type, content.subarray(at, at + 65528)));
	return Buffer.concat([...parts, record(type)]);
}

function length(n) {
	return n < 128 ? Buffer.from([n]) : Buffer.from([(n >> 24) | 0x80, n >> 16, n >> 8, n].map((b) => b & 255));
}

function encodeParams(params) {
	return Buffer.concat(Object.entries(params).flatMap(([name, value]) => {
		const [n, v] = [Buffer.from(name), Buffer.from(String(value))];
		return [length(n.length), length(v.length), n, v];
	}));
}

export function encodeRequest(params, body = Buffer.alloc(0)) {
	return Buffer.concat([record(BEGIN, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])), stream(PARAMS, encodeParams(params)), stream(STDIN, body)]);
}

function decode(data) {
	let out = Buffer.alloc(0), errors = "", ended = false;
	for (let at = 0; at + 8 <= data.length;) {
		const type = data[at + 1], size = data.readUInt16BE(at + 4), padding = data[at + 6];
		const content = data.subarray(at + 8, at + 8 + size);
		if (type === STDOUT)
			out = Buffer.concat([out, content]);
		else if (type === STDERR)
			errors += content;
		else if (type === END)
			ended = true;
		at += 8 + size + padding;
	}
	if (errors !== "" || !ended)
		throw new Error(`the reply is not complete: ${errors || "no end"}`);
	const split = out.indexOf("\r\n\r\n");
	const [first, ...lines] = out.subarray(0, split).toString().split("\r\n");
	const headers = lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]);
	return { status: Number(/^Status: (\d{3}) /.exec(first)[1]), headers: Object.fromEntries(headers), text: out.subarray(split + 4).toString() };
}

// Sends bytes as they are and resolves to whatever came until the other side closed.
export function exchange(socket, bytes, { end = false } = {}) {
	return new Promise((resolve, reject) => {
		const connection = net.connect(socket);
		const chunks = [];
		connection.setTimeout(20000, () => connection.destroy(new Error("no reply within 20 s")));
		connection.on("data", (chunk) => chunks.push(chunk));
		connection.on("error", reject);
		connection.on("close", (failed) => failed || resolve(Buffer.concat(chunks)));
		connection.write(bytes);
		if (end)
			connection.end();
	});
}

export async function request(socket, params, body) {
	return decode(await exchange(socket, encodeRequest(params, body)));
}
