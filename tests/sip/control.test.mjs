// duplexctl signal: who is registered, which calls there are, what a connection may still send, counters, and a trace as a ladder.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { System, sleep, until } from './lib/system.mjs';
import { device, uri } from './lib/client.mjs';
import { call, hangUp } from './lib/calls.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const duplexctl = path.resolve(root, process.env.DUPLEX_BUILD ?? 'build/release', 'duplexctl');

let system;
before(async () => { system = await System.start({ workers: 2 }); });
after(() => system.stop());

const ctl = (...args) => new Promise((resolve) => {
  execFile(duplexctl, ['--config', system.config(0), 'signal', ...args], (error, out, err) => resolve({ status: error?.code ?? 0, out, err }));
});

/** A trace that runs while `work` does; what duplexctl printed. */
async function traced(args, work) {
  const child = spawn(duplexctl, ['--config', system.config(0), 'signal', 'trace', '--seconds', '60', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', (text) => { out += text; });
  child.stderr.on('data', (text) => { err += text; });
  await until('tracing', () => err.includes('tracing'));
  await work();
  const done = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGINT');
  assert.equal(await done, 0, err);
  return out;
}

describe('duplexctl signal', () => {
  it('shows a user\'s registrations on all workers of the machine', async () => {
    const session = await system.addUser('ann');
    const [one, two] = [await device(system, 'ann', { session }), await device(system, 'ann', { session, worker: 1 })];
    const other = await device(system, 'zoe');
    const { status, out } = await ctl('registrations', '--user', 'ann');
    assert.equal(status, 0);
    const lines = out.trim().split('\n').slice(1);
    assert.equal(lines.length, 2);
    for (const ua of [one, two]) {
      const line = lines.find((l) => l.includes(ua.instance));
      assert.match(line, new RegExp(`^ann +${ua.worker} +\\d+\\.\\d+ +WSS +192\\.0\\.2\\.1 +\\ds +\\d+s registered +${ua.instance}$`));
    }
    const json = JSON.parse((await ctl('registrations', '--json')).out);
    assert.deepEqual(json.map(({ worker, answer }) => [worker, answer.items.map(({ user }) => user).sort()]), [['0', ['ann', 'zoe']], ['1', ['ann']]]);
    one.cut();
    await until('the grace is shown', async () => (await ctl('registrations', '--user', 'ann')).out.includes(' lost '));
    await two.close(); await other.close();
  });

  it('shows live calls, connections and their budgets, counters and load', async () => {
    const [bea, cat] = [await device(system, 'bea'), await device(system, 'cat')];
    const up = await call(bea, cat);
    const calls = JSON.parse((await ctl('calls', '--user', 'cat', '--json')).out)[0].answer.items;
    assert.equal(calls.length, 1);
    assert.equal(calls[0].call_id, up.sent.callId);
    assert.equal(calls[0].state, 'answered');
    assert.match((await ctl('calls')).out, new RegExp(`^${calls[0].id} 0 +bea +cat +answered +audio `, 'm'));
    assert.equal((await ctl('calls', '--id', 'none')).out.trim().split('\n').length, 1);

    const before = JSON.parse((await ctl('connections', '--user', 'bea', '--json')).out)[0].answer.items[0];
    assert.equal(before.state, 'open');
    for (let i = 0; i < 100; i++) await bea.ask('OPTIONS', 'sip:example.test');
    const after_ = JSON.parse((await ctl('connections', '--user', 'bea', '--json')).out)[0].answer.items[0];
    assert.ok(after_.messages_left < before.messages_left, `${after_.messages_left} < ${before.messages_left}`);
    assert.ok(after_.bytes_left < before.bytes_left);
    assert.match((await ctl('connections', '--limit', '1')).out, /\(\d of \d; --limit shows more\)/);

    const { out } = await ctl('status');
    assert.match(out, /^n1\.0 +serving +\d+ +\d+ +0 +1 +\d+ +\d+\.\d% +\d+% +up +0$/m);
    assert.match((await ctl('stats')).out, /^2 workers\n(.*\n)*sip\n(.*\n)* {2}answered +\d+$/m);
    await hangUp(bea, cat, up);
    await bea.close(); await cat.close();
  });

  it('draws a call of a user as a ladder, over both workers, without secrets', async () => {
    const [dan, eve] = [await device(system, 'dan'), await device(system, 'eve', { worker: 1 })];
    const stranger = await device(system, 'zed');
    const out = await traced(['--user', 'dan', '--full'], async () => {
      await dan.register({ headers: [['Authorization', 'Digest username="dan", response="0123456789abcdef"']] });
      await hangUp(dan, eve, await call(dan, eve));
      await dan.ask('MESSAGE', uri('eve'), { body: 'our secret', type: 'text/plain' });
      await stranger.register();
      await sleep(50);
    });
    const [head, ...rows] = out.split('\n\n--- #1')[0].trim().split('\n').filter((l) => !l.startsWith('call '));
    assert.match(head, /at \(UTC\) +.*dan \(0\/\d+\) +.*server +.*eve \(1\/\d+\)/);
    const said = rows.map((row) => /^\d\d:\d\d:\d\d\.\d{6} +\|?(.*?) {2}#/.exec(row)[1]);
    const steps = ['REGISTER', '200 OK', 'INVITE eve', 'INVITE', '180', '180', '200', '200', 'ACK', 'ACK', 'BYE', 'BYE', '200', '200', 'MESSAGE eve', 'MESSAGE'];
    let at = 0;
    for (const row of said) if (at < steps.length && row.includes(steps[at])) at++;
    assert.equal(at, steps.length, `${steps[at]} is missing in\n${rows.join('\n')}`);
    /* To the server from the left, from it to the right. */
    assert.match(said.find((row) => row.includes('INVITE eve')), /^-+INVITE eve-+>\|/);
    assert.match(said.find((row) => row.includes('180')), /\|<-+180 Test-+\|$/);
    assert.ok(!out.includes('zed'), 'nobody else');
    assert.ok(!out.includes('0123456789abcdef') && out.includes('Authorization:'), 'the credentials are masked');
    assert.ok(!out.includes('our secret'), 'what people write is masked');
    await Promise.all([dan, eve, stranger].map((ua) => ua.close()));
  });

  it('traces one call by its id, one trace at a time, and only while asked for', async () => {
    const [fay, gus] = [await device(system, 'fay'), await device(system, 'gus')];
    const up = await call(fay, gus);
    const id = JSON.parse((await ctl('calls', '--user', 'fay', '--json')).out)[0].answer.items[0].id;
    const out = await traced(['--call', id], async () => {
      const second = await ctl('trace', '--user', 'fay', '--seconds', '1');
      assert.equal(second.status, 1);
      assert.match(second.err, /there is a trace already/);
      assert.match((await ctl('status')).out, /tracing/);
      await fay.register();
      await hangUp(fay, gus, up);
      await sleep(50);
    });
    assert.match(out, new RegExp(`^call 1: ${up.sent.callId}$`, 'm'));
    assert.ok(out.includes('BYE') && !out.includes('REGISTER'));
    assert.ok(!(await ctl('status')).out.includes('tracing'));
    await fay.close(); await gus.close();
  });

  it('refuses what makes no sense, and says where it looked', async () => {
    assert.equal((await ctl()).status, 2);
    assert.equal((await ctl('dance')).status, 2);
    assert.equal((await ctl('registrations', '--limit', '3')).status, 2);
    assert.equal((await ctl('trace', '--user', 'a', '--seconds', '4000')).status, 2);
    const both = await ctl('trace', '--user', 'a', '--call', 'b', '--seconds', '1');
    assert.equal(both.status, 1);
    assert.match(both.err, /of a user or of a call/);
    assert.match((await ctl('connections', '--limit', 'x')).err, /limit is not a number/);
  });

  it('is for those who may use the socket', () => {
    for (const index of [0, 1]) {
      const mode = statSync(path.join(path.dirname(system.socket(0)), `control.signal.${index}.sock`)).mode & 0o777;
      assert.equal(mode, 0o660);
    }
  });

  it('a worker that hangs is said to be busy, not waited for', async () => {
    system.signal(1, 'SIGSTOP');
    const began = Date.now();
    const got = await ctl('status');
    system.signal(1, 'SIGCONT');
    assert.equal(got.status, 1);
    assert.match(got.out, /^n1\.0 /m, 'the other one is shown');
    assert.ok(Date.now() - began < 15000);
  });
});
