// Too many requests at once: new ones are refused with 503, but what ends a call always gets through.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { System, until } from './lib/system.mjs';
import { device, uri, uriOf } from './lib/client.mjs';

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
const refused = (ua) => ua.messages.filter((m) => m.status === 503);
const ring = async (ann, bob) => {
  const sent = ann.send('INVITE', uri(bob.user), { headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
  const request = await bob.request('INVITE');
  bob.reply(request, 180);
  await ann.response(sent, (status) => status === 180);
  return { sent, request };
};
/* More MESSAGEs to one who never answers than there is room for; what is sent right behind them finds every place taken. */
const burst = (ua, count) => {
  for (let i = 0; i < count; i++) ua.send('MESSAGE', uri('quiet'), { body: `${i}`, type: 'text/plain' });
};

for (const [what, options] of [
  ['the transactions of a connection', { 'transactions-per-connection': 16 }], ['the transactions of a worker', { 'transactions-max': 100 }]]) {
  describe(`when ${what} are all in use`, () => {
    it('CANCEL and BYE get through', async () => {
      const system = await System.start({ workers: 1, options: { 'messages-burst': 1000, 'messages-per-second': 1000, ...options } });
      const full = () => system.metric(0, 'duplex_signal_transactions_total', 'refused_full');
      try {
        const ann = await device(system, 'ann');
        const bob = await device(system, 'bob');
        const cyd = await device(system, 'cyd');
        const quiet = await device(system, 'quiet');
        quiet.autoAnswer = false;

        const { sent: first, request } = await ring(ann, bob);
        bob.reply(request, 200, { headers: [['Contact', `<${bob.gruu}>`]], body: SDP });
        const ok = await ann.response(first);
        const dialog = { from: first.from, to: ok.get('To'), callId: first.callId, route: ok.all('Record-Route') };
        ann.send('ACK', uriOf(ok.get('Contact')), { ...dialog, cseq: first.cseq });
        await bob.request('ACK');
        const { sent: second, request: rings } = await ring(ann, cyd);
        const bindings = await system.redis('HLEN', 'location:{quiet}');

        burst(ann, 120);
        const cancel = ann.send('CANCEL', second.target, { from: second.from, to: second.to, callId: second.callId, cseq: second.cseq, branch: second.branch });
        assert.equal((await ann.response(cancel)).status, 200);
        assert.equal((await ann.response(second)).status, 487);
        cyd.reply(await cyd.request('CANCEL'), 200);
        cyd.reply(rings, 487);
        await until('refusals', () => refused(ann).length > 0);
        assert.ok(refused(ann)[0].get('Retry-After'));
        const before = await full();

        burst(ann, 120);
        const bye = ann.send('BYE', uriOf(ok.get('Contact')), dialog);
        bob.reply(await bob.request('BYE'), 200);
        assert.equal((await ann.response(bye)).status, 200);
        assert.ok(await full() > before);
        assert.equal(await system.redis('HLEN', 'location:{quiet}'), bindings, 'overload signs nobody out');
      } finally {
        await system.stop();
      }
    });
  });
}
