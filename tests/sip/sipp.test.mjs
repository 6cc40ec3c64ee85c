// Debian's sipp as standard clients on UDP: login and registration, calls, CANCEL, and all of it while a fifth of the caller's datagrams is lost.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { System, DOMAIN, until } from './lib/system.mjs';
import { addDevice, freePort, phoneOptions } from './lib/phone.mjs';

const scenarios = path.join(path.dirname(fileURLToPath(import.meta.url)), 'sipp');
let system, ports;
const dir = mkdtempSync(path.join(tmpdir(), 'duplex-sipp-'));
before(async () => {
  const made = await phoneOptions(dir, { 'sip-auth': 'md5', 'calls-max': 100, 'sip-udp-request-max': 4000 });
  ({ ports } = made);
  system = await System.start({ options: made.options });
});
after(async () => {
  await system.stop();
  rmSync(dir, { recursive: true, force: true });
});

let runs = 0;
/** One run of a scenario from `who`'s port; rejects with what sipp says. */
function sipp(scenario, who, { calls = 1, callee = who, more = [], seconds = 60 } = {}) {
  const csv = path.join(dir, `${++runs}.csv`);
  writeFileSync(csv, `SEQUENTIAL\n${who.user};[authentication username=${who.login} password=${who.secret}];${callee.user}\n`);
  const child = spawn('sipp', [`127.0.0.1:${ports.udp}`, '-sf', path.join(scenarios, `${scenario}.xml`), '-inf', csv, '-i', '127.0.0.1', '-p', String(who.port),
    '-auth_uri', scenario === 'register' ? DOMAIN : `${callee.user}@${DOMAIN}`, '-m', String(calls), '-s', who.user, '-timeout', `${seconds}s`, '-timeout_error', '-nostdin', ...more], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; });
  const done = new Promise((resolve, reject) => child.once('exit', (code) =>
    (code === 0 ? resolve(said) : reject(new Error(`sipp ${scenario}: ${code}\n${said.split('\n').slice(-60).join('\n')}`)))));
  done.catch(() => {});
  return { child, done };
}

let users = 0;
async function phone() {
  const who = { ...await addDevice(system, `sipp${++users}`), port: await freePort() };
  await sipp('register', who).done;
  assert.equal(await system.redis('HLEN', `location:{${who.user}}`), '1');
  return who;
}

async function between(caller, callee, scenario, answer, { lost = [], ...options }) {
  const waiting = sipp(answer, callee, options);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await sipp(scenario, caller, { ...options, more: [...options.more, ...lost], callee }).done;
  await waiting.done;
}

it('registers, calls and hangs up', async () => {
  await between(await phone(), await phone(), 'call', 'answer', { calls: 10, more: ['-r', '20'] });
});

it('cancels', async () => {
  await between(await phone(), await phone(), 'cancel', 'ring', { calls: 5, more: ['-r', '10'] });
});

/* The caller's requests, and what it hears of 100, 180 and the end; the rest sipp takes for an error when it comes again or out of order. */
it('gets through when a fifth of the datagrams is lost', async () => {
  const caller = await phone(), callee = await phone();
  await between(caller, callee, 'call', 'answer', { calls: 10, more: ['-r', '5'], lost: ['-lost', '20', '-max_retrans', '12'], seconds: 90 });
  await until('every call has one record', async () =>
    (await system.redis('XLEN', `history:{${callee.user}}`)) === '10');
});
