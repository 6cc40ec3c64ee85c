// The line between two nodes: who may speak on it, certificates that change, and what happens when it is cut while both still reach Redis.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, describe, it } from 'node:test';
import { System, program, sleep, until } from './lib/system.mjs';
import { device, uri, uriOf } from './lib/client.mjs';
import { Authority, Line } from './lib/cluster.mjs';

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
const ports = {};
const lines = {};
let system;
let serial = 0;
before(async () => {
  system = await System.start({ nodes: 2, workers: 1, options: { 'ring-timeout': 60, 'flow-grace': 300 },
    peerAddress: async (node, port) => {
      ports[node] = port;
      lines[node] = await Line.open(port);
      return `127.0.0.1:${lines[node].port}`;
    } });
});
after(async () => {
  await system.stop();
  for (const line of Object.values(lines)) await line.close();
});

const name = (what) => `${what}${++serial}`;
const rejects = (reason) => system.metric(0, 'duplex_signal_rejects_total', reason);

/** A TLS client of our own at the door of n1; resolves when the handshake is done, rejects when the server ends it. */
function knock({ certificate, key } = {}) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port: ports.n1, host: '127.0.0.1', ca: readFileSync(system.authority.certificate), checkServerIdentity: () => undefined,
      ...(certificate && { cert: readFileSync(certificate), key: readFileSync(key) }) });
    socket.text = '';
    socket.on('data', (data) => { socket.text += data; });
    socket.on('error', reject);
    socket.gone = new Promise((gone) => socket.once('close', gone));
    // In TLS 1.3 a client learns only afterwards that its certificate was refused: a ping is answered or not.
    socket.once('secureConnect', () => socket.write('\r\n\r\n'));
    socket.once('data', () => resolve(socket));
    socket.gone.then(() => reject(new Error('closed')));
  });
}

const options = (sender, branch) => `OPTIONS sip:example.test SIP/2.0\r\nX-Duplex-Peer: ${sender} - -\r\nVia: SIP/2.0/TCP ${sender}.invalid;branch=z9hG4bK${branch}\r\n` +
  'Max-Forwards: 70\r\nFrom: <sip:x@example.test>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n';

describe('who may speak', () => {
  it('a node with a certificate of the cluster, in its own name', async () => {
    const before_ = await system.metric(0, 'duplex_signal_peer_messages_in_total');
    const socket = await knock(system.authority.issue('n2', { as: 'n2-again' }));
    socket.write(options('n2.7', 'a'));
    await until('taken', async () => (await system.metric(0, 'duplex_signal_peer_messages_in_total')) > before_);
    socket.destroy();
  });

  it('not in the name of another node, and not in two names', async () => {
    for (const senders of [['n1.0'], ['n3.0'], ['n2'.repeat(9)], ['n2.7', 'n2.8']]) {
      const refused = await rejects('peer_sender');
      const socket = await knock(system.authority.issue('n2', { as: 'n2-again' }));
      senders.forEach((sender, i) => socket.write(options(sender, `b${i}`)));
      await socket.gone;
      await until(`refused: ${senders}`, async () => (await rejects('peer_sender')) === refused + 1);
    }
  });

  it('nobody without a certificate, with one of another authority, out of date, for servers only, or without TLS', async () => {
    const other = new Authority(system.dir, 'other');
    const bad = { none: {}, other: other.issue('n2'), 'server only': system.authority.issue('n2', { as: 'n2-server', usage: 'serverAuth' }),
      'out of date': system.authority.issue('n2', { as: 'n2-old', days: '-1' }) };
    for (const [what, files] of Object.entries(bad)) {
      const refused = await rejects('peer_tls');
      await assert.rejects(knock(files), undefined, what);
      await until(`refused: ${what}`, async () => (await rejects('peer_tls')) === refused + 1);
    }
    const refused = await rejects('peer_tls');
    const plain = net.connect(ports.n1, '127.0.0.1');
    plain.on('error', () => {});
    plain.write(options('n2.0', 'c'));
    await new Promise((gone) => plain.once('close', gone));
    await until('refused: no TLS', async () => (await rejects('peer_tls')) === refused + 1);
  });

  it('no older TLS', async () => {
    const { certificate, key } = system.authority.issue('n2', { as: 'n2-again' });
    const socket = tls.connect({ port: ports.n1, host: '127.0.0.1', maxVersion: 'TLSv1.2', rejectUnauthorized: false, cert: readFileSync(certificate), key: readFileSync(key) });
    await assert.rejects(new Promise((resolve, reject) => { socket.once('secureConnect', resolve); socket.once('error', reject); }), /version|alert/i);
  });

  it('strangers who only connect are bounded and put out after 3 s, and the nodes do not notice', async () => {
    const limited = await rejects('peer_limit');
    const idle = Array.from({ length: 100 }, () => net.connect(ports.n1, '127.0.0.1'));
    const gone = idle.map((socket) => { socket.on('error', () => {}); return new Promise((resolve) => socket.once('close', resolve)); });
    idle.forEach((socket) => socket.resume());
    const ann = await device(system, name('ann'));
    const bob = await device(system, name('bob'), { worker: 1 });
    assert.equal((await ann.ask('MESSAGE', uri(bob.user), { body: 'hello', type: 'text/plain' })).status, 200);
    const start = Date.now();
    await Promise.all(gone);
    assert.ok(Date.now() - start < 5000);
    assert.equal(await rejects('peer_limit'), limited + 100 - 64);
  });
});

describe('a certificate', () => {
  it('that is replaced is used from then on, and streams that are up go on', async () => {
    const loaded = () => system.log(0).split('peer-certificate-loaded').length - 1;
    const before_ = loaded();
    const ups = system.log(1).split('peer-stream-up').length;
    const { certificate } = system.authority.issue('n1');
    await until('read', () => loaded() > before_);
    const serialOf = (text) => execFileSync('openssl', ['x509', '-noout', '-serial'], { input: text }).toString().trim().replace('serial=', '');
    const socket = await knock(system.authority.issue('n2', { as: 'n2-again' }));
    assert.equal(socket.getPeerCertificate().serialNumber, serialOf(readFileSync(certificate)));
    socket.destroy();
    assert.equal(system.log(1).split('peer-stream-up').length, ups);
  });

  it('that is replaced by rubbish is not taken', async () => {
    const kept = () => system.log(0).includes('peer-certificate-kept');
    const file = path.join(system.authority.dir, 'n1.crt');
    const good = readFileSync(file);
    writeFileSync(file, 'rubbish\n');
    await until('refused', kept);
    (await knock(system.authority.issue('n2', { as: 'n2-again' }))).destroy();
    writeFileSync(file, good);
  });

  it('of another node, or a listening address that nobody can connect to, ends a worker at its start with a reason', () => {
    const good = readFileSync(system.config(0), 'utf8');
    const config = path.join(system.dir, 'bad.conf');
    const start = (change) => {
      writeFileSync(config, change(good).replace(/^run-dir = .*$/m, `run-dir = ${system.dir}`));
      return spawnSync(program, ['--config', config, '--worker', '0'], { encoding: 'utf8', timeout: 10000 });
    };
    const other = start((text) => text.replace(/^node = n1$/m, 'node = n9'));
    assert.equal(other.status, 1);
    assert.match(other.stderr, /peer-certificate-invalid.*does not name this node, n9/);
    for (const value of ['0.0.0.0:9', '127.0.0.1', 'localhost:9', '127.0.0.1:0', '[::1:9']) {
      const bad = start((text) => text.replace(/^peer-address = .*\n/m, '').replace(/^peer-listen = .*$/m, `peer-listen = ${value}`));
      assert.equal(bad.status, 1, value);
      assert.match(bad.stderr, /peer-listen-invalid/, value);
    }
  });
});

async function cut(how) {
  for (const line of Object.values(lines)) await (how === 'frozen' ? line.freeze() : line.refuse());
}

async function mend() {
  for (const line of Object.values(lines)) await line.mend();
  await system.meshed();
}

for (const how of ['refused', 'frozen']) {
  describe(`a line that is cut (${how}), both nodes alive`, () => {
    it('a call that is up goes on; calls within a node work; calls across end in bounded time, at last at once; all is whole again afterwards', async () => {
      const bob = await device(system, name('bob'), { worker: 1 });
      const cat = await device(system, name('cat'), { worker: 1 });
      const ann = await device(system, name('ann'));
      const dan = await device(system, name('dan'));
      const invite = (from, to) => from.send('INVITE', uri(to.user), { headers: [['Contact', `<${from.gruu}>`]], body: SDP });
      const sent = invite(ann, bob);
      const request = await bob.request('INVITE');
      bob.reply(request, 200, { headers: [['Contact', `<${bob.gruu}>`]], body: SDP });
      const ok = await ann.response(sent);
      const dialog = { from: sent.from, to: ok.get('To'), callId: sent.callId, route: ok.all('Record-Route') };
      ann.send('ACK', uriOf(ok.get('Contact')), { ...dialog, cseq: sent.cseq });
      await bob.request('ACK');

      await cut(how);
      const start = Date.now();
      assert.equal((await ann.response(invite(ann, cat), undefined, 8000)).status, 480);
      assert.ok(Date.now() - start < (how === 'refused' ? 1000 : 7000), `${Date.now() - start} ms`);
      await until('both ends know', () => !system.linked(0, 1) && !system.linked(1, 0), 8000);
      for (let i = 0; i < 3; i++) {
        const again = Date.now();
        assert.equal((await ann.response(invite(ann, cat), undefined, 4000)).status, 480);
        assert.ok(Date.now() - again < 3500, `${Date.now() - again} ms`); // an attempt to connect may be under way
      }
      // Another user of the same node, and a message to someone beyond, which waits.
      const local = invite(ann, dan);
      dan.reply(await dan.request('INVITE'), 486);
      assert.equal((await ann.response(local)).status, 486);
      assert.equal((await ann.ask('MESSAGE', uri(cat.user), { body: 'wait', type: 'text/plain' })).status, 202);
      // What cannot be reached from here is not taken out of the store: others reach it.
      assert.equal(await system.redis('HLEN', `location:{${cat.user}}`), '1');

      await mend();
      const later = invite(ann, cat);
      cat.reply(await cat.request('INVITE'), 486);
      assert.equal((await ann.response(later)).status, 486);
      const bye = bob.send('BYE', ann.gruu, { from: ok.get('To'), to: sent.from, callId: sent.callId, route: request.all('Record-Route') });
      ann.reply(await ann.request('BYE'), 200);
      assert.equal((await bob.response(bye)).status, 200);
      await until('no call is left', async () => (await system.metric(0, 'duplex_signal_calls', 'answered')) === 0);
    });
  });
}

describe('a line that only one node can open', () => {
  it('serves both ways', async () => {
    await lines.n2.refuse(); // nobody can connect to n2; n2 still can to n1
    await until('n1 has lost its own', () => !system.linked(0, 1));
    const ann = await device(system, name('ann'));
    const bob = await device(system, name('bob'), { worker: 1 });
    await until('n2 to n1', () => system.linked(1, 0), 8000);
    for (let i = 0; i < 3; i++) {
      assert.equal((await ann.ask('MESSAGE', uri(bob.user), { body: 'there', type: 'text/plain' })).status, 200);
      assert.equal((await bob.ask('MESSAGE', uri(ann.user), { body: 'and back', type: 'text/plain' })).status, 200);
      await sleep(300);
    }
    await mend();
  });
});
