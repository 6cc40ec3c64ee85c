// A device that vanishes while it is asked for something: it is given the grace of its registration (1.5 s here) to come back, then the
// caller hears of it, whichever worker the device was connected to.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { device, uri } from './lib/client.mjs';

let system;
before(async () => { system = await System.start({ options: { 'ring-timeout': 60 } }); });
after(() => system.stop());

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
let serial = 0;

async function ring(worker, { session } = {}) {
  const n = ++serial;
  const caller = await device(system, `caller${n}`);
  const callee = await device(system, `callee${n}`, { worker, session });
  const sent = caller.send('INVITE', uri(callee.user), { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
  const request = await callee.request('INVITE');
  callee.reply(request, 180);
  await caller.response(sent, (status) => status === 180);
  return { caller, callee, sent, request };
}

/** The caller is told that the device is gone, within `ms`. */
async function toldGone({ caller, sent }, ms) {
  const final = await caller.response(sent, undefined, ms);
  assert.equal(final.status, 480);
  assert.match(final.phrase, /gone/i);
}

for (const worker of [0, 1]) {
  describe(`a device on ${worker === 0 ? 'the caller\'s worker' : 'another worker'}`, () => {
    it('closes its page while it rings', async () => {
      const call = await ring(worker);
      call.callee.cut();
      await toldGone(call, 3000);
    });

    it('deregisters while it rings: nobody waits', async () => {
      const call = await ring(worker);
      await call.callee.register({ expires: 0 });
      call.callee.cut();
      await toldGone(call, 1000);
    });

    it('is signed out while it rings', async () => {
      const call = await ring(worker);
      await system.event('session.end', 'user', call.callee.user, 'session', call.callee.session);
      await toldGone(call, 1000);
      assert.equal((await call.callee.closed).code, 4001);
    });

    it('vanishes, and another device of the user rings on', async () => {
      const n = ++serial;
      const session = await system.addUser(`two${n}`);
      const caller = await device(system, `caller${n}`);
      const first = await device(system, `two${n}`, { session, worker });
      const second = await device(system, `two${n}`, { session, worker: 1 });
      const sent = caller.send('INVITE', uri(first.user), { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
      first.reply(await first.request('INVITE'), 180);
      const request = await second.request('INVITE');
      second.reply(request, 180);
      await first.cut();
      second.reply(request, 200, { headers: [['Contact', `<${second.gruu}>`]], body: SDP });
      assert.equal((await caller.response(sent)).status, 200);
    });

    it('leaves with a MESSAGE unanswered, which is stored at once', async () => {
      const n = ++serial;
      const ann = await device(system, `ann${n}`);
      const bob = await device(system, `bob${n}`, { worker });
      bob.autoAnswer = false;
      const sent = ann.send('MESSAGE', uri(bob.user), { body: 'see you later', type: 'text/plain' });
      await bob.request('MESSAGE');
      await bob.cut();
      assert.equal((await ann.response(sent, undefined, 1000)).status, 202);
    });

    it('answers in the last moment: that counts', async () => {
      const call = await ring(worker);
      call.callee.reply(call.request, 486);
      call.callee.cut();
      assert.equal((await call.caller.response(call.sent, undefined, 1000)).status, 486);
    });
  });
}

describe('Redis', () => {
  it('away for longer than a lease, and back: what rings meanwhile rings on, and is answered', async () => {
    const call = await ring(1);
    await system.stopRedis();
    await sleep(7000);
    await system.startRedis();
    await sleep(1300); // a worker tries each second
    const next = await ring(1);
    for (const { caller, callee, sent, request } of [call, next]) {
      callee.reply(request, 200, { headers: [['Contact', `<${callee.gruu}>`]], body: SDP });
      assert.equal((await caller.response(sent, undefined, 2000)).status, 200);
    }
  });
});

describe('the worker of the caller', () => {
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    it(`ends (${signal}): the phone stops ringing`, async () => {
      const n = ++serial;
      const caller = await device(system, `caller${n}`, { worker: 1 });
      const callee = await device(system, `callee${n}`);
      caller.send('INVITE', uri(callee.user), { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
      callee.reply(await callee.request('INVITE'), 180);
      await system.kill(1, signal);
      assert.match((await callee.request('CANCEL', 1000)).get('Reason'), /cause=487/);
      await system.startWorker(1);
    });
  }
});

describe('the worker of a ringing device', () => {
  it('stops', async () => {
    const call = await ring(1);
    await system.kill(1, 'SIGTERM');
    await toldGone(call, 3000);
    await system.startWorker(1);
  });

  it('is killed', async () => {
    const call = await ring(1);
    await system.kill(1, 'SIGKILL');
    await toldGone(call, 3000);
    await system.startWorker(1);
  });

  it('hangs: its lease runs out', async () => {
    const call = await ring(1);
    system.signal(1, 'SIGSTOP');
    try {
      await toldGone(call, 14000);
    } finally {
      system.signal(1, 'SIGCONT');
    }
    await until('it is back', async () => (await system.redis('ZRANGEBYSCORE', 'workers', Date.now(), '+inf')).includes('n1.1'), 10000);
    await sleep(2500); // the others look at the leases every 2 s
  });

  it('and the caller\'s worker, too, are as before: nothing is left over', async () => {
    for (const index of [0, 1])
      await until(`calls of worker ${index}`, async () => (await system.metric(index, 'duplex_signal_calls', 'ringing')) === 0);
    const late = await ring(1);
    late.callee.reply(late.request, 603);
    assert.equal((await late.caller.response(late.sent)).status, 603);
  });
});
