// SIGTERM while something is under way: the worker closes its clients (1012) and ends well, whatever it was busy with. Worth most with sanitizers.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { System } from './lib/system.mjs';
import { device, uri, uriOf } from './lib/client.mjs';

const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';

async function ringing(ann, bob) {
  const sent = ann.send('INVITE', uri('bob'), { headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
  const request = await bob.request('INVITE');
  bob.reply(request, 180);
  await ann.response(sent, (status) => status === 180);
  return { sent, request };
}

async function answered(ann, bob) {
  const { sent, request } = await ringing(ann, bob);
  bob.reply(request, 200, { headers: [['Contact', `<${bob.gruu}>`]], body: SDP });
  const ok = await ann.response(sent);
  const dialog = { from: sent.from, to: ok.get('To'), callId: sent.callId, route: ok.all('Record-Route') };
  ann.send('ACK', uriOf(ok.get('Contact')), { ...dialog, cseq: sent.cseq });
  await bob.request('ACK');
  return { target: uriOf(ok.get('Contact')), dialog };
}

const states = {
  'a call that nobody has answered': ringing,
  'a call that is up': answered,
  'a re-INVITE without an answer': async (ann, bob) => {
    const { target, dialog } = await answered(ann, bob);
    ann.send('INVITE', target, { ...dialog, headers: [['Contact', `<${ann.gruu}>`]], body: SDP });
    await bob.request('INVITE');
  },
  'a BYE without an answer': async (ann, bob) => {
    const { target, dialog } = await answered(ann, bob);
    ann.send('BYE', target, dialog);
    await bob.request('BYE');
  },
  'a MESSAGE without an answer': async (ann, bob) => {
    bob.autoAnswer = false;
    ann.send('MESSAGE', uri('bob'), { body: 'hello', type: 'text/plain' });
    await bob.request('MESSAGE');
  },
};

describe('SIGTERM', () => {
  for (const [name, reach] of Object.entries(states)) {
    for (const worker of [0, 1]) {
      it(`with ${name}, the other on ${worker === 0 ? 'the same worker' : 'another'}`, async () => {
        const system = await System.start();
        try {
          const ann = await device(system, 'ann');
          const bob = await device(system, 'bob', { worker });
          await reach(ann, bob);
          const ends = system.kill(0, 'SIGTERM');
          assert.equal((await ann.closed).code, 1012);
          await ends;
        } finally {
          await system.stop(); // an exit status other than 0 is an error
        }
      });
    }
  }
});
