// The WebSocket side against hostile and broken clients: upgrade, framing, limits, keep-alive; RFC 6455, RFC 7118.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri } from './lib/client.mjs';
import { Raw, frame } from './lib/frames.mjs';

let system;
before(async () => {
  system = await System.start({ options: { 'ping-interval': 300, 'handshake-timeout': 400, 'connections-per-user': 3,
    'messages-per-second': 100, 'messages-burst': 50, 'send-queue-max': 65536 } });
  IDENTITY['X-Duplex-Session'] = await system.addUser('raw');
  Object.assign(UPGRADE, IDENTITY);
});
after(() => system.stop());

const IDENTITY = { 'X-Duplex-User': 'raw', 'X-Duplex-Session': '0'.repeat(32), 'X-Duplex-Permissions': 'chat.send', 'X-Duplex-Address': '192.0.2.7' };
const UPGRADE = { Host: 'x', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol': 'sip', ...IDENTITY };

function request(changes = {}, line = 'GET /sip HTTP/1.1') {
  const headers = { ...UPGRADE, ...changes };
  return `${line}\r\n${Object.entries(headers).filter(([, v]) => v !== undefined).map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`;
}

async function upgrade(text) {
  const raw = new Raw(system.socket(0));
  raw.write(text);
  await Promise.race([raw.ended, until('an answer', () => raw.bytes.includes('\r\n\r\n'), 3000)]);
  raw.socket.destroy();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(raw.bytes.toString('latin1'))?.[1]);
}

describe('upgrade', () => {
  it('is accepted as RFC 6455 §1.3 computes it', async () => {
    const raw = new Raw(system.socket(0));
    raw.write(request());
    await until('101', () => raw.bytes.includes('\r\n\r\n'));
    const text = raw.bytes.toString('latin1');
    assert.match(text, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
    assert.match(text, /Sec-WebSocket-Protocol: sip\r\n/);
    raw.socket.destroy();
  });

  for (const [what, status, text] of [
    ['another method', 405, () => request({}, 'POST /sip HTTP/1.1')], ['another path', 404, () => request({}, 'GET /sip/x HTTP/1.1')],
    ['HTTP/1.0', 400, () => request({}, 'GET /sip HTTP/1.0')], ['another version', 426, () => request({ 'Sec-WebSocket-Version': '8' })],
    ['no upgrade', 426, () => request({ Upgrade: undefined })], ['no subprotocol', 400, () => request({ 'Sec-WebSocket-Protocol': 'chat' })],
    ['a short key', 400, () => request({ 'Sec-WebSocket-Key': 'c2hvcnQ=' })], ['no identity', 403, () => request({ 'X-Duplex-User': undefined })],
    ['a bad user name', 403, () => request({ 'X-Duplex-User': 'Not}A{Name' })], ['a bad session', 403, () => request({ 'X-Duplex-Session': 'xyz' })],
    ['identity twice', 400, () => request().replace('X-Duplex-User', 'X-Duplex-User: root\r\nX-Duplex-User')],
    ['a blank before the colon', 400, () => request().replace('X-Duplex-User:', 'X-Duplex-User :')],
    ['a body', 400, () => request({ 'Content-Length': '5' })],
    ['an empty body', 400, () => request({ 'Content-Length': '0' })], ['a bare line feed', 400, () => request().replace('\r\nHost', '\nHost')],
    ['too many bytes', 431, () => request({ Cookie: 'x'.repeat(9000) })], ['garbage', 400, () => '\x16\x03\x01\r\n\r\n']]) {
    it(`with ${what} is refused: ${status}`, async () => { assert.equal(await upgrade(text()), status); });
  }

  it('that never ends is cut', async () => {
    const raw = new Raw(system.socket(0));
    raw.write('GET /sip HTTP/1.1\r\n');
    await Promise.race([raw.ended, sleep(3000).then(() => assert.fail('still open'))]);
  });

  it('beyond the connections of a user is refused: 503', async () => {
    const open = await Promise.all([1, 2, 3].map(() => Raw.open(system.socket(0), request())));
    assert.equal(await upgrade(request()), 503);
    for (const raw of open) raw.socket.destroy();
    await until('room again', async () => (await upgrade(request())) === 101);
  });
});

describe('frames', () => {
  const options = `OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKframe\r\nMax-Forwards: 70\r\nFrom: <${uri('raw')}>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: frames\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`;
  const answered = (raw) => until('an answer', () => raw.bytes.includes('SIP/2.0 200 '), 3000);

  it('text and binary, whole and in any pieces, with control frames between', async () => {
    for (const opcode of [1, 2]) {
      const raw = await Raw.open(system.socket(0), request());
      raw.write(frame(opcode, options));
      await answered(raw);
      raw.socket.destroy();
    }
    const pieces = await Raw.open(system.socket(0), request());
    for (const byte of frame(1, options)) pieces.write(Buffer.from([byte]));
    await answered(pieces);
    pieces.socket.destroy();
    const fragments = await Raw.open(system.socket(0), request());
    const third = Math.floor(options.length / 3);
    fragments.write(Buffer.concat([frame(1, options.slice(0, third), { fin: false }), frame(9, 'ping'),
      frame(0, options.slice(third, 2 * third), { fin: false }), frame(10, 'unasked'), frame(0, options.slice(2 * third))]));
    await answered(fragments);
    assert.ok(fragments.bytes.includes(Buffer.from([0x8a, 4, ...Buffer.from('ping')])), 'pong');
    fragments.socket.destroy();
  });

  for (const [what, code, bytes] of [
    ['that is not masked', 1002, () => frame(1, 'x', { mask: false })], ['with a reserved bit', 1002, () => frame(1, 'x', { rsv: 4 })],
    ['with an unknown opcode', 1002, () => frame(3, 'x')], ['of control in pieces', 1002, () => frame(9, 'x', { fin: false })],
    ['of control that is too long', 1002, () => frame(9, 'x'.repeat(126))], ['that goes on with nothing', 1002, () => frame(0, 'x')],
    ['that begins within another', 1002, () => Buffer.concat([frame(1, 'x', { fin: false }), frame(1, 'y')])],
    ['far beyond the limit', 1009, () => frame(1, '', { length: (1 << 20) + 1 })],
    ['far beyond the limit in pieces', 1009, () => Buffer.concat([frame(1, 'x'.repeat(40000), { fin: false }),
      frame(0, '', { length: (1 << 20) - 39999 })])],
    ['beyond the limit that is not SIP', 1009, () => frame(1, 'x'.repeat(70000))],
    ['beyond the limit with headers beyond 8 KiB', 1009, () => frame(1, options.replace('Call-ID', `X: ${'x'.repeat(9000)}\r\nCall-ID`) + 'x'.repeat(70000))],
    ['of text that is not UTF-8', 1007, () => frame(1, Buffer.from([0x61, 0xc0, 0x80]))],
    ['of text with a surrogate', 1007, () => frame(1, Buffer.from([0xed, 0xa0, 0x80]))],
    ['of close with one byte', 1002, () => frame(8, 'x')], ['of close with a reserved code', 1002, () => frame(8, Buffer.from([0x03, 0xed]))],
    ['of garbage that is not SIP', 1008, () => frame(1, 'hello')]]) {
    it(`a frame ${what} closes with ${code}`, async () => {
      const raw = await Raw.open(system.socket(0), request());
      raw.write(bytes());
      assert.equal(await raw.closeCode(), code);
      raw.socket.destroy();
    });
  }

  for (const [what, bytes] of [
    ['in one frame', (text) => [frame(1, text)]],
    ['in fragments with a ping between', (text) => [frame(1, text.slice(0, 300), { fin: false }), frame(9, 'p'), frame(0, text.slice(300, 60000), { fin: false }),
      frame(0, text.slice(60000))]],
    ['in pieces of a few bytes', (text) => { const whole = frame(2, text); return [whole.subarray(0, 3), whole.subarray(3, 20), whole.subarray(20, 9000), whole.subarray(9000)]; }]]) {
    for (const size of [64001, 65536, 200000]) {
      it(`a request of ${size} bytes ${what} is answered 513, and the connection goes on`, async () => {
        const raw = await Raw.open(system.socket(0), request());
        const head = options.replace('Content-Length: 0', `Content-Type: text/plain\r\nContent-Length: ${size - options.length - 30}`);
        for (const piece of bytes(head + 'x'.repeat(size - head.length))) {
          raw.write(piece);
          await sleep(5);
        }
        await until('513', () => raw.bytes.includes('SIP/2.0 513 Message Too Large'), 5000);
        raw.write(frame(1, options.replace('z9hG4bKframe', 'z9hG4bKnext')));
        await answered(raw);
        raw.socket.destroy();
      });
    }
  }

  it('a response or an ACK beyond the limit is dropped, and the connection goes on', async () => {
    const raw = await Raw.open(system.socket(0), request());
    for (const text of [options.replace(/^OPTIONS \S+ SIP/, 'ACK sip:x SIP').replace('1 OPTIONS', '1 ACK'), options.replace(/^OPTIONS .*?\r\n/, 'SIP/2.0 200 OK\r\n')]) {
      raw.write(frame(1, text.replace('Content-Length: 0', 'Content-Length: 70000') + 'x'.repeat(70000)));
    }
    raw.write(frame(1, options.replace('z9hG4bKframe', 'z9hG4bKnext')));
    await answered(raw);
    assert.ok(!raw.bytes.includes(' 513 '));
    raw.socket.destroy();
  });

  it('echoes a close and ends the connection', async () => {
    const raw = await Raw.open(system.socket(0), request());
    raw.write(frame(8, Buffer.from([0x03, 0xe8])));
    assert.equal(await raw.closeCode(), 1000);
  });
});

describe('staying alive', () => {
  it('answers a double CRLF with one (RFC 5626)', async () => {
    const ua = await device(system, 'crlf');
    ua.raw('\r\n\r\n');
    await ua.next((m) => m.keepalive);
    await ua.close();
  });

  it('pings, and closes a client that misses two', async () => {
    const raw = await Raw.open(system.socket(0), request());
    await until('a ping', () => raw.bytes.includes(Buffer.from([0x89, 0])));
    await Promise.race([raw.ended, sleep(3000).then(() => assert.fail('still open'))]);
    assert.ok(await system.metric(0, 'duplex_signal_rejects_total', 'ping_timeout') > 0);
    const ua = await device(system, 'pong');
    await sleep(1500);
    assert.equal(ua.ws.readyState, 1, 'a client that answers stays');
    await ua.close();
  });

  it('slows down a client beyond its budget, and loses nothing', async () => {
    const ua = await device(system, 'flood');
    const sent = [];
    for (let i = 0; i < 120; i++) sent.push(ua.send('OPTIONS', 'sip:example.test'));
    for (const one of sent) assert.equal((await ua.response(one)).status, 200);
    /* What was read at once is over the budget of 50 by 70: the next one waits for most of 700 ms. */
    const at = Date.now();
    assert.equal((await ua.ask('OPTIONS', 'sip:example.test')).status, 200);
    assert.ok(Date.now() - at > 200, `${Date.now() - at} ms`);
    assert.ok(await system.metric(0, 'duplex_signal_rejects_total', 'budget_messages') > 0);
    await ua.close();
  });
});

describe('a client that does not read', () => {
  it('is dropped when its queue is full, and holds nobody up', async () => {
    const other = await System.start({ workers: 1, options: { 'send-queue-max': 65536 } });
    try {
      const deaf = await device(other, 'deaf');
      deaf.ws._socket.pause();
      const talker = await device(other, 'talker');
      await until('dropped', async () => {
        for (let i = 0; i < 5; i++) talker.send('MESSAGE', uri('deaf'), { body: 'x'.repeat(8000), type: 'text/plain' });
        assert.equal((await talker.ask('OPTIONS', 'sip:example.test')).status, 200);
        return (await other.metric(0, 'duplex_signal_rejects_total', 'slow_reader')) > 0;
      }, 20000);
      deaf.cut();
      await talker.close();
    } finally {
      await other.stop();
    }
  });
});

describe('the way between workers', () => {
  it('cuts a stream that is not SIP, and goes on', async () => {
    for (const bytes of ['\x00\x01garbage\r\n\r\n', 'INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/WSS x\r\n\r\n', 'x'.repeat(200000)]) {
      const raw = new Raw(system.peerSocket(0));
      raw.write(bytes);
      raw.socket.end();
      await raw.ended;
    }
    assert.ok(system.running(0));
    const ua = await device(system, 'after');
    await ua.close();
  });
});

describe('SIGTERM', () => {
  it('closes with 1012 and leaves at once', async () => {
    const uas = await Promise.all(['one', 'two', 'three'].map((name) => device(system, name, { worker: 1 })));
    const at = Date.now();
    const gone = system.kill(1, 'SIGTERM');
    for (const ua of uas) assert.equal((await ua.closed).code, 1012);
    await gone;
    assert.ok(Date.now() - at < 4000);
    assert.equal((await system.redis('ZRANGE', 'workers', 0, -1)).includes('n1.1'), false);
  });
});
