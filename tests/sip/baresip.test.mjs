// Debian's baresip as desk phones: registration, calls with audio that is heard, and their ends. Its library knows MD5 only, and gives up when another
// algorithm is offered as well.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, it } from 'node:test';
import { System, until } from './lib/system.mjs';
import { device, uri } from './lib/client.mjs';
import { addDevice, phoneOptions } from './lib/phone.mjs';
import { Baresip } from './lib/baresip.mjs';

let system, ports, certificate;
const dir = mkdtempSync(path.join(tmpdir(), 'duplex-baresip-'));
before(async () => {
  const made = await phoneOptions(dir, { 'sip-auth': 'md5', 'sip-udp-request-max': 4000 });
  ({ ports, certificate } = made);
  system = await System.start({ options: made.options });
});
after(async () => {
  await system.stop();
  rmSync(dir, { recursive: true, force: true });
});

const bindings = async (user) => Number(await system.redis('HLEN', `location:{${user}}`));
let users = 0;
const start = async (transport, options = {}) => Baresip.start(dir, await addDevice(system, `person${++users}`), ports[transport], transport,
  { ca: certificate.file, ...options });

for (const [a, b] of [['udp', 'udp'], ['tcp', 'udp'], ['tls', 'tcp']]) {
  it(`a call from ${a} to ${b} has sound both ways`, async () => {
    const caller = await start(a, { hertz: 440 }), callee = await start(b, { hertz: 1000, auto: true });
    try {
      caller.command('dial', uri(callee.user));
      await caller.event('CALL_ESTABLISHED');
      await callee.event('CALL_ESTABLISHED');
      await until('the callee hears the caller', () => callee.hears(440) > 0.8, 10000);
      await until('the caller hears the callee', () => caller.hears(1000) > 0.8, 10000);
      assert.ok(callee.hears(1000) < 0.1);
      caller.command('hangup');
      await callee.event('CALL_CLOSED');
      await until('a record', async () => (await system.redis('XRANGE', `history:{${callee.user}}`, '-', '+')).includes('completed'));
    } finally {
      await caller.stop();
      await callee.stop();
    }
  });
}

it('an administrator hangs up', async () => {
  const caller = await start('udp'), callee = await start('udp', { auto: true });
  try {
    caller.command('dial', uri(callee.user));
    await caller.event('CALL_ESTABLISHED');
    const live = await until('live', async () => /([0-9a-f]{32})/.exec((await system.redis('HGETALL', 'live:n1.0')) + (await system.redis('HGETALL', 'live:n1.1'))));
    await system.event('call.hangup', 'id', live[1], 'by', 'admin');
    await caller.event('CALL_CLOSED', 2000);
    await callee.event('CALL_CLOSED', 2000);
  } finally {
    await caller.stop();
    await callee.stop();
  }
});

it('the caller cancels, and the callee refuses', async () => {
  const caller = await start('tcp'), callee = await start('udp');
  try {
    caller.command('dial', uri(callee.user));
    await callee.event('CALL_INCOMING');
    await caller.event('CALL_RINGING');
    caller.command('hangup');
    await callee.event('CALL_CLOSED');
    caller.events.length = 0;
    caller.command('dial', uri(callee.user));
    await callee.event('CALL_INCOMING');
    callee.command('hangup');
    await caller.event('CALL_CLOSED');
  } finally {
    await caller.stop();
    await callee.stop();
  }
});

it('a browser is refused by 488, and the phone is not rung', async () => {
  const phone = await start('udp');
  const page = await device(system, `person${++users}`);
  try {
    const answer = await page.ask('INVITE', uri(phone.user), { headers: [['Contact', `<${page.contact}>`]],
      body: 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n' });
    assert.equal(answer.status, 488);
    assert.equal(phone.events.filter((e) => e.type === 'CALL_INCOMING').length, 0);
    phone.command('dial', uri(page.user));
    const closed = await phone.event('CALL_CLOSED');
    assert.match(closed.param, /488/);
  } finally {
    await phone.stop();
    await page.close();
  }
});

it('leaves no registration behind', async () => {
  const phone = await start('tls');
  assert.equal(await bindings(phone.user), 1);
  await phone.stop();
  assert.equal(await bindings(phone.user), 0);
});
