// Desk phones over UDP, TCP and TLS: login, registration, calls, keep-alives, and what strangers can do (nothing).
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { System, DOMAIN, sleep, until } from './lib/system.mjs';
import { device, tagOf, uri, uriOf } from './lib/client.mjs';
import { Phone, addDevice, challengeOf, makeCertificate, phoneOptions, registered, token } from './lib/phone.mjs';

let system, ports, certificate;
const dir = mkdtempSync(path.join(tmpdir(), 'duplex-phone-'));
before(async () => {
  const made = await phoneOptions(dir, { 'sip-auth': 'sha-256 md5 bearer', 'sip-udp-request-max': 4000, 'sip-login-timeout': 2000,
    'messages-per-second': 1000, 'messages-burst': 5000 }); // all of these phones have one address
  ({ ports, certificate } = made);
  system = await System.start({ options: made.options });
});
after(async () => {
  await system.stop();
  rmSync(dir, { recursive: true, force: true });
});

const bindings = async (user) => Number(await system.redis('HLEN', `location:{${user}}`));
const metric = async (name, label) => (await system.metric(0, name, label)) + (await system.metric(1, name, label));
const rejects = (reason) => metric('duplex_signal_rejects_total', reason);
/* As the API makes them: common/sip_token.h. */
function bearer(user, session, { revision, seconds = 300, permissions = 'call.audio' }) {
  const key = createHmac('sha256', 'a secret only for these tests 0123456789').update('duplex sip token 1').digest();
  const body = `1 ${user} ${session} ${revision} ${Math.floor(Date.now() / 1000) + seconds} ${permissions}`;
  return `${Buffer.from(body).toString('base64url')}.${createHmac('sha256', key).update(body).digest().subarray(0, 16).toString('base64url')}`;
}
let users = 0;
const name = () => `user${++users}`;

describe('login', () => {
  for (const transport of ['udp', 'tcp', 'tls']) {
    it(`is challenged and let in over ${transport.toUpperCase()}`, async () => {
      const account = await addDevice(system, name());
      const phone = await Phone.open(ports, account, transport, { ca: certificate.file });
      const first = phone.send('REGISTER', `sip:${DOMAIN}`, { to: `<${uri(account.user)}>`, headers: [['Contact', `<${phone.contact}>`]] });
      const answer = await phone.response(first);
      assert.equal(answer.status, 401);
      const offered = answer.all('WWW-Authenticate');
      assert.equal(offered.includes(`Bearer realm="${DOMAIN}"`), transport === 'tls');
      const challenges = offered.filter((v) => v.startsWith('Digest')).map(challengeOf);
      assert.deepEqual(challenges.map((c) => c.algorithm), ['SHA-256', 'MD5']);
      assert.equal(challenges[0].qop, 'auth');
      assert.equal(challenges[0].realm, DOMAIN);
      assert.match(answer.get('Via'), /;received=127\.0\.0\.1;rport=\d+/);
      assert.equal((await phone.register()).status, 200);
      assert.equal(await bindings(account.user), 1);
      await until('last use', async () => Number(await system.redis('HGET', `device:{${account.user}}:${account.id}`, 'used')) > 0);
      await phone.close();
    });
  }

  it('takes MD5 when it is configured', async () => {
    const phone = await Phone.open(ports, await addDevice(system, name()), 'udp');
    assert.equal((await phone.register({ auth: { algorithm: 'MD5' } })).status, 200);
    phone.close();
  });

  it('refuses a wrong secret, an unknown device, another user and one who is disabled', async () => {
    const account = await addDevice(system, name()), other = await addDevice(system, name());
    const attempt = async (auth, user = account.user) => {
      const phone = await Phone.open(ports, account, 'tcp');
      phone.user = user;
      const { status } = await phone.register({ auth });
      phone.close();
      return status;
    };
    assert.equal(await attempt({ secret: 'wrong' }), 401);
    assert.equal(await attempt({ login: `${account.user}+0123456789abcdef` }), 401);
    assert.equal(await attempt({ login: 'no device at all' }), 403);
    assert.equal(await attempt({ login: other.login, secret: other.secret }), 403);
    assert.equal(await attempt({}, other.user), 403);
    assert.equal(await attempt({ digestUri: 'sip:elsewhere.test' }), 400);
    assert.equal(await attempt({}), 200);
    await system.redis('HSET', `user:{${account.user}}`, 'state', 'disabled');
    assert.equal(await attempt({}), 401);
    assert.ok(await rejects('auth_wrong') >= 5);
  });

  it('takes no credentials a second time, and none of another connection', async () => {
    const account = await addDevice(system, name());
    const phone = await Phone.open(ports, account, 'udp');
    assert.equal((await phone.register()).status, 200);
    const asked = await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`));
    assert.equal(asked.status, 407);
    const header = phone.credentials(asked, 'OPTIONS', `sip:${DOMAIN}`);
    assert.equal((await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`, { headers: [header] }))).status, 200);
    const replay = await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`, { headers: [header] }));
    assert.equal(replay.status, 407);
    assert.equal(challengeOf(replay.get('Proxy-Authenticate')).stale, 'true');
    /* The counter goes on: the nonce need not be fetched anew. */
    const next = phone.credentials(asked, 'OPTIONS', `sip:${DOMAIN}`);
    assert.match(next[1], /nc=00000002/);
    assert.equal((await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`, { headers: [next] }))).status, 200);
    const thief = await Phone.open(ports, account, 'udp');
    const stolen = phone.credentials(asked, 'OPTIONS', `sip:${DOMAIN}`);
    const refused = await thief.response(thief.send('OPTIONS', `sip:${DOMAIN}`, { headers: [stolen] }));
    assert.equal(refused.status, 407);
    assert.equal(challengeOf(refused.get('Proxy-Authenticate')).stale, 'true');
    phone.close();
    thief.close();
  });

  it('may be by a token over TLS, as long as its session lasts', async () => {
    const user = name(), session = await system.addUser(user);
    await system.redis('HSET', `user:{${user}}`, 'rev', 3);
    const register = async (phone, token) => (await phone.response(phone.send('REGISTER', `sip:${DOMAIN}`, { to: `<${uri(phone.user)}>`,
      headers: [['Contact', `<${phone.contact}>`], ['Authorization', `Bearer ${token}`]] }))).status;
    const opened = [];
    const open = async (transport, who = user) => {
      opened.push(await Phone.open(ports, { user: who }, transport, { ca: certificate.file }));
      return opened.at(-1);
    };
    const good = bearer(user, session, { revision: 3 });
    const phone = await open('tls');
    for (const bad of ['x', 'x.y', `${good}A`, `A${good}`, bearer(user, session, { revision: 3, seconds: -1 })]) assert.equal(await register(phone, bad), 401);
    assert.equal(await register(await open('tcp'), good), 401);
    assert.equal(await register(await open('udp'), good), 401);
    assert.equal(await register(await open('tls', 'somebody'), good), 403);
    assert.equal(await register(phone, good), 200);
    assert.equal(await bindings(user), 1);
    /* With the permissions of another revision nothing is done for it. */
    const callee = await registered(system, ports, name(), 'tls', { ca: certificate.file });
    const old = await open('tls');
    const revoked = ['Authorization', `Bearer ${bearer(user, session, { revision: 2, permissions: 'call.audio chat.send' })}`];
    old.send('MESSAGE', uri(callee.user), { headers: [['Proxy-Authorization', revoked[1]]], body: 'too late', type: 'text/plain' });
    register(old, revoked[1].slice(7)).catch(() => {});
    await old.closed;
    assert.deepEqual(old.messages.filter((m) => m.status >= 200 && m.status < 300), []);
    assert.deepEqual(callee.messages.filter((m) => m.method === 'MESSAGE'), []);
    callee.close();
    await system.redis('DEL', `session:{${user}}:${session}`);
    await system.event('session.end', 'user', user, 'session', session);
    await phone.closed;
    await until('no binding', async () => await bindings(user) === 0, 1000);
    for (const each of opened) each.close();
  });

  it('is asked of every method alike, on UDP for each request', async () => {
    const stranger = await Phone.open(ports, await addDevice(system, name()), 'udp');
    for (const method of ['INVITE', 'MESSAGE', 'SUBSCRIBE', 'OPTIONS', 'PUBLISH', 'INFO', 'FOO'])
      assert.equal((await stranger.response(stranger.send(method, uri('alice')))).status, 407, method);
    stranger.send('ACK', uri('alice'));
    assert.equal((await stranger.response(stranger.send('CANCEL', uri('alice')))).status, 481);
    stranger.close();
    const phone = await registered(system, ports, name(), 'udp');
    assert.equal((await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`))).status, 407);
    phone.close();
    const stream = await registered(system, ports, name(), 'tcp');
    assert.equal((await stream.response(stream.send('OPTIONS', `sip:${DOMAIN}`))).status, 200);
    stream.close();
  });

  it('makes From, P-Asserted-Identity and Contact the user\'s own', async () => {
    const phone = await registered(system, ports, name(), 'tcp');
    const refused = [{ headers: [['P-Asserted-Identity', '<sip:boss@example.test>']] }, { headers: [['Contact', '<sip:boss@example.test>']] }];
    for (const options of refused) assert.equal((await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`, options))).status, 403);
    assert.equal((await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`, { from: '<sip:a@elsewhere.test>;tag=1' }))).status, 403);
    phone.close();
  });

  it('lets several users share a connection', async () => {
    const one = await registered(system, ports, name(), 'tcp');
    const second = await addDevice(system, name());
    const first = one.user;
    Object.assign(one, { user: second.user, device: second, registerCallId: token(), contact: one.contact.replace(first, second.user) });
    assert.equal((await one.register()).status, 200);
    assert.equal(await bindings(first), 1);
    assert.equal(await bindings(second.user), 1);
    await system.redis('DEL', `device:{${second.user}}:${second.id}`);
    await system.event('session.end', 'user', second.user, 'session', second.session);
    await until('its binding is gone', async () => await bindings(second.user) === 0, 1000);
    one.user = first;
    assert.equal((await one.response(one.send('OPTIONS', `sip:${DOMAIN}`))).status, 200);
    one.close();
  });
});

describe('the end of a device', () => {
  for (const transport of ['udp', 'tcp', 'tls']) {
    it(`ends its registration and its ${transport.toUpperCase()} within a second`, async () => {
      const phone = await registered(system, ports, name(), transport, { ca: certificate.file });
      await system.redis('DEL', `device:{${phone.user}}:${phone.device.id}`);
      await system.event('session.end', 'user', phone.user, 'session', phone.device.session);
      await until('no binding', async () => await bindings(phone.user) === 0, 1000);
      if (transport !== 'udp') await Promise.race([phone.closed, sleep(1000).then(() => assert.fail('still connected'))]);
      const again = transport === 'udp' ? phone : await Phone.open(ports, phone.device, transport, { ca: certificate.file });
      assert.equal((await again.register()).status, 401);
      again.close();
    });
  }
});

/* A call from `caller` to `callee`, answered; gives both ends' dialog. */
async function call(caller, callee, { body = caller.sdp } = {}) {
  const asked = caller.ask('INVITE', uri(callee.user), { body, headers: [['Contact', `<${caller.contact}>`]] });
  const invite = await callee.request('INVITE');
  callee.reply(invite, 180);
  callee.reply(invite, 200, { headers: [['Contact', `<${callee.contact}>`]], body: callee.sdp });
  const answer = await asked;
  assert.equal(answer.status, 200);
  const route = answer.all('Record-Route').flatMap((v) => v.split(/,\s*/)).reverse();
  const dialog = { callId: answer.get('Call-ID'), from: answer.get('From'), to: answer.get('To'), target: uriOf(answer.get('Contact')), route };
  caller.send('ACK', dialog.target, { ...dialog, cseq: answer.sent.cseq });
  const ack = await callee.request('ACK');
  return { invite, answer, ack, dialog };
}

describe('calls between phones', () => {
  for (const [a, b] of [['udp', 'udp'], ['udp', 'tcp'], ['tcp', 'tls'], ['tls', 'udp']]) {
    it(`${a} to ${b}: set up, acknowledged, ended by the caller`, async () => {
      const caller = await registered(system, ports, name(), a, { ca: certificate.file });
      const callee = await registered(system, ports, name(), b, { ca: certificate.file });
      const { invite, answer, dialog } = await call(caller, callee);
      assert.equal(invite.uri, callee.contact);
      assert.match(invite.get('Via'), new RegExp(`^SIP/2.0/${b.toUpperCase()} 127\\.0\\.0\\.1:${ports[b]};branch=z9hG4bK[^;]+;rport`));
      assert.match(invite.get('Record-Route'), new RegExp(`^<sip:[^@>]+@127\\.0\\.0\\.1:${ports[b]};transport=${b};lr>$`));
      assert.match(answer.get('Record-Route'), new RegExp(`^<sip:[^@>]+@127\\.0\\.0\\.1:${ports[a]};transport=${a};lr>$`));
      assert.equal(invite.get('P-Asserted-Identity'), `<${uri(caller.user)}>`);
      assert.equal(invite.get('Proxy-Authorization'), undefined);
      assert.equal(invite.body, caller.sdp);
      const bye = caller.send('BYE', dialog.target, dialog);
      callee.reply(await callee.request('BYE'), 200);
      assert.equal((await caller.response(bye)).status, 200);
      caller.close();
      callee.close();
    });
  }

  it('ended by the callee, by its Route', async () => {
    const caller = await registered(system, ports, name(), 'udp'), callee = await registered(system, ports, name(), 'tcp');
    const { invite } = await call(caller, callee);
    const bye = callee.send('BYE', uriOf(invite.get('Contact')), { callId: invite.get('Call-ID'), from: `${invite.get('To')};tag=${invite.tag}`,
      to: invite.get('From'), route: invite.all('Record-Route') });
    caller.reply(await caller.request('BYE'), 200);
    assert.equal((await callee.response(bye)).status, 200);
    caller.close();
    callee.close();
  });

  it('cancelled by the caller', async () => {
    const caller = await registered(system, ports, name(), 'udp'), callee = await registered(system, ports, name(), 'udp');
    const asked = caller.ask('INVITE', uri(callee.user), { body: caller.sdp, headers: [['Contact', `<${caller.contact}>`]] });
    const invite = await callee.request('INVITE');
    callee.reply(invite, 180);
    await caller.next((m) => m.status === 180, '180');
    caller.cancel(caller.last);
    const cancel = await callee.request('CANCEL');
    assert.equal(cancel.get('Via'), invite.get('Via'));
    callee.reply(cancel, 200);
    callee.reply(invite, 487);
    const answer = await asked;
    assert.equal(answer.status, 487);
    caller.ack(answer, answer.sent);
    assert.equal((await callee.request('ACK')).get('Via'), invite.get('Via'));
    caller.close();
    callee.close();
  });

  it('hung up by an administrator, and by the end of the device', async () => {
    const caller = await registered(system, ports, name(), 'udp'), callee = await registered(system, ports, name(), 'tcp');
    await call(caller, callee);
    const live = (await system.redis('HGETALL', 'live:n1.0')) + (await system.redis('HGETALL', 'live:n1.1'));
    const id = /([0-9a-f]{32})/.exec(live)[1];
    await system.event('call.hangup', 'id', id, 'by', 'admin');
    caller.reply(await caller.request('BYE', 1000), 200);
    callee.reply(await callee.request('BYE', 1000), 200);
    await call(caller, callee);
    await system.redis('DEL', `device:{${callee.user}}:${callee.device.id}`);
    await system.event('session.end', 'user', callee.user, 'session', callee.device.session);
    caller.reply(await caller.request('BYE', 1000), 200);
    await callee.closed;
    caller.close();
  });

  it('from a browser to a phone and back are refused with 488 and a Warning', async () => {
    const phone = await registered(system, ports, name(), 'udp');
    const page = await device(system, name());
    const dtls = phone.sdp.replace('RTP/AVP', 'UDP/TLS/RTP/SAVPF');
    const answer = await page.ask('INVITE', uri(phone.user), { body: dtls, headers: [['Contact', `<${page.contact}>`]] });
    assert.equal(answer.status, 488);
    assert.match(answer.get('Warning'), /^302 example\.test "/);
    const back = await phone.ask('INVITE', uri(page.user), { body: phone.sdp, headers: [['Contact', `<${phone.contact}>`]] });
    assert.equal(back.status, 488);
    assert.match(back.get('Warning'), /^302 /);
    phone.ack(back, back.sent);
    /* Of a user who has both, those ring that can. */
    const both = await device(system, phone.user);
    const asked = page.send('INVITE', uri(phone.user), { body: dtls, headers: [['Contact', `<${page.contact}>`]] });
    both.reply(await both.request('INVITE'), 486);
    assert.equal((await page.response(asked)).status, 486);
    assert.equal(phone.messages.filter((m) => m.method === 'INVITE').length, 0);
    await page.close();
    await both.close();
    phone.close();
  });

  it('chat goes both ways between phone and browser', async () => {
    const phone = await registered(system, ports, name(), 'udp');
    const page = await device(system, name());
    assert.equal((await phone.ask('MESSAGE', uri(page.user), { body: 'hello', type: 'text/plain' })).status, 200);
    assert.equal((await page.request('MESSAGE')).body, 'hello');
    assert.equal((await page.ask('MESSAGE', uri(phone.user), { body: 'and back', type: 'text/plain' })).status, 200);
    assert.equal((await phone.request('MESSAGE')).body, 'and back');
    await page.close();
    phone.close();
  });
});

describe('an unreliable transport', () => {
  it('has requests sent again until there is an answer (timers A and E)', async () => {
    const caller = await registered(system, ports, name(), 'tcp'), callee = await registered(system, ports, name(), 'udp');
    const began = Date.now();
    const asked = caller.ask('INVITE', uri(callee.user), { body: caller.sdp, headers: [['Contact', `<${caller.contact}>`]] });
    const times = [];
    for (let i = 0; i < 3; i++) {
      await callee.request('INVITE');
      times.push(Date.now() - began);
    }
    assert.ok(times[1] - times[0] >= 400 && times[2] - times[1] >= 900, times.join(' '));
    caller.close();
    callee.close();
    await asked.catch(() => {});
  });

  it('has retransmissions answered from memory, not done twice', async () => {
    const phone = await registered(system, ports, name(), 'udp');
    const before = await metric('duplex_signal_registers_total');
    const answer = await phone.register();
    assert.equal(answer.status, 200);
    phone.raw(answer.sent.text);
    const again = await phone.response(answer.sent);
    assert.equal(again.text, answer.text);
    assert.equal(await metric('duplex_signal_registers_total'), before + 1);
    phone.close();
  });

  it('has a failure sent again until its ACK comes (timer G)', async () => {
    const caller = await registered(system, ports, name(), 'udp'), callee = await registered(system, ports, name(), 'tcp');
    const asked = caller.ask('INVITE', uri(callee.user), { body: caller.sdp, headers: [['Contact', `<${caller.contact}>`]] });
    callee.reply(await callee.request('INVITE'), 486);
    const answer = await asked;
    assert.equal(answer.status, 486);
    await caller.response(answer.sent, (s) => s === 486, 2000);
    caller.ack(answer, answer.sent);
    await sleep(1500);
    caller.messages.length = 0;
    await sleep(1500);
    assert.equal(caller.messages.length, 0);
    caller.close();
    callee.close();
  });

  it('gets answers where RFC 3581 and RFC 3261 §18.2.2 say', async () => {
    const phone = await Phone.open(ports, await addDevice(system, name()), 'udp');
    const other = await Phone.open(ports, phone.device, 'udp');
    const port = other.host.split(':')[1];
    /* Without rport the answer goes to the port of sent-by, but never to another's address. */
    const sent = phone.send('OPTIONS', `sip:${DOMAIN}`, { via: `SIP/2.0/UDP 192.0.2.77:${port}` });
    const answer = await other.response(sent);
    assert.equal(answer.status, 407);
    assert.match(answer.get('Via'), /received=127\.0\.0\.1/);
    const forged = phone.send('OPTIONS', `sip:${DOMAIN}`, { via: `SIP/2.0/UDP 192.0.2.77:${port};received=192.0.2.99;rport` });
    assert.match((await phone.response(forged)).get('Via'), /;received=127\.0\.0\.1;rport=\d+$/);
    phone.close();
    other.close();
  });

  it('refuses a request that is too large with 513', async () => {
    const caller = await registered(system, ports, name(), 'tcp'), callee = await registered(system, ports, name(), 'udp');
    const answer = await caller.ask('INVITE', uri(callee.user), { body: `${caller.sdp}${'a=x:0123456789\r\n'.repeat(300)}`,
      headers: [['Contact', `<${caller.contact}>`]] });
    assert.equal(answer.status, 513);
    assert.equal(callee.messages.filter((m) => m.method === 'INVITE').length, 0);
    assert.equal(await bindings(callee.user), 1);
    caller.close();
    callee.close();
  });

  it('keeps alive by STUN', async () => {
    const phone = await Phone.open(ports, await addDevice(system, name()), 'udp');
    const id = Buffer.from(token() + token().slice(0, 8), 'hex');
    phone.raw(Buffer.concat([Buffer.from('000100002112a442', 'hex'), id]));
    const { stun } = await phone.next((m) => m.stun, 'STUN');
    assert.equal(stun.readUInt16BE(0), 0x0101);
    assert.ok(stun.subarray(8, 20).equals(id));
    assert.equal(stun.readUInt16BE(20), 0x0020);
    assert.equal(stun.readUInt16BE(26) ^ 0x2112, Number(phone.host.split(':')[1]));
    assert.ok(stun.length <= 32);
    phone.close();
  });

  it('drops garbage, and counts it', async () => {
    const phone = await Phone.open(ports, await addDevice(system, name()), 'udp');
    const before = await rejects('datagram');
    for (const bytes of ['x', 'INVITE', 'SIP/2.0 200 OK\r\n\r\n', Buffer.from([0, 1, 0]), 'GET / HTTP/1.1\r\n\r\n']) phone.raw(bytes);
    await until('counted', async () => await rejects('datagram') >= before + 5);
    assert.equal((await phone.register()).status, 200);
    phone.close();
  });
});

describe('a stream', () => {
  it('is cut into messages wherever the bytes are split', async () => {
    const phone = await registered(system, ports, name(), 'tcp');
    const text = ['a', 'b'].map((id) => [`OPTIONS sip:${DOMAIN} SIP/2.0`, `Via: SIP/2.0/TCP ${phone.host};branch=z9hG4bK${id}${token()}`,
      `From: <${uri(phone.user)}>;tag=1`, `To: <sip:${DOMAIN}>`, `Call-ID: ${id}`, 'CSeq: 1 OPTIONS', 'c: text/plain', 'l: 4', '', 'body'].join('\r\n')).join('');
    for (const byte of text) {
      phone.raw(byte);
      if (Math.random() < 0.1) await sleep(1);
    }
    for (const id of ['a', 'b']) assert.equal((await phone.next((m) => m.get?.('Call-ID') === id)).status, 200);
    phone.close();
  });

  it('answers a double CRLF with a single one', async () => {
    const phone = await registered(system, ports, name(), 'tls', { ca: certificate.file });
    phone.raw('\r\n\r\n');
    await phone.next((m) => m.keepalive, 'pong');
    phone.raw('\r\n');
    assert.equal((await phone.response(phone.send('OPTIONS', `sip:${DOMAIN}`))).status, 200);
    assert.equal(phone.messages.filter((m) => m.keepalive).length, 0);
    phone.close();
  });

  it('is closed when it cannot be cut, or says nothing', async () => {
    const account = await addDevice(system, name());
    for (const bytes of ['garbage without an end\r\n\r\n', `OPTIONS sip:${DOMAIN} SIP/2.0\r\nFrom: x\r\n\r\n`]) {
      const phone = await Phone.open(ports, account, 'tcp');
      phone.raw(bytes);
      await Promise.race([phone.closed, sleep(1500).then(() => assert.fail(`still open after ${bytes}`))]);
    }
    const silent = await Phone.open(ports, account, 'tcp');
    await Promise.race([silent.closed, sleep(5000).then(() => assert.fail('a stranger stays'))]);
    assert.ok(await rejects('auth_late') >= 1);
  });

  for (const transport of ['tcp', 'tls']) {
    it(`over ${transport.toUpperCase()} may end while credentials are looked up`, async () => {
      const account = await addDevice(system, name());
      for (let round = 0; round < 5; round++) {
        const phone = await Phone.open(ports, account, transport, { ca: certificate.file });
        const options = { to: `<${uri(account.user)}>`, headers: [['Contact', `<${phone.contact}>`]] };
        const answer = await phone.response(phone.send('REGISTER', `sip:${DOMAIN}`, options));
        const requests = [];
        const raw = phone.raw.bind(phone);
        phone.raw = (text) => requests.push(text);
        for (let i = 0; i < 4; i++) {
          const login = `${account.user}+${token()}`;
          phone.send('REGISTER', `sip:${DOMAIN}`,
            { ...options, headers: [...options.headers, phone.credentials(answer, 'REGISTER', `sip:${DOMAIN}`, { login })] });
        }
        raw(`${requests.join('')}x\r\n\r\n`);
        await phone.closed;
      }
      const after = await Phone.open(ports, account, transport, { ca: certificate.file });
      assert.equal((await after.register()).status, 200);
      await after.close();
    });
  }

  it('that floods with keep-alives and is reset leaves the others alone', async () => {
    const flood = await Phone.open(ports, await addDevice(system, name()), 'tcp');
    const other = await Phone.open(ports, await addDevice(system, name()), 'tcp');
    flood.raw('\r\n'.repeat(60000));
    const began = Date.now();
    assert.equal((await other.register()).status, 200);
    assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`);
    const used = () => Promise.all([0, 1].map((w) => system.metric(w, 'duplex_signal_busy_microseconds_total').then((us) => us / 1e6)));
    flood.socket.resetAndDestroy();
    await flood.closed;
    const before = await used();
    await sleep(1000);
    const after = await used();
    for (const w of [0, 1]) assert.ok(after[w] - before[w] < 0.5, `worker ${w} was busy for ${after[w] - before[w]} s`);
    await other.close();
  });

  it('gets 513 for a message that is too long', async () => {
    const phone = await registered(system, ports, name(), 'tcp');
    const sent = phone.send('MESSAGE', uri('alice'), { length: 65535 });
    assert.equal((await phone.response(sent)).status, 513);
    await phone.closed;
  });

  it('that breaks takes its registration along after the grace', async () => {
    const phone = await registered(system, ports, name(), 'tcp');
    phone.socket.destroy();
    await until('no binding', async () => await bindings(phone.user) === 0, 5000);
  });

  it('over TLS keeps its certificate when another is loaded', async () => {
    const old = await registered(system, ports, name(), 'tls', { ca: certificate.file });
    const next = makeCertificate(dir, 'next');
    renameSync(next.file, certificate.file);
    renameSync(next.key, certificate.key);
    for (const i of [0, 1]) system.signal(i, 'SIGHUP');
    await until('loaded', () => [0, 1].every((i) => system.log(i).includes('certificate-loaded')));
    const fresh = await registered(system, ports, name(), 'tls', { ca: certificate.file });
    assert.equal((await old.response(old.send('OPTIONS', `sip:${DOMAIN}`))).status, 200);
    assert.notDeepEqual(old.socket.getPeerCertificate().fingerprint256, fresh.socket.getPeerCertificate().fingerprint256);
    old.close();
    fresh.close();
  });
});
