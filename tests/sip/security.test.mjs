// What a hostile client may try inside SIP: to be someone else, to write headers that are not its to write, to hide them from us, to
// overrun whatever has a size, and to leave things behind. docs/security.md names the guard of each.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, until } from './lib/system.mjs';
import { SDP, VIDEO, accept, call, callee, caller, close, inDialog, invite } from './lib/calls.mjs';
import { Ua, device, uri } from './lib/client.mjs';

let system, alice, bob, mallory, limited;
before(async () => {
  system = await System.start({ workers: 2, options: { 'messages-per-second': 2000, 'messages-burst': 4000, 'bytes-per-second': 20000000, 'bytes-burst': 20000000 } });
  alice = await device(system, 'alice');
  bob = await device(system, 'bob', { worker: 1 });
  mallory = await device(system, 'mallory');
  limited = await device(system, 'limited', { permissions: 'call.audio' });
  await system.addUser('nobody');
});
after(() => system.stop());

const token = () => Math.random().toString(36).slice(2);
const quiet = async (ua) => { // nothing has come to it: what came before an answer of its own would have been seen
  assert.equal((await ua.ask('OPTIONS', 'sip:example.test')).status, 200);
  assert.deepEqual(ua.messages.filter((m) => m.method && m.method !== 'ACK').map((m) => m.method), []);
};

/** A request written line by line, so that any line may be wrong. */
async function raw(ua, method, target, { from = `<${uri(ua.user)}>;tag=${token()}`, to = `<${target}>`, lines = [], body = '', via = `SIP/2.0/WSS ${ua.host};branch=z9hG4bK${token()}`,
  callId = token(), drop = [], cseq = 1 } = {}) {
  const head = [['Via', via], ['Max-Forwards', '70'], ['From', from], ['To', to], ['Call-ID', callId], ['CSeq', `${cseq} ${method}`]]
    .filter(([name]) => !drop.includes(name)).map(([name, value]) => `${name}: ${value}`);
  if (body) lines = [...lines, 'Content-Type: application/sdp'];
  ua.raw([`${method} ${target} SIP/2.0`, ...head, ...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n'));
  const answer = await ua.next((m) => m.status >= 200 && m.get('Call-ID') === callId, `answer to ${method}`);
  if (method === 'INVITE') // or its transaction waits for it for half a minute
    ua.raw(`ACK ${target} SIP/2.0\r\nVia: ${via}\r\nFrom: ${from}\r\nTo: ${answer.get('To')}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ACK\r\nContent-Length: 0\r\n\r\n`);
  return answer;
}
const contact = (ua) => `Contact: <${ua.gruu}>`;

describe('who a client says it is', () => {
  /* Every method: what is open to strangers in one method is how others were got round (MESSAGE and SUBSCRIBE elsewhere). */
  for (const method of ['INVITE', 'MESSAGE', 'SUBSCRIBE', 'OPTIONS', 'REGISTER', 'NOTIFY', 'PUBLISH', 'REFER', 'INFO', 'UPDATE', 'BYE', 'PRACK', 'NEWMETHOD']) {
    const target = () => (method === 'REGISTER' ? 'sip:example.test' : uri('bob'));
    const ask = (options) => raw(mallory, method, target(), { lines: [contact(mallory), ...(options.lines ?? [])], ...options, ...(options.lines && { lines: [contact(mallory), ...options.lines] }) });

    it(`${method}: From must be the connection's user`, async () => {
      for (const from of [`<${uri('alice')}>;tag=1`, `"Alice" <${uri('alice')}>;tag=1`, `<sips:alice@example.test>;tag=1`, `<sip:alice@other.test>;tag=1`,
        `<sip:mallory@other.test>;tag=1`, `<sip:%61lice@example.test>;tag=1`, `<sip:alice:mallory@example.test>;tag=1`, `<sip:alice@example.test;x=mallory>;tag=1`,
        '<tel:+441234567>;tag=1', '<sip:example.test>;tag=1', '<sip:ALICE@example.test>;tag=1', `"${uri('mallory')}" <${uri('alice')}>;tag=1`,
        '<sip:anonymous@anonymous.invalid>;tag=1'])
        assert.equal((await ask({ from })).status, 403, from);
      await quiet(bob);
    });

    it(`${method}: asserted identities must be the user`, async () => {
      for (const name of ['P-Asserted-Identity', 'P-Preferred-Identity', 'Remote-Party-ID', 'p-asserted-identity', 'P-ASSERTED-IDENTITY ', 'P-Asserted-Identity\t ',
        'remote-party-id '])
        for (const value of [`<${uri('alice')}>`, `"A" <${uri('alice')}>`, `<${uri('mallory')}>, <${uri('alice')}>`, '<tel:+441234567>', `\r\n <${uri('alice')}>`, `\r\n\t"x"\r\n <${uri('alice')}>`])
          assert.equal((await ask({ lines: [`${name}:${value}`] })).status, 403, `${name}:${value}`);
      await quiet(bob);
    });

    it(`${method}: no more than one Via, no Contact of somebody else`, async () => {
      assert.equal((await ask({ lines: ['Via: SIP/2.0/WSS evil.invalid;branch=z9hG4bKevil'] })).status, 403);
      for (const value of [alice.gruu, uri('alice'), 'sip:mallory@evil.test', 'sip:mallory@192.0.2.66', 'sip:alice@example.test;gr=x'])
        assert.equal((await raw(mallory, method, target(), { lines: [`Contact: <${value}>`] })).status, 403, value);
      await quiet(bob);
    });
  }

  it('a REGISTER for somebody else is refused, whatever disguises it', async () => {
    const before = await system.redis('HGETALL', 'loc:{alice}');
    for (const options of [{ to: `<${uri('alice')}>` }, { to: `<${uri('alice')}>`, from: `<${uri('alice')}>;tag=1` }, { to: '<sip:%61lice@example.test>' }])
      assert.equal((await raw(mallory, 'REGISTER', 'sip:example.test', { lines: [`Contact: <${mallory.contact}>;expires=600`], ...options })).status, 403, JSON.stringify(options));
    assert.equal((await raw(mallory, 'REGISTER', 'sip:example.test', { to: `<${uri('alice')}>`, lines: ['Contact: *', 'Expires: 0'] })).status, 403);
    assert.equal(await system.redis('HGETALL', 'loc:{alice}'), before);
  });

  it('what the callee is told about the caller comes from us alone', async () => {
    const sent = invite(mallory, 'bob', { extra: [['P-Asserted-Identity', `<${uri('mallory')}>`], ['Remote-Party-ID', `"CEO" <${uri('mallory')}>;party=calling`],
      ['P-Preferred-Identity', `"CEO" <${uri('mallory')}>`], ['Authorization', 'Digest username="alice"'], ['Proxy-Authorization', 'Bearer abc']] });
    const request = await bob.request('INVITE');
    assert.deepEqual(request.all('P-Asserted-Identity'), [`<${uri('mallory')}>`]);
    for (const name of ['Remote-Party-ID', 'P-Preferred-Identity', 'Authorization', 'Proxy-Authorization']) assert.deepEqual(request.all(name), [], name);
    bob.reply(request, 486, { headers: [['P-Asserted-Identity', `<${uri('alice')}>`], ['Remote-Party-ID', `<${uri('alice')}>`], ['P-Preferred-Identity', `<${uri('alice')}>`]] });
    const busy = await mallory.response(sent);
    assert.equal(busy.status, 486);
    for (const name of ['P-Asserted-Identity', 'Remote-Party-ID', 'P-Preferred-Identity']) assert.deepEqual(busy.all(name), [], name);
    inDialog(mallory, 'ACK', { target: sent.target, from: sent.from, to: busy.get('To'), callId: sent.callId, route: [] }, { cseq: sent.cseq, branch: sent.branch });
  });

  it('Referred-By is not the referred one\'s to write', async () => {
    const sent = invite(mallory, 'bob', { extra: [['Referred-By', `<${uri('alice')}>`]] });
    const request = await bob.request('INVITE');
    assert.ok(!request.all('Referred-By').some((v) => v.includes('alice')), request.all('Referred-By').join());
    bob.reply(request, 486);
    assert.equal((await mallory.response(sent)).status, 486);
  });
});

describe('headers that are ours', () => {
  it('X-Duplex-… from a client says nothing to us and reaches nobody', async () => {
    const forged = [['X-Duplex-Permissions', 'call.audio,call.video,chat.send'], ['x-duplex-permissions ', 'call.video'], ['X-Duplex-Session', '0'.repeat(32)],
      ['X-Duplex-Peer', 'n1.1 from abc'], ['X-DUPLEX-PEER\t', 'n1.1 - -'], ['X-Duplex-Peer', '\r\n n1.1 to abc'], ['X-Duplex-User', 'alice']];
    assert.equal((await limited.ask('INVITE', uri('bob'), { headers: [['Contact', `<${limited.gruu}>`], ...forged], body: VIDEO })).status, 403, 'no video');
    assert.equal((await limited.ask('MESSAGE', uri('bob'), { headers: forged, body: 'x', type: 'text/plain' })).status, 403, 'no chat');
    const { request, a } = await call(mallory, bob, 'bob', {});
    inDialog(mallory, 'INFO', a, { headers: forged });
    const info = await bob.request('INFO');
    for (const message of [request, info]) assert.ok(!/x-duplex/i.test(message.text), message.text);
    bob.reply(info, 200, { headers: forged });
    const answer = await mallory.next((m) => m.status === 200 && m.cseqMethod === 'INFO');
    assert.ok(!/x-duplex/i.test(answer.text), answer.text);
    inDialog(mallory, 'BYE', a);
    bob.reply(await bob.request('BYE'), 200);
    await mallory.next((m) => m.status === 200 && m.cseqMethod === 'BYE');
  });

  it('Route, Record-Route, Path and Service-Route of a new request lead nowhere', async () => {
    const evil = '<sip:evil.test;lr>';
    const sent = invite(mallory, 'bob', { extra: [['Record-Route', evil], ['Path', evil], ['Service-Route', evil], ['Route', evil], ['ROUTE ', `${evil}, <sip:192.0.2.66;lr>`]] });
    const request = await bob.request('INVITE');
    assert.equal(request.all('Record-Route').length, 1);
    assert.match(request.get('Record-Route'), /^<sip:n1\.0~[^>]*@example\.test;lr>$/);
    for (const name of ['Route', 'Path', 'Service-Route']) assert.deepEqual(request.all(name), [], name);
    bob.reply(request, 603);
    assert.equal((await mallory.response(sent)).status, 603);
    assert.equal((await mallory.ask('MESSAGE', uri('bob'), { route: [evil], headers: [['Path', evil]], body: 'x', type: 'text/plain' })).status, 200);
    assert.deepEqual((await bob.request('MESSAGE')).all('Route'), []);
    assert.equal((await mallory.register({ headers: [['Path', evil], ['Route', evil]] })).status, 200);
    assert.ok(!(await system.redis('HGETALL', 'loc:{mallory}')).includes('evil'));
  });

  it('more of them than can be edited is an answer, not a crash', async () => {
    for (const name of ['Route', 'Record-Route', 'X-Duplex-Peer', 'P-Preferred-Identity', 'Path'])
      for (const n of [40, 47, 48, 49, 80]) {
        const value = name === 'P-Preferred-Identity' ? `<${uri('mallory')}>` : name.startsWith('X') ? 'x' : '<sip:evil.test;lr>';
        const answer = await raw(mallory, 'INVITE', uri('nobody'), { lines: [contact(mallory), ...Array(n).fill(`${name}: ${value}`)], body: SDP });
        assert.ok([400, 413, 480, 500].includes(answer.status), `${n} ${name}: ${answer.status}`);
      }
  });

  it('a Route inside a dialog must be the one we made, to the letter, for this dialog and these two', async () => {
    const mine = await call(mallory, bob, 'bob');
    const other = await call(alice, bob, 'bob');
    const route = mine.a.route[0];
    const at = route.indexOf('@');
    for (let i = 5; i < at; i += 3) {
      const changed = route.slice(0, i) + (route[i] === 'x' ? 'y' : 'x') + route.slice(i + 1);
      const answer = await mallory.response(inDialog(mallory, 'INFO', { ...mine.a, route: [changed] }));
      assert.ok([400, 403].includes(answer.status), `${changed}: ${answer.status}`);
    }
    for (const bad of [other.a.route[0], '<sip:n1.0@example.test;lr>', '<sip:evil.test;lr>', route.replace('example.test', 'evil.test'), route.replace(/~[^@]*@/, '@')])
      assert.equal((await mallory.response(inDialog(mallory, 'INFO', { ...mine.a, route: [bad] }))).status, 403, bad);
    /* The whole dialog of others, known to the letter. */
    for (const method of ['BYE', 'INFO', 'INVITE', 'UPDATE', 'MESSAGE', 'REFER']) {
      const headers = [['Contact', `<${mallory.gruu}>`], ['Refer-To', `<${uri('mallory')}>`]];
      assert.equal((await mallory.response(inDialog(mallory, method, other.a, { headers }))).status, 403, method);
      const asMallory = { ...other.a, from: other.a.from.replace('alice', 'mallory') };
      assert.equal((await mallory.response(inDialog(mallory, method, asMallory, { headers }))).status, 403, method);
    }
    await quiet(alice);
    await quiet(bob);
    for (const [ua, one] of [[mallory, mine], [alice, other]]) {
      const bye = inDialog(ua, 'BYE', one.a);
      bob.reply(await bob.request('BYE'), 200);
      assert.equal((await ua.response(bye)).status, 200);
    }
  });
});

describe('smuggling', () => {
  for (const [what, status, lines] of [
    ['a second From in compact form', 400, [`f: <${uri('alice')}>;tag=2`]], ['a second From with a blank before the colon', 400, [`From : <${uri('alice')}>;tag=2`]],
    ['a second To', 400, [`t: <${uri('alice')}>`]], ['a second Call-ID', 400, ['i: other']], ['a second CSeq', 400, ['CSeq: 2 OPTIONS']], ['a second length', 400, ['l: 5']],
    ['a name with a no-break space', 400, [`P-Asserted-Identity\u00a0: <${uri('alice')}>`]], ['a name in full-width letters', 400, [`\uff26rom: <${uri('alice')}>;tag=2`]],
    ['a name with a NUL', 400, [`From\0: <${uri('alice')}>;tag=2`]], ['a value with a NUL', 400, ['Y: a\0b']], ['a line without a colon', 400, ['From']],
    ['a name of nothing', 400, [`: <${uri('alice')}>`]], ['a colon behind a fold', 400, [`From\r\n : <${uri('alice')}>;tag=2`]],
    ['a bare line feed', 400, [`Y: y\nFrom: <${uri('alice')}>;tag=2`]], ['a bare carriage return', 400, [`Y: y\rFrom: <${uri('alice')}>;tag=2`]],
    ['a fold of blanks alone', 400, ['Y: y\r\n \r\n z']], ['a fold that is the empty line to others', 400, ['Y: y\r\n\t']],
    ['a blank in front of the first header', 400, [' Y: y']],
    ['a fold that looks like a header', 200, [`Y: y\r\n From: <${uri('alice')}>;tag=2`]], ['a colon in a value', 200, [`Y: From: <${uri('alice')}>`]]]) {
    it(`${what}: ${status}`, async () => {
      const first = what.includes('first header');
      const callId = token();
      const head = [`Via: SIP/2.0/WSS ${mallory.host};branch=z9hG4bK${token()}`, 'Max-Forwards: 70', `From: <${uri('mallory')}>;tag=1`, 'To: <sip:example.test>',
        `Call-ID: ${callId}`, 'CSeq: 1 OPTIONS'];
      mallory.raw(Buffer.from(['OPTIONS sip:example.test SIP/2.0', ...(first ? [...lines, ...head] : [...head, ...lines]), 'Content-Length: 0', '', ''].join('\r\n'), 'utf8'));
      assert.equal((await mallory.next((m) => m.status >= 200 && m.get('Call-ID') === callId)).status, status);
    });
  }
});

describe('sizes', () => {
  /* Lengths around every power of two and every limit that the code has: an overrun by one shows at its edge. */
  const edges = [...new Set([1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 191, 192, 193, 254, 255, 256, 257, 258,
    383, 384, 385, 511, 512, 513, 767, 768, 769, 1000, 1022, 1023, 1024, 1025, 1026, 2046, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 16384, 30000])];
  for (const [what, ask] of [
    ['From tag', (n) => raw(mallory, 'INVITE', uri('nobody'), { from: `<${uri('mallory')}>;tag=${'t'.repeat(n)}`, lines: [contact(mallory)], body: SDP })],
    ['branch', (n) => raw(mallory, 'INVITE', uri('nobody'), { via: `SIP/2.0/WSS ${mallory.host};branch=z9hG4bK${'b'.repeat(n)}`, lines: [contact(mallory)], body: SDP })],
    ['sent-by', (n) => raw(mallory, 'INVITE', uri('nobody'), { via: `SIP/2.0/WSS ${'h'.repeat(n)};branch=z9hG4bK${token()}`, lines: [contact(mallory)], body: SDP })],
    ['To tag', (n) => raw(mallory, 'BYE', uri('nobody'), { to: `<${uri('nobody')}>;tag=${'t'.repeat(n)}` })],
    ['display name', (n) => raw(mallory, 'INVITE', uri('nobody'), { from: `"${'d'.repeat(n)}" <${uri('mallory')}>;tag=1`, lines: [contact(mallory)], body: SDP })],
    ['user', (n) => raw(mallory, 'INVITE', `sip:${'u'.repeat(n)}@example.test`, { lines: [contact(mallory)], body: SDP })],
    ['host', (n) => raw(mallory, 'INVITE', `sip:bob@${'h'.repeat(n)}`, { lines: [contact(mallory)], body: SDP })],
    ['URI parameter', (n) => raw(mallory, 'MESSAGE', `${uri('nobody')};p=${'v'.repeat(n)}`, { to: `<${uri('nobody')}>`, body: SDP })],
    ['CSeq method', (n) => raw(mallory, 'M'.repeat(n), uri('nobody'), {})],
    ['header name', (n) => raw(mallory, 'OPTIONS', 'sip:example.test', { lines: [`${'N'.repeat(n)}: x`] })],
    ['Contact', (n) => raw(mallory, 'REGISTER', 'sip:example.test', { to: `<${uri('mallory')}>`, lines: [`Contact: <sip:${'c'.repeat(n)}@x.invalid>;expires=0`] })],
    ['instance', (n) => raw(mallory, 'REGISTER', 'sip:example.test', { to: `<${uri('mallory')}>`, lines: [`Contact: <sip:x@x.invalid>;+sip.instance="<urn:x:${'i'.repeat(n)}>";reg-id=1;expires=0`] })],
    ['Reason of a CANCEL', (n) => raw(mallory, 'CANCEL', uri('nobody'), { lines: [`Reason: SIP;cause=200;text="${'r'.repeat(n)}"`] })],
    ['Event', (n) => raw(mallory, 'SUBSCRIBE', 'sip:contacts@example.test', { lines: [contact(mallory), `Event: ${'e'.repeat(n)}`, 'Expires: 60'] })],
    ['Session-ID', (n) => raw(mallory, 'INVITE', uri('nobody'), { lines: [contact(mallory), `Session-ID: ${'a'.repeat(n)}`], body: SDP })],
    ['Proxy-Require', (n) => raw(mallory, 'OPTIONS', uri('nobody'), { lines: [`Proxy-Require: ${'p'.repeat(n)}`] })],
    ['Replaces', (n) => raw(mallory, 'INVITE', uri('nobody'), { lines: [contact(mallory), `Replaces: ${'r'.repeat(n)};to-tag=${'t'.repeat(n)};from-tag=f`], body: SDP })],
    ['Authorization', (n) => raw(mallory, 'OPTIONS', 'sip:example.test', { lines: [`Authorization: Digest username="${'u'.repeat(n)}", nonce="${'n'.repeat(n)}"`] })],
  ]) {
    it(`${what} of 1 to 30000 characters gets an answer`, async () => {
      for (const n of edges) {
        const answer = await ask(n);
        assert.ok(answer.status >= 200 && answer.status < 700 && answer.status !== 500, `${n}: ${answer.status} ${answer.phrase}`);
      }
      assert.ok(system.running(0));
    });
  }

  it('a tag of any length comes back whole, in the answer and on the other side', async () => {
    for (const n of [1, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1024, 4096]) {
      const tag = 'T'.repeat(n);
      const branch = `z9hG4bK${token()}${'B'.repeat(n)}`;
      const sent = invite(mallory, 'bob', { from: `<${uri('mallory')}>;tag=${tag}`, branch });
      const request = await bob.request('INVITE');
      assert.equal(/;tag=(.*)$/.exec(request.get('From'))[1], tag);
      bob.reply(request, 486, { tag: `b${tag}` });
      const answer = await mallory.response(sent);
      assert.equal(answer.status, 486);
      assert.equal(/;tag=(.*)$/.exec(answer.get('To'))[1], `b${tag}`);
      assert.ok(answer.get('Via').endsWith(`branch=${branch}`), answer.get('Via'));
      inDialog(mallory, 'ACK', { target: sent.target, from: sent.from, to: answer.get('To'), callId: sent.callId, route: [] }, { cseq: sent.cseq, branch });
    }
  });

  it('94, 95, 96 and more header lines; many Accepts in a SUBSCRIBE', async () => {
    for (const n of [85, 88, 89, 90, 91, 92, 200, 1000]) {
      const answer = await raw(mallory, 'OPTIONS', 'sip:example.test', { lines: Array(n).fill('Y: y') });
      assert.equal(answer.status, n + 7 <= 96 ? 200 : 400, `${n}`);
    }
    for (const n of [1, 10, 32, 33, 64, 80, 300]) {
      const lines = [contact(mallory), 'Event: presence', 'Expires: 0', 'Supported: eventlist'];
      const one = await raw(mallory, 'SUBSCRIBE', 'sip:contacts@example.test', { lines: [...lines, ...Array(n).fill('Accept: application/pidf+xml')] });
      assert.ok([200, 400, 406, 503].includes(one.status), `${n} lines: ${one.status}`);
      const list = await raw(mallory, 'SUBSCRIBE', 'sip:contacts@example.test', { lines: [...lines, `Accept: ${Array(n).fill('application/pidf+xml').join(', ')}`] });
      assert.ok([200, 406, 503].includes(list.status), `${n} values: ${list.status}`);
    }
    mallory.messages.length = 0;
  });

  it('bodies that others read too far: multipart without an end, SDP with lines that are none', async () => {
    for (const [type, body] of [['multipart/mixed;boundary=b', '--b\r\n\r\n'], ['multipart/mixed', '--'], ['multipart/mixed;boundary=', '--\r\n--'], ['multipart/related;boundary="', 'x'],
      ['application/sdp', 'b='], ['application/sdp', 'v=0\r\nm='], ['application/sdp', 'm=video'], ['application/sdp', 'm=video \r\n'], ['application/sdp', 'b=AS:\r\nb=:\r\nb'], ['application/sdp', `a=${'x'.repeat(30000)}`],
      ['application/sdp', 'm=audio 99999999999999999999 RTP/AVP 0\r\nm=audio -1 x\r\n'], ['application/sdp', '\0\0\0\0'], ['message/cpim', 'From:\r\n\r\n\r\n'], ['message/cpim', '<'], ['text/plain', '\r\n\r\n']]) {
      const sent = mallory.send('INVITE', uri('bob'), { headers: [['Contact', `<${mallory.gruu}>`]], body, type });
      const answered = mallory.response(sent, (s) => s >= 200).then(() => undefined);
      const request = await Promise.race([bob.request('INVITE'), answered]);
      if (request) bob.reply(request, 488);
      await answered;
      const message = await mallory.ask('MESSAGE', uri('bob'), { body, type });
      assert.ok(message.status >= 200 && message.status !== 500, `${type}: ${message.status}`);
    }
    assert.ok(system.running(0) && system.running(1));
    bob.messages.length = 0;
  });
});

describe('leaving things behind', () => {
  it('a hundred INVITEs and an abrupt end: nobody rings on, and nothing stays', async () => {
    for (let round = 0; round < 3; round++) {
      const burst = await device(system, `burst${round}`);
      for (let i = 0; i < 100; i++) burst.send('INVITE', uri('bob'), { headers: [['Contact', `<${burst.gruu}>`]], body: SDP });
      const first = await bob.request('INVITE');
      burst.cut();
      bob.reply(first, 180);
      const rang = [first];
      /* Each that rang is cancelled, none is answered by anybody else. */
      while (rang.length > 0) {
        const next = await bob.next((m) => m.method === 'INVITE' || m.method === 'CANCEL', 'CANCEL', 15000);
        if (next.method === 'INVITE') { rang.push(next); bob.reply(next, 180); continue; }
        bob.reply(next, 200);
        const at = rang.findIndex((r) => r.get('Call-ID') === next.get('Call-ID'));
        assert.ok(at >= 0, 'a CANCEL for what rings');
        bob.reply(rang.splice(at, 1)[0], 487);
      }
    }
    await until('nothing under way', async () => !(await system.redis('HLEN', 'live:n1.0')) || (await system.redis('HLEN', 'live:n1.0')) === '0', 20000);
    bob.messages.length = 0;
    assert.equal((await mallory.ask('OPTIONS', 'sip:example.test')).status, 200);
  });

  it('requests that end in the middle, and whole ones that nobody waits for', async () => {
    for (let i = 0; i < 30; i++) {
      const one = await Ua.connect(system, 'mallory', { session: mallory.session });
      one.send(i % 2 ? 'SUBSCRIBE' : 'MESSAGE', i % 2 ? 'sip:contacts@example.test' : uri('bob'), { headers: [['Contact', `<${mallory.gruu}>`], ['Event', 'presence']], body: 'x', type: 'text/plain' });
      one.cut();
    }
    assert.ok(system.running(0));
    assert.equal((await mallory.ask('OPTIONS', 'sip:example.test')).status, 200);
    bob.messages.length = 0;
  });
});

after(() => close(alice, bob, mallory, limited).catch(() => {}));
