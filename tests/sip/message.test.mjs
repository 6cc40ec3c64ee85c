// Chat outside calls: MESSAGE, delivered or stored; RFC 3428.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri } from './lib/client.mjs';

let system;
before(async () => { system = await System.start({ options: { 'chat-store-max': 5, 'flow-grace': 100 } }); });
after(() => system.stop());

const say = (ua, to, body, options = {}) => ua.ask('MESSAGE', uri(to), { body, type: 'text/plain', ms: 15000, ...options });
const stored = async (user) => Number(await system.redis('XLEN', `messages:{${user}}`));

describe('MESSAGE', () => {
  it('reaches every device of the user, on any worker: 200', async () => {
    const ann = await device(system, 'ann');
    const session = await system.addUser('bob');
    const here = await device(system, 'bob', { session });
    const there = await device(system, 'bob', { session, worker: 1 });
    const answer = await say(ann, 'bob', 'hello, world \u{1f600}', { type: 'text/plain;charset=UTF-8' });
    assert.equal(answer.status, 200);
    for (const ua of [here, there]) {
      const message = await ua.request('MESSAGE');
      assert.equal(message.body, 'hello, world \u{1f600}');
      assert.match(message.get('From'), /sip:ann@/);
      assert.equal(message.get('P-Asserted-Identity'), `<${uri('ann')}>`);
      assert.equal(message.uri, ua.contact);
    }
    await Promise.all([ann.close(), here.close(), there.close()]);
  });

  it('passes between workers as one message, whatever its folds look like', async () => {
    const ann = await device(system, 'ann');
    const bob = await device(system, 'bob', { worker: 1 });
    const smuggled = ['MESSAGE sip:bob@example.test SIP/2.0', 'X-Duplex-Peer: n1.0 - -', 'Content-Length: 0', '', ''].join('\r\n');
    const broken = () => system.metric(1, 'duplex_signal_rejects_total', 'peer_frame');
    const before = await broken();
    for (const [fold, body, length] of [
      ['Subject: a\r\n Content-Length: 0', smuggled, ''], ['Subject: a\r\n\tl: 1', 'second', 'Content-Length: 6\r\n'],
      ['Subject: a', 'third!', 'Content-Length:\r\n 6\r\n']]) {
      const id = Math.random().toString(36).slice(2);
      ann.raw(`MESSAGE ${uri('bob')} SIP/2.0\r\nVia: SIP/2.0/WSS ${ann.host};branch=z9hG4bK${id}\r\nFrom: <${uri('ann')}>;tag=a\r\n` +
        `To: <${uri('bob')}>\r\nCall-ID: ${id}\r\nCSeq: 1 MESSAGE\r\n${fold}\r\nContent-Type: text/plain\r\n${length}\r\n${body}`);
      assert.equal((await ann.response({ callId: id, cseq: 1, method: 'MESSAGE' }, undefined, 15000)).status, 200);
      assert.ok((await bob.next((m) => m.text?.startsWith('MESSAGE'))).text.endsWith(`\r\n\r\n${body}`));
    }
    assert.equal(await broken(), before);
    await Promise.all([ann.close(), bob.close()]);
  });

  it('is stored for one who is away (202) and delivered in order after the next REGISTER', async () => {
    const ann = await device(system, 'ann');
    const session = await system.addUser('cyd');
    const ids = [];
    for (const text of ['one', 'two', 'three']) {
      const sent = ann.send('MESSAGE', uri('cyd'), { body: text, type: 'text/plain' });
      ids.push(sent.callId);
      assert.equal((await ann.response(sent)).status, 202);
    }
    assert.equal(await stored('cyd'), 3);
    const cyd = await device(system, 'cyd', { session, worker: 1 });
    const got = [];
    for (let i = 0; i < 3; i++) got.push(await cyd.request('MESSAGE'));
    assert.deepEqual(got.map((m) => m.body), ['one', 'two', 'three']);
    assert.deepEqual(got.map((m) => m.get('Call-ID')), ids);
    assert.ok(Math.abs(Date.parse(got[0].get('Date')) - Date.now()) < 60000);
    await until('all deleted', async () => (await stored('cyd')) === 0);
    await Promise.all([ann.close(), cyd.close()]);
  });

  it('stays stored until a device has taken it', async () => {
    const ann = await device(system, 'ann');
    const session = await system.addUser('dan');
    assert.equal((await say(ann, 'dan', 'keep me')).status, 202);
    const first = await Ua.connect(system, 'dan', { session });
    first.autoAnswer = false;
    await first.register();
    await first.request('MESSAGE');
    await first.cut();
    assert.equal(await stored('dan'), 1);
    const second = await device(system, 'dan', { session, worker: 1 });
    assert.equal((await second.request('MESSAGE')).body, 'keep me');
    await until('deleted', async () => (await stored('dan')) === 0);
    await Promise.all([ann.close(), second.close()]);
  });

  it('is stored when the device refuses it', async () => {
    const ann = await device(system, 'ann');
    const eva = await device(system, 'eva');
    eva.autoAnswer = false;
    const sent = ann.send('MESSAGE', uri('eva'), { body: 'later', type: 'text/plain' });
    eva.reply(await eva.request('MESSAGE'), 480);
    assert.equal((await ann.response(sent)).status, 202);
    await Promise.all([ann.close(), eva.close()]);
  });

  for (const worker of [0, 1]) {
    it(`a device that does not answer counts as away after 10 s: 202, and it is asked once (worker ${worker})`, async () => {
      const ann = await device(system, 'ann');
      const gil = await device(system, `gil${worker}`, { worker });
      gil.autoAnswer = false;
      await sleep(3500); // what registers just before the MESSAGE may be asked from the store as well
      const began = Date.now();
      const sent = ann.send('MESSAGE', uri(gil.user), { body: 'are you there', type: 'text/plain' });
      const request = await gil.request('MESSAGE');
      assert.equal((await ann.response(sent, undefined, 20000)).status, 202);
      const took = Date.now() - began;
      assert.ok(took > 9000 && took < 13000, `${took} ms`);
      assert.equal(await stored(gil.user), 1);
      await sleep(1000);
      assert.deepEqual(gil.messages.filter((m) => m.method), [], 'no second MESSAGE');

      /* It answers after all: the message is taken out of the store, and does not come again. */
      gil.reply(request, 200);
      await until('taken out', async () => (await stored(gil.user)) === 0);
      assert.equal((await gil.register()).status, 200);
      await sleep(300);
      assert.deepEqual(gil.messages.filter((m) => m.method), []);
      await Promise.all([ann.close(), gil.close()]);
    });
  }

  it('a device that comes while another is silent gets what was stored then; the silent one does after its next REGISTER', async () => {
    const ann = await device(system, 'ann');
    const session = await system.addUser('hedy');
    const silent = await device(system, 'hedy', { session });
    silent.autoAnswer = false;
    await sleep(3500);
    const sent = ann.send('MESSAGE', uri('hedy'), { body: 'to whom it concerns', type: 'text/plain' });
    const first = await silent.request('MESSAGE');
    const newcomer = await device(system, 'hedy', { session, worker: 1 });
    newcomer.autoAnswer = false;
    assert.equal((await ann.response(sent, undefined, 20000)).status, 202);
    const offered = await newcomer.request('MESSAGE');
    assert.equal(offered.get('Call-ID'), sent.callId);
    newcomer.reply(offered, 480);
    assert.deepEqual(silent.messages.filter((m) => m.method), []);
    await silent.register();
    const again = await silent.request('MESSAGE');
    assert.equal(again.get('Call-ID'), first.get('Call-ID'));
    silent.reply(again, 200);
    await until('deleted', async () => (await stored('hedy')) === 0);
    await Promise.all([ann.close(), silent.close(), newcomer.close()]);
  });

  it('refuses: no permission 403, forged 403, unknown 404, too long 413, not text 415, full 480', async () => {
    const ann = await device(system, 'ann');
    const mute = await device(system, 'mute', { permissions: 'call.audio' });
    await system.addUser('fox');
    assert.equal((await say(mute, 'ann', 'x')).status, 403);
    assert.equal((await say(ann, 'fox', 'x', { from: `<${uri('bob')}>;tag=1` })).status, 403);
    assert.equal((await say(ann, 'nobody', 'x')).status, 404);
    assert.equal((await say(ann, 'fox', 'x'.repeat(8193))).status, 413);
    assert.equal((await say(ann, 'fox', '<x/>', { type: 'application/xml' })).status, 415);
    for (let i = 0; i < 5; i++) assert.equal((await say(ann, 'fox', 'x')).status, 202);
    assert.equal((await say(ann, 'fox', 'x')).status, 480);
    await Promise.all([ann.close(), mute.close()]);
  });
});

/** What a page sends: text, or the receipt of one. */
const cpim = (from, to, id, type, content) => [`From: <${uri(from)}>`, `To: <${uri(to)}>`, 'DateTime: 2026-11-25T21:00:00Z',
  'NS: imdn <urn:ietf:params:imdn>', `imdn.Message-ID: ${id}`, 'imdn.Disposition-Notification: positive-delivery, display', '',
  `Content-Type: ${type}`, '', content].join('\r\n');
const receipt = (id, what) => `<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${id}</message-id>${what}</imdn>`;
const wrapped = (ua, to, body) => ua.ask('MESSAGE', uri(to), { body, type: 'message/cpim', ms: 15000 });

describe('receipts (RFC 5438)', () => {
  it('go the way back, and are stored for a sender who is away', async () => {
    const session = await system.addUser('ira');
    const ira = await device(system, 'ira', { session });
    const jan = await device(system, 'jan', { worker: 1 });
    const text = cpim('ira', 'jan', 'm1', 'text/plain;charset=UTF-8', 'hello');
    assert.equal((await wrapped(ira, 'jan', text)).status, 200);
    const got = await jan.request('MESSAGE');
    assert.equal(got.body, text);
    assert.equal(got.get('Content-Type'), 'message/cpim');
    const delivered = cpim('jan', 'ira', 'd1', 'message/imdn+xml', receipt('m1', '<delivery-notification><status><delivered/></status></delivery-notification>'));
    assert.equal((await wrapped(jan, 'ira', delivered)).status, 200);
    assert.equal((await ira.request('MESSAGE')).body, delivered);
    await ira.register({ expires: 0 });
    await ira.close();
    const read = cpim('jan', 'ira', 'd2', 'message/imdn+xml', receipt('m1', '<display-notification><status><displayed/></status></display-notification>'));
    assert.equal((await wrapped(jan, 'ira', read)).status, 202);
    const back = await device(system, 'ira', { session });
    assert.equal((await back.request('MESSAGE')).body, read);
    await Promise.all([jan.close(), back.close()]);
  });

  it('must be from their sender to their receiver, and of a kind that is known', async () => {
    const kai = await device(system, 'kai');
    await system.addUser('kim');
    assert.equal((await wrapped(kai, 'kim', cpim('kim', 'kai', '1', 'text/plain', 'x'))).status, 403);
    assert.equal((await wrapped(kai, 'kim', cpim('kai', 'kai', '1', 'text/plain', 'x'))).status, 403);
    const picture = await wrapped(kai, 'kim', cpim('kai', 'kim', '1', 'image/png', 'x'));
    assert.equal(picture.status, 415);
    assert.match(picture.get('Accept'), /message\/cpim/);
    assert.equal((await wrapped(kai, 'kim', 'not a CPIM body')).status, 400);
    assert.equal(await stored('kim'), 0);
    await kai.close();
  });

  it('a device that cannot read a message gets the next, and another device gets that one', async () => {
    const lea = await device(system, 'lea');
    const session = await system.addUser('lin');
    assert.equal((await wrapped(lea, 'lin', cpim('lea', 'lin', '1', 'text/plain', 'wrapped'))).status, 202);
    assert.equal((await say(lea, 'lin', 'plain')).status, 202);
    const phone = await Ua.connect(system, 'lin', { session });
    phone.autoAnswer = false;
    await phone.register();
    phone.reply(await phone.request('MESSAGE'), 415);
    const plain = await phone.request('MESSAGE');
    assert.equal(plain.body, 'plain');
    phone.reply(plain, 200);
    await until('one is left', async () => (await stored('lin')) === 1);
    const page = await device(system, 'lin', { session, worker: 1 });
    assert.match((await page.request('MESSAGE')).body, /wrapped$/);
    await until('none is left', async () => (await stored('lin')) === 0);
    await Promise.all([lea.close(), phone.close(), page.close()]);
  });
});

describe('other methods', () => {
  it('OPTIONS tells what there is; what nobody handles is refused with Allow', async () => {
    const ann = await device(system, 'ann');
    const options = await ann.ask('OPTIONS', 'sip:example.test');
    assert.equal(options.status, 200);
    assert.match(options.get('Allow'), /INVITE/);
    const publish = await ann.ask('PUBLISH', uri('ann'));
    assert.equal(publish.status, 405);
    assert.match(publish.get('Allow'), /REGISTER/);
    assert.equal((await ann.ask('FROBNICATE', uri('ann'))).status, 501);
    assert.equal((await ann.ask('BYE', uri('ann'))).status, 481);
    await ann.close();
  });
});
