// Calls: INVITE to BYE, forking, failures, two workers, and a worker that dies in between; RFC 3261 §13 to §17, ARCHITECTURE.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, until } from './lib/system.mjs';
import { VIDEO, SDP, accept, call, caller, close, inDialog, invite } from './lib/calls.mjs';
import { Ua, device, tagOf, uri, uriOf } from './lib/client.mjs';

let system;
before(async () => { system = await System.start({ options: { 'ring-timeout': 2 } }); });
after(() => system.stop());

/* Each test has its own people, so that what one leaves behind cannot disturb the next. */
let serial = 0;
async function pair(worker) {
  const n = ++serial;
  return [await device(system, `alice${n}`), await device(system, `bob${n}`, { worker })];
}
async function pairOfDevices() {
  const n = ++serial;
  const session = await system.addUser(`bob${n}`);
  return [await device(system, `alice${n}`), await device(system, `bob${n}`, { session, worker: n % 2 }),
    await device(system, `bob${n}`, { session, worker: 1 })];
}

for (const worker of [0, 1]) {
  describe(`a call to worker ${worker}`, () => {
    it('rings, is answered, and ends by BYE of the caller', async () => {
      const [alice, bob] = await pair(worker);
      const sent = invite(alice, bob.user);
      assert.equal((await alice.response(sent, (s) => s === 100)).status, 100);
      const request = await bob.request('INVITE');
      assert.equal(request.uri, bob.contact);
      assert.equal(request.get('P-Asserted-Identity'), `<${uri(alice.user)}>`);
      assert.equal(request.get('Session-ID'), `${'a'.repeat(32)};remote=${'0'.repeat(32)}`);
      assert.equal(request.body, SDP);
      bob.reply(request, 180);
      await alice.response(sent, (s) => s === 180);
      accept(bob, request);
      const ok = await alice.response(sent);
      assert.equal(uriOf(ok.get('Contact')), bob.gruu);
      inDialog(alice, 'ACK', caller(sent, ok), { cseq: sent.cseq });
      await bob.request('ACK');
      const bye = inDialog(alice, 'BYE', caller(sent, ok));
      bob.reply(await bob.request('BYE'), 200);
      assert.equal((await alice.response(bye)).status, 200);
      /* The call is over: its owner knows, and nothing goes by its Route any more. */
      for (const method of ['BYE', 'INVITE', 'MESSAGE']) {
        const again = inDialog(alice, method, caller(sent, ok), { headers: [['Contact', `<${alice.gruu}>`]] });
        assert.equal((await alice.response(again)).status, 481, method);
      }
      assert.deepEqual(bob.messages.map((m) => m.method), []);
      await close(alice, bob);
    });

    it('ends by BYE of the callee', async () => {
      const [alice, bob] = await pair(worker);
      const { b } = await call(alice, bob);
      const bye = inDialog(bob, 'BYE', b);
      alice.reply(await alice.request('BYE'), 200);
      assert.equal((await bob.response(bye)).status, 200);
      await close(alice, bob);
    });

    it('passes re-INVITE, UPDATE and INFO both ways', async () => {
      const [alice, bob] = await pair(worker);
      const { a, b } = await call(alice, bob);
      for (const [from, to, view] of [[alice, bob, a], [bob, alice, b]]) {
        const again = inDialog(from, 'INVITE', view, { headers: [['Contact', `<${from.gruu}>`]], body: SDP });
        accept(to, await to.request('INVITE'));
        assert.equal((await from.response(again)).status, 200);
        inDialog(from, 'ACK', view, { cseq: again.cseq });
        await to.request('ACK');
        for (const method of ['UPDATE', 'INFO']) {
          const sent = inDialog(from, method, view, { headers: [['Contact', `<${from.gruu}>`]] });
          to.reply(await to.request(method), 200);
          assert.equal((await from.response(sent)).status, 200, method);
        }
      }
      await close(alice, bob);
    });

    it('is cancelled by the caller: 487, and the callee stops ringing', async () => {
      const [alice, bob] = await pair(worker);
      const sent = invite(alice, bob.user);
      const request = await bob.request('INVITE');
      bob.reply(request, 180);
      await alice.response(sent, (s) => s === 180);
      alice.send('CANCEL', sent.target, { from: sent.from, to: sent.to, callId: sent.callId, cseq: sent.cseq, branch: sent.branch });
      const cancel = await bob.request('CANCEL');
      bob.reply(cancel, 200);
      bob.reply(request, 487);
      await bob.request('ACK');
      assert.equal((await alice.response({ ...sent, method: 'CANCEL' })).status, 200);
      assert.equal((await alice.response(sent)).status, 487);
      await close(alice, bob);
    });

    for (const [status, want] of [[486, 486], [603, 603], [480, 480]]) {
      it(`is refused by the callee with ${status}`, async () => {
        const [alice, bob] = await pair(worker);
        const sent = invite(alice, bob.user);
        bob.reply(await bob.request('INVITE'), status);
        await bob.request('ACK');
        assert.equal((await alice.response(sent)).status, want);
        await close(alice, bob);
      });
    }
  });
}

describe('a call that cannot be', () => {
  it('404 unknown, 480 not registered, 403 without permission or with a forged From', async () => {
    const alice = await device(system, 'alice');
    const silent = await device(system, 'silent', { permissions: 'chat.send' });
    const audio = await device(system, 'audio', { permissions: 'call.audio' });
    await system.addUser('gone');
    assert.equal((await alice.response(invite(alice, 'nobody'))).status, 404);
    const away = await alice.response(invite(alice, 'gone'));
    assert.equal(away.status, 480);
    assert.match(`${away.phrase} ${away.get('Reason')}`, /not registered/i);
    assert.equal((await silent.response(invite(silent, 'alice'))).status, 403);
    assert.equal((await audio.response(invite(audio, 'alice', { body: VIDEO }))).status, 403);
    assert.equal((await alice.response(invite(alice, 'audio', { from: `<${uri('bob')}>;tag=1` }))).status, 403);
    assert.equal((await alice.response(invite(alice, 'audio', { headers: [['Contact', `<${alice.gruu}>`],
      ['P-Asserted-Identity', `<${uri('bob')}>`]] }))).status, 403);
    await close(alice, silent, audio);
  });

  it('408 when nobody answers: the device is cancelled', async () => {
    const [alice, bob] = await pair(1);
    const sent = invite(alice, bob.user);
    const request = await bob.request('INVITE');
    bob.reply(request, 180);
    const cancel = await bob.request('CANCEL');
    bob.reply(cancel, 200);
    bob.reply(request, 487);
    assert.equal((await alice.response(sent)).status, 408);
    await close(alice, bob);
  });

  it('goes on without a device whose socket has just died', async () => {
    const [alice, dead, living] = await pairOfDevices();
    await dead.cut();
    const sent = invite(alice, living.user);
    accept(living, await living.request('INVITE'));
    assert.equal((await alice.response(sent)).status, 200);
    await close(alice, living);
  });
});

describe('two devices', () => {
  it('ring together; the loser gets CANCEL with the reason', async () => {
    const [alice, first, second] = await pairOfDevices();
    const sent = invite(alice, first.user);
    const [one, two] = await Promise.all([first.request('INVITE'), second.request('INVITE')]);
    first.reply(one, 180);
    second.reply(two, 180);
    accept(second, two);
    const ok = await alice.response(sent);
    assert.equal(tagOf(ok.get('To')), two.tag);
    const cancel = await first.request('CANCEL');
    assert.match(cancel.get('Reason'), /SIP;cause=200;text="Call completed elsewhere"/);
    first.reply(cancel, 200);
    first.reply(one, 487);
    inDialog(alice, 'ACK', caller(sent, ok), { cseq: sent.cseq });
    await second.request('ACK');
    await close(alice, first, second);
  });

  it('one busy device does not stop the other', async () => {
    const [alice, first, second] = await pairOfDevices();
    const sent = invite(alice, first.user);
    first.reply(await first.request('INVITE'), 486);
    accept(second, await second.request('INVITE'));
    assert.equal((await alice.response(sent)).status, 200);
    await close(alice, first, second);
  });
});

describe('what ends or outlives a call', () => {
  it('an administrator hangs up: both get BYE with the reason', async () => {
    const [alice, bob] = await pair(1);
    await call(alice, bob);
    const live = (await system.redis('HGETALL', 'live:n1.0')).split('\n');
    const id = live[live.findIndex((text) => text.includes(`"${alice.user}"`)) - 1];
    assert.match(id, /^[0-9a-f]{32}$/);
    const shown = JSON.parse(live.find((text) => text.includes(`"${alice.user}"`)));
    assert.deepEqual([shown.caller, shown.callee, shown.caller_session, shown.state], [alice.user, bob.user, 'a'.repeat(32), 'answered']);
    assert.equal(shown.callee_session, '');
    await system.event('call.hangup', 'id', id, 'by', 'admin');
    const byes = await Promise.all([alice.request('BYE', 1000), bob.request('BYE', 1000)]);
    for (const bye of byes) assert.match(bye.get('Reason'), /SIP;cause=\d+;text="/);
    alice.reply(byes[0], 200);
    bob.reply(byes[1], 200);
    await close(alice, bob);
  });

  it('the end of a session ends its call', async () => {
    const [alice, bob] = await pair(1);
    await call(alice, bob);
    await system.event('session.end', 'user', alice.user, 'session', alice.session);
    const bye = await bob.request('BYE', 1000);
    assert.match(bye.get('Reason'), /text="/);
    bob.reply(bye, 200);
    assert.equal((await alice.closed).code, 4001);
    await close(bob);
  });

  it('the call goes on after a device has come back by another socket', async () => {
    const [alice, bob] = await pair(1);
    const { a } = await call(alice, bob);
    await bob.cut();
    const back = await Ua.connect(system, bob.user, { session: bob.session, worker: 0, like: bob });
    await back.register();
    const bye = inDialog(alice, 'BYE', a);
    back.reply(await back.request('BYE'), 200);
    assert.equal((await alice.response(bye)).status, 200);
    await close(alice, back);
  });

  it('a ringing call whose caller vanishes is cancelled', async () => {
    const [alice, bob] = await pair(1);
    invite(alice, bob.user);
    const request = await bob.request('INVITE');
    bob.reply(request, 180);
    await alice.cut();
    bob.reply(await bob.request('CANCEL', 6000), 200);
    bob.reply(request, 487);
    await close(bob);
  });

  it('the caller\'s worker is killed: BYE from the callee is answered, and reaches the caller who has come back', async () => {
    const [alice, bob] = await pair(1);
    const { b } = await call(alice, bob);
    await system.kill(0, 'SIGKILL');
    await alice.closed;
    const lost = inDialog(bob, 'BYE', { ...b, callId: b.callId }, { ms: 40000 });
    const answer = await bob.response(lost, undefined, 40000);
    assert.ok([200, 408, 480, 481].includes(answer.status), `${answer.status}`);
    await system.startWorker(0);
    await close(bob);
  });

  it('a call survives the death of the caller\'s worker when the caller returns to another', async () => {
    const [alice, bob] = await pair(1);
    const { a, b } = await call(alice, bob);
    await system.kill(0, 'SIGKILL');
    const back = await Ua.connect(system, alice.user, { session: alice.session, worker: 1, like: alice });
    await back.register();
    const update = inDialog(bob, 'UPDATE', b, { headers: [['Contact', `<${bob.gruu}>`]] });
    back.reply(await back.request('UPDATE'), 200);
    assert.equal((await bob.response(update)).status, 200);
    const bye = inDialog(back, 'BYE', { ...a, route: a.route });
    bob.reply(await bob.request('BYE'), 200);
    assert.equal((await back.response(bye)).status, 200);
    await system.startWorker(0);
    await close(back, bob);
  });

  it('no call and no transaction is left behind', async () => {
    for (const index of [0, 1]) {
      await until(`calls of worker ${index}`, async () => (await system.metric(index, 'duplex_signal_calls', 'answered')) === 0 &&
        (await system.metric(index, 'duplex_signal_calls', 'ringing')) === 0, 40000);
    }
  });
});
