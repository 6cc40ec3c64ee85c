// Memory of connections that wait, alone and behind nginx, and how many of them this machine holds.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CLIENT_CPU, SERVER_CPU, DOMAIN, dir, freePort, load, logOf, pss, root, say, sleep, start, startDuplex, startKamailio, stop, until, writeConf } from './servers.mjs';
import { round } from './ratios.mjs';

/** Registers `options.users` and keeps them; resolves when all are there. */
async function hold(server, options, name, seconds) {
  const ready = path.join(dir, `${name}.ready`);
  const child = load(server, { ...options, idle: true, seconds, setupSeconds: 300, ready }, { name });
  let over = null;
  child.report.then((r) => { over = r; }, (e) => { over = e; });
  await until(`${name}: all registered`, () => {
    if (over !== null && !existsSync(ready)) throw new Error(`${name} ended: ${over}`);
    return existsSync(ready);
  }, 300000);
  return child;
}

async function release(child) {
  child.kill('SIGTERM');
  return child.report;
}

export async function idleWs(plan, redis, out) {
  const users = plan.idleUsers, found = {};
  const conf = writeConf(redis);
  const servers = [await startDuplex(conf, 4)];
  if (plan.kamailioMemory) servers.push(await startKamailio());
  for (const server of servers) {
    // What the first connection makes (buffers, tables) is not an idle connection's.
    await release(await hold(server, { users: 50 }, `load.warm.${server.name}`, 600));
    await sleep(1500);
    const before = pss(server.pids());
    const child = await hold(server, { users }, `load.idle.${server.name}`, 3600);
    await sleep(plan.settleMs);
    const after = pss(server.pids());
    const report = await release(child);
    if (report.lost > 0 || report.open !== users) throw new Error(`${server.name}: ${report.lost} connections lost`);
    found[server.name] = { pss_with_none: before, pss: after, bytes: round((after - before) / users, 0) };
    say(`  ${server.name.padEnd(9)} ${found[server.name].bytes} bytes an idle registered WebSocket (${users})`);
    await stop(server.child);
  }
  out.bytes_per_idle_ws = found.duplex.bytes;
  out.idle_ws = { connections: users, ...found };
}

function certificate() {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${DOMAIN}`,
    '-keyout', path.join(dir, 'server.key'), '-out', path.join(dir, 'server.crt')], { stdio: 'ignore' });
}

/** The shipped door in small: stream with ssl_preread and PROXY header, then TLS with the shipped tls.conf, then the worker. Not there: the question to the API
 *  (the client sends the headers itself) and the request limits. */
async function startNginx(workers, socket, processes) {
  const port = await freePort();
  const tls = readFileSync(path.join(root, 'nginx/conf.d/tls.conf'), 'utf8').replaceAll('@PKI_DIR@', dir);
  mkdirSync(path.join(dir, 'nginx'), { recursive: true });
  writeFileSync(path.join(dir, 'nginx.conf'), readFileSync(path.join(root, 'bench/signalling/nginx.conf'), 'utf8')
    .replaceAll('@DIR@', dir).replaceAll('@PORT@', String(port)).replaceAll('@PROCESSES@', String(processes)).replaceAll('@TLS@', tls)
    .replaceAll('@UPSTREAM@', workers.map((w) => `server unix:${w.socket} max_fails=0;`).join(' ')));
  const child = start('nginx', SERVER_CPU, 'nginx', ['-c', path.join(dir, 'nginx.conf'), '-p', dir]);
  const pids = () => [child.pid, ...readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)];
  await until(`nginx: ${logOf('nginx')}`, () => existsSync(path.join(dir, 'run', 'front.sock')));
  await sleep(300);
  return { name: 'nginx', child, to: `tls:127.0.0.1:${port}`, pids, args: [] };
}

export async function idleWss(plan, redis, out) {
  const users = plan.wssUsers, conf = writeConf(redis);
  certificate();
  const worker = await startDuplex(conf, 5);
  const nginx = await startNginx([worker], null, Math.ceil(users / 4500) + 1);
  const both = () => [...nginx.pids(), worker.child.pid];
  await release(await hold(nginx, { users: 50 }, 'load.warm.wss', 600));
  await sleep(1500);
  const before = [pss(nginx.pids()), pss([worker.child.pid])];
  const child = await hold(nginx, { users, sources: '127.0.2.1,8,4000' }, 'load.wss', 3600);
  await sleep(plan.settleMs);
  const after = [pss(nginx.pids()), pss([worker.child.pid])];
  const processes = both().length;
  const report = await release(child);
  if (report.lost > 0) throw new Error(`wss: ${report.lost} connections lost`);
  await stop(nginx.child, 'SIGQUIT');
  await stop(worker.child);
  const per = (i) => round((after[i] - before[i]) / users, 0);
  out.bytes_per_idle_wss = per(0) + per(1);
  out.idle_wss = { connections: users, nginx_bytes: per(0), worker_bytes: per(1), processes };
  say(`  ${out.bytes_per_idle_wss} bytes an idle WSS connection, ${per(0)} of them nginx's (${users})`);
}

/** Many workers, many clients, loopback addresses; every connection answers pings, for minutes. */
export async function idleMany(plan, redis, out) {
  const conf = writeConf(redis), n = plan.manyWorkers, each = plan.manyEach;
  const workers = [];
  for (let i = 0; i < n; i++) workers.push(await startDuplex(conf, 10 + i, { tcp: true, cpu: i % 2 ? CLIENT_CPU : SERVER_CPU }));
  const clients = [];
  for (let i = 0; i < n; i++) {
    clients.push(await hold(workers[i], { users: each, first: i * each, sources: `127.0.${10 + i}.1,1,${each}` }, `load.many.${i}`, 3600));
    say(`  ${(i + 1) * each} connections`);
  }
  await sleep(plan.manySeconds * 1000);
  const reports = await Promise.all(clients.map(release));
  const lost = reports.reduce((a, r) => a + r.lost, 0), open = reports.reduce((a, r) => a + r.open, 0), pings = reports.reduce((a, r) => a + r.pings, 0);
  for (const w of workers) await stop(w.child);
  if (lost > 0) throw new Error(`${lost} idle connections were lost`);
  const expected = Math.floor(open * Math.max(0, plan.manySeconds / 25 - 1));
  if (pings < expected) throw new Error(`only ${pings} pings came, ${expected} should have`);
  out.idle_connections = open;
  out.idle_many = { workers: n, clients: n, held_s: plan.manySeconds, lost, pings_answered: pings };
  say(`  ${open} connections held for ${plan.manySeconds} s, ${pings} pings answered, none lost`);
}

export const cleanup = () => rmSync(path.join(dir, 'nginx'), { recursive: true, force: true });
