// A browser as the API sees it: cookie, guard header, Origin. Every reply is held against the contract.
import { request } from "./fastcgi.mjs";
import { checkReply } from "./openapi.mjs";
import { ORIGIN } from "./server.mjs";

export class Client {
	constructor(server, { address = "127.0.0.1" } = {}) {
		this.server = server;
		this.address = address;
		this.cookie = undefined;
	}

	params(method, path, body, extra) {
		const [name, query = ""] = path.split("?");
		return {
			REQUEST_METHOD: method, SCRIPT_NAME: name, QUERY_STRING: query, REMOTE_ADDR: this.address, HTTP_ACCEPT: "*/*",
			CONTENT_LENGTH: body.length > 0 ? body.length : "", CONTENT_TYPE: body.length > 0 ? "application/json" : "",
			HTTP_X_DUPLEX_REQUEST: "1", HTTP_ORIGIN: ORIGIN, HTTP_USER_AGENT: "tests/1",
			...(this.cookie ? { HTTP_COOKIE: this.cookie } : {}),
			...extra,
		};
	}

	// `body`: a value to send as JSON, or bytes to send as they are. `extra`: FastCGI parameters; undefined takes one away.
	async send(method, path, body, extra = {}) {
		const bytes = body === undefined ? Buffer.alloc(0) : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
		const full = path.startsWith("/internal/") ? path : `/api/v1${path}`;
		const params = Object.fromEntries(Object.entries(this.params(method, full, bytes, extra)).filter(([, value]) => value !== undefined));
		const reply = await request(this.server.socket, params, bytes);
		reply.body = reply.text.startsWith("{") ? JSON.parse(reply.text) : undefined;
		checkReply(method, path.split("?")[0], reply);
		const set = /__Host-duplex=([^;]*)/.exec(reply.headers["set-cookie"] ?? "");
		if (set)
			this.cookie = set[1] === "" ? undefined : `__Host-duplex=${set[1]}`;
		return reply;
	}

	get(path, extra) {
		return this.send("GET", path, undefined, extra);
	}
	post(path, body, extra) {
		return this.send("POST", path, body, extra);
	}
	put(path, body, extra) {
		return this.send("PUT", path, body, extra);
	}
	patch(path, body, extra) {
		return this.send("PATCH", path, body, extra);
	}
	delete(path, extra) {
		return this.send("DELETE", path, undefined, extra);
	}

	async logIn(username, password = `password of ${username}`) {
		const reply = await this.post("/sessions", { username, password });
		if (reply.status !== 201)
			throw new Error(reply.text);
		this.session = reply.body.session.id;
		return this;
	}
}

// A new user with a live session.
export async function person(server, name, options = {}) {
	const password = server.addUser(name, options);
	return new Client(server, options).logIn(name, password);
}
