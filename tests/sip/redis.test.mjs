// Redis in trouble: absent, killed, stopped, slow, full, failing over (DESIGN: bounded waits, calls go on, nothing acknowledged is lost).
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri } from './lib/client.mjs';
import { call, hangUp, invite } from './lib/calls.mjs';

const OPTIONS = { 'redis-deadline': 100, 'flow-grace': 1500 };

async function withSystem(settings, run) {
  const system = await System.start({ workers: 1, options: OPTIONS, ...settings });
  try {
    await run(system);
  } finally {
    system.signalRedis?.('SIGCONT');
    await system.stop();
  }
}

/** Entries of a stream that are about this call. */
async function entries(system, key, callId, at = system.redisSocket) {
  const text = await system.redisAt(at, 'XRANGE', key, '-', '+').catch(() => '');
  return text.split('\n').filter((line) => line === callId).length;
}

/** The record of a call is in all three places, once in each; and stays so. */
async function recorded(system, callId, users, at = system.redisSocket) {
  const keys = ['cdrs', ...users.map((user) => `history:{${user}}`)];
  for (const key of keys) await until(`${key} has the call`, async () => await entries(system, key, callId, at) > 0, 15000);
  await until('nothing waits', async () => await system.metric(0, 'duplex_signal_outbox_waiting') === 0, 15000);
  for (const key of keys) assert.equal(await entries(system, key, callId, at), 1, key);
}

/** What `work` takes, in ms. */
async function took(work) {
  const start = Date.now();
  await work();
  return Date.now() - start;
}

const outboxFile = (system) => path.join(system.dir, 'run1', 'outbox.signal.0');
const relayEnds = async (system, user) => {
  const lines = (await system.redis('XRANGE', 'events:relay', '-', '+')).split('\n');
  return lines.filter((line, i) => line === user && lines[i - 1] === 'user').length;
};

describe('Redis absent at start', () => {
  it('lets nobody in who cannot be checked, and serves all when it comes', () => withSystem({ redis: 'none' }, async (system) => {
    const early = await Ua.connect(system, 'ann', { session: '1'.repeat(32) });
    assert.equal((await early.closed).code, 1013);
    await system.startRedis();
    await system.leased(0);
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    await hangUp(ann, ben, await call(ann, ben));
  }));
});

describe('Redis killed', () => {
  it('calls go on and are recorded once; bindings, busy and live calls are right again', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben'), carl = await device(system, 'carl');
    const before = await call(ann, ben);
    await until('ann is busy', async () => (await system.redis('HGET', 'busy:{ann}', 'n1.0')) !== '');
    await system.stopRedis();
    await until('noticed', async () => await system.metric(0, 'duplex_signal_redis_up') === 0);
    await hangUp(ann, ben, before);
    let during;
    const ms = await took(async () => { during = await call(ann, ben); });
    assert.ok(ms < 2000, `a call without Redis takes ${ms} ms`);
    await hangUp(ann, ben, during);
    /* A missed call, and one that is up when Redis is back. */
    const missed = invite(ann, 'carl');
    carl.reply(await carl.request('INVITE'), 486);
    assert.equal((await ann.response(missed)).status, 486);
    const lasting = await call(ann, ben);
    await carl.close();
    assert.ok(statSync(outboxFile(system)).size > 0, 'kept in the file');
    assert.ok(await system.metric(0, 'duplex_signal_outbox_total', 'kept') > 0);

    await system.startRedis();
    await recorded(system, before.sent.callId, ['ann', 'ben']);
    await recorded(system, during.sent.callId, ['ann', 'ben']);
    await recorded(system, missed.callId, ['ann', 'carl']);
    await until('the file is empty', () => statSync(outboxFile(system)).size === 0);
    assert.ok(await relayEnds(system, 'ann') >= 2, 'the relays hear of both calls');
    await until('one live call', async () => (await system.redis('HLEN', 'live:n1.0')) === '1');
    assert.ok(Number(await system.redis('PTTL', 'live:n1.0')) > 0, 'with a lease');
    await until('carl is gone', async () => (await system.redis('HLEN', 'location:{carl}')) === '0');
    assert.equal(await system.redis('HLEN', 'location:{ann}'), '1');
    await hangUp(ann, ben, lasting);
    await until('nobody is busy', async () => (await system.redis('EXISTS', 'busy:{ann}', 'busy:{ben}')) === '0');
    await recorded(system, lasting.sent.callId, ['ann', 'ben']);
  }));

  it('who was in a call that ended meanwhile is not busy for ever', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    const one = await call(ann, ben);
    await until('busy', async () => (await system.redis('EXISTS', 'busy:{ann}', 'busy:{ben}')) === '2');
    await system.redis('CONFIG', 'SET', 'appendfsync', 'always');
    await system.stopRedis();
    await hangUp(ann, ben, one);
    await system.startRedis();
    await until('not busy', async () => (await system.redis('EXISTS', 'busy:{ann}', 'busy:{ben}')) === '0');
  }));

  it('comes back empty: bindings are written again', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann');
    await system.redis('FLUSHALL');
    await system.stopRedis();
    /* It must not see Redis before the account is there again. */
    system.signal(0, 'SIGSTOP');
    await system.startRedis();
    await system.redis('HSET', 'user:{ann}', 'state', 'active');
    await system.redis('HSET', `session:{ann}:${ann.session}`, 'created', Date.now());
    system.signal(0, 'SIGCONT');
    await until('the binding', async () => (await system.redis('HLEN', 'location:{ann}')) === '1' || ann.ws.readyState !== 1);
    assert.equal(ann.ws.readyState, 1);
  }));

  it('a worker that dies before Redis is back leaves its records to the next', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    const one = await call(ann, ben);
    await system.stopRedis();
    await hangUp(ann, ben, one);
    await until('kept', () => existsSync(outboxFile(system)) && statSync(outboxFile(system)).size > 0);
    await system.kill(0, 'SIGKILL');
    await system.startRedis();
    await system.startWorker(0);
    assert.ok(await system.metric(0, 'duplex_signal_outbox_total', 'recovered') >= 3);
    await recorded(system, one.sent.callId, ['ann', 'ben']);
    await until('the file is empty', () => statSync(outboxFile(system)).size === 0);
  }));

  it('so does one that is told to stop', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    const one = await call(ann, ben);
    system.signalRedis('SIGSTOP');
    await hangUp(ann, ben, one);
    await system.kill(0, 'SIGTERM');
    system.signalRedis('SIGCONT');
    await system.startWorker(0);
    await recorded(system, one.sent.callId, ['ann', 'ben']);
  }));
});

describe('Redis stopped', () => {
  it('waits are bounded, and what it was asked meanwhile is done once', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    const one = await call(ann, ben);
    system.signalRedis('SIGSTOP');
    /* Its writes are in Redis's socket now and will be carried out when it goes on, while we try again. */
    await hangUp(ann, ben, one);
    let two;
    const ms = await took(async () => { two = await call(ann, ben); });
    assert.ok(ms < 3000, `a call with a silent Redis takes ${ms} ms`);
    assert.equal((await ann.register()).status, 200);
    assert.equal((await ann.ask('MESSAGE', uri('zoe'), { body: 'x', type: 'text/plain' })).status, 500, 'not acknowledged');
    await until('it counts as away', async () => await system.metric(0, 'duplex_signal_redis_up') === 0);
    await hangUp(ann, ben, two);
    const quick = await took(async () => { await hangUp(ann, ben, await call(ann, ben)); });
    assert.ok(quick < 1500, `a call with Redis known to be away takes ${quick} ms`);
    system.signalRedis('SIGCONT');
    await recorded(system, one.sent.callId, ['ann', 'ben']);
    await recorded(system, two.sent.callId, ['ann', 'ben']);
    /* Whatever lay in the old connections is carried out by now. */
    await sleep(4000);
    await recorded(system, one.sent.callId, ['ann', 'ben']);
  }));
});

describe('Redis stopped for a moment', () => {
  it('what was written without an answer is found, not written twice', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    /* Redis knows the script from the first one. */
    const first = await call(ann, ben);
    await hangUp(ann, ben, first);
    await recorded(system, first.sent.callId, ['ann', 'ben']);
    const one = await call(ann, ben);
    system.signalRedis('SIGSTOP');
    await hangUp(ann, ben, one);
    await sleep(800);
    system.signalRedis('SIGCONT');
    await recorded(system, one.sent.callId, ['ann', 'ben']);
    assert.ok(await system.metric(0, 'duplex_signal_outbox_total', 'found') >= 3);
  }));
});

describe('Redis slow', () => {
  it('answers late: calls, records and messages are right', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    await system.redis('HSET', 'user:{zoe}', 'state', 'active');
    const made = [], accepted = [];
    for (let i = 0; i < 4; i++) {
      await system.redis('CLIENT', 'PAUSE', 250, 'ALL');
      const ms = await took(async () => {
        const one = await call(ann, ben);
        await system.redis('CLIENT', 'PAUSE', 250, 'ALL');
        await hangUp(ann, ben, one);
        made.push(one.sent.callId);
      });
      assert.ok(ms < 3000, `${ms} ms`);
      const answer = await ann.ask('MESSAGE', uri('zoe'), { body: `m${i}`, type: 'text/plain' });
      assert.ok([202, 500].includes(answer.status), String(answer.status));
      if (answer.status === 202) accepted.push(`m${i}`);
    }
    for (const callId of made) await recorded(system, callId, ['ann', 'ben']);
    const zoe = await device(system, 'zoe');
    for (const body of accepted) await zoe.next((m) => m.method === 'MESSAGE' && m.body === body, body);
  }));
});

describe('Redis full', () => {
  it('refuses writes: nothing is acknowledged that is not kept, and all is written when there is room', () => withSystem({}, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    await system.redis('HSET', 'user:{zoe}', 'state', 'active');
    await system.redis('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await system.redis('CONFIG', 'SET', 'maxmemory', 1);
    assert.equal((await ann.register()).status, 200, 'a refresh');
    const answer = await ann.ask('MESSAGE', uri('zoe'), { body: 'x', type: 'text/plain' });
    assert.equal(answer.status, 500);
    assert.ok(answer.get('Retry-After'));
    const one = await call(ann, ben);
    await hangUp(ann, ben, one);
    await until('kept', async () => await system.metric(0, 'duplex_signal_outbox_total', 'kept') >= 3);
    assert.equal(await entries(system, 'cdrs', one.sent.callId), 0);
    await sleep(1500);
    assert.ok(system.log(0).split('\n').filter((line) => line.includes('redis-error')).length <= 3, 'the log is not flooded');
    await system.redis('CONFIG', 'SET', 'maxmemory', 0);
    await recorded(system, one.sent.callId, ['ann', 'ben']);
    await until('the refresh is written', async () =>
      (await system.redis('HVALS', 'location:{ann}')).split('\n')[2] === String(ann.registerCseq));
    assert.equal((await ann.ask('MESSAGE', uri('zoe'), { body: 'y', type: 'text/plain' })).status, 202);
    const zoe = await device(system, 'zoe');
    assert.equal((await zoe.request('MESSAGE')).body, 'y');
  }));
});

describe('Redis failing over', () => {
  it('the master dies, the replica is promoted: the call goes on and is recorded there', () => withSystem({ redis: 'pair' }, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    const one = await call(ann, ben);
    await until('replicated', async () => (await system.redisAt(system.spareSocket, 'HLEN', 'location:{ben}')) === '1');
    await system.stopRedis();
    await hangUp(ann, ben, one);
    assert.equal((await ann.register()).status, 200);
    await system.redisAt(system.spareSocket, 'REPLICAOF', 'NO', 'ONE');
    await recorded(system, one.sent.callId, ['ann', 'ben'], system.spareSocket);
    await until('the refresh is written', async () =>
      (await system.redisAt(system.spareSocket, 'HVALS', 'location:{ann}')).split('\n')[2] === String(ann.registerCseq));
    /* Events are read there, too. */
    await until('events flow', async () => {
      await system.redisAt(system.spareSocket, 'XADD', 'events:signal', '*', 't', 'session.end', 'user', 'ben', 'session', ben.session);
      return ben.ws.readyState !== 1;
    });
  }));

  it('the master is demoted under us: READONLY leads to the new one', () => withSystem({ redis: 'pair' }, async (system) => {
    const ann = await device(system, 'ann'), ben = await device(system, 'ben');
    await system.redisAt(system.spareSocket, 'REPLICAOF', 'NO', 'ONE');
    await system.follow(system.redisSocket, system.redisPort + 1);
    const one = await call(ann, ben);
    await hangUp(ann, ben, one);
    await recorded(system, one.sent.callId, ['ann', 'ben'], system.spareSocket);
    assert.equal((await ann.register()).status, 200);
    await until('the refresh is written', async () =>
      (await system.redisAt(system.spareSocket, 'HVALS', 'location:{ann}')).split('\n')[2] === String(ann.registerCseq));
    assert.match(system.log(0), /redis-connected address=[^ ]*spare\.sock/);
  }));
});
