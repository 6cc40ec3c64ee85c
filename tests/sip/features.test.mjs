// What a call can do beyond being made and ended: devices that come late, do-not-disturb, limits, session timers, transfer.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri, uriOf } from './lib/client.mjs';
import { SDP, accept, call, caller, close, inDialog, invite } from './lib/calls.mjs';

let system;
before(async () => { system = await System.start({ options: { 'ring-timeout': 20, 'calls-max': 2, 'flow-grace': 3000 } }); });
after(() => system.stop());

const history = (user) => system.redis('XRANGE', `history:{${user}}`, '-', '+');

describe('devices that come late', () => {
  for (const worker of [0, 1]) {
    it(`ring, too (worker ${worker})`, async () => {
      const alice = await device(system, `lea${worker}`);
      const session = await system.addUser(`leo${worker}`);
      const first = await device(system, `leo${worker}`, { session });
      const sent = invite(alice, first.user);
      const one = await first.request('INVITE');
      first.reply(one, 180);
      const late = await device(system, first.user, { session, worker });
      const two = await late.request('INVITE');
      accept(late, two);
      assert.equal((await alice.response(sent)).status, 200);
      assert.match((await first.request('CANCEL')).get('Reason'), /completed elsewhere/);
      await late.register();
      assert.deepEqual(late.messages.filter((m) => m.method === 'INVITE'), [], 'a refresh is no device');
      await close(alice, first, late);
    });

    it(`a page that is loaded anew rings again, and one that is called while it loads rings (worker ${worker})`, async () => {
      const alice = await device(system, `mia${worker}`);
      const bob = await device(system, `max${worker}`, { worker });
      const sent = invite(alice, bob.user);
      bob.reply(await bob.request('INVITE'), 180);
      await bob.cut();
      await sleep(300);
      const other = await device(system, `moe${worker}`);
      const second = invite(other, bob.user);
      await sleep(300);
      assert.equal(alice.messages.filter((m) => m.status >= 300).length, 0);
      const back = await Ua.connect(system, bob.user, { session: bob.session, worker: 1 - worker, like: bob });
      await back.register();
      const requests = [await back.request('INVITE'), await back.request('INVITE')];
      for (const request of requests) back.reply(request, 486);
      assert.equal((await alice.response(sent)).status, 486);
      assert.equal((await other.response(second)).status, 486);
      await close(alice, other, back);
    });
  }

  it('who does not come back is not there: 480', async () => {
    const alice = await device(system, 'ned');
    const bob = await device(system, 'nia');
    await bob.cut();
    const began = Date.now();
    assert.equal((await alice.response(invite(alice, 'nia'))).status, 480);
    assert.ok(Date.now() - began > 2000, `${Date.now() - began} ms`);
    await alice.close();
  });
});

describe('do not disturb', () => {
  it('480 with the reason, a missed call, and contacts see it', async () => {
    const alice = await device(system, 'ola');
    const bob = await device(system, 'oto', { worker: 1 });
    await system.addContact('ola', 'oto');
    const subscribe = await alice.ask('SUBSCRIBE', uri('contacts'), { headers: [['Event', 'presence'], ['Supported', 'eventlist'],
      ['Contact', `<${alice.contact}>`], ['Expires', '600']] });
    assert.equal(subscribe.status, 200);
    await alice.next((m) => m.method === 'NOTIFY' && m.body.includes('<note>online</note>'));
    await system.redis('HSET', 'user:{oto}', 'dnd', 1);
    await system.redis('XADD', 'events:presence', '*', 't', 'presence', 'user', 'oto', 'status', 'dnd');
    await alice.next((m) => m.method === 'NOTIFY' && m.body.includes('<note>dnd</note>'));
    const answer = await alice.response(invite(alice, 'oto'));
    assert.equal(answer.status, 480);
    assert.match(answer.get('Reason'), /cause=480;text="Do not disturb"/);
    assert.equal(answer.get('Session-ID'), `${'0'.repeat(32)};remote=${'a'.repeat(32)}`);
    assert.deepEqual(bob.messages.filter((m) => m.method === 'INVITE'), []);
    await until('missed', async () => (await history('oto')).includes('do_not_disturb'));
    // Messages still arrive.
    const sent = alice.send('MESSAGE', uri('oto'), { body: 'later then', type: 'text/plain' });
    assert.equal((await bob.request('MESSAGE')).body, 'later then');
    assert.equal((await alice.response(sent)).status, 200);
    await system.redis('HDEL', 'user:{oto}', 'dnd');
    await system.redis('XADD', 'events:presence', '*', 't', 'presence', 'user', 'oto', 'status', 'available');
    await alice.next((m) => m.method === 'NOTIFY' && m.body.includes('<note>online</note>'));
    invite(alice, 'oto');
    await bob.request('INVITE');
    await close(alice, bob);
  });
});

describe('limits', () => {
  it('403 to who has too many calls, 486 for whom too many call', async () => {
    const [alice, bob, ...others] = await Promise.all(['pam', 'pip', 'pat', 'per'].map((name) => device(system, name)));
    await call(alice, bob);
    await call(others[0], bob);
    const busy = await others[1].response(invite(others[1], 'pip'));
    assert.equal(busy.status, 486);
    assert.match(busy.get('Reason'), /Too many calls/);
    await until('missed', async () => (await history('pip')).includes('busy'));
    await call(alice, others[1]);
    const refused = await alice.response(invite(alice, 'pat'));
    assert.equal(refused.status, 403);
    assert.match(refused.get('Reason'), /Too many calls/);
    await close(alice, bob, ...others);
  });

  it('422 for a session interval that is too short', async () => {
    const [alice, bob] = await Promise.all(['quy', 'qin'].map((name) => device(system, name)));
    const answer = await alice.response(invite(alice, 'qin', { extra: [['Supported', 'timer'], ['Session-Expires', '30']] }));
    assert.equal(answer.status, 422);
    assert.equal(answer.get('Min-SE'), '90');
    await close(alice, bob);
  });
});

describe('transfer', () => {
  for (const worker of [0, 1]) {
    it(`hands a call over: REFER, the new call, NOTIFY, and who did it in the records (worker ${worker})`, async () => {
      const [alice, bob, carol] = [await device(system, `ria${worker}`), await device(system, `rob${worker}`, { worker }),
        await device(system, `ron${worker}`)];
      const { a, b } = await call(alice, bob);
      const refer = inDialog(alice, 'REFER', a, { headers: [['Refer-To', `<${uri(carol.user)}>`], ['Contact', `<${alice.gruu}>`]] });
      const request = await bob.request('REFER');
      const by = request.get('Referred-By');
      assert.match(by, new RegExp(`^<${uri(alice.user)}>;`));
      bob.reply(request, 202, { headers: [['Contact', `<${bob.gruu}>`]] });
      assert.equal((await alice.response(refer)).status, 202);
      const sent = invite(bob, carol.user, { extra: [['Referred-By', by]] });
      const invited = await carol.request('INVITE');
      assert.equal(invited.get('Referred-By'), `<${uri(alice.user)}>`);
      accept(carol, invited);
      const ok = await bob.response(sent);
      const bc = caller(sent, ok);
      inDialog(bob, 'ACK', bc, { cseq: sent.cseq });
      const notify = inDialog(bob, 'NOTIFY', b, { headers: [['Event', 'refer'], ['Subscription-State', 'terminated;reason=noresource']], body: 'SIP/2.0 200 OK\r\n', type: 'message/sipfrag;version=2.0' });
      assert.equal((await alice.request('NOTIFY')).body, 'SIP/2.0 200 OK\r\n');
      assert.equal((await bob.response(notify)).status, 200);
      inDialog(alice, 'BYE', a);
      bob.reply(await bob.request('BYE'), 200);
      inDialog(bob, 'BYE', bc);
      carol.reply(await carol.request('BYE'), 200);
      await until('the record', async () => (await history(carol.user)).includes(`referred_by\n${alice.user}`));
      assert.ok(!(await history(alice.user)).includes(`referred_by\n${alice.user}`));
      await close(alice, bob, carol);
    });
  }

  it('a call is not taken over by a stranger', async () => {
    const [alice, bob, mallory] = await Promise.all(['sam', 'sue', 'sly'].map((name) => device(system, name)));
    const { a, b } = await call(alice, bob);
    const replaces = `${a.callId};to-tag=${/tag=([^;]+)/.exec(b.from)[1]};from-tag=${/tag=([^;]+)/.exec(a.from)[1]}`;
    assert.equal((await mallory.response(invite(mallory, 'sue', { extra: [['Replaces', replaces]] }))).status, 403);
    await close(alice, bob, mallory);
  });

  it('a call that is consulted for is replaced on its device only', async () => {
    const alice = await device(system, 'tia');
    const bob = await device(system, 'tom');
    const session = await system.addUser('tim');
    const desk = await device(system, 'tim', { session });
    const other = await device(system, 'tim', { session, worker: 1 });
    const ab = await call(alice, bob);
    const sent = invite(alice, 'tim');
    const [ringing, rings] = [await desk.request('INVITE'), await other.request('INVITE')];
    accept(desk, ringing);
    const ac = caller(sent, await alice.response(sent));
    inDialog(alice, 'ACK', ac, { cseq: sent.cseq });
    other.reply(rings, 487);
    const replaces = `${ac.callId};to-tag=${/tag=([^;]+)/.exec(ac.to)[1]};from-tag=${/tag=([^;]+)/.exec(ac.from)[1]}`;
    inDialog(alice, 'REFER', ab.a, { headers: [['Refer-To', `<${uri('tim')}?Replaces=${encodeURIComponent(replaces)}>`],
      ['Contact', `<${alice.gruu}>`]] });
    const request = await bob.request('REFER');
    assert.equal(uriOf(request.get('Refer-To')), `${uri('tim')}?Replaces=${encodeURIComponent(replaces)}`);
    bob.reply(request, 202, { headers: [['Contact', `<${bob.gruu}>`]] });
    const taken = invite(bob, 'tim', { extra: [['Referred-By', request.get('Referred-By')], ['Replaces', replaces]] });
    const invited = await desk.request('INVITE');
    assert.equal(invited.get('Replaces'), replaces);
    accept(desk, invited, { body: SDP });
    assert.equal((await bob.response(taken)).status, 200);
    assert.deepEqual(other.messages.filter((m) => m.method === 'INVITE'), []);
    await close(alice, bob, desk, other);
  });
});
