// The login session behind a socket: nothing is served for one that is gone, however the socket came about, and a socket ends with its session.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri, uriOf } from './lib/client.mjs';

let system;
before(async () => { system = await System.start({ options: { 'redis-deadline': 500, 'flow-grace': 60000 } }); });
after(() => system.stop());

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
const sessionKey = (ua) => `session:{${ua.user}}:${ua.session}`;
const invite = (ua, to) => ua.send('INVITE', uri(to), { headers: [['Contact', `<${ua.gruu ?? ua.contact}>`]], body: SDP });

/** Opens a socket and speaks at once, without waiting for anything; gives the close code. */
async function speakAtOnce(user, options) {
  const ua = await Ua.connect(system, user, options);
  ua.send('MESSAGE', uri('witness'), { body: 'I should not be here', type: 'text/plain' });
  invite(ua, 'witness');
  const closed = await Promise.race([ua.closed, sleep(2000)]);
  return { code: closed?.code, answers: ua.messages.length };
}

describe('a socket whose session was gone when it opened', () => {
  let witness;
  before(async () => { witness = await device(system, 'witness', { worker: 1 }); });
  const heardNothing = () => assert.deepEqual(witness.messages.map((m) => m.method), []);

  it('is closed with 4001, and nothing it said is carried out', async () => {
    await system.addUser('eve');
    assert.deepEqual(await speakAtOnce('eve', { session: 'f'.repeat(32) }), { code: 4001, answers: 0 });
    heardNothing();
  });

  it('the same for a user who was disabled or deleted meanwhile', async () => {
    const session = await system.addUser('mallory');
    await system.redis('HSET', 'user:{mallory}', 'state', 'disabled');
    assert.deepEqual(await speakAtOnce('mallory', { session }), { code: 4001, answers: 0 });
    await system.redis('DEL', 'user:{mallory}');
    assert.deepEqual(await speakAtOnce('mallory', { session }), { code: 4001, answers: 0 });
    heardNothing();
  });

  it('and for one whose permissions were changed meanwhile; the session stays', async () => {
    const session = await system.addUser('trudy');
    await system.redis('HSET', 'user:{trudy}', 'rev', 8);
    const other = await device(system, 'trudy', { session, headers: { 'X-Duplex-Revision': '8' } });
    assert.deepEqual(await speakAtOnce('trudy', { session, headers: { 'X-Duplex-Revision': '7' } }), { code: 4001, answers: 0 });
    assert.equal((await other.ask('OPTIONS', 'sip:example.test')).status, 200);
    heardNothing();
    await other.close();
  });

  it('and when it hangs up right behind what it says', async () => {
    await system.addUser('ivan');
    for (let i = 0; i < 20; i++) {
      const ua = await Ua.connect(system, 'ivan', { session: 'e'.repeat(32) });
      ua.send('MESSAGE', uri('witness'), { body: 'gone already', type: 'text/plain' });
      await ua.cut();
    }
    assert.equal((await witness.ask('OPTIONS', 'sip:example.test')).status, 200);
    heardNothing();
  });
});

describe('a session whose time is over', () => {
  it('closes its socket (4001), ends its call and takes its registration back', async () => {
    const ann = await device(system, 'ann');
    const session = await system.addUser('bob');
    await system.redis('PEXPIRE', `session:{bob}:${session}`, 1500);
    const began = Date.now();
    const bob = await device(system, 'bob', { session, worker: 1 });
    const sent = invite(bob, 'ann');
    const request = await ann.request('INVITE');
    ann.reply(request, 200, { headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
    const ok = await bob.response(sent);
    bob.send('ACK', uriOf(ok.get('Contact')), { from: sent.from, to: ok.get('To'), callId: sent.callId, cseq: sent.cseq, route: ok.all('Record-Route') });
    await ann.request('ACK');
    assert.equal((await bob.closed).code, 4001);
    const took = Date.now() - began;
    assert.ok(took >= 1400 && took < 2500, `${took} ms`);
    assert.match((await ann.request('BYE', 1000)).get('Reason'), /Session ended/);
    await until('no binding', async () => (await system.redis('EXISTS', 'location:{bob}')) === '0', 1000);
    await ann.close();
  });

  it('but not when it was prolonged', async () => {
    const session = await system.addUser('cyd');
    await system.redis('PEXPIRE', `session:{cyd}:${session}`, 800);
    const cyd = await device(system, 'cyd', { session });
    await system.redis('PEXPIRE', sessionKey(cyd), 2500);
    await sleep(1300);
    assert.equal((await cyd.ask('OPTIONS', 'sip:example.test')).status, 200);
    assert.equal((await cyd.closed).code, 4001);
  });
});

describe('Redis', () => {
  it('that is slow delays what a new client says, and loses nothing', async () => {
    const session = await system.addUser('dan');
    await system.redis('CLIENT', 'PAUSE', 300);
    const began = Date.now();
    const dan = await Ua.connect(system, 'dan', { session });
    const answer = await dan.ask('OPTIONS', 'sip:example.test');
    assert.equal(answer.status, 200);
    assert.ok(Date.now() - began > 150, `${Date.now() - began} ms`);
    await dan.close();
  });

  it('that is away: those who are in go on, nobody new is let in (1013), and what ended meanwhile is found later', async () => {
    const fay = await device(system, 'fay');
    const gus = await device(system, 'gus');
    const session = await system.addUser('hal');
    await system.redis('PEXPIRE', sessionKey(gus), 1500);
    await system.stopRedis();
    try {
      const hal = await Ua.connect(system, 'hal', { session });
      hal.send('MESSAGE', uri('fay'), { body: 'let me in', type: 'text/plain' });
      assert.equal((await hal.closed).code, 1013);
      assert.deepEqual(hal.messages, []);
      await sleep(1700);
      const sent = invite(fay, 'gus');
      gus.reply(await gus.request('INVITE'), 486);
      assert.equal((await fay.response(sent)).status, 486);
    } finally {
      await system.startRedis();
    }
    const end = await Promise.race([gus.closed, sleep(6000)]);
    assert.equal(end?.code, 4001);
    assert.equal((await fay.ask('OPTIONS', 'sip:example.test')).status, 200);
    await fay.close();
  });
});
