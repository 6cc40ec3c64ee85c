// REGISTER: bindings, GRUU, expiry, sessions, devices; RFC 3261 §10, RFC 5626, RFC 5627.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, DOMAIN, sleep, until } from './lib/system.mjs';
import { Ua, device, uri } from './lib/client.mjs';

let system;
before(async () => { system = await System.start({ options: { 'devices-max': 3 } }); });
after(() => system.stop());

const bindings = async (user) => Number(await system.redis('HLEN', `location:{${user}}`));

/** Connected, and known to have been let in. */
async function admitted(user, session) {
  const ua = await Ua.connect(system, user, { session });
  assert.equal((await ua.ask('OPTIONS', 'sip:example.test')).status, 200);
  return ua;
}

describe('REGISTER', () => {
  it('answers 200 with the binding and its public GRUU', async () => {
    const ua = await device(system, 'alice');
    const answer = await ua.register();
    assert.equal(answer.status, 200);
    const contact = answer.get('Contact');
    assert.match(contact, new RegExp(`^<${ua.contact.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}>;expires=(600|599);`));
    assert.ok(contact.includes(`+sip.instance="<${ua.instance}>"`));
    assert.ok(contact.includes('reg-id=1'));
    assert.equal(ua.gruu, `${uri('alice')};gr=${ua.instance}`);
    assert.match(answer.get('Require'), /outbound/);
    assert.equal(await bindings('alice'), 1);
    await ua.close();
  });

  it('refuses another\'s address, a forged From and a foreign domain', async () => {
    const ua = await device(system, 'bea');
    const contact = [['Contact', `<${ua.contact}>;expires=600`]];
    assert.equal((await ua.ask('REGISTER', `sip:${DOMAIN}`, { to: `<${uri('alice')}>`, headers: contact })).status, 403);
    assert.equal((await ua.ask('REGISTER', `sip:${DOMAIN}`, { from: `<${uri('alice')}>;tag=1`, to: `<${uri('alice')}>`, headers: contact })).status, 403);
    assert.ok((await ua.ask('REGISTER', 'sip:elsewhere.test', { to: `<${uri('bea')}>`, headers: contact })).status >= 400);
    assert.equal(await bindings('bea'), 1);
    await ua.close();
  });

  it('answers 423 below the minimum and cuts above the maximum', async () => {
    const ua = await device(system, 'carl');
    const short = await ua.register({ expires: 10 });
    assert.equal(short.status, 423);
    assert.equal(short.get('Min-Expires'), '60');
    const long = await ua.register({ expires: 86400 });
    assert.match(long.get('Contact'), /expires=(600|599)/);
    await ua.close();
  });

  it('refuses bad contacts with 400', async () => {
    const ua = await device(system, 'dora');
    for (const contact of [`<${ua.contact}>;+sip.instance=bare`, `<${ua.contact}>;+sip.instance="<urn:uuid:a b>"`, `<${ua.contact}>, <sip:x@y.invalid>`,
      `<${ua.contact}>;+sip.instance="<${ua.instance}>";reg-id=0`, '*']) {
      assert.equal((await ua.register({ contact })).status, 400, contact);
    }
    assert.equal(await bindings('dora'), 1);
    await ua.close();
  });

  it('tells the bindings without a Contact', async () => {
    const ua = await device(system, 'emil');
    const answer = await ua.ask('REGISTER', `sip:${DOMAIN}`, { to: `<${uri('emil')}>` });
    assert.equal(answer.status, 200);
    assert.equal(answer.all('Contact').length, 1);
    await ua.close();
  });

  it('refuses an old CSeq of the same Call-ID', async () => {
    const ua = await device(system, 'fred');
    await ua.register();
    ua.registerCseq = 0;
    assert.equal((await ua.register()).status, 500);
    assert.equal(await bindings('fred'), 1);
    await ua.close();
  });

  it('takes a binding back at once with Expires 0 and with *', async () => {
    const ua = await device(system, 'gina');
    const answer = await ua.register({ expires: 0 });
    assert.equal(answer.status, 200);
    assert.equal(answer.all('Contact').length, 0);
    assert.equal(await bindings('gina'), 0);
    await ua.register();
    assert.equal((await ua.register({ contact: '*', headers: [['Expires', '0']] })).status, 200);
    assert.equal(await bindings('gina'), 0);
    await ua.close();
  });

  it('keeps a binding through a short absence and drops it after the grace', async () => {
    const first = await device(system, 'hugo');
    await first.cut();
    assert.equal(await bindings('hugo'), 1);
    const second = await Ua.connect(system, 'hugo', { session: first.session, worker: 1, like: first });
    assert.equal((await second.register()).status, 200);
    await sleep(1800);
    assert.equal(await bindings('hugo'), 1, 'the returned device stays');
    await second.cut();
    await until('gone after the grace', async () => (await bindings('hugo')) === 0);
  });

  it('closes the socket that lost its binding to a younger one of the same device (4002), here and on another worker', async () => {
    const first = await device(system, 'ida');
    const second = await Ua.connect(system, 'ida', { session: first.session, like: first });
    await second.register();
    assert.equal((await first.closed).code, 4002);
    const third = await Ua.connect(system, 'ida', { session: first.session, worker: 1, like: first });
    await third.register();
    assert.equal((await second.closed).code, 4002);
    assert.equal(await bindings('ida'), 1);
    await third.close();
  });

  it('makes room for a new device by signing out the one unused for longest', async () => {
    const session = await system.addUser('jan');
    const uas = [];
    for (let i = 0; i < 4; i++) {
      uas.push(await device(system, 'jan', { session, worker: i % 2 }));
      await sleep(5);
    }
    assert.equal((await uas[0].closed).code, 4002);
    assert.equal(await bindings('jan'), 3);
    await Promise.all(uas.slice(1).map((ua) => ua.close()));
  });

  it('refuses a session that has ended, and closes the socket (4001)', async () => {
    const session = await system.addUser('kim');
    const ua = await admitted('kim', session);
    await system.redis('DEL', `session:{kim}:${session}`);
    assert.equal((await ua.register()).status, 403);
    assert.equal((await ua.closed).code, 4001);
  });

  it('refuses a disabled user', async () => {
    const session = await system.addUser('lea');
    const ua = await admitted('lea', session);
    await system.redis('HSET', 'user:{lea}', 'state', 'disabled');
    assert.equal((await ua.register()).status, 403);
  });
});

describe('ended sessions', () => {
  it('closes exactly the sockets of the session within a second, on every worker', async () => {
    const one = await device(system, 'mia');
    const session = await system.addSession('mia');
    const two = await device(system, 'mia', { session, worker: 1 });
    const at = Date.now();
    await system.event('session.end', 'user', 'mia', 'session', session);
    assert.equal((await two.closed).code, 4001);
    assert.ok(Date.now() - at < 1000, `${Date.now() - at} ms`);
    await until('binding gone', async () => (await bindings('mia')) === 1, 1000);
    assert.equal((await one.register()).status, 200);
    await system.event('user.disable', 'user', 'mia');
    assert.equal((await one.closed).code, 4001);
    await until('binding gone', async () => (await bindings('mia')) === 0, 1000);
  });
});

describe('Redis away', () => {
  it('keeps serving what is here, and writes it again when Redis is back', async () => {
    const ua = await device(system, 'nora');
    await system.stopRedis();
    const answer = await ua.register();
    assert.equal(answer.status, 200, 'a refresh goes on');
    const message = await ua.ask('MESSAGE', uri('zoe'), { body: 'x', type: 'text/plain' });
    assert.equal(message.status, 500);
    assert.ok(message.get('Retry-After'));
    await system.startRedis();
    await until('the refresh that Redis missed is written', async () =>
      (await system.redis('HVALS', 'location:{nora}')).split('\n')[2] === String(ua.registerCseq));
    await until('events flow again', async () => {
      await system.event('session.end', 'user', 'nora', 'session', ua.session);
      return ua.ws.readyState !== 1;
    });
    assert.equal((await ua.closed).code, 4001);
  });
});
