// Every SIP message is accounted for: received = answered + relayed + absorbed + taken + dropped, by reason, + open. And what the watchdog sees.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { System, sleep, until } from './lib/system.mjs';
import { Ua, device, uri } from './lib/client.mjs';
import { call, caller, accept, hangUp, inDialog, invite } from './lib/calls.mjs';

let system;
before(async () => { system = await System.start({ workers: 2, options: { 'ring-timeout': 2 } }); });
after(() => system.stop());

const FATES = ['answered', 'relayed', 'absorbed', 'taken', 'drop_garbage', 'drop_bad_response', 'drop_stray_response', 'drop_stray_ack',
  'drop_ack_target', 'drop_cut', 'drop_no_memory', 'unknown'];

/** All numbers of a worker's books, from one reading. */
async function books(index = 0) {
  const text = await system.metrics(index);
  const fate = Object.fromEntries([...text.matchAll(/^duplex_signal_sip_total\{fate="(\w+)"\} (\d+)$/gm)].map(([, name, n]) => [name, Number(n)]));
  const one = (name) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)[1]);
  return { fate, received: one('duplex_signal_sip_received_total'), open: one('duplex_signal_sip_open'), text, one };
}

function balanced({ fate, received, open }) {
  assert.deepEqual(Object.keys(fate), FATES, 'all fates are listed');
  assert.equal(received, Object.values(fate).reduce((a, b) => a + b) + open, JSON.stringify({ fate, received, open }));
  assert.equal(fate.unknown, 0);
}

/** What became of the messages that `work` sent to worker 0, at least so many, by fate. */
async function fates(work, messages = 1) {
  const was = await books();
  balanced(was);
  await work();
  const settled = ({ received, open }) => received - open - (was.received - was.open);
  await until(`${messages} messages`, async () => settled(await books()) >= messages);
  await sleep(100); // and no more
  const is = await books();
  balanced(is);
  return Object.fromEntries(FATES.map((f) => [f, is.fate[f] - was.fate[f]]).filter(([, n]) => n !== 0));
}

describe('the books', () => {
  it('know a REGISTER as answered', async () => {
    const ann = await device(system, 'ann1');
    assert.deepEqual(await fates(() => ann.register()), { answered: 1 });
    await ann.close();
  });

  it('know a call: INVITE and BYE relayed, responses taken, ACK relayed', async () => {
    const [ann, ben] = [await device(system, 'ann2'), await device(system, 'ben2')];
    assert.deepEqual(await fates(async () => hangUp(ann, ben, await call(ann, ben)), 6), { relayed: 3, taken: 3 });
    await ann.close(); await ben.close();
  });

  it('know a call between workers, each for itself', async () => {
    const [ann, ben] = [await device(system, 'ann3'), await device(system, 'ben3', { worker: 1 })];
    const before = await books(1);
    await hangUp(ann, ben, await call(ann, ben));
    await sleep(50);
    for (const index of [0, 1]) balanced(await books(index));
    assert.ok((await books(1)).fate.relayed >= before.fate.relayed + 3, "ben's responses are handed on");
    await ann.close(); await ben.close();
  });

  it('know refusals, strays, garbage and what was cut short', async () => {
    const [ann, ben] = [await device(system, 'ann4'), await device(system, 'ben4')];
    assert.deepEqual(await fates(() => ann.ask('MESSAGE', uri('nobody'), { body: 'x', type: 'text/plain' })), { answered: 1 });
    assert.deepEqual(await fates(() => ann.ask('OPTIONS', uri('ann4'), { from: `<${uri('ben4')}>;tag=1` })), { answered: 1 });
    assert.deepEqual(await fates(() => ann.send('ACK', uri('ben4'))), { drop_stray_ack: 1 });
    assert.deepEqual(await fates(() => ann.raw(`SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS n1.0.invalid;branch=z9hG4bKnone\r\nFrom: <${uri('ann4')}>;tag=1\r\n` +
      `To: <${uri('ben4')}>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n`)), { drop_stray_response: 1 });
    assert.deepEqual(await fates(() => ann.raw('SIP/2.0 200 OK\r\n\r\n')), { drop_bad_response: 1 });
    const rude = await Ua.connect(system, 'ann4', { session: ann.session });
    assert.deepEqual(await fates(async () => { rude.raw('hello'); await rude.closed; }), { drop_garbage: 1 });
    /* The caller leaves while it rings: the INVITE is cut; the device's 180 and 487 and its 200 to CANCEL are taken. */
    const got = await fates(async () => {
      const leaver = await device(system, 'lea4');
      invite(leaver, 'ben4');
      const request = await ben.request('INVITE');
      ben.reply(request, 180);
      await until('it is open while it rings', async () => (await books()).open === 1);
      leaver.cut();
      const cancel = await ben.request('CANCEL');
      ben.reply(cancel, 200);
      ben.reply(request, 487);
    }, 5);
    assert.deepEqual(got, { answered: 1, taken: 3, drop_cut: 1 });
    assert.equal((await books()).open, 0);
    await ann.close(); await ben.close();
  });

  it('know a retransmission as absorbed, and an ACK whose receiver is gone', async () => {
    const [ann, ben] = [await device(system, 'ann5'), await device(system, 'ben5')];
    const sent = invite(ann, 'ben5');
    const request = await ben.request('INVITE');
    assert.deepEqual(await fates(() => { invite(ann, 'ben5', { from: sent.from, to: sent.to, callId: sent.callId, cseq: sent.cseq, branch: sent.branch }); }),
      { absorbed: 1 });
    accept(ben, request);
    const ok = await ann.response(sent);
    await ben.ws.terminate();
    await until('ben is gone', async () => (await system.redis('HLEN', 'location:{ben5}')) === '0');
    assert.deepEqual(await fates(() => { inDialog(ann, 'ACK', caller(sent, ok), { cseq: sent.cseq }); }), { drop_ack_target: 1 });
    await ann.close();
  });
});

describe('times', () => {
  it('are there by method, with counts that fit', async () => {
    const ann = await device(system, 'ann6');
    const count = (text) => Number(/^duplex_signal_request_seconds_count\{method="REGISTER"\} (\d+)$/m.exec(text)?.[1] ?? 0);
    const was = count((await books()).text);
    await ann.register();
    const { text } = await books();
    assert.equal(count(text), was + 1);
    assert.match(text, /^duplex_signal_request_seconds_bucket\{method="INVITE",le="\+Inf"\} \d+$/m);
    assert.match(text, /^duplex_signal_response_seconds_count\{method="INVITE"\} \d+$/m);
    assert.match(text, /^duplex_signal_outcomes_total\{method="REGISTER",class="2xx"\} \d+$/m);
    assert.match(text, /^duplex_signal_outcomes_total\{method="INVITE",class="none"\} 1$/m);
    await ann.close();
  });

  it('the loop says how busy it is', async () => {
    const { one } = await books();
    assert.ok(one('duplex_signal_busy_microseconds_total') > 0);
    assert.ok(one('duplex_signal_idle_microseconds_total') > one('duplex_signal_busy_microseconds_total'));
    assert.ok(one('duplex_signal_turns_total') > 10);
    assert.ok(one('duplex_signal_turn_microseconds_max') > 0);
  });
});
