// Figures that compare Duplex's worker with Kamailio: CPU time an operation at equal rates, saturated rates, latency, the return of all clients at once.
import { load, say, sleep, startDuplex, startKamailio, stop, writeConf } from './servers.mjs';

export const KINDS = ['register', 'call', 'message'];
const WINDOW = { register: 128, call: 48, message: 64 };

export const median = (list) => {
  const s = [...list].sort((a, b) => a - b);
  return s.length === 0 ? null : s.length % 2 ? s[(s.length - 1) / 2] : (s[s.length / 2 - 1] + s[s.length / 2]) / 2;
};
export const round = (x, digits = 2) => (x === null || !Number.isFinite(x) ? null : Number(x.toFixed(digits)));

function verify(server, report) {
  if (report.code !== 0) throw new Error(`${server.name}: sipload found wrong answers: ${JSON.stringify(report.failed)}`);
}

/** One run of one kind; microseconds of CPU time an operation, and whether anybody was at its limit. */
async function run(server, kind, how, plan, redis) {
  const options = { users: plan.users, [kind]: how, seconds: plan.seconds, warmup: plan.warmup };
  const report = await load(server, options, { cpuOf: redis ? { redis: [redis.child.pid] } : {} }).report;
  verify(server, report);
  const one = report[kind], per = (label) => report.cpu_s[label] / one.completed * 1e6;
  return { server: server.name, to: server.to.split(':')[0], kind, asked: how, per_s: round(one.per_s, 0), cpu_us: round(per('server'), 1), client_us: round(per('client'), 1),
    redis_us: redis ? round(per('redis'), 1) : undefined, server_busy: round(report.cpu_s.server / report.seconds), client_busy: round(report.cpu_s.client / report.seconds),
    p50_us: one.latency_us.p50, p99_us: one.latency_us.p99 };
}

const line = (r) => `  ${r.server.padEnd(9)}${r.to.padEnd(5)} ${r.kind.padEnd(9)} ${String(r.per_s).padStart(6)}/s  ${String(r.cpu_us).padStart(6)} us of CPU` +
  `${r.redis_us === undefined ? '' : ` (+ ${r.redis_us} Redis)`}  p50 ${r.p50_us} p99 ${r.p99_us} us  busy ${r.server_busy}, client ${r.client_busy}`;

/** What the machine did not let happen at its rate is tried again, twice. */
async function held(rate, attempt, perS) {
  for (let tries = 0; ; tries++) {
    const r = await attempt();
    if (tries === 2 || perS(r) > 0.97 * rate) return r;
    say('  the rate was not held; again');
  }
}

async function measured(list, server, kind, how, plan, redis) {
  const once = () => run(server, kind, how, plan, redis);
  const r = typeof how === 'number' ? await held(how, once, (x) => x.per_s) : await once();
  say(line(r));
  list.push(r);
  return r;
}

/** The order alternates, so that a machine that slows down or warms up favours neither. */
async function inTurns(rounds, servers, fn) {
  for (let i = 0; i < rounds; i++) for (const server of i % 2 ? [...servers].reverse() : servers) await fn(server);
}

/** Saturated rates first: half of Kamailio's best is the rate at which CPU time is compared. */
export async function ratios(plan, redis, out) {
  const conf = writeConf(redis);
  const saturated = [], steady = [], shipped = [], top = {};
  for (const kind of plan.kinds) {
    // Anew for each kind: Kamailio's memory is slower once many calls have been through it.
    const duplex = await startDuplex(conf, 0, { tcp: true }), kamailio = await startKamailio();
    await inTurns(plan.satRounds, [kamailio, duplex], (s) => measured(saturated, s, kind, `w${WINDOW[kind]}`, { ...plan, seconds: plan.satSeconds }, s === duplex && redis));
    const best = (name) => median(saturated.filter((r) => r.kind === kind && r.server === name).map((r) => r.per_s));
    const rate = plan.rate?.[kind] ?? Math.round(best('kamailio') / 2);
    await inTurns(plan.rounds, [kamailio, duplex], (s) => measured(steady, s, kind, rate, plan, s === duplex && redis));
    for (const s of [duplex, kamailio]) await stop(s.child);
    // Not beside the other worker: each of them reads the events of presence that the other's calls make.
    const unix = await startDuplex(conf, 1);
    await measured(shipped, unix, kind, rate, plan, redis);
    await stop(unix.child);
    const cost = (list, name) => median(list.filter((r) => r.kind === kind && r.server === name).map((r) => r.cpu_us));
    out[`${kind}_ratio`] = round(cost(steady, 'kamailio') / cost(steady, 'duplex'));
    top[kind] = { at_per_s: rate, duplex_us: cost(steady, 'duplex'), kamailio_us: cost(steady, 'kamailio'), duplex_unix_us: cost(shipped, 'duplex'),
      redis_us: median(steady.filter((r) => r.kind === kind && r.redis_us !== undefined).map((r) => r.redis_us)),
      saturated_per_s: { duplex: best('duplex'), kamailio: best('kamailio') }, saturated_ratio: round(best('duplex') / best('kamailio')),
      saturated_cpu_ratio: round(cost(saturated, 'kamailio') / cost(saturated, 'duplex')),
      client_was_the_limit: saturated.some((r) => r.kind === kind && r.server === 'duplex' && r.client_busy > 0.93),
      rate_was_held: steady.filter((r) => r.kind === kind).every((r) => r.per_s > 0.97 * rate) };
  }
  out.operations = { ...top, runs: { saturated, steady, shipped } };
}

/** INVITE to 200 at half of Kamailio's best rate, everything at real-time priority: a millisecond in which another program had the CPU would be the figure. */
export async function latency(plan, redis, out) {
  const conf = writeConf(redis);
  const duplex = await startDuplex(conf, 2, { tcp: true, fifo: true }), kamailio = await startKamailio({ fifo: true });
  const rate = plan.rate?.call ?? Math.round((out.operations?.call?.saturated_per_s.kamailio ?? plan.kamailioCalls) / 2);
  const runs = { duplex: [], kamailio: [] };
  await inTurns(plan.latencyRounds, [kamailio, duplex], async (server) => {
    const report = await held(rate, () => load(server, { users: plan.users, call: rate, seconds: plan.latencySeconds, warmup: 0.5 },
      { fifo: true }).report.then((r) => { verify(server, r); return r; }), (r) => r.call.per_s);
    const { latency_us: us, ringing_us: ringing, bye_us: bye, per_s: perS } = report.call;
    say(`  ${server.name.padEnd(9)} ${perS} calls/s: 200 after p50 ${us.p50} p99 ${us.p99} us`);
    runs[server.name].push({ per_s: perS, answered_us: us, ringing_us: ringing, bye_us: bye });
  });
  for (const s of [duplex, kamailio]) await stop(s.child);
  const p = (name, at) => median(runs[name].map((r) => r.answered_us[at]));
  out.p99_ratio = round(p('duplex', 'p99') / p('kamailio', 'p99'));
  out.latency = { at_calls_per_s: rate, what: 'INVITE sent to 200 received, both sides played by sipload',
    duplex_us: { p50: p('duplex', 'p50'), p99: p('duplex', 'p99') }, kamailio_us: { p50: p('kamailio', 'p50'), p99: p('kamailio', 'p99') }, runs };
}

export async function storm(plan, redis, out) {
  const conf = writeConf(redis);
  const duplex = await startDuplex(conf, 3, { tcp: true }), kamailio = await startKamailio();
  const runs = { duplex: [], kamailio: [] };
  await inTurns(plan.stormRounds, [kamailio, duplex], async (server) => {
    const report = await load(server, { users: plan.stormUsers, storm: plan.stormTimes, setupWindow: 200 }).report;
    say(`  ${server.name.padEnd(9)} ${plan.stormUsers} clients back after ${report.storm_ms.join(', ')} ms`);
    if (report.registered !== plan.stormUsers) throw new Error(`${server.name}: ${report.registered} came back`);
    runs[server.name].push({ storm_ms: report.storm_ms, cpu_s: report.cpu_s, turned_away: report.turned_away, queue_full: report.queue_full, failed: report.failed });
    await sleep(300);
  });
  for (const s of [duplex, kamailio]) await stop(s.child);
  const ms = (name) => round(median(runs[name].flatMap((r) => r.storm_ms)), 0);
  out.storm_ratio = round(ms('duplex') / ms('kamailio'));
  out.storm = { clients: plan.stormUsers, duplex_ms: ms('duplex'), kamailio_ms: ms('kamailio'), runs };
}
