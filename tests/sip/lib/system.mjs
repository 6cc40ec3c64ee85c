// A real redis-server and real workers in a directory of their own. DUPLEX_SIGNALLING names another build of the program (asan).
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import http from 'node:http';
import { Authority, freePorts } from './cluster.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const program = path.resolve(root, process.env.DUPLEX_SIGNALLING ?? 'build/release/duplex-signalling');

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
  #spare;
  #workers = [];
  #sessions = 0;
  #perNode = 2;

  /** `options`: lines for [signalling]. With `nodes` there are so many, n1, n2, …, each with `workers` workers: worker 3 of two nodes with two workers is n2.1.
   * `redis`: 'one'; 'none' yet; or 'pair', a master and a replica, whose address is the second that the workers know.
   * `peerAddress(node, port)`: where the others shall find it, instead of where it listens. `place(k)`: { address, namespace } of node k. `domain`: another one, for messages that come as they are. */
  static async start({ workers = 2, nodes = 1, options = {}, peerAddress, place, domain = DOMAIN, redis = 'one' } = {}) {
    const system = new System();
    system.dir = mkdtempSync(path.join(tmpdir(), 'duplex-sip-'));
    system.#perNode = workers;
    system.place = place;
    const secret = path.join(system.dir, 'secret');
    writeFileSync(secret, 'a secret only for these tests 0123456789\n');
    chmodSync(secret, 0o600);
    system.redisSocket = path.join(system.dir, 'redis.sock');
    system.spareSocket = path.join(system.dir, 'spare.sock');
    const settings = { 'ring-timeout': 45, 'flow-grace': 1500, 'redis-deadline': 1000, drain: 300, 'register-vary': 0, ...options };
    if (nodes > 1) system.authority = new Authority(system.dir);
    for (let k = 0; k < nodes; k++) {
      const node = `n${k + 1}`;
      const peer = nodes > 1 ? await system.#peering(node, workers, peerAddress, place?.(k)) : {};
      mkdirSync(system.#run(k));
      writeFileSync(system.config(k), [
        '[common]', `domain = ${domain}`, `run-dir = ${system.#run(k)}`,
        `redis = ${system.redisSocket}${redis === 'pair' ? `, ${system.spareSocket}` : ''}`, `turn-secret = ${secret}`,
        `log-level = ${process.env.DUPLEX_TEST_LOG ?? 'info'}`, '[signalling]', `node = ${node}`,
        ...Object.entries({ ...peer, ...settings }).map(([key, value]) => `${key} = ${value}`), ''].join('\n'));
    }
    try {
      if (redis === 'pair') await system.#startPair();
      else if (redis === 'one') await system.startRedis();
      for (let i = 0; i < nodes * workers; i++) await system.startWorker(i, redis !== 'none');
      if (nodes > 1) await system.meshed();
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  #run(k) { return path.join(this.dir, `run${k + 1}`); }
  config(k) { return path.join(this.dir, `duplex${k + 1}.conf`); }
  name(index) { return `n${Math.floor(index / this.#perNode) + 1}.${index % this.#perNode}`; }
  #file(index, name) { return path.join(this.#run(Math.floor(index / this.#perNode)), `${name}.${index % this.#perNode}.sock`); }

  async #peering(node, workers, peerAddress, place) {
    const port = await freePorts(workers);
    const { certificate, key } = this.authority.issue(node);
    const other = await peerAddress?.(node, port);
    return { 'peer-listen': `${place?.address ?? '127.0.0.1'}:${port}`, ...(other && { 'peer-address': other }), 'peer-certificate': certificate, 'peer-key': key,
      'peer-ca': this.authority.certificate };
  }

  /** Every worker has its streams to those of the other nodes. */
  async meshed() {
    const all = this.#workers.map((_, index) => index).filter((index) => this.running(index));
    const node = (index) => this.name(index).split('.')[0];
    for (const index of all) {
      for (const other of all.filter((o) => node(o) !== node(index)))
        await until(`${this.name(index)} -> ${this.name(other)}`, () => this.linked(index, other), START_MS);
    }
  }

  /** Whether the stream from one worker to another of another node is up, by the last that the log says of it. */
  linked(index, other) {
    const lines = this.log(index).split('\n').filter((line) => /peer-stream-(up|lost)/.test(line) && line.includes(`peer=${this.name(other)} direction=out`));
    return lines.length > 0 && lines.at(-1).includes('peer-stream-up');
  }

  async #spawnRedis(socket, dir, port = 0) {
    const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--unixsocket', socket, '--save', '', '--appendonly', 'yes',
      '--appendfsync', 'everysec', '--dir', dir, '--loglevel', 'warning'], { stdio: 'ignore' });
    await until('redis', async () => (await this.redisAt(socket, 'PING').catch(() => '')) === 'PONG', START_MS);
    return redis;
  }

  async startRedis() { this.#redis = await this.#spawnRedis(this.redisSocket, this.dir); }

  async #startPair() {
    const dir = path.join(this.dir, 'spare');
    mkdirSync(dir);
    this.redisPort = await freePorts(2);
    this.#redis = await this.#spawnRedis(this.redisSocket, this.dir, this.redisPort);
    this.#spare = await this.#spawnRedis(this.spareSocket, dir, this.redisPort + 1);
    await this.follow(this.spareSocket, this.redisPort);
  }

  /** Makes the server at `socket` a replica of the one at `port`, and waits until it has all. */
  async follow(socket, port) {
    await this.redisAt(socket, 'REPLICAOF', '127.0.0.1', port);
    await until('replica in step', async () => (await this.redisAt(socket, 'INFO', 'replication')).includes('master_link_status:up'), START_MS);
  }

  signalRedis(signal) { this.#redis.kill(signal); }

  /** Kills it; what it held is there again after startRedis. */
  async stopRedis() {
    await end(this.#redis, 'SIGKILL');
    rmSync(this.redisSocket, { force: true });
  }

  /** One command by redis-cli; the answer as text. */
  redis(...args) { return this.redisAt(this.redisSocket, ...args); }

  redisAt(socket, ...args) {
    return new Promise((resolve, reject) => {
      execFile('redis-cli', ['-s', socket, ...args.map(String)], (error, out) =>
        (error || /^(ERR|WRONGTYPE|Could not)/.test(out) ? reject(error ?? new Error(out)) : resolve(out.replace(/\n$/, ''))));
    });
  }

  async startWorker(index, leased = true) {
    const socket = this.socket(index);
    rmSync(socket, { force: true });
    const k = Math.floor(index / this.#perNode);
    const words = [program, '--config', this.config(k), '--worker', String(index % this.#perNode)];
    const namespace = this.place?.(k).namespace;
    if (namespace) words.unshift('ip', 'netns', 'exec', namespace); // which becomes the program
    const worker = spawn(words[0], words.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
    worker.log = '';
    worker.stderr.on('data', (text) => {
      worker.log += text;
      if (process.env.DUPLEX_TEST_LOG) process.stderr.write(text);
    });
    this.#workers[index] = worker;
    await until(`worker ${index}: ${worker.log}`, () => {
      if (worker.exitCode !== null) throw new Error(`worker ${index} ended: ${worker.log}`);
      return worker.log.includes('worker-started') || existsSync(socket); // a worker of a node that is being emptied does not listen
    }, START_MS);
    if (leased) await this.leased(index);
  }

  /** The others can know that it is there. */
  async leased(index) {
    await until('lease', async () => (await this.redis('ZRANGE', 'workers', 0, -1)).split('\n').includes(this.name(index)), START_MS);
  }

  pid(index) { return this.#workers[index].pid; }
  log(index) { return this.#workers[index].log; }
  running(index) { return this.#workers[index].exitCode === null && this.#workers[index].signalCode === null; }
  kill(index, signal) { return end(this.#workers[index], signal); }
  signal(index, signal) { this.#workers[index].kill(signal); }
  socket(index) { return this.#file(index, 'signal'); }
  peerSocket(index) { return this.#file(index, 'peer'); }

  /** A whole machine: all its workers at once. */
  async killNode(k) { await Promise.all(this.#ofNode(k).map((index) => this.kill(index, 'SIGKILL'))); }
  async startNode(k) { for (const index of this.#ofNode(k)) await this.startWorker(index); }
  #ofNode(k) { return this.#workers.map((_, index) => index).filter((index) => Math.floor(index / this.#perNode) === k); }

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

  /** All metrics of a worker, as text. */
  metrics(index) {
    return new Promise((resolve, reject) => {
      http.get({ socketPath: this.#file(index, 'metrics.signal'), path: '/metrics' }, (response) => {
        let body = '';
        response.on('data', (chunk) => { body += chunk; });
        response.on('end', () => resolve(body));
      }).on('error', reject);
    });
  }

  /** A metric by name and label value ("" for none). */
  async metric(index, name, label = '') {
    const text = await this.metrics(index);
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
    for (const redis of [this.#redis, this.#spare]) if (redis) await end(redis, 'SIGKILL');
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
