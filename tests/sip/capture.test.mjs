// HEPv3 for a capture server, read by a decoder of our own: addresses, time, node, correlation, key, payload without secrets; and a server that is away.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { System, until } from './lib/system.mjs';
import { device, uri } from './lib/client.mjs';
import { call, hangUp } from './lib/calls.mjs';

/** A datagram -> its chunks by type; anything that is not HEPv3 is an error. */
function decode(data) {
  assert.equal(data.subarray(0, 4).toString('latin1'), 'HEP3');
  assert.equal(data.readUInt16BE(4), data.length, 'total length');
  const chunks = new Map();
  let at = 6;
  while (at < data.length) {
    const [vendor, type, length] = [data.readUInt16BE(at), data.readUInt16BE(at + 2), data.readUInt16BE(at + 4)];
    assert.ok(length >= 6 && at + length <= data.length, 'chunk length');
    assert.equal(vendor, 0);
    assert.ok(!chunks.has(type), `chunk ${type} twice`);
    chunks.set(type, data.subarray(at + 6, at + length));
    at += length;
  }
  const text = (type) => chunks.get(type)?.toString();
  const number = (type) => { const b = chunks.get(type); return b && b.readUIntBE(0, b.length); };
  const address = (v4, v6) => (chunks.has(v4) ? [...chunks.get(v4)].join('.') : chunks.get(v6).toString('hex'));
  return { family: number(1), protocol: number(2), from: address(3, 5), to: address(4, 6), fromPort: number(7), toPort: number(8),
    at: number(9) * 1000 + number(10) / 1000, type: number(11), nodeId: number(12), key: text(14), payload: text(15), callId: text(17), node: text(19) };
}

let dir, server, packets, system;
before(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'duplex-hep-'));
  writeFileSync(path.join(dir, 'key'), 'a key of ours, 0123\n');
  chmodSync(path.join(dir, 'key'), 0o600);
  server = dgram.createSocket('udp4').unref();
  packets = [];
  server.on('message', (data) => packets.push(data));
  await new Promise((resolve) => server.bind(0, '127.0.0.1', resolve));
  system = await System.start({ workers: 2, options: { 'hep-address': `127.0.0.1:${server.address().port}`, 'hep-key': path.join(dir, 'key'),
    'hep-node-id': 4242 } });
});
after(async () => {
  await system?.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('HEPv3', () => {
  it('a call between workers arrives whole, each message once a side', async () => {
    const [ann, ben] = [await device(system, 'ann', { headers: { 'X-Duplex-Address': '2001:db8::7' } }), await device(system, 'ben', { worker: 1 })];
    packets.length = 0;
    const up = await call(ann, ben);
    await hangUp(ann, ben, up);
    const mine = () => packets.map(decode).filter((p) => p.callId === up.sent.callId);
    await until('all packets', () => mine().length >= 13);
    const first = (p) => p.payload.split('\r\n')[0].replace(/ sip:.*/, '').replace('SIP/2.0 ', '');
    const side = (node) => mine().filter((p) => p.node === node).map(first);
    assert.deepEqual(side('n1.0'), ['INVITE', '100 Trying', '180 Test', '200 Test', 'ACK', 'BYE', '200 Test']);
    assert.deepEqual(side('n1.1'), ['INVITE', '180 Test', '200 Test', 'ACK', 'BYE', '200 Test']);
    const invite = mine()[0];
    assert.deepEqual({ family: invite.family, protocol: invite.protocol, from: invite.from, to: invite.to, toPort: invite.toPort, type: invite.type,
      nodeId: invite.nodeId, key: invite.key, node: invite.node },
      { family: 10, protocol: 6, from: '20010db8000000000000000000000007', to: '00000000000000000000000000000001', toPort: 5060, type: 1, nodeId: 4242,
        key: 'a key of ours, 0123', node: 'n1.0' });
    assert.ok(Math.abs(invite.at - Date.now()) < 10000, 'the time');
    const toBen = mine().find((p) => p.node === 'n1.1');
    assert.equal(toBen.family, 2);
    assert.equal(toBen.from, '127.0.0.1');
    assert.equal(toBen.to, '192.0.2.1');
    assert.equal(toBen.fromPort, 5060);
    await ann.close(); await ben.close();
  });

  it('secrets and what people write stay here', async () => {
    const [cal, dee] = [await device(system, 'cal'), await device(system, 'dee')];
    packets.length = 0;
    await cal.register({ headers: [['Authorization', 'Digest response="0123456789abcdef"']] });
    await cal.ask('MESSAGE', uri('dee'), { body: 'our secret', type: 'text/plain' });
    await until('both', () => packets.map(decode).filter((p) => /^(REGISTER|MESSAGE)/.test(p.payload)).length >= 3);
    const all = packets.map((p) => decode(p).payload).join('\n');
    assert.ok(!all.includes('0123456789abcdef') && !all.includes('our secret'));
    assert.ok(all.includes('Authorization:*') && all.includes('**********'));
    await cal.close(); await dee.close();
  });

  it('what the server does not get is counted, and nobody waits', async () => {
    const eve = await device(system, 'eve');
    const sent = await system.metric(0, 'duplex_signal_capture_total', 'sent');
    assert.ok(sent > 0);
    await new Promise((resolve) => server.close(resolve));
    const began = Date.now();
    for (let i = 0; i < 50; i++) assert.equal((await eve.ask('OPTIONS', 'sip:example.test')).status, 200);
    assert.ok(Date.now() - began < 3000);
    assert.ok(await system.metric(0, 'duplex_signal_capture_total', 'drop_refused') > 0);
    await eve.close();
  });
});

describe('its address', () => {
  it('must be one', async () => {
    for (const address of ['nowhere', '127.0.0.1', '127.0.0.1:0', '[::1:9060', ':9060']) {
      await assert.rejects(System.start({ workers: 1, options: { 'hep-address': address } }), /step=tap/, address);
    }
  });
});
