// A whole Duplex of this test's own: another instance name and port, and so another TAP device and subnet, than `make run` uses.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const run = promisify(execFile);
const tree = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

// GET over a unix socket, as Prometheus would scrape it.
export function scrape(socketPath) {
  return new Promise((done, fail) => {
    http
      .get({ socketPath, path: "/metrics", agent: false }, (reply) => {
        let text = "";
        reply.on("data", (chunk) => (text += chunk));
        reply.on("end", () => done(text));
      })
      .on("error", fail);
  });
}

// The sum over all label sets of one metric, or with `name{label="value"}` that one; NaN if it is not there.
export function metric(text, name) {
  const values = text
    .split("\n")
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
  return values.length > 0 ? values.reduce((a, b) => a + b, 0) : NaN;
}

// NaN of a process that has just ended.
function parentOf(pid) {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
  } catch {
    return NaN;
  }
}

export class Instance {
  static async start(settings = {}) {
    const port = await freePort();
    const hash = createHash("sha256").update(`${tree}:${process.pid}`).digest("hex").slice(0, 6);
    const all = {
      INSTANCE: `e2e-${hash}`,
      HTTPS_PORT: String(port),
      WORKERS: "2",
      ...settings,
    };
    const self = new Instance(all);
    await self.#command("up", 120_000);
    return self;
  }

  constructor(settings) {
    this.settings = settings;
    this.origin = `https://localhost:${settings.HTTPS_PORT}`;
    this.runDir = `/run/duplex/${settings.INSTANCE}`;
    this.stateDir = `/var/lib/duplex/${settings.INSTANCE}`;
  }

  #command(verb, timeout) {
    const pairs = Object.entries(this.settings).map(([name, value]) => `${name}=${value}`);
    return run(`${tree}/packaging/duplex-run`, [verb, ...pairs], { timeout, maxBuffer: 1 << 24 });
  }

  async stop() {
    await this.#command("down", 60_000);
    await run("rm", ["-rf", this.stateDir]);
  }

  // One user, made as an administrator on the machine would.
  async addUser(name, displayName, password, role = "user") {
    const args = ["--config", `${this.stateDir}/etc/duplex.conf`, "user", "add", name, "--display-name", displayName, "--role", role, "--password-stdin"];
    const child = run(`${tree}/build/release/duplexctl`, args, { timeout: 20_000 });
    child.child.stdin.end(`${password}\n`);
    await child;
  }

  // As the kernel would when memory is out; its supervisor starts it again.
  async killRelay() {
    await run("sv", ["kill", `${this.stateDir}/service/relay`]);
  }

  #sv(verb, names) {
    return run("sv", [verb, ...names.map((name) => `${this.stateDir}/service/${name}`)]);
  }

  // SIGKILL; the supervisor starts them again.
  kill(...names) {
    return this.#sv("kill", names);
  }

  // SIGKILL with all their children, and nobody starts them again.
  async crash(...names) {
    await this.#sv("once", names);
    const pids = names.map((name) => Number(readFileSync(`${this.runDir}/supervise/${name}/pid`, "utf8")));
    for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      const parent = parentOf(entry);
      if (pids.includes(parent)) pids.push(Number(entry));
    }
    for (const pid of pids) process.kill(pid, "SIGKILL");
  }

  hup(...names) {
    return this.#sv("hup", names);
  }

  async redisAnswers() {
    const answer = await run("redis-cli", ["-s", `${this.runDir}/redis.sock`, "ping"]).catch(() => ({ stdout: "" }));
    return answer.stdout.trim() === "PONG";
  }

  async signallingMetric(worker, name) {
    return metric(await scrape(`${this.runDir}/metrics.signal.${worker}.sock`), name);
  }

  // What a node of this name needs to join; gives the path of the archive.
  async invite(node) {
    const file = `${this.stateDir}/${node}.tar`;
    await run("sh", ["-c", `umask 077; "$0" invite "$1" INSTANCE="$2" >"$3"`, `${tree}/packaging/duplex-run`, node, this.settings.INSTANCE, file], { timeout: 30_000 });
    return file;
  }

  // Ends a user's allocations at the relay, as an administrator could.
  endAllocations(user) {
    return run(`${tree}/build/release/duplexctl`, ["--config", `${this.stateDir}/etc/duplex.conf`, "relay", "end", "--user", user], { timeout: 20_000 });
  }

  relayMetrics() {
    return scrape(`${this.runDir}/metrics.relay.sock`);
  }

  async relayAllocations() {
    return metric(await this.relayMetrics(), "duplex_relay_allocations");
  }
}
