// Presence: the contact list as a resource list; RFC 6665, RFC 4662, RFC 3863.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, DOMAIN, sleep } from './lib/system.mjs';
import { Ua, device, parse, tagOf, uri, uriOf } from './lib/client.mjs';

let system;
before(async () => { system = await System.start(); });
after(() => system.stop());

const LIST = `sip:contacts@${DOMAIN}`;
const EVENT = [['Event', 'presence'], ['Supported', 'eventlist'], ['Accept', 'multipart/related, application/rlmi+xml, application/pidf+xml']];

function subscribe(ua, { expires = 600, headers = EVENT, target = LIST, ...rest } = {}) {
  return ua.send('SUBSCRIBE', target, { headers: [...headers, ['Contact', `<${ua.contact}>`], ['Expires', expires]], ...rest });
}

/** NOTIFY -> { full, version, users: { bob: 'online' } }; the names of a full list without a state are null. */
function read(notify) {
  const type = notify.get('Content-Type');
  assert.match(type, /^multipart\/related;type="application\/rlmi\+xml"/);
  const boundary = /boundary="([^"]+)"/.exec(type)[1];
  const parts = notify.body.split(`--${boundary}`).slice(1, -1).map((part) => parse(`PART x\r\n${part.replace(/^\r\n/, '')}`));
  assert.equal(parts[0].get('Content-ID'), /start="([^"]+)"/.exec(type)[1]);
  const list = parts[0].body;
  const result = { full: /fullState="true"/.test(list), version: Number(/version="(\d+)"/.exec(list)[1]), users: {} };
  for (const [, user, cid] of list.matchAll(/<resource uri="sip:([^@]+)@[^"]+"(?:><instance id="1" state="active" cid="([^"]+)"\/><\/resource>|\/>)/g)) {
    const part = parts.slice(1).find((p) => p.get('Content-ID') === `<${cid}>`);
    assert.equal(Boolean(part), Boolean(cid), 'each instance has its document');
    result.users[user] = part ? /<note>(\w+)<\/note>/.exec(part.body)[1] : null;
    if (part) assert.equal(/<basic>(\w+)<\/basic>/.exec(part.body)[1], result.users[user] === 'offline' ? 'closed' : 'open');
  }
  return result;
}

/** Collects until `user` has this state. */
async function told(ua, user, state) {
  for (;;) {
    const notify = await ua.request('NOTIFY', 5000);
    if (read(notify).users[user] === state) return notify;
  }
}

describe('SUBSCRIBE', () => {
  it('tells the whole list first, then what changes: online, busy by a call, offline', async () => {
    await system.addContact('anna', 'ben');
    await system.addContact('anna', 'cleo');
    await system.addUser('cleo');
    const anna = await device(system, 'anna');
    const sent = subscribe(anna);
    const answer = await anna.response(sent);
    assert.equal(answer.status, 200);
    assert.equal(answer.get('Expires'), '600');
    assert.match(answer.get('Require'), /eventlist/);
    const first = await anna.request('NOTIFY');
    assert.equal(first.uri, anna.contact);
    assert.equal(first.get('Event'), 'presence');
    assert.match(first.get('Subscription-State'), /^active;expires=(600|599)$/);
    assert.equal(tagOf(first.get('From')), tagOf(answer.get('To')));
    assert.equal(tagOf(first.get('To')), tagOf(sent.from));
    assert.deepEqual(read(first), { full: true, version: 0, users: { ben: 'offline', cleo: 'offline' } });

    const ben = await device(system, 'ben', { worker: 1 });
    const online = await anna.request('NOTIFY');
    assert.deepEqual(read(online), { full: false, version: 1, users: { ben: 'online' } });

    const invite = ben.send('INVITE', uri('cleo'), { headers: [['Contact', `<${ben.gruu}>`]], body: 'v=0\r\n' });
    assert.equal((await ben.response(invite)).status, 480);
    const cleo = await device(system, 'cleo');
    await told(anna, 'cleo', 'online');
    const again = ben.send('INVITE', uri('cleo'), { headers: [['Contact', `<${ben.gruu}>`]], body: 'v=0\r\n' });
    const ringing = await cleo.request('INVITE');
    cleo.reply(ringing, 200, { headers: [['Contact', `<${cleo.gruu}>`]], body: 'v=0\r\n' });
    const ok = await ben.response(again);
    ben.send('ACK', uriOf(ok.get('Contact')), { from: again.from, to: ok.get('To'), callId: again.callId, cseq: again.cseq,
      route: ok.all('Record-Route') });
    const states = {};
    while (states.ben !== 'busy' || states.cleo !== 'busy') Object.assign(states, read(await anna.request('NOTIFY')).users);
    const bye = ben.send('BYE', uriOf(ok.get('Contact')), { from: again.from, to: ok.get('To'), callId: again.callId,
      route: ok.all('Record-Route') });
    cleo.reply(await cleo.request('BYE'), 200);
    assert.equal((await ben.response(bye)).status, 200);
    while (states.ben !== 'online' || states.cleo !== 'online') Object.assign(states, read(await anna.request('NOTIFY')).users);

    await ben.register({ expires: 0 });
    await told(anna, 'ben', 'offline');
    await cleo.close();
    await told(anna, 'cleo', 'offline');
    await Promise.all([anna.close(), ben.close()]);
  });

  it('keeps watchers calm while a device comes back within the grace', async () => {
    await system.addContact('dirk', 'eve');
    const eve = await device(system, 'eve');
    const dirk = await device(system, 'dirk');
    subscribe(dirk);
    await told(dirk, 'eve', 'online');
    await eve.cut();
    const back = await Ua.connect(system, 'eve', { session: eve.session, worker: 1, like: eve });
    await back.register();
    await assert.rejects(dirk.request('NOTIFY', 2000));
    await back.close();
    await dirk.close();
  });

  it('tells of a changed contact list', async () => {
    const fay = await device(system, 'fay');
    subscribe(fay);
    assert.deepEqual(read(await fay.request('NOTIFY')).users, {});
    const gus = await device(system, 'gus');
    await system.addContact('fay', 'gus');
    await system.event('contacts.changed', 'user', 'fay');
    const notify = await fay.request('NOTIFY');
    assert.equal(read(notify).full, true);
    assert.deepEqual(read(notify).users, { gus: 'online' });
    await system.redis('HDEL', 'contacts:{fay}', 'gus');
    await system.event('contacts.changed', 'user', 'fay');
    assert.deepEqual(read(await fay.request('NOTIFY')), { full: true, version: 2, users: {} });
    await Promise.all([fay.close(), gus.close()]);
  });

  it('refreshes, ends with Expires 0, and knows no dialog then (481)', async () => {
    const hal = await device(system, 'hal');
    const sent = subscribe(hal);
    const answer = await hal.response(sent);
    await hal.request('NOTIFY');
    const dialog = { to: answer.get('To'), from: sent.from, callId: sent.callId };
    assert.equal((await hal.response(subscribe(hal, dialog))).status, 200);
    assert.equal(read(await hal.request('NOTIFY')).full, true);
    assert.equal((await hal.response(subscribe(hal, { ...dialog, expires: 0 }))).status, 200);
    assert.match((await hal.request('NOTIFY')).get('Subscription-State'), /^terminated/);
    assert.equal((await hal.response(subscribe(hal, dialog))).status, 481);
    await hal.close();
  });

  it('answers a poll (Expires 0) with one NOTIFY', async () => {
    await system.addContact('ilse', 'hal');
    const ilse = await device(system, 'ilse');
    subscribe(ilse, { expires: 0 });
    const notify = await ilse.request('NOTIFY');
    assert.match(notify.get('Subscription-State'), /^terminated/);
    assert.equal('hal' in read(notify).users, true);
    await ilse.close();
  });

  it('refuses what it does not know', async () => {
    const jo = await device(system, 'jo');
    const refused = async (expect, options) => {
      const answer = await jo.response(subscribe(jo, options));
      assert.equal(answer.status, expect);
      return answer;
    };
    assert.equal((await refused(489, { headers: [['Event', 'dialog'], ['Supported', 'eventlist']] })).get('Allow-Events'), 'presence');
    await refused(421, { headers: [['Event', 'presence']] });
    await refused(404, { target: uri('anna') });
    await refused(403, { from: `<${uri('anna')}>;tag=x` });
    await jo.close();
  });

  it('ends a subscription whose client refuses the NOTIFY, and no other', async () => {
    await system.addContact('kai', 'mo');
    await system.addContact('lou', 'mo');
    const kai = await device(system, 'kai');
    const lou = await device(system, 'lou');
    kai.autoAnswer = false;
    subscribe(kai);
    subscribe(lou);
    kai.reply(await kai.request('NOTIFY'), 481);
    await lou.request('NOTIFY');
    const mo = await device(system, 'mo', { worker: 1 });
    await told(lou, 'mo', 'online');
    await assert.rejects(kai.request('NOTIFY', 300));
    assert.equal(await system.metric(0, 'duplex_signal_watchers'), 1);
    await Promise.all([kai.close(), lou.close(), mo.close()]);
  });

  it('parts a list that is too long for one NOTIFY: the most contacts that the API lets one have', async () => {
    const names = Array.from({ length: 500 }, (_, i) => `colleague-with-a-long-name-${String(i).padStart(4, '0')}`);
    await system.redis('HSET', 'contacts:{nils}', ...names.flatMap((name) => [name, '1']));
    const nils = await device(system, 'nils');
    subscribe(nils);
    const seen = {};
    for (let first = true; Object.values(seen).filter(Boolean).length < names.length; first = false) {
      const notify = await nils.request('NOTIFY');
      assert.ok(notify.text.length < 65536);
      const { full, users } = read(notify);
      assert.equal(full, first);
      if (first) assert.equal(Object.keys(users).length, names.length);
      for (const [user, state] of Object.entries(users)) seen[user] ??= state;
    }
    await nils.close();
  });

  it('sees the users of a killed worker go offline', async () => {
    await system.addContact('otto', 'pia');
    const otto = await device(system, 'otto');
    const pia = await device(system, 'pia', { worker: 1 });
    subscribe(otto);
    await told(otto, 'pia', 'online');
    await system.kill(1, 'SIGKILL');
    await pia.closed;
    const notify = await otto.request('NOTIFY', 12000);
    assert.equal(read(notify).users.pia, 'offline');
    await system.startWorker(1);
    await sleep(50);
    await otto.close();
  });
});
