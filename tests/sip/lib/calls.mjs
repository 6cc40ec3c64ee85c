// Calls between the agents of client.mjs: INVITE, answer, and requests inside the dialog as each side sees it.
import assert from 'node:assert/strict';
import { uri, uriOf } from './client.mjs';

export const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
export const VIDEO = `${SDP}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n`;

/* `extra`: more headers. */
export const invite = (ua, to, { extra = [], ...options } = {}) => ua.send('INVITE', uri(to), { headers: [['Contact', `<${ua.gruu};ob>`],
  ['Session-ID', `${'a'.repeat(32)};remote=${'0'.repeat(32)}`], ...extra], body: SDP, ...options });
export const accept = (ua, request, { extra = [], ...options } = {}) => ua.reply(request, 200, { headers: [['Contact', `<${ua.gruu}>`],
  ...extra], body: SDP, ...options });
export const inDialog = (ua, method, call, options = {}) => ua.send(method, call.target, { from: call.from, to: call.to, callId: call.callId,
  route: call.route, ...options });

/** The caller's view of the dialog. */
export const caller = (sent, ok) => ({ target: uriOf(ok.get('Contact')), from: sent.from, to: ok.get('To'), callId: sent.callId,
  route: [...ok.all('Record-Route')].reverse() });
/** The callee's. */
export const callee = (request) => ({ target: uriOf(request.get('Contact')), from: `${request.get('To')};tag=${request.tag}`,
  to: request.get('From'), callId: request.get('Call-ID'), route: request.all('Record-Route') });

/** A call that is up, as both see it. */
export async function call(alice, bob, name) {
  const sent = invite(alice, name ?? bob.user);
  const request = await bob.request('INVITE');
  bob.reply(request, 180, { headers: [['Contact', `<${bob.gruu}>`]] });
  await alice.response(sent, (s) => s === 180);
  accept(bob, request);
  const ok = await alice.response(sent);
  assert.equal(ok.status, 200);
  const a = caller(sent, ok);
  inDialog(alice, 'ACK', a, { cseq: sent.cseq });
  await bob.request('ACK');
  return { a, b: callee(request), sent, request };
}

/** The caller hangs up. */
export async function hangUp(alice, bob, { a }) {
  const bye = inDialog(alice, 'BYE', a);
  bob.reply(await bob.request('BYE'), 200);
  assert.equal((await alice.response(bye)).status, 200);
}

export const close = (...uas) => Promise.all(uas.map((ua) => ua.close()));
