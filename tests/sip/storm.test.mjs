// Overload: who is refused first, what Retry-After says, and that calls under way do not suffer when many clients return at once.
// STORM_CLIENTS (1500) and STORM_WORKERS (2) give the full figure: STORM_CLIENTS=20000 node --test tests/sip/storm.test.mjs
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DOMAIN, System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri } from './lib/client.mjs';
import { call, hangUp, inDialog } from './lib/calls.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const sipload = path.resolve(root, process.env.DUPLEX_BUILD ?? 'build/release', 'sipload');
const CLIENTS = Number(process.env.STORM_CLIENTS ?? 1500);
const WORKERS = Number(process.env.STORM_WORKERS ?? 2);
const BACK_MS = 15000;

/** Accounts and sessions of the clients that sipload plays. */
async function accounts(system, count, first) {
  const text = await new Promise((resolve, reject) => execFile(sipload, ['--to', 'unix:/nowhere', '--domain', DOMAIN, '--users', count, '--first', first,
    '--print-users'].map(String), { maxBuffer: 1 << 28 }, (error, out) => (error ? reject(error) : resolve(out))));
  await new Promise((resolve, reject) => {
    const cli = execFile('redis-cli', ['-s', system.redisSocket], { maxBuffer: 1 << 28 }, (error) => (error ? reject(error) : resolve()));
    cli.stdin.end(text);
  });
}

/** `count` clients on a worker that all drop and come back `storms` times, once `go` is made. */
function clients(system, worker, count, first, options = []) {
  const ready = path.join(system.dir, `ready.${worker}`);
  const child = spawn('nice', [sipload, '--to', `unix:${system.socket(worker)}`, '--domain', DOMAIN, '--users', count, '--first', first,
    '--ready', ready, '--setup-window', 200, ...options].map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (text) => { out += text; });
  return { ready: () => existsSync(ready), done: new Promise((resolve) => child.once('close', (code) => resolve({ code, report: out && JSON.parse(out) }))),
    stop: () => child.kill('SIGKILL') };
}

const percentile = (values, p) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))];

describe('a storm of clients that come back', () => {
  it(`${CLIENTS} are registered again within 15 s, and a call under way does not notice`, async () => {
    const system = await System.start({ workers: WORKERS, options: { 'redis-deadline': 100 } });
    const loads = [];
    try {
      const [ann, ben] = [await device(system, 'ann'), await device(system, 'ben', { worker: WORKERS - 1 })];
      const up = await call(ann, ben);
      const each = Math.floor(CLIENTS / WORKERS);
      for (let w = 0; w < WORKERS; w++) {
        await accounts(system, each, 1 + w * each);
        loads.push(clients(system, w, each, 1 + w * each, ['--storm', 1]));
      }
      await until('all registered', () => loads.every((load) => load.ready()), 120000);
      const times = [];
      let over = false;
      const done = Promise.all(loads.map((load) => load.done)).then((all) => { over = true; return all; });
      while (!over) {
        const began = performance.now();
        const info = inDialog(ann, 'INFO', up.a);
        ben.reply(await ben.request('INFO'), 200);
        assert.equal((await ann.response(info)).status, 200, 'what is in a dialog is served');
        times.push(performance.now() - began);
        await sleep(20);
      }
      const reports = await done;
      for (const { code, report } of reports) {
        assert.equal(code, 0, JSON.stringify(report));
        assert.equal(report.registered, each);
        for (const ms of report.storm_ms) assert.ok(ms < BACK_MS, `all are back after ${ms} ms`);
      }
      const [p50, p99, worst] = [percentile(times, 0.5), percentile(times, 0.99), Math.max(...times)].map((ms) => Math.round(ms * 10) / 10);
      console.log(`# ${CLIENTS} clients back after ${Math.max(...reports.flatMap(({ report }) => report.storm_ms))} ms; INFO in the call meanwhile (${times.length}): ` +
        `p50 ${p50} ms, p99 ${p99} ms, worst ${worst} ms`);
      assert.ok(p99 < 1000, `p99 ${p99} ms`);
      await hangUp(ann, ben, up);
    } finally {
      for (const load of loads) load.stop();
      await system.stop();
    }
  });

  it('connections beyond the rate wait for their turn, and none is turned away', async () => {
    const system = await System.start({ workers: 1, options: { 'accept-rate': 100 } });
    const session = await system.addUser('ann');
    try {
      const began = Date.now();
      const all = await Promise.all(Array.from({ length: 15 }, () => Ua.connect(system, 'ann', { session })));
      /* Ten at once are free; what is left comes at a hundred a second. */
      const users = [];
      for (let i = 0; i < 120; i++) users.push(`u${i}`);
      const sessions = await Promise.all(users.map((user) => system.addUser(user)));
      const start = Date.now();
      const more = await Promise.all(users.map((user, i) => Ua.connect(system, user, { session: sessions[i] })));
      assert.ok(Date.now() - start > 800, `${Date.now() - start} ms`);
      assert.ok(Date.now() - began < 20000);
      assert.equal((await more[119].register()).status, 200);
      for (const ua of [...all, ...more]) ua.ws.terminate();
    } finally {
      await system.stop();
    }
  });
});

describe('the order of service', () => {
  it('SUBSCRIBE, then INVITE, then new registrations, then refreshes are refused; a call can be ended to the last', async () => {
    const system = await System.start({ workers: 1, options: { 'redis-deadline': 2000, 'redis-pending-max': 50, 'messages-burst': 1000 } });
    try {
      const [ann, ben] = [await device(system, 'ann'), await device(system, 'ben')];
      const guest = await Ua.connect(system, 'cal', { session: await system.addUser('cal') });
      assert.equal((await guest.ask('OPTIONS', `sip:${DOMAIN}`)).status, 200);
      const up = await call(ann, ben);
      const pressure = () => system.metric(0, 'duplex_signal_pressure_percent');
      /* Look-ups that are not answered make the pressure. */
      const press = async (percent) => {
        while (await pressure() < percent) {
          ben.send('MESSAGE', uri('zoe'), { body: 'x', type: 'text/plain' });
          await sleep(5);
          inDialog(ann, 'INFO', up.a); // whatever is asked last tells the pressure
          ben.reply(await ben.request('INFO'), 200);
        }
      };
      const refused = async (answer) => {
        const got = await answer;
        if (got.status !== 503) return false;
        assert.ok(Number(got.get('Retry-After')) >= 2);
        return true;
      };
      const subscribe = () => ann.ask('SUBSCRIBE', `sip:contacts@${DOMAIN}`, { headers: [['Event', 'presence'], ['Accept', 'multipart/related'],
        ['Supported', 'eventlist'], ['Contact', `<${ann.gruu}>`]] });
      const options = () => ann.ask('OPTIONS', `sip:${DOMAIN}`);
      system.signalRedis('SIGSTOP');
      assert.ok(!await refused(options()));
      await press(60);
      assert.ok(await refused(subscribe()), 'SUBSCRIBE at 60 %');
      assert.ok(!await refused(options()), 'OPTIONS at 60 %');
      await press(80);
      assert.ok(await refused(options()), 'OPTIONS at 80 %');
      assert.ok(await refused(ann.ask('INVITE', uri('ben'), { headers: [['Contact', `<${ann.gruu}>`]] })), 'INVITE at 80 %');
      const before = await system.metric(0, 'duplex_signal_proxy_total', 'overload_beginning');
      assert.ok(before >= 2);
      /* Beyond that only registrations and what is in dialogs still reach Redis. */
      for (let i = 0; await pressure() < 100 && i < 100; i++) {
        guest.send('REGISTER', `sip:${DOMAIN}`, { to: `<${uri('cal')}>`, headers: [['Contact', `<${guest.contact}>;expires=600`]] });
        await sleep(5);
      }
      assert.ok(await refused(guest.register()), 'a new registration at 100 %');
      for (let i = 0; await pressure() < 120 && i < 100; i++) {
        ann.send('REGISTER', `sip:${DOMAIN}`, { to: `<${uri('ann')}>`, callId: ann.registerCallId, cseq: ++ann.registerCseq,
          headers: [['Contact', `<${ann.contact}>;+sip.instance="<${ann.instance}>";reg-id=1;expires=600`]] });
        await sleep(5);
      }
      assert.ok(await refused(ann.register()), 'a refresh at 120 %');
      await hangUp(ann, ben, up);
      for (const name of ['subscribe', 'beginning', 'register', 'refresh'])
        assert.ok(await system.metric(0, 'duplex_signal_proxy_total', `overload_${name}`) > 0, name);
      assert.equal(await system.metric(0, 'duplex_signal_proxy_total', 'overload_dialog'), 0);
      system.signalRedis('SIGCONT');
      await until('all is served again', async () => !await refused(options()));
    } finally {
      system.signalRedis('SIGCONT');
      await system.stop();
    }
  });
});

describe('the granted time', () => {
  it('differs, is never longer than asked for, and never shorter than by a fifth', async () => {
    const system = await System.start({ workers: 1, options: { 'register-vary': 20 } });
    try {
      const ann = await device(system, 'ann');
      const granted = new Set();
      for (let i = 0; i < 30; i++) {
        const answer = await ann.register({ expires: 600 });
        granted.add(Number(/expires=(\d+)/.exec(answer.all('Contact').find((v) => v.includes(ann.instance)))[1]));
      }
      assert.ok(granted.size > 10, [...granted].join(' '));
      for (const s of granted) assert.ok(s >= 480 && s <= 600, String(s));
      /* One so short that it could fall below the least is granted as it is. */
      const answer = await ann.register({ expires: 60 });
      assert.match(answer.all('Contact').find((v) => v.includes(ann.instance)), /expires=60\b/);
    } finally {
      await system.stop();
    }
  });
});
