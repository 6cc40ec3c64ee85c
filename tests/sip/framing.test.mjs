// RFC 6455 case by case, in the order in which conformance suites ask: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits,
// compression. "goes on" is seen by a keep-alive (RFC 5626 §4.4.1), which is answered at once on a connection that works.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, until } from './lib/system.mjs';
import { device, uri } from './lib/client.mjs';
import { Raw, frame } from './lib/frames.mjs';

let system, upgrade;
before(async () => {
  system = await System.start({ workers: 1, options: { 'connections-per-user': 200, 'messages-per-second': 10000, 'messages-burst': 10000 } });
  const session = await system.addUser('raw');
  upgrade = Object.entries({ Host: 'x', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'sip', 'X-Duplex-User': 'raw', 'X-Duplex-Session': session, 'X-Duplex-Permissions': 'chat.send', 'X-Duplex-Address': '192.0.2.7' })
    .reduce((text, [name, value]) => `${text}${name}: ${value}\r\n`, 'GET /sip HTTP/1.1\r\n') + '\r\n';
});
after(() => system.stop());

const KEEP = '\r\n\r\n';
const cat = (...parts) => Buffer.concat(parts);
const bytes = (...list) => Buffer.from(list);
const code = (n, reason = '') => cat(bytes(n >> 8, n & 255), Buffer.from(reason));
/** A SIP response that nothing waits for: taken, counted, dropped. Its phrase carries what is tested. */
const stray = (phrase) => cat(Buffer.from('SIP/2.0 180 '), Buffer.from(phrase), Buffer.from(`\r\nVia: SIP/2.0/WSS n1.0.invalid;branch=z9hG4bKx\r\nFrom: <${uri('raw')}>;tag=1\r\nTo: <${uri('raw')}>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n`));
const halves = (op, payload, n = 2, between = () => Buffer.alloc(0)) => cat(...Array.from({ length: n }, (_, i) => {
  const part = payload.subarray(Math.floor((payload.length * i) / n), Math.floor((payload.length * (i + 1)) / n));
  return cat(frame(i === 0 ? op : 0, part, { fin: i === n - 1 }), i < n - 1 ? between(i) : Buffer.alloc(0));
}));
const pong = (payload) => cat(bytes(0x8a, payload.length), Buffer.from(payload));

const utf8 = { valid: ['', 'Hello', 'κόσμε', '\u0000\u007f', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}', '\ufffe'].map((s) => Buffer.from(s)),
  invalid: [[0x80], [0xbf], [0x80, 0xbf], [0xc0], [0xc0, 0x80], [0xc1, 0xbf], [0xc2], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xed, 0xaf, 0xbf],
    [0xed, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80],
    [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80], [0xfe], [0xff], [0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xcf, 0x83, 0xce, 0xbc, 0xce, 0xb5, 0xed, 0xa0, 0x80, 0x65]].map((l) => Buffer.from(l)) };

/* [case, bytes, outcome]: "on" = the connection goes on, a number = it is closed with that code. A third element is what must have come. */
const cases = [];
const add = (name, data, outcome, came) => cases.push({ name, data, outcome, came });

for (const size of [0, 1, 110, 124, 125, 126, 127, 128, 1000, 65000]) for (const op of [1, 2]) {
  const text = stray('x'.repeat(Math.max(0, size - 150)));
  add(`1 a message of about ${size} bytes, opcode ${op}`, size < 5 ? frame(op, KEEP) : frame(op, text.length > 63000 ? text.subarray(0, 0) : text), size < 5 ? 'on' : text.length > 63000 ? 1008 : 'on');
}
for (const size of [0, 5, 124, 125]) add(`2 a ping of ${size} bytes`, frame(9, 'p'.repeat(size)), 'on', pong('p'.repeat(size)));
add('2 a ping of bytes that are no text', frame(9, bytes(0, 255, 254, 253)), 'on', pong(bytes(0, 255, 254, 253)));
add('2 a ping of 126 bytes', frame(9, 'p'.repeat(126)), 1002);
add('2 a pong of 126 bytes', frame(10, 'p'.repeat(126)), 1002);
add('2 pongs that nobody asked for', cat(frame(10, ''), frame(10, 'x'), frame(10, 'y'.repeat(125))), 'on');
add('2 ten pings', cat(...Array.from({ length: 10 }, (_, i) => frame(9, `p${i}`))), 'on', cat(...Array.from({ length: 10 }, (_, i) => pong(`p${i}`))));
add('2 a flood of a thousand pings and pongs', cat(...Array.from({ length: 1000 }, (_, i) => frame(9 + (i & 1), 'f'))), 'on');
for (let rsv = 1; rsv < 8; rsv++) for (const op of [1, 2, 8, 9, 10]) add(`3 reserved bits ${rsv}, opcode ${op}`, frame(op, op === 8 ? code(1000) : 'x', { rsv }), 1002);
add('3 a compressed message that is sound but was not agreed upon', frame(1, bytes(0x52, 0x0d, 0x0a, 0x00), { rsv: 4 }), 1002);
for (const op of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) add(`4 opcode ${op}`, frame(op, ''), 1002);
add('5 a ping in fragments', cat(frame(9, 'a', { fin: false }), frame(0, 'b')), 1002);
add('5 a pong in fragments', cat(frame(10, 'a', { fin: false }), frame(0, 'b')), 1002);
for (const n of [2, 3, 7, 40]) {
  add(`5 a message in ${n} fragments`, halves(1, stray('x'), n), 'on');
  add(`5 a message in ${n} fragments with pings between`, halves(2, stray('x'), n, (i) => frame(9, `${i}`)), 'on', pong('0'));
}
add('5 empty fragments', cat(frame(1, '', { fin: false }), frame(0, '', { fin: false }), frame(0, KEEP), frame(1, KEEP)), 'on');
add('5 only empty fragments', cat(frame(1, '', { fin: false }), frame(0, '')), 1008);
add('5 a continuation of nothing', frame(0, 'x'), 1002);
add('5 a continuation of nothing, not the last', frame(0, 'x', { fin: false }), 1002);
add('5 a continuation behind a whole message', cat(frame(1, KEEP), frame(0, 'x')), 1002);
add('5 text within text', cat(frame(1, 'x', { fin: false }), frame(1, 'y')), 1002);
add('5 binary within text', cat(frame(1, 'x', { fin: false }), frame(2, 'y')), 1002);
add('5 a close within a message', cat(frame(1, 'x', { fin: false }), frame(8, code(1000))), 1000);
for (const [i, text] of utf8.valid.entries()) {
  add(`6 valid UTF-8 ${i}`, frame(1, stray(text)), 'on');
  add(`6 valid UTF-8 ${i} cut within a character`, halves(1, stray(text), 60), 'on');
}
for (const [i, text] of utf8.invalid.entries()) {
  add(`6 invalid UTF-8 ${i}`, frame(1, stray(text)), 1007);
  add(`6 invalid UTF-8 ${i} in fragments`, halves(1, stray(text), 60), 1007);
  add(`6 invalid UTF-8 ${i} in a binary message`, frame(2, stray(text)), 'on');
}
for (const n of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) add(`7 close ${n}`, frame(8, code(n, 'why')), n);
for (const n of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) add(`7 close ${n}`, frame(8, code(n)), 1002);
add('7 close without a code', frame(8, ''), 1000);
add('7 close with half a code', frame(8, 'x'), 1002);
add('7 close with the longest reason', frame(8, code(1000, 'r'.repeat(123))), 1000);
add('7 close with one byte more', frame(8, code(1000, 'r'.repeat(124))), 1002);
add('7 close with a reason that is not UTF-8', frame(8, cat(code(1000), bytes(0xce, 0xba, 0xff))), 1007);
add('7 a message behind a close', cat(frame(8, code(1000)), frame(1, 'x'), frame(9, 'late')), 1000);
add('7 two closes', cat(frame(8, code(1000)), frame(8, code(1001))), 1000);
add('9 a length in two bytes that fits in seven bits', bytes(0x81, 0xfe, 0, 125, 1, 2, 3, 4), 1002);
add('9 a length in eight bytes that fits in two', bytes(0x81, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4), 1002);
add('9 a length with its first bit set', bytes(0x82, 0xff, 128, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4), 1002);
add('9 the largest length there is', bytes(0x82, 0xff, 127, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4), 1009);
add('9 a frame that is not masked', frame(1, KEEP, { mask: false }), 1002);

describe('RFC 6455', () => {
  for (const { name, data, outcome, came } of cases) {
    for (const [how, step] of [['at once', data.length], ['in pieces', Math.max(1, Math.ceil(data.length / 9))]]) {
      it(`${name}, ${how}: ${outcome === 'on' ? 'goes on' : outcome}`, async () => {
        const raw = await Raw.open(system.socket(0), upgrade);
        for (let at = 0; at < data.length; at += step) {
          raw.write(data.subarray(at, at + step));
          if (step < data.length) await new Promise(setImmediate);
        }
        if (outcome === 'on') {
          raw.write(frame(1, KEEP));
          await until('the answer to a keep-alive', () => raw.bytes.includes(bytes(0x81, 2, 13, 10)), 5000);
          if (came) assert.ok(raw.bytes.includes(came), raw.bytes.toString('hex'));
        } else {
          assert.equal(await raw.closeCode(), outcome);
        }
        raw.socket.destroy();
      });
    }
  }
});

describe('compression', () => {
  it('is offered by the client and not taken up', async () => {
    const raw = new Raw(system.socket(0));
    raw.write(upgrade.replace('Host: x\r\n', 'Host: x\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame\r\n'));
    await until('101', () => raw.bytes.includes('\r\n\r\n'));
    assert.match(raw.bytes.toString('latin1'), /^HTTP\/1\.1 101 /);
    assert.doesNotMatch(raw.bytes.toString('latin1'), /Sec-WebSocket-Extensions/i);
    raw.socket.destroy();
  });
});

describe('what one client sends another', () => {
  it('goes in a binary frame when it is not UTF-8, so that no browser drops its connection for it', async () => {
    const [sender, receiver] = [await device(system, 'sender'), await device(system, 'receiver')];
    const kinds = [];
    receiver.ws.on('message', (data, binary) => { if (data.toString('latin1').startsWith('MESSAGE')) kinds.push(binary); });
    for (const body of [Buffer.from('grüß dich'), Buffer.from([0x68, 0xff, 0xc0, 0x80])]) {
      sender.raw(cat(Buffer.from(`MESSAGE ${uri('receiver')} SIP/2.0\r\nVia: SIP/2.0/WSS ${sender.host};branch=z9hG4bK${kinds.length}u\r\nMax-Forwards: 70\r\nFrom: <${uri('sender')}>;tag=1\r\n` +
        `To: <${uri('receiver')}>\r\nCall-ID: utf${kinds.length}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`), body));
      assert.equal((await sender.next((m) => m.status >= 200)).status, 200);
    }
    assert.deepEqual(kinds, [false, true]);
    assert.equal(receiver.ws.readyState, 1);
    await Promise.all([sender.close(), receiver.close()]);
  });
});
