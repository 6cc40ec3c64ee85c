// A node that is emptied, by an administrator or by SIGTERM: nobody new comes in, those who are there go elsewhere, what is under way is finished.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { afterEach, after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { device, uri, uriOf } from './lib/client.mjs';

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
let system;
let serial = 0;
before(async () => { system = await System.start({ nodes: 2, options: { drain: 1000, 'drain-wait': 3000 } }); });
after(() => system.stop());

const name = (what) => `${what}${++serial}`;
/** As the API does it. */
async function drain(node, state) {
  await system.redis(state === 'draining' ? 'SADD' : 'SREM', 'nodes:draining', node);
  await system.event('node.drain', 'node', node, 'state', state);
}
const tells = async (index, field) => system.redis('HGET', `worker:${system.name(index)}`, field);

async function ring(callerWorker, calleeWorker) {
  const caller = await device(system, name('caller'), { worker: callerWorker });
  const callee = await device(system, name('callee'), { worker: calleeWorker });
  const sent = caller.send('INVITE', uri(callee.user), { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
  const request = await callee.request('INVITE');
  callee.reply(request, 180);
  await caller.response(sent, (status) => status === 180);
  return { caller, callee, sent, request };
}

async function answer({ caller, callee, sent, request }, { thinks = 0 } = {}) {
  callee.reply(request, 200, { headers: [['Contact', `<${callee.gruu}>`]], body: SDP });
  const ok = await caller.response(sent);
  assert.equal(ok.status, 200);
  const dialog = { from: sent.from, to: ok.get('To'), callId: sent.callId, route: ok.all('Record-Route') };
  await sleep(thinks);
  caller.send('ACK', uriOf(ok.get('Contact')), { ...dialog, cseq: sent.cseq });
  await callee.request('ACK');
  return { target: uriOf(ok.get('Contact')), dialog };
}

describe('an administrator empties a node', () => {
  afterEach(async () => {
    await drain('n1', 'serving');
    await until('serves', () => existsSync(system.socket(0)) && existsSync(system.socket(1)));
  });

  it('its sockets are closed with 1012, spread over the time that is set; new ones are not accepted; the other node does not mind', async () => {
    const devices = await Promise.all(Array.from({ length: 20 }, (_, i) => device(system, name('user'), { worker: i % 2 })));
    const other = await device(system, name('other'), { worker: 2 });
    const start = Date.now();
    const times = devices.map((ua) => ua.closed.then(({ code }) => { assert.equal(code, 1012); return Date.now() - start; }));
    await drain('n1', 'draining');
    const ended = (await Promise.all(times)).sort((a, b) => a - b);
    assert.ok(ended.at(-1) < 2500, `${ended}`);
    assert.ok(ended.at(-1) - ended[0] > 300, `not all at once: ${ended}`);
    for (const worker of [0, 1]) {
      assert.ok(!existsSync(system.socket(worker)));
      await until('told', async () => (await tells(worker, 'state')) === 'draining' && (await tells(worker, 'connections')) === '0', 4000);
    }
    assert.equal(await tells(2, 'state'), 'serving');
    assert.equal((await other.register()).status, 200);
    await sleep(1700); // flow-grace
    for (const ua of devices) assert.equal(await system.redis('HLEN', `location:{${ua.user}}`), '0');
  });

  it('a worker that is started again meanwhile stays empty; told to serve it does so again', async () => {
    await drain('n1', 'draining');
    await system.kill(1, 'SIGKILL');
    await system.startWorker(1);
    await until('empty', () => !existsSync(system.socket(1)));
    await drain('n1', 'serving');
    await until('serves', () => existsSync(system.socket(0)) && existsSync(system.socket(1)));
    const ann = await device(system, name('ann'), { worker: 1 });
    assert.equal((await ann.register()).status, 200);
    await until('told', async () => (await tells(1, 'state')) === 'serving', 4000);
  });

  it('a call that rings is answered before the sockets go; the call goes on from elsewhere and is kept where it was', async () => {
    const it = await ring(0, 1);
    const idle = await device(system, name('idle'));
    await drain('n1', 'draining');
    assert.equal((await idle.closed).code, 1012);
    await sleep(1500);
    const { target, dialog } = await answer(it, { thinks: 500 }); // as a browser does before its ACK
    assert.equal((await it.caller.closed).code, 1012);
    assert.equal((await it.callee.closed).code, 1012);
    const caller = await device(system, it.caller.user, { session: it.caller.session, worker: 2, like: it.caller });
    const callee = await device(system, it.callee.user, { session: it.callee.session, worker: 3, like: it.callee });
    await until('kept', async () => (await tells(0, 'calls')) === '1', 4000);
    const bye = caller.send('BYE', target, { ...dialog, cseq: 100 });
    callee.reply(await callee.request('BYE'), 200);
    assert.equal((await caller.response(bye)).status, 200);
    await until('over', async () => (await tells(0, 'calls')) === '0', 4000);
    assert.match(await system.redis('XREVRANGE', 'cdrs', '+', '-', 'COUNT', 1), /completed/);
  });
});

describe('SIGTERM', () => {
  it('a call that rings is answered before its socket goes', async () => {
    const it = await ring(0, 2);
    const idle = await device(system, name('idle'));
    const ends = system.kill(0, 'SIGTERM');
    assert.equal((await idle.closed).code, 1012);
    await sleep(1000);
    const { target, dialog } = await answer(it);
    assert.equal((await it.caller.closed).code, 1012);
    await ends;
    const caller = await device(system, it.caller.user, { session: it.caller.session, worker: 1, like: it.caller });
    const bye = caller.send('BYE', target, { ...dialog, cseq: 100 });
    it.callee.reply(await it.callee.request('BYE'), 200);
    assert.equal((await caller.response(bye)).status, 200);
    await system.startWorker(0);
    await system.meshed();
  });

  it('does not wait longer than it is told to', async () => {
    const { caller } = await ring(0, 2);
    const start = Date.now();
    await system.kill(0, 'SIGTERM');
    assert.equal((await caller.closed).code, 1012);
    assert.ok(Date.now() - start > 2500 && Date.now() - start < 8000, `${Date.now() - start} ms`);
    assert.equal(await system.redis('EXISTS', 'worker:n1.0', 'peers:n1.0'), '0');
    await system.startWorker(0);
  });
});
