// Where a worker's CPU time goes, by stage: samples of the CPU clock, each counted for the file of the function that ran, or for the system call it was in.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CLIENT_CPU, bin, dir, load, say, sleep, start, startDuplex, stop, until, writeConf } from './servers.mjs';
import { round } from './ratios.mjs';

const STAGES = [
  [/^(ws_|conn)/, 'WebSocket'], [/^sip_/, 'parse and build'], [/^rds/, 'Redis'], [/^(loop|timer|clock)/, 'loop and timers'],
  [/^(txn|fork|proxy|call|session|usermap)/, 'transactions and calls'], [/^(reg_|location|flow|message|presence|event|peer|node)/, 'registrar, presence, chat'],
  [/^crypto/, 'crypto'], [/^(buf|str|log|user|perm|rkeys|metrics|httpd|cdr|err)/, 'text and buffers'],
];
const KERNEL = [
  [/tcp_sendmsg/, 'kernel: send to clients'], [/tcp_recvmsg/, 'kernel: receive from clients'], [/unix_stream_sendmsg/, 'kernel: send to Redis'],
  [/unix_stream_(recvmsg|read)/, 'kernel: receive from Redis'], [/epoll_wait|ep_poll|schedule/, 'kernel: wait and switch'],
];

/** Function name -> stage, from the objects; a name that two files have stays without one. */
function stagesOfFunctions() {
  const map = new Map();
  for (const part of ['signalling', 'common']) {
    for (const file of readdirSync(path.join(bin, part)).filter((f) => f.endsWith('.o'))) {
      const stage = STAGES.find(([pattern]) => pattern.test(file))?.[1] ?? 'other';
      for (const text of execFileSync('nm', ['--defined-only', path.join(bin, part, file)], { encoding: 'utf8' }).split('\n')) {
        const name = / [tT] (\S+)/.exec(text)?.[1]?.replace(/\..*/, '');
        if (name) map.set(name, map.has(name) && map.get(name) !== stage ? 'other' : stage);
      }
    }
  }
  return map;
}

function stageOf(frames, functions) {
  const [leaf] = frames;
  if (/kernel|\[unknown\]|vmlinux/.test(leaf.dso)) {
    for (const [pattern, stage] of KERNEL) if (frames.some((f) => pattern.test(f.sym))) return stage;
    return 'kernel: other';
  }
  if (/libcrypto/.test(leaf.dso)) return 'crypto';
  if (/hiredis/.test(leaf.dso)) return 'Redis';
  if (/libc\./.test(leaf.dso)) return 'memory and copies (libc)';
  return functions.get(leaf.sym.replace(/\..*/, '')) ?? 'other';
}

function aggregate(script, functions) {
  const count = new Map(), symbols = new Map();
  let total = 0;
  for (const block of script.split(/\n\s*\n/)) {
    const frames = [...block.matchAll(/^\s+[0-9a-f]+ (.*) \((.*)\)$/gm)].map(([, sym, dso]) => ({ sym: sym.replace(/\+0x[0-9a-f]+$/, ''), dso }));
    if (frames.length === 0) continue;
    const stage = stageOf(frames, functions);
    count.set(stage, (count.get(stage) ?? 0) + 1);
    symbols.set(frames[0].sym, (symbols.get(frames[0].sym) ?? 0) + 1);
    total++;
  }
  const share = (map, n) => Object.fromEntries([...map].sort((a, b) => b[1] - a[1]).slice(0, n).map(([k, v]) => [k, round(v / total, 3)]));
  return { samples: total, share: share(count, 99), functions: share(symbols, 25) };
}

export async function split(plan, redis, out) {
  const functions = stagesOfFunctions();
  const worker = await startDuplex(writeConf(redis), 6, { tcp: true });
  out.split = {};
  for (const kind of plan.kinds) {
    const rate = plan.rate?.[kind] ?? out.operations?.[kind]?.at_per_s ?? plan.splitRate[kind];
    const ready = path.join(dir, 'split.ready'), data = path.join(dir, `${kind}.perf`);
    rmSync(ready, { force: true });
    const child = load(worker, { users: plan.users, [kind]: rate, seconds: 600, warmup: 0.5, ready });
    await until('registrations', () => existsSync(ready));
    await sleep(700);
    const perfCode = await start('perf', CLIENT_CPU, 'perf', ['record', '-q', '-e', 'cpu-clock', '-F', '4000', '-g', '-p', worker.child.pid, '-o', data, '--',
      'sleep', plan.splitSeconds]).done;
    child.kill('SIGTERM');
    const report = await child.report;
    if (report.code !== 0) throw new Error(`split: ${JSON.stringify(report.failed)}`);
    if (perfCode !== 0) {
      out.split = { why_not: 'perf could not record here' };
      say('  perf could not record here');
      break;
    }
    const script = execFileSync('perf', ['script', '-i', data, '-F', 'ip,sym,dso'], { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] });
    const found = aggregate(script, functions), us = report.cpu_s.server / report[kind].completed * 1e6;
    out.split[kind] = { at_per_s: rate, us: round(us, 1), stage_us: Object.fromEntries(Object.entries(found.share).map(([k, v]) => [k, round(v * us, 2)])), ...found };
    say(`  ${kind} at ${rate}/s, ${round(us, 1)} us: ${Object.entries(out.split[kind].stage_us).map(([k, v]) => `${k} ${v}`).join(', ')}`);
  }
  await stop(worker.child);
}
