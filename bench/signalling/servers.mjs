// The servers that are measured: Redis, Duplex's worker (on its unix socket, or behind TCP by bench/tcpworker), Kamailio, nginx. Each runs on one given
// core at the highest ordinary priority, in a directory of this run; whatever was started is ended again.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const bin = path.resolve(root, process.env.BIN ?? 'build/release');
export const DOMAIN = 'bench.test';
export const SERVER_CPU = process.env.SERVER_CPU ?? '0';
export const CLIENT_CPU = process.env.CLIENT_CPU ?? '1';
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const say = (text) => process.stderr.write(`${text}\n`);

export const dir = mkdtempSync(path.join(tmpdir(), 'duplex-bench-sip-'));
mkdirSync(path.join(dir, 'run'));
const children = new Set();

export async function until(what, probe, ms = 20000) {
  const end = Date.now() + ms;
  for (;;) {
    if (await probe()) return;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

/** A process of its own session (the scheduler may weigh sessions before processes), on `cpu`, before all others. `fifo`: at real-time priority. */
export function start(name, cpu, command, args, { env = {}, stdin = 'ignore', fifo = false } = {}) {
  const script = `{ echo -20 >/proc/self/autogroup; } 2>/dev/null; cpu=$1; shift; exec ${fifo ? 'chrt -f 10' : 'nice -n -20'} taskset -c "$cpu" "$@"`;
  const log = openSync(path.join(dir, `${name}.log`), 'a');
  const child = spawn('sh', ['-c', script, 'sh', cpu, command, ...args.map(String)],
    { detached: true, env: { ...process.env, ...env }, stdio: [stdin, name.startsWith('load') ? 'pipe' : log, log] });
  child.label = name;
  child.done = new Promise((resolve) => { child.once('exit', (code, signal) => { children.delete(child); resolve(code ?? signal); }); });
  children.add(child);
  return child;
}

export async function stop(child, signal = 'SIGTERM') {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await Promise.race([child.done, sleep(8000)]);
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await child.done;
}

export async function stopAll() {
  for (const child of [...children].reverse()) await stop(child);
  rmSync(dir, { recursive: true, force: true });
}

export function logOf(name) {
  try { return readFileSync(path.join(dir, `${name}.log`), 'utf8').split('\n').slice(-12).join('\n'); } catch { return ''; }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function answers(where) {
  return new Promise((resolve) => {
    const socket = connect(where, () => { socket.destroy(); resolve(true); }).once('error', () => resolve(false));
  });
}

/* --- Redis --- */

export async function startRedis(users) {
  const socket = path.join(dir, 'redis.sock');
  const child = start('redis', CLIENT_CPU, 'redis-server', ['--port', 0, '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', dir, '--loglevel', 'warning']);
  await until('redis', () => answers({ path: socket }));
  const lines = execFileSync(path.join(bin, 'sipload'), ['--print-users', '--users', String(users)], { maxBuffer: 1 << 28 });
  execFileSync('redis-cli', ['-s', socket, '--pipe'], { input: lines });
  return { child, socket };
}

/* --- Duplex --- */

/** `options`: lines for [signalling]. The budgets of a connection are off: a few connections carry what thousands of people would send. Each call leaves two
 *  transactions for 32 s (RFC 6026), and Kamailio has no limit on them. */
export function writeConf(redis, options = {}) {
  const secret = path.join(dir, 'secret');
  writeFileSync(secret, 'a secret only for this benchmark 0123456789\n');
  chmodSync(secret, 0o600);
  const settings = { node: 'n1', 'messages-per-second': 1000000, 'messages-burst': 1000000, 'bytes-per-second': 1000000000, 'bytes-burst': 1000000000,
    'redis-deadline': 1000, 'transactions-max': 5000000, ...options };
  const file = path.join(dir, 'duplex.conf');
  writeFileSync(file, ['[common]', `domain = ${DOMAIN}`, `run-dir = ${dir}/run`, `redis = ${redis.socket}`, `turn-secret = ${secret}`, 'log-level = warn',
    '[signalling]', ...Object.entries(settings).map(([key, value]) => `${key} = ${value}`), ''].join('\n'));
  return file;
}

/** `tcp`: behind TCP. Gives `to` for sipload and the pids whose CPU time counts. */
export async function startDuplex(conf, index, { tcp = false, cpu = SERVER_CPU, fifo = false } = {}) {
  const port = tcp ? await freePort() : 0;
  const child = start(`duplex.${index}`, cpu, path.join(bin, tcp ? 'tcpworker' : 'duplex-signalling'), ['--config', conf, '--worker', index],
    { env: tcp ? { TCPWORKER_PORT: String(port) } : {}, fifo });
  const socket = path.join(dir, 'run', `signal.${index}.sock`);
  await until(`duplex: ${logOf(`duplex.${index}`)}`, () => answers(tcp ? { port, host: '127.0.0.1' } : { path: socket }));
  return { name: 'duplex', child, socket, to: tcp ? `tcp:127.0.0.1:${port}` : `unix:${socket}`, pids: () => [child.pid], args: [] };
}

/* --- Kamailio --- */

const modules = ['/usr/lib/x86_64-linux-gnu/kamailio/modules/', '/usr/lib/aarch64-linux-gnu/kamailio/modules/'].find((p) => existsSync(p));

function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

export async function startKamailio({ shared = 4096, fifo = false } = {}) {
  const port = await freePort();
  const file = path.join(dir, 'kamailio.cfg');
  writeFileSync(file, readFileSync(path.join(root, 'bench/signalling/kamailio.cfg'), 'utf8').replaceAll('@PORT@', String(port)).replaceAll('@MODULES@', modules));
  const child = start('kamailio', SERVER_CPU, 'kamailio', ['-f', file, '-DD', '-E', '-x', 'fm', '-m', shared, '-M', 64, '-P', path.join(dir, 'kamailio.pid'),
    '-Y', path.join(dir, 'run'), '-w', dir, '-u', 'root', '-g', 'root'], { fifo });
  await until(`kamailio: ${logOf('kamailio')}`, () => answers({ port, host: '127.0.0.1' }));
  await sleep(500);
  return { name: 'kamailio', child, to: `tcp:127.0.0.1:${port}`, pids: () => [child.pid, ...childrenOf(child.pid)], args: ['--plain'] };
}

/* --- memory --- */

/** Bytes: the proportional share of all pages of these processes. */
export function pss(pids) {
  let kb = 0;
  for (const pid of pids) kb += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
  return kb * 1024;
}

/* --- the load --- */

const flag = (key) => `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

/** Starts sipload against a server; `.report` resolves to its JSON with `code`. */
export function load(server, options, { cpu = CLIENT_CPU, cpuOf = {}, fifo = false, name = 'load' } = {}) {
  const args = ['--to', server.to, '--domain', DOMAIN, ...server.args, '--cpu-of', `server:${server.pids().join(',')}`];
  for (const [label, pids] of Object.entries(cpuOf)) args.push('--cpu-of', `${label}:${pids.join(',')}`);
  for (const [key, value] of Object.entries(options)) args.push(flag(key), ...(value === true ? [] : [String(value)]));
  const child = start(name, cpu, path.join(bin, 'sipload'), args, { fifo });
  let out = '';
  child.stdout.on('data', (data) => { out += data; });
  // 'close' comes when its output has been read, too.
  child.report = new Promise((resolve) => { child.once('close', (code, signal) => resolve(code ?? signal)); }).then((code) => {
    if (!out.startsWith('{')) throw new Error(`sipload gave nothing (${code}): ${logOf(name)}`);
    return { ...JSON.parse(out), code };
  });
  return child;
}

export function versions() {
  const line = (command, args, pattern) => { try { return pattern.exec(execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }))?.[1]; } catch { return undefined; } };
  return {
    commit: line('git', ['-C', root, 'describe', '--always', '--dirty', '--abbrev=12'], /(\S+)/), kamailio: line('kamailio', ['-v'], /version: (.*)/),
    redis: line('redis-server', ['--version'], /v=(\S+)/), kernel: line('uname', ['-r'], /(\S+)/), date: new Date().toISOString(),
    cpu: /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1], cpus: readdirSync('/sys/devices/system/cpu').filter((n) => /^cpu\d+$/.test(n)).length,
  };
}
