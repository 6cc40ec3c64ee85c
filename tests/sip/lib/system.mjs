// A real redis-server and real workers in a directory of their own. DUPLEX_SIGNALLING names another build of the program (asan).
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import http from 'node:http';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const program = path.resolve(root, process.env.DUPLEX_SIGNALLING ?? 'build/release/duplex-signalling');

const START_MS = 30000; // on a machine that is busy with other things
export const DOMAIN = 'example.test';
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Tries `probe` until it gives something true. */
export async function until(what, probe, ms = 5000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(10);
  }
}

export class System {
  #redis;
  #workers = [];
  #sessions = 0;

  /** `options`: lines for [signalling]. */
  static async start({ workers = 2, options = {} } = {}) {
    const system = new System();
    system.dir = mkdtempSync(path.join(tmpdir(), 'duplex-sip-'));
    system.run = path.join(system.dir, 'run');
    mkdirSync(system.run);
    const secret = path.join(system.dir, 'secret');
    writeFileSync(secret, 'a secret only for these tests 0123456789\n');
    chmodSync(secret, 0o600);
    system.redisSocket = path.join(system.dir, 'redis.sock');
    const settings = { 'ring-timeout': 45, 'flow-grace': 1500, 'redis-deadline': 1000, drain: 300, ...options };
    system.config = path.join(system.dir, 'duplex.conf');
    writeFileSync(system.config, [
      '[common]', `domain = ${DOMAIN}`, `run-dir = ${system.run}`, `redis = ${system.redisSocket}`, `turn-secret = ${secret}`,
      `log-level = ${process.env.DUPLEX_TEST_LOG ?? 'info'}`, '[signalling]', 'node = n1',
      ...Object.entries(settings).map(([key, value]) => `${key} = ${value}`), ''].join('\n'));
    try {
      await system.startRedis();
      for (let i = 0; i < workers; i++) await system.startWorker(i);
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  async startRedis() {
    this.#redis = spawn('redis-server', ['--port', '0', '--unixsocket', this.redisSocket, '--save', '', '--appendonly', 'yes',
      '--appendfsync', 'everysec', '--dir', this.dir, '--loglevel', 'warning'], { stdio: 'ignore' });
    await until('redis', async () => (await this.redis('PING').catch(() => '')) === 'PONG', START_MS);
  }

  /** Kills it; what it held is there again after startRedis. */
  async stopRedis() {
    await end(this.#redis, 'SIGKILL');
    rmSync(this.redisSocket, { force: true });
  }

  /** One command by redis-cli; the answer as text. */
  redis(...args) {
    return new Promise((resolve, reject) => {
      execFile('redis-cli', ['-s', this.redisSocket, ...args.map(String)], (error, out) =>
        (error || /^(ERR|WRONGTYPE|Could not)/.test(out) ? reject(error ?? new Error(out)) : resolve(out.replace(/\n$/, ''))));
    });
  }

  async startWorker(index) {
    const socket = this.socket(index);
    rmSync(socket, { force: true });
    const worker = spawn(program, ['--config', this.config, '--worker', String(index)], { stdio: ['ignore', 'ignore', 'pipe'] });
    worker.log = '';
    worker.stderr.on('data', (text) => {
      worker.log += text;
      if (process.env.DUPLEX_TEST_LOG) process.stderr.write(text);
    });
    this.#workers[index] = worker;
    await until(`worker ${index}: ${worker.log}`, () => {
      if (worker.exitCode !== null) throw new Error(`worker ${index} ended: ${worker.log}`);
      return existsSync(socket);
    }, START_MS);
    await until('lease', async () => (await this.redis('ZRANGE', 'workers', 0, -1)).includes(`n1.${index}`), START_MS);
  }

  pid(index) { return this.#workers[index].pid; }
  log(index) { return this.#workers[index].log; }
  running(index) { return this.#workers[index].exitCode === null && this.#workers[index].signalCode === null; }
  kill(index, signal) { return end(this.#workers[index], signal); }
  signal(index, signal) { this.#workers[index].kill(signal); }
  socket(index) { return path.join(this.run, `signal.${index}.sock`); }
  peerSocket(index) { return path.join(this.run, `peer.${index}.sock`); }

  /** An active account with one session, as the API makes them; gives the session id. */
  async addUser(name) {
    await this.redis('HSET', `user:{${name}}`, 'state', 'active', 'display_name', name);
    return this.addSession(name);
  }

  async addSession(name) {
    const id = (++this.#sessions).toString(16).padStart(32, '0');
    await this.redis('HSET', `session:{${name}}:${id}`, 'created', Date.now());
    return id;
  }

  addContact(owner, contact) { return this.redis('HSET', `contacts:{${owner}}`, contact, Date.now()); }
  event(type, ...fields) { return this.redis('XADD', 'events:signal', '*', 't', type, ...fields); }

  /** A metric by name and label value ("" for none). */
  async metric(index, name, label = '') {
    const text = await new Promise((resolve, reject) => {
      http.get({ socketPath: path.join(this.run, `metrics.signal.${index}.sock`), path: '/metrics' }, (response) => {
        let body = '';
        response.on('data', (chunk) => { body += chunk; });
        response.on('end', () => resolve(body));
      }).on('error', reject);
    });
    for (const line of text.split('\n')) {
      const match = /^(\w+)(?:\{\w+="([^"]*)"\})? (\d+)$/.exec(line);
      if (match && match[1] === name && (match[2] ?? '') === label) return Number(match[3]);
    }
    throw new Error(`no metric ${name} ${label}`);
  }

  /** Ends everything. A worker that a sanitizer or an assertion has ended is an error. */
  async stop() {
    const bad = [];
    for (const [index, worker] of this.#workers.entries()) {
      if (!worker) continue;
      const killed = worker.signalCode === 'SIGKILL';
      await end(worker, 'SIGTERM');
      if (!killed && worker.exitCode !== 0) bad.push(`worker ${index} ended with ${worker.exitCode ?? worker.signalCode}:\n${worker.log}`);
    }
    if (this.#redis) await end(this.#redis, 'SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
    if (bad.length > 0) throw new Error(bad.join('\n'));
  }
}

function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const last = setTimeout(() => child.kill('SIGKILL'), 10000);
    child.once('exit', () => { clearTimeout(last); resolve(); });
    child.kill(signal);
  });
}
