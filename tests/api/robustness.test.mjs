// What happens when parts die: Redis, a worker process, the API itself; limits of hashing; the counters.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Client, person } from "./lib/client.mjs";
import { start } from "./lib/server.mjs";

let server, alice;
before(async () => {
	server = await start({ processes: 2, "redis-timeout": 500 });
	alice = await person(server, "alice");
});
after(() => server.stop());

// Children of a process, by /proc.
function children(pid) {
	return readdirSync("/proc").filter((p) => /^\d+$/.test(p)).filter((p) => {
		try {
			return readFileSync(`/proc/${p}/stat`, "utf8").split(") ")[1].split(" ")[1] === String(pid);
		} catch {
			return false;
		}
	}).map(Number);
}

describe("without Redis", () => {
	test("requests get 503 with Retry-After, and all is well when it is back", async () => {
		await server.stopRedis();
		for (const reply of [await alice.get("/me"), await alice.get("/health/ready"), await new Client(server).post("/sessions", { username: "alice", password: "x" }),
			await new Client(server).post("/users", { username: "x1", display_name: "x", password: "a stone in the rain" }),
			await alice.get("/internal/authorize", { ORIGINAL_URI: "/sip" }), await alice.post("/contacts", { username: "alice2" })]) {
			assert.equal(reply.status, 503);
			assert.equal(reply.body.code, "store_unavailable");
			assert.equal(reply.headers["retry-after"], "1");
		}
		assert.equal((await alice.get("/health/live")).status, 200);
		await server.startRedis();
		// Not one request is lost afterwards, on whatever connection.
		for (let i = 0; i < 40; i++)
			assert.equal((await alice.get("/me")).status, 200);
	});
	test("one that hangs costs its time limit, not the server", async () => {
		server.redisProcess.kill("SIGSTOP");
		try {
			const began = Date.now();
			const reply = await alice.get("/me");
			assert.equal(reply.status, 503);
			assert.ok(Date.now() - began < 2000);
			assert.equal((await alice.get("/health/live")).status, 200);
		} finally {
			server.redisProcess.kill("SIGCONT");
		}
		await server.until(async () => (await alice.get("/me")).status === 200, "the API to find Redis again");
	});
	test("one that refuses writes is no success", async () => {
		server.redis("CONFIG", "SET", "maxmemory", "1");
		try {
			const reply = await alice.post("/me/tickets");
			assert.equal(reply.status, 503);
		} finally {
			server.redis("CONFIG", "SET", "maxmemory", "0");
		}
		assert.equal((await alice.post("/me/tickets")).status, 201);
	});
});

describe("processes", () => {
	test("a worker that is killed is started again; the others go on", async () => {
		const before = children(server.process.pid);
		assert.equal(before.length, 3);
		process.kill(Math.max(...before), "SIGKILL");
		for (let i = 0; i < 20; i++)
			assert.equal((await alice.get("/me")).status, 200);
		await server.until(() => children(server.process.pid).length === 3, "the new worker");
		assert.match(server.log, /worker-ended .*signal=9/);
		server.log = server.log.replace(/.*worker-ended.*/g, "");
		assert.equal((await server.metrics()).duplex_api_process_restarts_total, "1");
	});
	test("SIGHUP takes new settings without losing a request", async () => {
		server.configure({ processes: 2, "redis-timeout": 500, "ring-timeout": 77 });
		const old = children(server.process.pid);
		server.process.kill("SIGHUP");
		await server.until(async () => (await alice.get("/me/call-config")).body.ring_timeout_s === 77 && children(server.process.pid).every((p) => !old.includes(p)), "the new settings");
		server.configure({ processes: 2, signup: "maybe" });
		server.process.kill("SIGHUP");
		await server.until(() => /reload-refused.*signup/.test(server.log), "the refusal");
		assert.equal((await alice.get("/me/call-config")).body.ring_timeout_s, 77);
	});
	test("SIGTERM finishes what is under way and leaves nothing behind", async () => {
		await server.stopApi();
		server.configure({ processes: 2, "argon2-memory": 65536, "argon2-ops": 3 });
		await server.startApi();
		const slow = new Client(server).post("/users", { username: "slow", display_name: "Slow", password: "a stone in the rain" });
		await server.until(async () => (await server.metrics().catch(() => ({}))).duplex_api_requests_total === "1", "the request to begin");
		const status = await server.stopApi();
		assert.equal(status, 0);
		assert.equal((await slow).status, 201);
		assert.throws(() => statSync(server.socket));
		server.configure({ processes: 2, "redis-timeout": 500 });
		await server.startApi();
	});
	test("the socket is for its group only", () => assert.equal(statSync(server.socket).mode & 0o777, 0o660));
});

describe("hashing", () => {
	test("runs a bounded number at once: the rest get 503 soon, and other requests pass", async () => {
		const strict = await start({ threads: 6, "argon2-parallel": 1, "argon2-wait": 100, "argon2-memory": 65536, "argon2-ops": 3 });
		try {
			const user = await person(strict, "user");
			const logins = Array.from({ length: 12 }, (_, i) => new Client(strict, { address: `198.51.100.${i}` }).post("/sessions", { username: `u${i}`, password: "x" }));
			await new Promise((wake) => setTimeout(wake, 30));
			assert.equal((await user.get("/me")).status, 200);
			const statuses = (await Promise.all(logins)).map((r) => r.status);
			assert.ok(statuses.includes(503) && statuses.includes(401), String(statuses));
			assert.ok(statuses.every((s) => s === 503 || s === 401));
			assert.ok(Number((await strict.metrics()).duplex_api_hash_busy_total) >= 1);
		} finally {
			await strict.stop();
		}
	});
	test("takes as long for a user who does not exist", async () => {
		const real = await start({ "argon2-memory": 19456, "argon2-ops": 2, "login-failures": 1000 });
		try {
			real.addUser("here");
			// The least of several, in turns: other load on the machine only adds.
			const least = { here: Infinity, gone: Infinity };
			for (let i = 0; i < 18; i++) {
				const username = i % 2 === 0 ? "here" : "gone";
				const client = new Client(real, { address: `198.51.100.${i}` });
				const began = performance.now();
				assert.equal((await client.post("/sessions", { username, password: "wrong guess" })).status, 401);
				least[username] = Math.min(least[username], performance.now() - began);
			}
			const { here, gone } = least;
			assert.ok(here > 5 && gone > 5, `${here} ${gone}`);
			assert.ok(gone > here * 0.6 && gone < here * 1.7, `known ${here} ms, unknown ${gone} ms`);
		} finally {
			await real.stop();
		}
	});
});

test("counters show what happened", async () => {
	const before = await server.metrics();
	await new Client(server).get("/me");
	await alice.get("/me");
	const now = await server.metrics();
	const more = (name) => Number(now[name]) - Number(before[name]);
	assert.equal(more("duplex_api_requests_total"), 2);
	assert.equal(more('duplex_api_problems_total{code="no_session"}'), 1);
	assert.equal(more('duplex_api_route_requests_total{route="getMe"}'), 2);
});

test("nothing secret is in the log", () => {
	assert.ok(!/a stone in the rain|password of|__Host-duplex|argon2id/.test(server.log));
});
