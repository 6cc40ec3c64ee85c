// The front door of a running instance: what nginx itself answers, whom it lets through, and that it cannot be fooled.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";
import { setTimeout as wait } from "node:timers/promises";

import { Client, closed, register, sip } from "./lib/client.mjs";
import { duplexRun, ownSettings, removeState, run, runDir, stateDir, tree } from "./lib/tree.mjs";

const password = "correct horse battery 7";
let settings, anyone, folder;

async function addUser(name, role = "user") {
	const args = ["--config", `${stateDir(settings)}/etc/duplex.conf`, "user", "add", name, "--display-name", name, "--role", role, "--password-stdin"];
	execFileSync(`${tree}/build/release/duplexctl`, args, { input: `${password}\n` });
}

const logIn = (name) => new Client(settings).logIn(name, password);

function assertProblem(reply, status, code) {
	assert.equal(reply.status, status, reply.text);
	assert.match(reply.headers["content-type"], /^application\/problem\+json/);
	assert.equal(reply.json.status, status);
	assert.equal(reply.json.code, code);
	assert.ok(reply.json.title && reply.json.type);
	assert.equal(reply.headers["cache-control"], "no-store");
}

// Writes raw bytes over TLS and gives the status of the first answer (null: closed without one); with `first`, as soon as it is there.
function raw(bytes, first = false) {
	return new Promise((done) => {
		let text = "";
		const socket = tls.connect({ host: "127.0.0.1", port: anyone.port, servername: "localhost", ca: anyone.ca }, () => socket.write(bytes));
		socket.setEncoding("latin1").on("data", (chunk) => {
			text += chunk;
			if (first && text.includes("\r\n"))
				socket.destroy();
		});
		socket.on("error", () => {});
		socket.setTimeout(12_000, () => socket.destroy());
		socket.on("close", () => done(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]) || null));
	});
}

before(async () => {
	settings = await ownSettings("system");
	const up = await duplexRun("up", settings);
	assert.equal(up.status, 0, up.err);
	anyone = new Client(settings);
	folder = mkdtempSync(join(tmpdir(), "duplex-system-"));
	for (const name of ["carol", "dave", "erin"])
		await addUser(name);
	await addUser("grace", "admin");
});

after(async () => {
	await duplexRun("down", settings);
	await removeState(settings);
	rmSync(folder, { recursive: true, force: true });
});

describe("static page", () => {
	test("comes with all security headers and a policy without exceptions", async () => {
		const { status, headers } = await anyone.request("GET", "/");
		assert.equal(status, 200);
		assert.match(headers["strict-transport-security"], /max-age=31536000/);
		assert.equal(headers["x-content-type-options"], "nosniff");
		assert.equal(headers["cross-origin-opener-policy"], "same-origin");
		assert.match(headers["permissions-policy"], /camera=\(self\).*microphone=\(self\)/);
		assert.equal(headers["referrer-policy"], "no-referrer");
		assert.equal(headers["cache-control"], "no-cache");
		assert.doesNotMatch(headers.server ?? "", /\d/);
		const policy = headers["content-security-policy"];
		assert.match(policy, /default-src 'none'/);
		assert.match(policy, /frame-ancestors 'none'/);
		assert.doesNotMatch(policy, /unsafe|\*|http:/);
	});

	test("all files it names exist; those with a hash may be kept for ever", async () => {
		const page = await anyone.request("GET", "/");
		const names = [...page.text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((match) => match[1]);
		assert.ok(names.length >= 2, page.text);
		for (const name of names) {
			const reply = await anyone.request("GET", name);
			assert.equal(reply.status, 200, name);
			if (name.startsWith("/assets/"))
				assert.match(reply.headers["cache-control"], /immutable/, name);
		}
	});

	test("the authority to trust is the one that signed the server's certificate", async () => {
		const reply = await anyone.request("GET", "/ca.crt");
		assert.equal(reply.headers["content-type"], "application/x-x509-ca-cert");
		assert.equal(reply.text, readFileSync(`${stateDir(settings)}/pki/ca.crt`, "utf8"));
		assert.doesNotMatch((await anyone.request("GET", "/ca.key")).text, /PRIVATE/);
	});

	test("files beside the page cannot be reached", async () => {
		for (const path of ["/../etc/duplex.conf", "/%2e%2e/etc/duplex.conf", "/..%2fsecret/turn", "/assets/../../pki/ca.key"])
			assert.ok([400, 404].includes((await anyone.request("GET", path)).status), path);
	});
});

describe("errors made by nginx are problem documents", () => {
	test("404", async () => assertProblem(await anyone.request("GET", "/nothing/here"), 404, "not_found"));
	test("405", async () => assertProblem(await anyone.request("POST", "/", { body: {} }), 405, "method_not_allowed"));
	test("413", async () => assertProblem(await anyone.request("POST", "/api/v1/users", { body: "x".repeat(70_000) }), 413, "too_large"));
	test("413 announced only", async () => {
		assert.equal(await raw("POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"), 413);
	});
	test("413 over HTTP/2", async () => {
		const session = http2.connect(anyone.origin, { ca: anyone.ca });
		const stream = session.request({ ":method": "POST", ":path": "/api/v1/users", "content-type": "application/json" });
		stream.on("error", () => {}); // nginx may stop reading
		stream.end("x".repeat(70_000));
		const [headers] = await new Promise((done) => stream.once("response", (...args) => done(args)));
		session.destroy();
		assert.equal(headers[":status"], 413);
		assert.equal(headers["content-type"], "application/problem+json");
	});
	test("414", async () => assertProblem(await anyone.request("GET", `/${"x".repeat(12_000)}`), 414, "uri_too_long"));
	test("431 or 400 for a huge header", async () => {
		const reply = await anyone.request("GET", "/", { headers: { "X-Large": "x".repeat(12_000) } });
		assert.ok([400, 431].includes(reply.status));
		assert.match(reply.headers["content-type"], /problem\+json/);
	});
	test("unknown host", async () => {
		for (const host of ["evil.example", "127.0.0.1"])
			assertProblem(await anyone.request("GET", "/", { headers: { Host: host } }), 421, "unknown_host");
	});
	test("the error page itself and the inner check are not addresses", async () => {
		assertProblem(await anyone.request("GET", "/problem"), 404, "not_found");
		assertProblem(await anyone.request("GET", "/internal/authorize"), 404, "not_found");
	});
	test("plain HTTP on the port is sent to HTTPS", async () => {
		const reply = await new Promise((done, fail) => http.get({ host: "127.0.0.1", port: anyone.port, path: "/x?y=1", headers: { Host: `localhost:${anyone.port}` } }, done).on("error", fail));
		assert.equal(reply.statusCode, 301);
		assert.equal(reply.headers.location, `${anyone.origin}/x?y=1`);
	});
});

describe("hostile input", () => {
	test("old TLS is refused", async () => {
		const error = await new Promise((done) => {
			const socket = tls.connect({ host: "127.0.0.1", port: anyone.port, servername: "localhost", ca: anyone.ca, maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" });
			socket.on("error", done).on("secureConnect", () => done(null));
		});
		assert.ok(error);
	});

	test("garbage in the clear, and inside TLS", async () => {
		for (let i = 0; i < 20; i++)
			await new Promise((done) => {
				const socket = net.connect(anyone.port, "127.0.0.1", () => socket.end(randomBytes(2000)));
				socket.on("error", () => {}).on("close", done).resume();
			});
		for (const text of ["\r\n\r\nGARBAGE\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", randomBytes(4000).toString("latin1")]) {
			const status = await raw(text);
			assert.ok(status === null || (status >= 400 && status < 600), `${JSON.stringify(text.slice(0, 20))}: ${status}`);
		}
		assert.equal((await anyone.request("GET", "/api/v1/health/ready")).status, 200);
	});

	test("two requests in one (smuggling) stay two or become none", async () => {
		const both = "POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /internal/authorize HTTP/1.1\r\nHost: localhost\r\n\r\n";
		assert.equal(await raw(both), 400);
	});
});

describe("the WebSocket", () => {
	test("needs a session", async () => {
		const refused = await anyone.socket();
		assert.equal(refused.status, 401);
		assert.equal(JSON.parse(refused.text).code, "no_session");
		const forged = await anyone.socket({ headers: { Cookie: "__Host-duplex=carol.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } });
		assert.equal(forged.status, 401);
	});

	test("is not opened for a page of somebody else", async () => {
		const carol = await logIn("carol");
		assert.equal((await carol.socket({ origin: "https://evil.example" })).status, 403);
	});

	test("registers its user, and only its user", async () => {
		const carol = await logIn("carol");
		const { socket } = await carol.socket();
		assert.equal(socket.protocol, "sip");
		assert.equal((await sip(socket, register("carol"))).status, 200);
		assert.equal((await sip(socket, register("dave"))).status, 403);
		assert.equal((await sip(socket, register("carol", { from: "dave" }))).status, 403);
		socket.close();
	});

	test("headers that the client forged do not reach the worker", async () => {
		const carol = await logIn("carol");
		const forged = { "X-Duplex-User": "dave", "X-Duplex-Session": "00", "X-Duplex-Permissions": "users.write", "X-Duplex-Address": "192.0.2.1", x_duplex_user: "dave" };
		const { socket } = await carol.socket({ headers: forged });
		assert.equal((await sip(socket, register("dave"))).status, 403);
		assert.equal((await sip(socket, register("carol"))).status, 200);
		socket.close();
	});

	test("a ticket opens it once", async () => {
		const carol = await logIn("carol");
		const { ticket } = (await carol.request("POST", "/api/v1/me/tickets")).json;
		const path = `/sip?ticket=${ticket}`;
		const { socket } = await anyone.socket({ path });
		assert.equal((await sip(socket, register("carol"))).status, 200);
		assert.equal((await anyone.socket({ path })).status, 401);
		socket.close();
	});

	test("takes no body: nginx would wait for one between the check of the session and the upgrade", async () => {
		const carol = await logIn("carol");
		const head = (more, version = "1.1") => `GET /sip HTTP/${version}\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Protocol: sip\r\nOrigin: ${carol.origin}\r\nCookie: ${carol.cookie}\r\n${more}\r\n`;
		const began = performance.now();
		for (const more of ["Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n\r\n0", "Content-Length: 1\r\n", "Content-Length: 0\r\n"])
			assert.equal(await raw(head(more), true), 400, more);
		assert.equal(await raw(head("", "1.0"), true), 400);
		assert.ok(performance.now() - began < 4000, "answered without waiting for the body");

		// Over HTTP/2 nothing in the header tells of a body.
		const session = http2.connect(carol.origin, { ca: carol.ca });
		const stream = session.request({ ":method": "GET", ":path": "/sip", cookie: carol.cookie, "sec-websocket-protocol": "sip", "sec-websocket-version": "13", "sec-websocket-key": randomBytes(16).toString("base64") }, { endStream: false });
		stream.on("error", () => {});
		const [headers] = await new Promise((done) => stream.once("response", (...args) => done(args)));
		session.destroy();
		assert.equal(headers[":status"], 400);
	});

	test("closes when its session runs out by itself", async () => {
		const carol = await logIn("carol");
		const key = `session:{carol}:${carol.session.id}`;
		const redis = (...args) => execFileSync("redis-cli", ["-s", `${runDir(settings)}/redis.sock`, ...args]).toString().trim();
		assert.equal(redis("PEXPIRE", key, "1500"), "1");
		const { socket } = await carol.socket();
		assert.equal((await sip(socket, register("carol"))).status, 200);
		const { code, ms } = await closed(socket, 5000);
		assert.equal(code, 4001);
		assert.ok(ms < 2500, `${ms} ms`);
		assert.equal((await carol.socket()).status, 401);
	});

	test("closes within a second when its session ends", async () => {
		const carol = await logIn("carol");
		const { socket } = await carol.socket();
		assert.equal((await sip(socket, register("carol"))).status, 200);
		const end = closed(socket, 3000);
		assert.equal((await carol.request("DELETE", "/api/v1/sessions/current")).status, 204);
		const { code, ms } = await end;
		assert.equal(code, 4001);
		assert.ok(ms < 1000, `${ms} ms`);
		assert.equal((await carol.socket()).status, 401);
	});

	test("closes within a second when an administrator disables the user", async () => {
		const [dave, admin] = [await logIn("dave"), await logIn("grace")];
		const { socket } = await dave.socket();
		const end = closed(socket, 3000);
		assert.equal((await admin.request("PATCH", "/api/v1/admin/users/dave", { body: { state: "disabled" } })).status, 200);
		const { code, ms } = await end;
		assert.equal(code, 4001);
		assert.ok(ms < 1000, `${ms} ms`);
		assert.equal((await dave.socket()).status, 401);
	});
});

describe("the certificate host", () => {
	const path = "/api/v1/sessions/certificate";
	const exchange = (identity = {}) => anyone.request("POST", path, { host: "cert.localhost", ...identity });

	// A key and a certificate request made here; the private key never leaves.
	function keyAndRequest(name) {
		execFileSync("openssl", ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`, "-keyout", join(folder, "key"), "-out", join(folder, "csr")], { stdio: "ignore" });
		return { key: readFileSync(join(folder, "key")), csr: readFileSync(join(folder, "csr"), "utf8") };
	}

	test("serves its small page without a certificate, and says so when one is missing", async () => {
		assert.equal((await anyone.request("GET", "/", { host: "cert.localhost" })).status, 200);
		assertProblem(await exchange(), 403, "certificate_missing");
	});

	test("the main host does not take certificates", async () => {
		assertProblem(await anyone.request("POST", path), 404, "not_found");
	});

	test("login with a certificate of this server, until it is revoked", async () => {
		const erin = await logIn("erin");
		const { key, csr } = keyAndRequest("erin");
		const issued = await erin.request("POST", "/api/v1/me/certificates", { body: { csr, label: "laptop" } });
		assert.equal(issued.status, 201, issued.text);
		const identity = { key, cert: issued.json.certificate };

		const { ticket } = (await exchange(identity)).json;
		const byTicket = new Client(settings);
		const session = await byTicket.request("POST", "/api/v1/sessions", { body: { ticket } });
		assert.equal(session.status, 201, session.text);
		assert.equal(session.json.user.username, "erin");
		byTicket.cookie = session.headers["set-cookie"][0].split(";")[0];
		assert.equal((await byTicket.request("POST", "/api/v1/sessions", { body: { ticket } })).status, 401);

		const { socket } = await byTicket.socket();
		assert.equal((await sip(socket, register("erin"))).status, 200);

		assert.equal((await erin.request("DELETE", `/api/v1/me/certificates/${issued.json.serial}`)).status, 204);
		assertProblem(await exchange(identity), 403, "certificate_refused");
		socket.terminate();

		// The API refuses at once; nginx too as soon as it has read the list again.
		let page;
		for (let i = 0; i < 30 && page?.status !== 403; i++) {
			await wait(500);
			page = await anyone.request("GET", "/", { host: "cert.localhost", ...identity });
		}
		assert.equal(page.status, 403);
		assert.match(page.text, /revoked/);
	});

	test("a certificate that somebody made himself is refused", async () => {
		execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=erin", "-keyout", join(folder, "own.key"), "-out", join(folder, "own.crt")], { stdio: "ignore" });
		assertProblem(await exchange({ key: readFileSync(join(folder, "own.key")), cert: readFileSync(join(folder, "own.crt")) }), 403, "certificate_refused");
	});
});

describe("limits and failures", () => {
	test("an API that is away gives a problem document, and is back by itself", async () => {
		const service = `${stateDir(settings)}/service/api`;
		await run("sv", ["-w", "10", "down", service]);
		const away = await anyone.request("GET", "/api/v1/version");
		assertProblem(away, 502, "part_unavailable");
		assert.ok(away.headers["retry-after"]);
		const socket = await anyone.socket();
		assert.ok(socket.status >= 500);
		await run("sv", ["-w", "10", "up", service]);
		for (let i = 0; i < 100 && (await anyone.request("GET", "/api/v1/health/ready")).status !== 200; i++)
			await wait(50);
		assert.equal((await anyone.request("GET", "/api/v1/version")).status, 200);
	});

	test("too many logins from one address: 429 with Retry-After, then normal again", async () => {
		const attempts = await Promise.all(Array.from({ length: 200 }, () => anyone.request("POST", "/api/v1/sessions", { body: "{}" })));
		const slowed = attempts.filter((reply) => reply.status === 429);
		assert.ok(slowed.length > 0);
		assertProblem(slowed[0], 429, "throttled");
		assert.ok(Number(slowed[0].headers["retry-after"]) > 0);
		await wait(1500);
		assert.notEqual((await anyone.request("POST", "/api/v1/sessions", { body: "{}" })).status, 429);
	});

	test("sockets and secrets are closed to other users of the machine", async () => {
		for (const [path, mode] of [[runDir(settings), "750"], [`${stateDir(settings)}/secret`, "750"], [`${stateDir(settings)}/secret/turn`, "640"], [`${stateDir(settings)}/pki/ca.key`, "600"], [`${stateDir(settings)}/pki/server.key`, "600"], [`${stateDir(settings)}/pki/users-ca`, "750"], [`${stateDir(settings)}/etc/duplex.conf`, "640"], [`${stateDir(settings)}/redis`, "750"]])
			assert.equal((await run("stat", ["-c", "%a", path])).out.trim(), mode, path);
		assert.notEqual((await run("chpst", ["-u", "nobody", "redis-cli", "-s", `${runDir(settings)}/redis.sock`, "ping"])).out.trim(), "PONG");
		assert.notEqual((await run("chpst", ["-u", "www-data", "redis-cli", "-s", `${runDir(settings)}/redis.sock`, "ping"])).out.trim(), "PONG");
	});

	test("Redis writes to disk before it answers, and listens on no port", async () => {
		const get = async (name) => (await run("redis-cli", ["-s", `${runDir(settings)}/redis.sock`, "config", "get", name])).out.trim().split("\n")[1];
		assert.equal(await get("appendonly"), "yes");
		assert.equal(await get("appendfsync"), "always");
		assert.equal(await get("maxmemory-policy"), "noeviction");
		assert.equal(await get("port"), "0");
	});
});
