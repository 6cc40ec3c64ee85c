// What an idle client costs: registered, as a page is that waits for a call. `node --test tests/sip/memory.test.mjs` prints it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { System } from './lib/system.mjs';
import { device } from './lib/client.mjs';

const FIRST = 300; // tables and the first pages of the heap come with them
const CLIENTS = 1500;
const ALLOWED = 2048; // bytes

/** Memory that the process has written and shares with nobody: libraries do not count. */
const own = (pid) => 1024 * Number(/^Private_Dirty:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);

it('an idle registered client takes less than 2 KB of its worker', { skip: /asan/.test(process.env.DUPLEX_SIGNALLING ?? '') && 'a sanitizer has its own memory' }, async (t) => {
  const system = await System.start({ workers: 1 });
  try {
    const clients = [];
    const session = 'a'.repeat(32);
    await system.redis('EVAL', `for i = 0, ${FIRST + CLIENTS - 1} do
      redis.call('HSET', 'user:{user' .. i .. '}', 'state', 'active')
      redis.call('HSET', 'session:{user' .. i .. '}:${session}', 'created', 0)
    end`, 0);
    const come = async (count) => {
      const names = Array.from({ length: count }, (_, i) => `user${clients.length + i}`);
      for (let i = 0; i < names.length; i += 50)
        clients.push(...await Promise.all(names.slice(i, i + 50).map((name) => device(system, name, { session }))));
    };
    await come(FIRST);
    const before = own(system.pid(0));
    await come(CLIENTS);
    const each = Math.round((own(system.pid(0)) - before) / CLIENTS);
    t.diagnostic(`${each} bytes a client (private memory, ${CLIENTS} clients)`);
    assert.ok(each > 100 && each < ALLOWED, `${each} bytes`);
    await Promise.all(clients.map((ua) => ua.cut()));
  } finally {
    await system.stop();
  }
});
