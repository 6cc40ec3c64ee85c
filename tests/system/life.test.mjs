// Life of an instance: start, stop, start again, what goes wrong, and that nothing is left behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

import { Client } from "./lib/client.mjs";
import { duplexRun, leftovers, ownSettings, pairs, removeState, run, runDir, script, stateDir, subnetOf, tree } from "./lib/tree.mjs";

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
		await assertRefused(await duplexRun("up", { ...settings, SUBNET: "10.0.0.0" }), /SUBNET=10\.0\.0\.0/);
		await assertRefused(await duplexRun("up", { ...settings, DOMAIN: "a b" }), /DOMAIN=a b is not a host name/);
		await assertRefused(await duplexRun("up", { ...settings, TAP: "much-too-long-a-name" }), /TAP=/);
		await assertRefused(await duplexRun("up", { ...settings, COLOUR: "red" }), /COLOUR is not a setting/);
	});

	test("a port in use", async () => {
		const server = createServer();
		await new Promise((done) => server.listen(Number(settings.HTTPS_PORT), "127.0.0.1", done));
		await assertRefused(await duplexRun("up", settings), new RegExp(`Port ${settings.HTTPS_PORT} is already in use`));
		await new Promise((done) => server.close(done));
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
		await assertRefused(await run("setpriv", ["--reuid=65534", "--clear-groups", script, "up", ...pairs(settings)]), /needs root/);
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

	test("is named with its last lines, and everything else is stopped again", async () => {
		const result = await duplexRun("up", { ...settings, VARIANT: variant });
		assert.equal(result.status, 1);
		assert.match(result.err, /relay did not start; its last lines:\n.*the mains are off/);
		assert.deepEqual(await leftovers(settings), []);
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

	test("a second up says that it runs", async () => {
		const { status, err } = await duplexRun("up", settings);
		assert.equal(status, 0);
		assert.match(err, /runs already/);
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

	test("a second start is quick, keeps the users, and prints no password", async () => {
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
