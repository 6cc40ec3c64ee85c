// Two nodes on one Redis, with SIP between them over TCP and mutual TLS: devices spread over nodes, calls, presence, chat, and nodes that die.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { device, uri, uriOf } from './lib/client.mjs';

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
const FAR = 2; // n2.0
let system;
let serial = 0;
before(async () => { system = await System.start({ nodes: 2, options: { 'ring-timeout': 60, 'flow-grace': 300 } }); });
after(() => system.stop());

const name = (what) => `${what}${++serial}`;

async function ring(callerWorker, calleeWorker) {
  const caller = await device(system, name('caller'), { worker: callerWorker });
  const callee = await device(system, name('callee'), { worker: calleeWorker });
  const sent = caller.send('INVITE', uri(callee.user), { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
  const request = await callee.request('INVITE');
  callee.reply(request, 180);
  await caller.response(sent, (status) => status === 180);
  return { caller, callee, sent, request };
}

async function call(callerWorker, calleeWorker) {
  const it = await ring(callerWorker, calleeWorker);
  const { caller, callee, sent, request } = it;
  callee.reply(request, 200, { headers: [['Contact', `<${callee.gruu}>`]], body: SDP });
  const ok = await caller.response(sent);
  assert.equal(ok.status, 200);
  const dialog = { from: sent.from, to: ok.get('To'), callId: sent.callId, route: ok.all('Record-Route') };
  caller.send('ACK', uriOf(ok.get('Contact')), { ...dialog, cseq: sent.cseq });
  await callee.request('ACK');
  const back = { from: ok.get('To'), to: sent.from, callId: sent.callId, route: request.all('Record-Route') };
  return { ...it, ok, dialog, back, target: uriOf(ok.get('Contact')) };
}

async function bye(from, to, target, dialog) {
  const sent = from.send('BYE', target, dialog);
  to.reply(await to.request('BYE'), 200);
  assert.equal((await from.response(sent)).status, 200);
}

describe('two nodes', () => {
  for (const [from, to] of [[0, FAR], [FAR, 1]]) {
    it(`a call from ${from === 0 ? 'the first to the second' : 'the second to the first'}, with a re-INVITE, and hung up by either side`, async () => {
      for (const side of ['caller', 'callee']) {
        const { caller, callee, dialog, back, target } = await call(from, to);
        const again = callee.send('INVITE', caller.gruu, { ...back, headers: [['Contact', `<${callee.gruu}>`]], body: SDP });
        caller.reply(await caller.request('INVITE'), 200, { headers: [['Contact', `<${caller.gruu}>`]], body: SDP });
        assert.equal((await callee.response(again)).status, 200);
        callee.send('ACK', caller.gruu, { ...back, cseq: again.cseq });
        await caller.request('ACK');
        if (side === 'caller') await bye(caller, callee, target, dialog);
        else await bye(callee, caller, caller.gruu, back);
      }
    });
  }

  it('a user with a device on each: both ring, the first answer wins, the other is told', async () => {
    const bob = name('bob');
    const session = await system.addUser(bob);
    const near = await device(system, bob, { session, worker: 1 });
    const far = await device(system, bob, { session, worker: FAR });
    const ann = await device(system, name('ann'));
    const sent = ann.send('INVITE', uri(bob), { headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
    const [one, other] = [await near.request('INVITE'), await far.request('INVITE')];
    near.reply(one, 180);
    far.reply(other, 180);
    far.reply(other, 200, { headers: [['Contact', `<${far.gruu}>`]], body: SDP });
    assert.equal((await ann.response(sent)).status, 200);
    const cancel = await near.request('CANCEL');
    assert.match(cancel.get('Reason'), /completed elsewhere/);
  });

  it('a CANCEL reaches the other node', async () => {
    const { caller, callee, sent } = await ring(0, FAR);
    const cancel = caller.send('CANCEL', sent.target, { from: sent.from, to: sent.to, callId: sent.callId, cseq: sent.cseq, branch: sent.branch });
    assert.equal((await caller.response(cancel)).status, 200);
    callee.reply(await callee.request('CANCEL'), 200);
    assert.equal((await caller.response(sent)).status, 487);
  });

  it('presence of someone on the other node: online, in a call, offline', async () => {
    const ann = await device(system, name('ann'));
    const bob = name('bob');
    await system.addContact(ann.user, bob);
    const state = (status) => ann.next((m) => m.method === 'NOTIFY' && m.body.includes(`<note>${status}</note>`), `NOTIFY ${status}`);
    ann.send('SUBSCRIBE', 'sip:contacts@example.test', { headers: [['Event', 'presence'], ['Supported', 'eventlist'], ['Expires', '600'],
      ['Contact', `<${ann.contact}>`], ['Accept', 'application/pidf+xml, application/rlmi+xml, multipart/related']] });
    await state('offline');
    const far = await device(system, bob, { worker: FAR });
    await state('online');
    const cat = await device(system, name('cat'), { worker: FAR });
    const sent = far.send('INVITE', uri(cat.user), { headers: [['Contact', `<${far.gruu}>`]], body: SDP });
    await cat.request('INVITE');
    await state('busy');
    far.send('CANCEL', sent.target, { from: sent.from, to: sent.to, callId: sent.callId, cseq: sent.cseq, branch: sent.branch });
    await state('online');
    await far.register({ expires: 0 });
    await state('offline');
  });

  it('a MESSAGE reaches the other node, and one to a device that has gone is stored', async () => {
    const ann = await device(system, name('ann'));
    const bob = await device(system, name('bob'), { worker: FAR });
    assert.equal((await ann.ask('MESSAGE', uri(bob.user), { body: 'hello', type: 'text/plain' })).status, 200);
    assert.equal((await bob.request('MESSAGE')).body, 'hello');
    await bob.cut();
    await sleep(600); // flow-grace
    assert.equal((await ann.ask('MESSAGE', uri(bob.user), { body: 'later', type: 'text/plain' })).status, 202);
    const back = await device(system, bob.user, { session: bob.session, worker: 0 });
    assert.equal((await back.request('MESSAGE')).body, 'later');
  });

  it('the same device on the other node takes over, and the first socket is closed with 4002', async () => {
    const bob = await device(system, name('bob'));
    const again = await device(system, bob.user, { session: bob.session, worker: FAR, like: bob });
    assert.equal((await bob.closed).code, 4002);
    const ann = await device(system, name('ann'), { worker: 1 });
    ann.send('INVITE', uri(bob.user), { headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
    await again.request('INVITE');
  });

  it('an ended session closes the socket on whichever node it is', async () => {
    const bob = await device(system, name('bob'), { worker: FAR + 1 });
    await system.event('session.end', 'user', bob.user, 'session', bob.session);
    assert.equal((await bob.closed).code, 4001);
  });
});

describe('a node that dies', () => {
  it('while a phone rings there: the caller hears of it within a second, and another device rings on', async () => {
    const bob = name('bob');
    const session = await system.addUser(bob);
    const far = await device(system, bob, { session, worker: FAR });
    const near = await device(system, bob, { session, worker: 1 });
    const ann = await device(system, name('ann'));
    const lonely = await ring(0, FAR + 1);
    const sent = ann.send('INVITE', uri(bob), { headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
    far.reply(await far.request('INVITE'), 180);
    const request = await near.request('INVITE');
    near.reply(request, 180);
    await system.killNode(1);
    assert.equal((await lonely.caller.response(lonely.sent, undefined, 1000)).status, 480);
    near.reply(request, 200, { headers: [['Contact', `<${near.gruu}>`]], body: SDP });
    assert.equal((await ann.response(sent)).status, 200);
  });

  it('and was the caller\'s: the phone stops ringing at once, and an answer that crosses is ended', async () => {
    await system.startNode(1);
    await system.meshed();
    const [one, two] = [await ring(FAR, 0), await ring(FAR, 1)];
    await system.killNode(1);
    for (const { callee } of [one, two]) assert.match((await callee.request('CANCEL', 2000)).get('Reason'), /cause=487/);
    one.callee.reply(one.request, 487);
    two.callee.reply(two.request, 200, { headers: [['Contact', `<${two.callee.gruu}>`]], body: SDP });
    await two.callee.request('ACK', 2000);
    assert.match((await two.callee.request('BYE', 2000)).get('Reason'), /cause=487/);
  });

  it('what was registered there is known to be gone: a call to it ends at once, before and after its lease runs out', async () => {
    const ann = await device(system, name('ann'));
    await system.startNode(1);
    await system.meshed();
    const bob = await device(system, name('bob'), { worker: FAR });
    await system.killNode(1);
    for (const wait of [0, 7000]) {
      await sleep(wait);
      const sent = ann.send('INVITE', uri(bob.user), { headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
      assert.equal((await ann.response(sent, undefined, 1000)).status, 480);
    }
  });

  it('its users are offline to watchers elsewhere, and online again when they come back, however late', async () => {
    await system.startNode(1);
    await system.meshed();
    const ann = await device(system, name('ann'));
    const bob = await device(system, name('bob'), { worker: FAR });
    await system.addContact(ann.user, bob.user);
    const state = (status) => ann.next((m) => m.method === 'NOTIFY' && m.body.includes(`<note>${status}</note>`), `NOTIFY ${status}`, 12000);
    ann.send('SUBSCRIBE', 'sip:contacts@example.test', { headers: [['Event', 'presence'], ['Supported', 'eventlist'], ['Expires', '600'],
      ['Contact', `<${ann.contact}>`], ['Accept', 'application/pidf+xml, application/rlmi+xml, multipart/related']] });
    await state('online');
    await system.killNode(1);
    await state('offline');
    await device(system, bob.user, { session: bob.session, worker: 1, like: bob });
    await state('online');
  });

  it('comes back with another epoch: its old flows are dead, new ones work', async () => {
    await system.startNode(1);
    await system.meshed();
    const { caller, callee, dialog, target } = await call(0, FAR);
    await bye(caller, callee, target, dialog);
  });
});
