// Life of an instance: start, stop, start again, what goes wrong, and that nothing is left behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { dirname } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

import { Client } from "./lib/client.mjs";
import { duplexRun, freePort, leftovers, ownSettings, pairs, removeState, run, runDir, script, stateDir, subnetOf, tree } from "./lib/tree.mjs";

let settings;
const passwords = {};

before(async () => {
	settings = await ownSettings("life");
});
after(async () => {
	await duplexRun("down", settings);
	await removeState(settings);
});

// One sentence for a person, no stack of messages, and nothing started.
async function assertRefused(result, pattern) {
	assert.notEqual(result.status, 0, result.out);
	const lines = result.err.trim().split("\n");
	assert.equal(lines.length, 1, result.err);
	assert.match(lines[0], pattern);
	assert.match(lines[0], /^duplex: .*[.…]$/);
	assert.deepEqual(await leftovers(settings), []);
}

// `duplex-run status` of a tree that holds nothing else.
async function nameInFolder(folder) {
	const top = mkdtempSync(`${tmpdir()}/duplex names `);
	try {
		mkdirSync(`${top}/${folder}`);
		cpSync(`${tree}/packaging`, `${top}/${folder}/packaging`, { recursive: true });
		return await run(`${top}/${folder}/packaging/duplex-run`, ["status"], { env: { PATH: process.env.PATH } });
	} finally {
		rmSync(top, { recursive: true });
	}
}

describe("an instance is named by its folder, whatever that is called", () => {
	for (const [folder, name] of [["duplex", "duplex"], [".my duplex", "my-duplex"], ["_", "duplex"], ["x".repeat(100), "x".repeat(34)]]) {
		test(`"${folder}"`, async () => {
			const { status, err } = await nameInFolder(folder);
			assert.match(err, new RegExp(`^duplex: ${name}-[0-9a-f]{6} does not run\\.$`, "m"));
			assert.equal(status, 3);
		});
	}
});

describe("settings and surroundings are judged before anything starts", () => {
	test("wrong values", async () => {
		await assertRefused(await duplexRun("up", { ...settings, HTTPS_PORT: "0" }), /HTTPS_PORT=0 must be a number from 1 to 65535/);
		await assertRefused(await duplexRun("up", { ...settings, HTTPS_PORT: "99999" }), /HTTPS_PORT=99999/);
		await assertRefused(await duplexRun("up", { ...settings, WORKERS: "many" }), /WORKERS=many/);
		for (const subnet of ["10.0.0.0", "999.1.1.0/24", "10.256.1.0/24", "0.1.1.0/24", "224.1.1.0/24", "10.1.01.0/24", "10.1.1.1/24"])
			await assertRefused(await duplexRun("up", { ...settings, SUBNET: subnet }), new RegExp(`SUBNET=${subnet} must be an IPv4 network`));
		await assertRefused(await duplexRun("up", { ...settings, DOMAIN: "a b" }), /DOMAIN=a b is not a host name/);
		await assertRefused(await duplexRun("up", { ...settings, TAP: "much-too-long-a-name" }), /TAP=/);
		await assertRefused(await duplexRun("up", { ...settings, COLOUR: "red" }), /COLOUR is not a setting/);
		await assertRefused(await duplexRun("up", { ...settings, HTTP_PORT: settings.HTTPS_PORT }), /HTTP_PORT and HTTPS_PORT are both \d+: they must differ/);
		await assertRefused(await duplexRun("up", { ...settings, BIND: "here" }), /BIND=here is not an IP address/);
		for (const address of ["192.0.2.77", "2001:db8::77"])
			await assertRefused(await duplexRun("up", { ...settings, BIND: address }), /BIND=\S+ is not an address of this host/);
	});

	test("wrong values for a node of a cluster", async () => {
		const refused = async (change, pattern) => assertRefused(await duplexRun("up", { ...settings, ...change }), pattern);
		await refused({ NODE: "N 1" }, /NODE=N 1 is not a name for a node/);
		for (const peer of ["here:1", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "[::1]:5", "127.0.0.256:5"])
			await refused({ PEER: peer }, /PEER=\S+ must be an IPv4 address and a port/);
		await refused({ PEER: "0.0.0.0:7100" }, /the other nodes need the address itself/);
		await refused({ PEER: "192.0.2.77:7100" }, /PEER=\S+ is not an address of this host/);
		await refused({ PEER: "127.0.0.1:65535" }, /each of the 2 workers takes a port/);
		await refused({ REDIS_LISTEN: "198.51.100.1:6379" }, /is a public address/);
		await refused({ PUBLIC_PORT: "0" }, /PUBLIC_PORT=0 must be a number/);
		await refused({ JOIN: "/nonexistent.tar" }, /JOIN=\S+ cannot be read/);
		await refused({ JOIN: `${tree}/README.md` }, /is not an archive of 'duplex-run invite'/);
		await assertRefused(await run(script, ["invite", "n2", `INSTANCE=${settings.INSTANCE}`]), /does not run: a node is invited while the one that began runs/);
		await assertRefused(await run(script, ["invite"]), /Usage: duplex-run invite NODE/);
	});

	// What the start says while another program listens.
	async function whileTaken(port, address, more) {
		const server = createServer();
		await new Promise((done) => server.listen(Number(port), address, done));
		const result = await duplexRun("up", { ...settings, ...more });
		await new Promise((done) => server.close(done));
		return result;
	}

	test("a port in use", async () => {
		const { HTTPS_PORT } = settings;
		const http = String(await freePort());
		await assertRefused(await whileTaken(HTTPS_PORT, "127.0.0.1", {}), new RegExp(`Port ${HTTPS_PORT} is already in use by node, pid ${process.pid}: .* HTTPS_PORT=…$`));
		await assertRefused(await whileTaken(HTTPS_PORT, "0.0.0.0", { BIND: "127.0.0.1" }), new RegExp(`Port ${HTTPS_PORT} is already in use`));
		await assertRefused(await whileTaken(http, "127.0.0.1", { HTTP_PORT: http }), new RegExp(`Port ${http} is already in use by .* HTTP_PORT=…$`));
	});

	test("a port of another address is not in the way", async () => {
		assert.match((await whileTaken(settings.HTTPS_PORT, "127.0.0.9", { BIND: "127.0.0.1", SUBNET: "127.0.0.0/24" })).err, /network 127\.0\.0\.0\/24 is already in use/);
	});

	test("an interface of that name", async () => {
		assert.equal((await run("ip", ["tuntap", "add", "dev", settings.TAP, "mode", "tap"])).status, 0);
		const result = await duplexRun("up", settings);
		await run("ip", ["link", "delete", "dev", settings.TAP]);
		await assertRefused(result, /network interface .* exists already/);
	});

	test("a network in use", async () => {
		await assertRefused(await duplexRun("up", { ...settings, SUBNET: "127.0.0.0/24" }), /network 127\.0\.0\.0\/24 is already in use/);
	});

	// In a mount namespace of its own, so that only the script sees it.
	const hidden = (name, mounts, pattern) =>
		test(name, async (t) => {
			if ((await run("unshare", ["-m", "true"])).status !== 0)
				return t.skip("no mount namespaces here");
			await assertRefused(await run("unshare", ["-m", "sh", "-c", `${mounts} && exec "$0" up "$@"`, script, ...pairs(settings)]), pattern);
		});

	hidden("no TUN device", "mount -t tmpfs none /dev/net", /\/dev\/net\/tun is missing/);
	hidden("a read-only disk", "mkdir -p /var/lib/duplex && mount -t tmpfs -o ro none /var/lib/duplex", /cannot be written/);
	hidden("a disk that is nearly full", "mkdir -p /var/lib/duplex && mount -t tmpfs -o size=4m none /var/lib/duplex", /Only \d+ MiB are free/);

	test("no root", async (t) => {
		if ((await run("setpriv", ["--reuid=65534", "--clear-groups", "test", "-x", script])).status !== 0)
			return t.skip("the tree is not readable for others here");
		for (const [verb, words] of [["up", /^duplex: Starting Duplex needs root/], ["down", /^duplex: Stopping Duplex needs root/], ["status", /^duplex: Looking at .* needs root/]])
			await assertRefused(await run("setpriv", ["--reuid=65534", "--clear-groups", script, verb, ...pairs(settings)]), words);
	});
});

describe("a part that does not come up", () => {
	const variant = `broken-${process.pid}`;
	const folder = `${tree}/build/${variant}`;

	before(() => {
		mkdirSync(folder, { recursive: true });
		for (const name of ["duplex-api", "duplex-signalling", "duplexctl"])
			symlinkSync(`${tree}/build/release/${name}`, `${folder}/${name}`);
		writeFileSync(`${folder}/duplex-relay`, "#!/bin/sh\necho the mains are off >&2\nexit 1\n");
		chmodSync(`${folder}/duplex-relay`, 0o755);
	});
	after(() => rmSync(folder, { recursive: true, force: true }));

	async function assertFails(more) {
		const result = await duplexRun("up", { ...settings, VARIANT: variant, ...more });
		assert.equal(result.status, 1);
		assert.match(result.err, /relay did not start; its last lines:\n.*the mains are off/);
		assert.deepEqual(await leftovers(settings), []);
	}

	test("is named with its last lines, and everything else is stopped again", () => assertFails({}));

	test("the settings of a start that failed are not those of the next", async () => {
		const file = `${stateDir(settings)}/etc/settings`;
		assert.ok(!existsSync(file));
		writeFileSync(file, "INSTANCE=x\nSUBNET=10.91.7.0/24\n");
		await assertFails({ SUBNET: "10.91.8.0/24" });
		assert.equal(readFileSync(file, "utf8"), "INSTANCE=x\nSUBNET=10.91.7.0/24\n");
		assert.deepEqual(readdirSync(dirname(file)).filter((name) => name.startsWith("settings")), ["settings"]);
		rmSync(file);
	});
});

describe("up, status, down", () => {
	test("a first start prints demo users with random passwords and is ready", async () => {
		const result = await duplexRun("up", settings);
		assert.equal(result.status, 0, result.err);
		assert.match(result.err, new RegExp(`ready: https://localhost:${settings.HTTPS_PORT}`));
		for (const match of result.out.matchAll(/^ +(alice|bob) +([a-z0-9-]{20,})/gm))
			passwords[match[1]] = match[2];
		assert.deepEqual(Object.keys(passwords).sort(), ["alice", "bob"]);
		assert.notEqual(passwords.alice, passwords.bob);
	});

	test("the passwords are stored nowhere", async () => {
		const found = await run("grep", ["-rlF", passwords.alice, stateDir(settings), runDir(settings)]);
		assert.equal(found.out, "");
	});

	test("the demo users can log in; alice is an administrator", async () => {
		const alice = await new Client(settings).logIn("alice", passwords.alice);
		assert.equal((await alice.request("GET", "/api/v1/admin/users")).status, 200);
		const bob = await new Client(settings).logIn("bob", passwords.bob);
		assert.equal((await bob.request("GET", "/api/v1/admin/users")).status, 403);
	});

	test("status lists every part as ready", async () => {
		const { status, out } = await duplexRun("status", settings);
		assert.equal(status, 0, out);
		for (const name of ["redis", "relay", "api", "signalling.0", "signalling.1", "nginx", "keeper"])
			assert.match(out, new RegExp(`^ +${name} .* ready$`, "m"));
	});

	test("a second up says that it runs, where, and which of the new settings it does not have", async () => {
		const { status, err } = await duplexRun("up", settings);
		assert.equal(status, 0);
		assert.equal(err, `duplex: ${settings.INSTANCE} runs already: https://localhost:${settings.HTTPS_PORT}\n`);
		const other = await duplexRun("up", { ...settings, HTTPS_PORT: "8444", RING_TIMEOUT_S: "45" });
		assert.equal(other.status, 0);
		assert.equal(other.err, `duplex: ${settings.INSTANCE} runs already: https://localhost:${settings.HTTPS_PORT} (without HTTPS_PORT=8444: a start after make down takes new settings)\n`);
		const foreground = await duplexRun("run", { ...settings, DOMAIN: "calls.example.org" });
		assert.equal(foreground.status, 1);
		assert.match(foreground.err, new RegExp(`https://localhost:${settings.HTTPS_PORT} \\(without DOMAIN=calls.example.org: `));
	});

	test("the relay answers on its own address", async () => {
		const { status, out } = await run("ping", ["-c", "1", "-W", "2", `${subnetOf(settings)}.2`]);
		assert.equal(status, 0, out);
	});

	test("nobody can take all the ports of the relay", async () => {
		const net = subnetOf(settings);
		const { status, out } = await run(`${tree}/build/release/turncheck`, ["--server", `${net}.2`, "--realm", "localhost", "--secret-file", `${stateDir(settings)}/secret/turn`, "--local", `${net}.1`, "--peer", `${net}.11`, "--other", `${net}.12`, "--group", "limits", "--user-quota", "64"]);
		assert.equal(status, 0, out);
		assert.match(out, /^ok 1 - limits: 486[^#]*$/m);
	});

	test("a part that is killed comes back", async () => {
		for (const name of ["relay", "api", "signalling.0", "redis"]) {
			await run("sv", ["kill", `${stateDir(settings)}/service/${name}`]);
			let state;
			for (let i = 0; i < 60; i++) {
				await wait(200);
				state = await duplexRun("status", settings);
				if (state.status === 0)
					break;
			}
			assert.equal(state.status, 0, `${name}\n${state.out}`);
		}
	});

	test("down leaves nothing but the data", async () => {
		const result = await duplexRun("down", settings);
		assert.equal(result.status, 0, result.err);
		assert.deepEqual(await leftovers(settings), []);
		assert.ok(existsSync(`${stateDir(settings)}/redis`));
		assert.equal((await duplexRun("status", settings)).status, 3);
		assert.equal((await duplexRun("down", settings)).status, 0);
	});

	test("a second start is quick, keeps the users, and prints no password; a network that cannot be is not taken from the first", async () => {
		const saved = `${stateDir(settings)}/etc/settings`;
		writeFileSync(saved, readFileSync(saved, "utf8").replace(/^SUBNET=.*$/m, "SUBNET=999.1.1.0/24"));
		// As it is after everything was killed: the kernel still keeps the relay's device, and nobody holds it.
		assert.equal((await run("ip", ["tuntap", "add", "dev", settings.TAP, "mode", "tap"])).status, 0);
		await run("ip", ["link", "set", "dev", settings.TAP, "up"]);
		const result = await duplexRun("up", settings);
		assert.equal(result.status, 0, result.err);
		assert.equal(result.out.trim(), "");
		// Only a machine with nothing else to do can tell how quick it is.
		if (loadavg()[0] < cpus().length)
			assert.ok(result.seconds < 5, `${result.seconds} s`);
		await new Client(settings).logIn("bob", passwords.bob);
		assert.equal((await duplexRun("down", settings)).status, 0);
	});
});

describe("run in the foreground", () => {
	test("shows one log of all parts, and an interrupt stops everything", async () => {
		const child = spawn(script, ["run", ...pairs(settings)], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
		let text = "";
		child.stdout.on("data", (chunk) => (text += chunk));
		child.stderr.on("data", (chunk) => (text += chunk));
		const ended = new Promise((done) => child.once("exit", done));
		for (let i = 0; i < 600 && !/ready: https/.test(text) && child.exitCode === null; i++)
			await wait(100);
		try {
			assert.match(text, /ready: https/);
			assert.equal(child.exitCode, null, text);
			await new Client(settings).logIn("bob", passwords.bob);
			for (let i = 0; i < 50 && !/^nginx +\|.*\/api\/v1\/sessions/m.test(text); i++)
				await wait(100);
			assert.match(text, /^nginx +\| .*status=201.*\/api\/v1\/sessions/m);
			assert.match(text, /^relay +\| /m);
		} finally {
			if (child.exitCode === null)
				process.kill(-child.pid, "SIGINT"); // as a terminal does: to the whole group
			await ended;
		}
		assert.match(text, /stopping/);
		assert.deepEqual(await leftovers(settings), []);
	});
});
