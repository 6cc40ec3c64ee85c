// The load generator against a real worker: every answer of calls, messages and refreshing registrations is verified by it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { System, DOMAIN, until } from './lib/system.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const program = path.resolve(root, process.env.DUPLEX_BUILD ?? 'build/release', 'sipload');
const USERS = 20;
let system;

function sipload(...args) {
  return new Promise((resolve) => {
    execFile(program, args.map(String), { timeout: 60000, maxBuffer: 1 << 24 }, (error, out, err) => resolve({ code: error?.code ?? 0, out, err }));
  });
}

const drive = (...args) => sipload('--to', `unix:${system.socket(0)}`, '--domain', DOMAIN, '--users', USERS, ...args);

before(async () => {
  system = await System.start({ workers: 1 });
  const { out } = await sipload('--print-users', '--users', USERS);
  for (const line of out.trim().split('\r\n')) await system.redis(...line.split(' '));
});
after(() => system?.stop());

test('calls, messages and registrations at given rates are all answered rightly', async () => {
  const { code, out, err } = await drive('--register', 20, '--call', 10, '--message', 20, '--warmup', 0, '--seconds', 30, '--count', 30);
  assert.equal(code, 0, err + out);
  const report = JSON.parse(out);
  for (const kind of ['register', 'call', 'message']) {
    assert.equal(report[kind].completed, 30, `${kind}: ${out}`);
    assert.deepEqual(report[kind].failed, {}, kind);
    assert.ok(report[kind].latency_us.p50 > 0);
  }
  assert.ok(report.call.ringing_us.p99 <= report.call.latency_us.max);
});

test('held calls in a closed loop', async () => {
  const { code, out, err } = await drive('--call', 'w4', '--hold', 50, '--warmup', 0, '--seconds', 30, '--count', 12);
  assert.equal(code, 0, err + out);
  assert.equal(JSON.parse(out).call.completed, 12);
});

test('all dropped and back at once', async () => {
  const { code, out, err } = await drive('--storm', 2, '--setup-seconds', 30);
  assert.equal(code, 0, err + out);
  const report = JSON.parse(out);
  assert.equal(report.storm_ms.length, 2);
  assert.equal(report.registered, USERS);
});

test('an answer that is not the right one is told and fails the run', async () => {
  const run = drive('--message', 10, '--warmup', 0, '--seconds', 4, '--ready', path.join(system.dir, 'ready'));
  await until('registrations', () => existsSync(path.join(system.dir, 'ready')), 20000);
  // From now on a MESSAGE to that user is answered with 404.
  await system.redis('HSET', 'user:{load000001}', 'state', 'disabled');
  const { code, out, err } = await run;
  assert.equal(code, 1, err + out);
  const { message } = JSON.parse(out);
  assert.ok(message.failed.status > 0 && message.completed > 0, out);
  assert.match(err, /status: SIP\/2\.0 404/);
});
