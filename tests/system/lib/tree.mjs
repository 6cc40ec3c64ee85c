// The start script as a person at a terminal uses it: verbs, exit status, what it says.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const tree = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
export const script = `${tree}/packaging/duplex-run`;

export async function freePort() {
	const server = createServer();
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	const { port } = server.address();
	await new Promise((done) => server.close(done));
	return port;
}

// Settings of an instance that no other test and no person uses; it finds a free subnet by itself.
export async function ownSettings(kind) {
	const hash = createHash("sha256").update(`${tree}:${kind}:${process.pid}`).digest("hex").slice(0, 6);
	return { INSTANCE: `${kind}-${hash}`, HTTPS_PORT: String(await freePort()), TAP: `dpx${kind[0]}${hash}`, WORKERS: "2" };
}

// Never rejects: { status, out, err, seconds }.
export function run(command, args, options = {}) {
	const began = performance.now();
	return new Promise((done) => {
		execFile(command, args, { timeout: 90_000, maxBuffer: 1 << 24, ...options }, (error, out, err) =>
			done({ status: error ? (error.code ?? error.signal) : 0, out, err, seconds: (performance.now() - began) / 1000 }),
		);
	});
}

export const pairs = (settings) => Object.entries(settings).map(([name, value]) => `${name}=${value}`);
export const duplexRun = (verb, settings, options) => run(script, [verb, ...pairs(settings)], options);
export const runDir = (settings) => `/run/duplex/${settings.INSTANCE}`;
export const stateDir = (settings) => `/var/lib/duplex/${settings.INSTANCE}`;

// The first three octets of the subnet that the instance chose when it started; the relay is .2.
export const subnetOf = (settings) => /^SUBNET=(.*)\.0\/24$/m.exec(readFileSync(`${stateDir(settings)}/etc/settings`, "utf8"))[1];

// Command lines of the processes that belong to the instance: those that name one of its folders.
export function processesOf(settings) {
	const found = [];
	for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
		let line;
		try {
			line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
		} catch {
			continue; // ended in between
		}
		if (line.includes(`${runDir(settings)}/`) || line.includes(`${stateDir(settings)}/`))
			found.push(`${pid} ${line}`);
	}
	return found;
}

// What an instance that does not run has left behind; empty is right.
export async function leftovers(settings) {
	const left = processesOf(settings);
	if (existsSync(runDir(settings)))
		left.push(runDir(settings));
	if ((await run("ip", ["link", "show", "dev", settings.TAP])).status === 0)
		left.push(`interface ${settings.TAP}`);
	return left;
}

export async function removeState(settings) {
	await run("rm", ["-rf", stateDir(settings)]);
}
