// TURN over TLS on the public port, beside the page: who comes through which door, as whom, and that new certificates reach both without ending a session.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";
import { setTimeout as wait } from "node:timers/promises";

import { Client } from "./lib/client.mjs";
import { duplexRun, ownSettings, removeState, run, runDir, stateDir, subnetOf } from "./lib/tree.mjs";

const MAGIC = 0x2112a442;
let settings, page;

before(async () => {
	settings = await ownSettings("turn");
	const up = await duplexRun("up", settings);
	assert.equal(up.status, 0, up.err);
	page = new Client(settings);
});

after(async () => {
	await duplexRun("down", settings);
	await removeState(settings);
});

// A TLS connection to the public port, verified against the instance's authority.
function connect(options = {}) {
	return new Promise((done, fail) => {
		const socket = tls.connect({ host: "127.0.0.1", port: page.port, servername: "turn.localhost", ca: page.ca, ...options }, () => done(socket));
		socket.on("error", fail);
	});
}

// A Binding over the socket: the mapped address as "address:port".
function binding(socket) {
	const id = randomBytes(12), request = Buffer.alloc(20);
	request.writeUInt16BE(1, 0);
	request.writeUInt32BE(MAGIC, 4);
	id.copy(request, 8);
	return new Promise((done, fail) => {
		const timer = setTimeout(() => fail(new Error("no answer to a Binding")), 5000);
		socket.once("data", (answer) => {
			clearTimeout(timer);
			assert.equal(answer.readUInt16BE(0), 0x101);
			assert.ok(answer.subarray(8, 20).equals(id));
			assert.equal(answer.readUInt16BE(20), 0x20); // XOR-MAPPED-ADDRESS
			const port = answer.readUInt16BE(26) ^ (MAGIC >>> 16), mask = Buffer.alloc(16);
			mask.writeUInt32BE(MAGIC);
			id.copy(mask, 4);
			const raw = answer.subarray(28, answer[25] === 1 ? 32 : 44).map((byte, i) => byte ^ mask[i]);
			done(`${answer[25] === 1 ? raw.join(".") : raw.toString("hex").replace(/(.{4})(?=.)/g, "$1:")}:${port}`);
		});
		socket.once("close", () => fail(new Error("closed")));
		socket.write(request);
	});
}

const own = (socket) => `${socket.localAddress}:${socket.localPort}`;

async function relayMetric(name) {
	const { out } = await run("curl", ["-sS", "--unix-socket", `${runDir(settings)}/metrics.relay.sock`, "http://localhost/metrics"]);
	return Number(out.split("\n").find((line) => line.startsWith(`${name} `))?.split(" ")[1]);
}

describe("the public port", () => {
	test("ALPN stun.turn leads to the relay, whatever the name", async () => {
		for (const servername of ["localhost", "turn.localhost"]) {
			const socket = await connect({ servername, ALPNProtocols: ["stun.turn"] });
			assert.equal(socket.alpnProtocol, "stun.turn");
			assert.equal(await binding(socket), own(socket));
			socket.destroy();
		}
	});

	test("the host name alone does so, too, in any case", async () => {
		for (const servername of ["turn.localhost", "TURN.LocalHost"]) {
			const socket = await connect({ servername, checkServerIdentity: () => undefined });
			assert.equal(await binding(socket), own(socket));
			socket.destroy();
		}
	});

	test("TLS 1.2 and 1.3", async () => {
		for (const version of ["TLSv1.2", "TLSv1.3"]) {
			const socket = await connect({ minVersion: version, maxVersion: version });
			assert.equal(socket.getProtocol(), version);
			assert.equal(await binding(socket), own(socket));
			socket.destroy();
		}
	});

	test("everything else is the page's: HTTP/1.1, HTTP/2, other names", async () => {
		assert.equal((await page.request("GET", "/")).status, 200);
		const session = http2.connect(page.origin, { ca: page.ca });
		const stream = session.request({ ":path": "/" });
		const headers = await new Promise((done) => stream.once("response", done));
		session.destroy();
		assert.equal(headers[":status"], 200);
		assert.equal((await page.request("GET", "/", { headers: { Host: "x.turn.localhost" } })).status, 421);
	});

	test("page and relay know the client's address, not nginx's", async () => {
		const socket = await connect({ localAddress: "127.0.0.9" });
		assert.match(await binding(socket), /^127\.0\.0\.9:/);
		socket.destroy();
		const request = await connect({ servername: "localhost", localAddress: "127.0.0.8", ALPNProtocols: ["http/1.1"] });
		request.write(`GET /api/v1/version?from=8 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
		await new Promise((done) => request.resume().once("close", done));
		for (let tries = 0; ; tries++) {
			if (/uri="\/api\/v1\/version".* client=127\.0\.0\.8 /.test(readFileSync(`${stateDir(settings)}/log/nginx/current`, "utf8")))
				break;
			assert.ok(tries < 50, "the log does not name the client");
			await wait(50);
		}
	});

	test("IPv6 clients likewise", async (t) => {
		let socket;
		try {
			socket = await connect({ host: "::1" });
		} catch (error) {
			if (error.code === "ECONNREFUSED" || error.code === "EADDRNOTAVAIL")
				return t.skip("no IPv6 here");
			throw error;
		}
		assert.equal(await binding(socket), `0000:0000:0000:0000:0000:0000:0000:0001:${socket.localPort}`);
		socket.destroy();
	});

	test("nobody but our programs reaches the sockets behind it", async () => {
		for (const name of ["front.sock", "turns.sock"]) {
			const { status, out } = await run("setpriv", ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "curl", "-sS", "-m", "2", "--unix-socket", `${runDir(settings)}/${name}`, "http://x/"]);
			assert.notEqual(status, 0, out);
		}
	});

	test("junk through the relay's door ends the connection, and nothing else", async () => {
		const socket = await connect();
		socket.on("error", () => {});
		socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		await new Promise((done) => socket.resume().once("close", done));
		const good = await connect();
		await binding(good);
		good.destroy();
	});
});

describe("TURN over TCP", () => {
	test("is served on this host's end of the relay's device", async () => {
		const socket = net.connect(3478, `${subnetOf(settings)}.1`);
		assert.equal(await binding(socket), own(socket));
		socket.destroy();
	});
});

describe("a new server certificate", () => {
	test("reaches page and relay, and ends no session", async () => {
		const serial = async (servername) => {
			const socket = await connect({ servername });
			const { serialNumber } = socket.getPeerCertificate();
			socket.destroy();
			return serialNumber;
		};
		const held = await connect();
		await binding(held);
		const before = await serial("localhost"), reloads = await relayMetric("duplex_relay_stream_reloads_total");
		assert.equal(await serial("turn.localhost"), before);
		// What the keeper finds at an instance whose certificate ends soon.
		rmSync(`${stateDir(settings)}/pki/server.crt`);
		await run("sv", ["restart", `${stateDir(settings)}/service/keeper`]);
		for (let tries = 0; (await serial("localhost")) === before || (await serial("turn.localhost")) === before; tries++) {
			assert.ok(tries < 100, "the old certificate is still served");
			await wait(100);
		}
		assert.equal(await serial("localhost"), await serial("turn.localhost"));
		assert.ok(await relayMetric("duplex_relay_stream_reloads_total") > reloads);
		assert.equal(await binding(held), own(held));
		held.destroy();
	});
});
