// One duplex-api with a Redis of its own, in a temporary folder.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";

export const build = process.env.DUPLEX_BUILD ?? "build/release";
export const ORIGIN = "https://localhost:8443";
export const CERTIFICATE_ORIGIN = "https://cert.localhost:8443";

// Cheap hashes, so that the tests are quick; one test uses the real ones.
const defaults = {
	processes: 1, threads: 4, "public-url": ORIGIN, "certificate-url": CERTIFICATE_ORIGIN,
	"turn-urls": "turn:192.0.2.1:3478?transport=udp, turns:192.0.2.1:443",
	"argon2-memory": 64, "argon2-ops": 1, "signup-rate": 0,
};

async function until(condition, what) {
	for (let i = 0; i < 1000; i++) {
		if (await condition())
			return;
		await new Promise((wake) => setTimeout(wake, 10));
	}
	throw new Error(`waited 10 s for ${what}`);
}

export class Server {
	constructor(options) {
		this.folder = mkdtempSync(path.join(tmpdir(), "duplex-api-"));
		this.socket = path.join(this.folder, "api.sock");
		this.redisSocket = path.join(this.folder, "redis.sock");
		this.config = path.join(this.folder, "duplex.conf");
		this.log = "";
		writeFileSync(path.join(this.folder, "turn"), `${"secret".repeat(5)}\n`, { mode: 0o600 });
		this.configure(options);
	}

	configure(options) {
		const api = Object.entries({ ...defaults, ...options }).map(([key, value]) => `${key} = ${String(value).replace("@", this.folder)}`);
		writeFileSync(this.config, ["[common]", "domain = localhost", `run-dir = ${this.folder}`, `redis = ${this.redisSocket}`,
			`turn-secret = ${this.folder}/turn`, "[api]", ...api, ""].join("\n"));
	}

	async startRedis() {
		this.redisProcess = spawn("redis-server", ["--port", "0", "--unixsocket", this.redisSocket, "--dir", this.folder, "--save", "",
			"--appendonly", "yes", "--appendfsync", "no"], { stdio: "ignore" });
		await until(() => existsSync(this.redisSocket) && this.tryRedis("PING") === "PONG", "Redis");
	}

	async startApi() {
		this.process = spawn(path.join(build, "duplex-api"), ["--config", this.config], { stdio: ["ignore", "ignore", "pipe"] });
		this.process.stderr.on("data", (chunk) => (this.log += chunk));
		await until(() => existsSync(this.socket) || this.process.exitCode !== null, "the API");
		if (this.process.exitCode !== null)
			throw new Error(`duplex-api ended: ${this.log}`);
	}

	tryRedis(...words) {
		return spawnSync("redis-cli", ["-s", this.redisSocket, "--json", ...words.map(String)], { encoding: "utf8" }).stdout.trim().replace(/^"(.*)"$/, "$1");
	}

	redis(...words) {
		return JSON.parse(execFileSync("redis-cli", ["-s", this.redisSocket, "--json", "-e", ...words.map(String)], { encoding: "utf8" }));
	}

	// The events on a stream as objects.
	events(stream) {
		return this.redis("XRANGE", stream, "-", "+").map(([, fields]) =>
			Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]]] : []))));
	}

	ctl(words, input) {
		const done = spawnSync(path.join(build, "duplexctl"), ["--config", this.config, ...words], { encoding: "utf8", input });
		return { status: done.status, out: done.stdout, err: done.stderr };
	}

	addUser(name, { role = "user", password = `password of ${name}`, display = name } = {}) {
		const done = this.ctl(["user", "add", name, "--display-name", display, "--role", role, "--password-stdin"], `${password}\n`);
		if (done.status !== 0)
			throw new Error(done.err);
		return password;
	}

	metrics() {
		return new Promise((resolve, reject) => {
			http.get({ socketPath: path.join(this.folder, "metrics.api.sock"), path: "/metrics" }, async (reply) => {
				let text = "";
				for await (const chunk of reply)
					text += chunk;
				resolve(Object.fromEntries(text.split("\n").filter((l) => l && !l.startsWith("#")).map((l) => l.split(" "))));
			}).on("error", reject);
		});
	}

	async stopRedis() {
		this.redisProcess.kill("SIGKILL");
		await once(this.redisProcess, "exit");
		rmSync(this.redisSocket, { force: true });
	}

	async stopApi() {
		if (!this.process || this.process.exitCode !== null)
			return this.process?.exitCode;
		const gone = once(this.process, "exit");
		this.process.kill("SIGTERM");
		const [code] = await gone;
		return code;
	}

	async stop() {
		const status = await this.stopApi();
		if (this.redisProcess?.exitCode === null && this.redisProcess.signalCode === null)
			await this.stopRedis();
		rmSync(this.folder, { recursive: true, force: true });
		if (status !== 0 || /Sanitizer|runtime error|worker-ended/.test(this.log))
			throw new Error(`duplex-api ended with ${status}: ${this.log}`);
	}

	until = until;
}

export async function start(options = {}) {
	const server = new Server(options);
	await server.startRedis();
	await server.startApi();
	return server;
}
