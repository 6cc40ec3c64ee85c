#!/usr/bin/env node
// All figures of signalling into one file; what is measured and how to read it: docs/benchmarks.md.
//
// Environment: QUICK=1 (under a minute in all), PARTS (of: ratios latency memory wss many storm parse split), KINDS (of: register call message), ROUNDS,
// RATE_REGISTER, RATE_CALL, RATE_MESSAGE (operations a second instead of half of Kamailio's best), SERVER_CPU, CLIENT_CPU, BIN, OUT.
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bin, root, say, startRedis, stop, stopAll, versions } from './signalling/servers.mjs';
import { KINDS, latency, ratios, storm } from './signalling/ratios.mjs';
import { idleMany, idleWs, idleWss } from './signalling/memory.mjs';
import { split } from './signalling/split.mjs';

const quick = process.env.QUICK === '1';
const number = (name, preset) => (process.env[name] ? Number(process.env[name]) : preset);
const rate = Object.fromEntries(KINDS.map((k) => [k, number(`RATE_${k.toUpperCase()}`)]).filter(([, v]) => v > 0));
const plan = {
  kinds: process.env.KINDS?.split(' ') ?? KINDS, rate, users: 1000,
  rounds: number('ROUNDS', quick ? 1 : 7), seconds: quick ? 0.8 : 3, warmup: quick ? 0.3 : 1,
  satRounds: quick ? 1 : 3, satSeconds: quick ? 0.8 : 3,
  latencyRounds: number('ROUNDS', quick ? 1 : 7), latencySeconds: quick ? 1 : 4, kamailioCalls: 4600,
  stormUsers: quick ? 1000 : 5000, stormTimes: quick ? 1 : 3, stormRounds: quick ? 1 : 3,
  idleUsers: number('IDLE', quick ? 2000 : 19000), settleMs: quick ? 1000 : 10000, kamailioMemory: !quick,
  wssUsers: number('WSS', quick ? 1000 : 16000),
  manyWorkers: quick ? 2 : 6, manyEach: number('MANY_EACH', quick ? 1000 : 17500), manySeconds: number('MANY_SECONDS', quick ? 3 : 300),
  splitSeconds: quick ? 0.8 : 4, splitRate: { register: 20000, call: 2000, message: 6000 },
};

const parts = {
  parse: async (out) => {
    const found = JSON.parse(execFileSync(path.join(bin, 'parse-time'), { encoding: 'utf8' }));
    Object.assign(out, { parse_us: found.parse_us, parse: found });
    say(`  ${found.parse_us} us, libosip2 ${found.osip_us} us`);
  },
  ratios: (out, redis) => ratios(plan, redis, out),
  latency: (out, redis) => latency(plan, redis, out),
  memory: (out, redis) => idleWs(plan, redis, out),
  wss: (out, redis) => idleWss(plan, redis, out),
  storm: (out, redis) => storm(plan, redis, out),
  split: (out, redis) => split(plan, redis, out),
  many: (out, redis) => idleMany(plan, redis, out),
};

const wanted = process.env.PARTS?.split(/\s+/).filter(Boolean) ?? Object.keys(parts);
const file = path.resolve(root, process.env.OUT ?? 'build/bench/signalling.json');
const figures = ['register_ratio', 'call_ratio', 'message_ratio', 'p99_ratio', 'bytes_per_idle_ws', 'bytes_per_idle_wss', 'idle_connections', 'storm_ratio', 'parse_us'];

async function main() {
  const out = {};
  for (const name of wanted) {
    if (!parts[name]) throw new Error(`no part ${name}; there are: ${Object.keys(parts).join(' ')}`);
    const from = Date.now();
    say(name);
    // A fresh store each: what one part has registered shall not be in the way of the next.
    const redis = name === 'parse' ? undefined : await startRedis(name === 'many' ? plan.manyWorkers * plan.manyEach : Math.max(plan.idleUsers, plan.stormUsers, plan.wssUsers));
    await parts[name](out, redis);
    if (redis) await stop(redis.child, 'SIGKILL');
    say(`  (${Math.round((Date.now() - from) / 1000)} s)`);
  }
  const top = Object.fromEntries(figures.filter((k) => out[k] !== undefined).map((k) => [k, out[k]]));
  const rest = Object.fromEntries(Object.entries(out).filter(([k]) => !figures.includes(k)));
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify({ ...top, conditions: { quick, parts: wanted, ...versions() }, ...rest }, null, 1)}\n`);
  renameSync(`${file}.new`, file);
  for (const [key, value] of Object.entries(top)) process.stdout.write(`${key} ${value}\n`);
  process.stdout.write(`written to ${file}\n`);
}

let code = 0;
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => { void stopAll().finally(() => process.exit(130)); });
try {
  await main();
} catch (error) {
  process.stderr.write(`bench-signalling: ${error.stack ?? error}\n`);
  code = 2;
} finally {
  await stopAll();
}
process.exit(code);
