// An HTTPS and WebSocket client that trusts the instance's own authority and nothing else.
import { readFileSync } from "node:fs";
import https from "node:https";
import WebSocket from "ws";
import { stateDir } from "./tree.mjs";

// *.localhost is this machine (RFC 6761 §6.3); not every resolver knows.
const lookup = (host, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4));

export class Client {
	constructor(settings) {
		this.port = Number(settings.HTTPS_PORT);
		this.ca = readFileSync(`${stateDir(settings)}/pki/ca.crt`);
		this.origin = `https://localhost:${this.port}`;
		this.cookie = null;
	}

	// { status, headers, text, json }. `options`: body (object or text), headers, host, cert, key.
	request(method, path, options = {}) {
		const body = options.body === undefined ? null : typeof options.body === "object" && !Buffer.isBuffer(options.body) ? JSON.stringify(options.body) : options.body;
		const headers = { "X-Duplex-Request": "1", ...(body === null ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) }) };
		if (this.cookie)
			headers.Cookie = this.cookie;
		Object.assign(headers, options.headers);
		const host = options.host ?? "localhost";
		return new Promise((done, fail) => {
			const request = https.request(
				{ host, servername: host, port: this.port, path, method, headers, lookup, ca: this.ca, cert: options.cert, key: options.key, agent: false, timeout: 10_000 },
				(reply) => {
					let text = "";
					reply.setEncoding("utf8").on("data", (chunk) => (text += chunk));
					reply.on("end", () => done({ status: reply.statusCode, headers: reply.headers, text, get json() { return JSON.parse(text); } }));
					reply.on("error", fail);
				},
			);
			request.on("error", fail);
			request.on("timeout", () => request.destroy(new Error("no answer within 10 s")));
			request.end(body ?? undefined);
		});
	}

	async logIn(username, password) {
		const reply = await this.request("POST", "/api/v1/sessions", { body: { username, password } });
		if (reply.status !== 201)
			throw new Error(`login of ${username}: ${reply.status} ${reply.text}`);
		this.cookie = reply.headers["set-cookie"][0].split(";")[0];
		this.session = reply.json.session;
		return this;
	}

	// Opens the WebSocket of /sip. Resolves to { socket } or, when the upgrade is refused, { status, text }.
	socket({ headers = {}, path = "/sip", origin = this.origin, protocol = "sip" } = {}) {
		const all = { ...(this.cookie ? { Cookie: this.cookie } : {}), ...headers };
		const socket = new WebSocket(`wss://localhost:${this.port}${path}`, protocol, { ca: this.ca, origin, headers: all, lookup });
		return new Promise((done, fail) => {
			socket.once("open", () => done({ socket }));
			socket.once("unexpected-response", (_, reply) => {
				let text = "";
				reply.setEncoding("utf8").on("data", (chunk) => (text += chunk));
				reply.on("end", () => done({ status: reply.statusCode, headers: reply.headers, text }));
			});
			socket.once("error", fail);
		});
	}
}

// The close code and how long it took; rejects when the socket is still open after `ms`.
export function closed(socket, ms) {
	const began = performance.now();
	return new Promise((done, fail) => {
		const timer = setTimeout(() => fail(new Error(`the socket is still open after ${ms} ms`)), ms);
		socket.once("close", (code) => {
			clearTimeout(timer);
			done({ code, ms: performance.now() - began });
		});
	});
}

// Sends one SIP request and gives the first final answer to it: { status, text }.
export function sip(socket, text, ms = 5000) {
	const callId = /^Call-ID: (.*)\r$/m.exec(text)[1];
	return new Promise((done, fail) => {
		const timer = setTimeout(() => fail(new Error("no SIP answer")), ms);
		const onMessage = (data) => {
			const answer = data.toString();
			const status = Number(/^SIP\/2\.0 (\d{3}) /.exec(answer)?.[1]);
			if (!(status >= 200) || !answer.includes(callId))
				return;
			clearTimeout(timer);
			socket.off("message", onMessage);
			done({ status, text: answer });
		};
		socket.on("message", onMessage);
		socket.send(text);
	});
}

let serial = 0;
export function register(user, { from = user } = {}) {
	const id = `${process.pid}.${++serial}`;
	return [
		"REGISTER sip:localhost SIP/2.0",
		`Via: SIP/2.0/WSS test.invalid;branch=z9hG4bK${id}`,
		"Max-Forwards: 70",
		`From: <sip:${from}@localhost>;tag=${id}`,
		`To: <sip:${user}@localhost>`,
		`Call-ID: ${id}@test`,
		"CSeq: 1 REGISTER",
		`Contact: <sip:${user}@test.invalid;transport=ws>;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-4000-8000-${String(serial).padStart(12, "0")}>";expires=600`,
		"Supported: path, outbound, gruu",
		"Content-Length: 0",
		"",
		"",
	].join("\r\n");
}
