// A call that is up survives: sockets that drop and come back anywhere, workers and nodes that are killed, a Redis that is restarted. Each time either side can
// afterwards renegotiate (re-INVITE) and hang up.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri, uriOf } from './lib/client.mjs';

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
// n1.0, n1.1, n2.0, n2.1; the caller's is the owner of the call
const CALLER = 0;
let system;
let serial = 0;
before(async () => { system = await System.start({ nodes: 2, options: { 'flow-grace': 1000 } }); });
after(() => system.stop());

/** A call that is up; each side knows its dialog: from, to, callId, route, target. */
async function call(calleeWorker) {
  const n = ++serial;
  const caller = await device(system, `caller${n}`, { worker: CALLER });
  const callee = await device(system, `callee${n}`, { worker: calleeWorker });
  const sent = caller.send('INVITE', uri(callee.user), { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
  const request = await callee.request('INVITE');
  callee.reply(request, 200, { headers: [['Contact', `<${callee.gruu}>`]], body: SDP });
  const ok = await caller.response(sent);
  assert.equal(ok.status, 200);
  caller.dialog = { from: sent.from, to: ok.get('To'), callId: sent.callId, route: ok.all('Record-Route').reverse() };
  callee.dialog = { from: ok.get('To'), to: sent.from, callId: sent.callId, route: request.all('Record-Route') };
  caller.target = uriOf(ok.get('Contact'));
  callee.target = caller.gruu;
  caller.send('ACK', caller.target, { ...caller.dialog, cseq: sent.cseq });
  await callee.request('ACK');
  return { caller, callee };
}

/** The same device by another socket, as a page that comes back: same instance, Call-ID and CSeq of its REGISTER go on. */
async function back(ua, worker) {
  const { dialog, target } = ua;
  const again = await Ua.connect(system, ua.user, { session: ua.session, worker, like: ua });
  Object.assign(again, { dialog, target, registerCallId: ua.registerCallId, registerCseq: ua.registerCseq, cseq: 100 });
  assert.equal((await again.register()).status, 200);
  assert.equal(again.gruu, ua.gruu); // or its dialogs would point nowhere
  return again;
}

let cseq = 100;
async function renegotiate(from, to) {
  const sent = from.send('INVITE', from.target, { ...from.dialog, cseq: ++cseq, headers: [['Contact', `<${from.gruu}>`]], body: SDP });
  to.reply(await to.request('INVITE', 3000), 200, { headers: [['Contact', `<${to.gruu}>`]], body: SDP });
  assert.equal((await from.response(sent, undefined, 3000)).status, 200);
  from.send('ACK', from.target, { ...from.dialog, cseq: sent.cseq });
  await to.request('ACK', 3000);
}

async function hangUp(from, to) {
  const sent = from.send('BYE', from.target, { ...from.dialog, cseq: ++cseq });
  to.reply(await to.request('BYE', 3000), 200);
  assert.equal((await from.response(sent, undefined, 3000)).status, 200);
}

/** Both ways, then the end from the side that is asked for. */
async function goesOn(caller, callee, ender) {
  await renegotiate(caller, callee);
  await renegotiate(callee, caller);
  if (ender === 'caller') await hangUp(caller, callee);
  else await hangUp(callee, caller);
}

/** No worker that is alive still has the call, nor says that someone is in one. */
async function nothingLeft(users) {
  for (const worker of [0, 1, 2, 3].filter((index) => system.running(index)))
    await until(`calls of worker ${worker}`, async () => (await system.metric(worker, 'duplex_signal_calls', 'answered')) === 0);
  for (const user of users) await until(`${user} is not busy`, async () => (await system.redis('HLEN', `busy:{${user}}`)) === '0');
}

const WHERE = { 'the same worker': CALLER, 'another worker': 1, 'another node': 2 };

describe('a socket drops and comes back', () => {
  for (const [where, worker] of Object.entries(WHERE)) {
    for (const side of ['caller', 'callee']) {
      it(`the ${side}'s, on ${where}`, async () => {
        for (const ender of ['caller', 'callee']) {
          const ends = await call(2);
          await ends[side].cut();
          ends[side] = await back(ends[side], worker);
          await goesOn(ends.caller, ends.callee, ender);
          await nothingLeft([ends.caller.user, ends.callee.user]);
        }
      });
    }
  }

  it('both at once, each elsewhere', async () => {
    const { caller, callee } = await call(2);
    await Promise.all([caller.cut(), callee.cut()]);
    const [a, b] = await Promise.all([back(caller, 3), back(callee, 1)]);
    await goesOn(a, b, 'callee');
    await nothingLeft([a.user, b.user]);
  });

  it('a network switch: the new socket registers while the old one hangs, unclosed', async () => {
    const { caller, callee } = await call(1);
    callee.ws._socket.pause(); // nothing is read, nothing is answered
    const again = await back(callee, 3);
    await goesOn(caller, again, 'caller');
    callee.ws._socket.resume();
    assert.equal((await callee.closed).code, 4002);
  });

  it('between the answer to a re-INVITE and its ACK: the ACK finds the device', async () => {
    for (const [from, to] of [[1, 2], [2, 3], [3, 0]]) {
      const { caller, callee } = await call(from);
      const sent = caller.send('INVITE', caller.target, { ...caller.dialog, cseq: ++cseq, headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
      callee.reply(await callee.request('INVITE'), 200, { headers: [['Contact', `<${callee.gruu}>`]], body: SDP });
      assert.equal((await caller.response(sent)).status, 200);
      await callee.cut();
      const again = await back(callee, to);
      caller.send('ACK', caller.target, { ...caller.dialog, cseq: sent.cseq });
      await again.request('ACK', 3000);
      await goesOn(caller, again, 'callee');
    }
  });

  it('after longer than the grace of its registration, but not longer than the call waits', async () => {
    const { caller, callee } = await call(3);
    await callee.cut();
    await sleep(2500);
    assert.equal(await system.redis('HLEN', `location:{${callee.user}}`), '0');
    const early = caller.send('INVITE', caller.target, { ...caller.dialog, cseq: ++cseq, headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
    assert.equal((await caller.response(early, undefined, 3000)).status, 480);
    const again = await back(callee, 1);
    await goesOn(caller, again, 'callee');
  });
});

describe('a worker is killed', () => {
  afterEach(async () => {
    for (const index of [0, 1, 2, 3]) if (!system.running(index)) await system.startWorker(index);
    await system.meshed();
  });

  for (const [what, worker, calleeWorker, side] of [['the caller\'s, which keeps the call', 0, 2, 'caller'], ['the callee\'s', 2, 2, 'callee'],
    ['that of both', 0, 0, 'both']]) {
    for (const ender of ['caller', 'callee']) {
      it(`${what}; the ${ender} hangs up`, async () => {
        const ends = await call(calleeWorker);
        await system.kill(worker, 'SIGKILL');
        for (const one of side === 'both' ? ['caller', 'callee'] : [side]) {
          await ends[one].closed;
          ends[one] = await back(ends[one], one === 'caller' ? 1 : 3);
        }
        await goesOn(ends.caller, ends.callee, ender);
        await nothingLeft([]);
      });
    }
  }

  it('and comes back with a new epoch before anyone returns', async () => {
    const { caller, callee } = await call(2);
    await system.kill(0, 'SIGKILL');
    await system.startWorker(0);
    const again = await back(caller, 0);
    await goesOn(again, callee, 'callee');
  });

  it('BYE within the very moment, from the side whose socket stands', async () => {
    const { caller, callee } = await call(2);
    await system.kill(0, 'SIGKILL');
    // The caller is on its way back: nobody can be told, and who hangs up hears that it worked.
    const sent = callee.send('BYE', callee.target, { ...callee.dialog, cseq: ++cseq });
    assert.equal((await callee.response(sent, undefined, 3000)).status, 200);
    await caller.closed;
  });
});

describe('a worker that has just started', () => {
  it('is answered by those who saw the one before it go, a moment ago', async () => {
    for (const other of [1, 2]) {
      await system.kill(0, 'SIGTERM');
      await sleep(2500); // they have looked at the leases
      await system.startWorker(0);
      const { caller, callee } = await call(other);
      await goesOn(caller, callee, 'caller');
    }
    await system.meshed();
  });
});

describe('a node is killed', () => {
  afterEach(async () => {
    for (const k of [0, 1]) if (!system.running(2 * k)) await system.startNode(k);
    await system.meshed();
  });

  for (const [what, node, side] of [['the caller\'s', 0, 'caller'], ['the callee\'s', 1, 'callee']]) {
    for (const ender of ['caller', 'callee']) {
      it(`${what}; the ${ender} hangs up`, async () => {
        const ends = await call(2);
        await system.killNode(node);
        await ends[side].closed;
        ends[side] = await back(ends[side], node === 0 ? 3 : 1);
        await goesOn(ends.caller, ends.callee, ender);
        await nothingLeft([]);
      });
    }
  }
});

describe('a worker that drains', () => {
  it('closes its sockets with 1012; the call goes on from elsewhere', async () => {
    const { caller, callee } = await call(2);
    const ends = system.kill(0, 'SIGTERM');
    assert.equal((await caller.closed).code, 1012);
    const again = await back(caller, 1);
    await goesOn(again, callee, 'caller');
    await ends;
    await system.startWorker(0);
    await system.meshed();
  });
});

describe('Redis is restarted', () => {
  it('during a call: it goes on meanwhile and afterwards', async () => {
    for (const ender of ['caller', 'callee']) {
      const { caller, callee } = await call(2);
      await system.stopRedis();
      await renegotiate(caller, callee);
      await renegotiate(callee, caller);
      await system.startRedis();
      await sleep(1300); // a worker tries each second
      await goesOn(caller, callee, ender);
      await nothingLeft([caller.user, callee.user]);
    }
  });

  it('and a socket drops meanwhile: back on the same worker the call goes on', async () => {
    const { caller, callee } = await call(1);
    await system.stopRedis();
    await callee.cut();
    await system.startRedis();
    await sleep(1300); // a worker tries each second
    const again = await back(callee, 1);
    await goesOn(caller, again, 'caller');
  });
});

describe('a browser that has vanished', () => {
  it('is waited for, and then the other side is told (BYE, 410)', async () => {
    const quick = await System.start({ nodes: 2, workers: 1, options: { 'flow-grace': 500, 'call-grace': 3000 } });
    try {
      const caller = await device(quick, 'ann');
      const callee = await device(quick, 'bob', { worker: 1 });
      const sent = caller.send('INVITE', uri('bob'), { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
      const request = await callee.request('INVITE');
      callee.reply(request, 200, { headers: [['Contact', `<${callee.gruu}>`]], body: SDP });
      const ok = await caller.response(sent);
      caller.send('ACK', uriOf(ok.get('Contact')), { from: sent.from, to: ok.get('To'), callId: sent.callId, route: ok.all('Record-Route'), cseq: sent.cseq });
      await callee.request('ACK');
      const start = Date.now();
      await callee.cut();
      const bye = await caller.request('BYE', 20000);
      assert.match(bye.get('Reason'), /cause=410/);
      assert.ok(Date.now() - start >= 3000 && Date.now() - start < 15000, `${Date.now() - start} ms`);
    } finally {
      await quick.stop();
    }
  });
});
