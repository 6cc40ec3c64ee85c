// What several nodes need: an authority of the cluster with certificates of nodes, ports, and a line between nodes that can be cut.
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });

export class Authority {
  constructor(dir, name = 'cluster') {
    this.dir = path.join(dir, `${name}-ca`);
    mkdirSync(this.dir);
    this.certificate = path.join(this.dir, 'ca.crt');
    this.key = path.join(this.dir, 'ca.key');
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.key, '-out', this.certificate, '-days', '2',
      '-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0', '-addext', 'keyUsage=critical,keyCertSign');
  }

  /** A certificate of the node, in place of the one it may have; `names`: what it says instead. */
  issue(node, { names = `DNS:${node}`, usage = 'serverAuth,clientAuth', as = node, days = '2' } = {}) {
    const file = (ending) => path.join(this.dir, `${as}.${ending}`);
    writeFileSync(file('ext'), `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${usage}\nsubjectAltName=${names}\n`);
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('key.new'), '-out', file('csr'), '-subj', `/CN=${node}`);
    openssl('x509', '-req', '-in', file('csr'), '-CA', this.certificate, '-CAkey', this.key, '-CAcreateserial', '-days', days, '-extfile', file('ext'),
      '-out', file('crt.new'));
    renameSync(file('key.new'), file('key'));
    renameSync(file('crt.new'), file('crt'));
    return { certificate: file('crt'), key: file('key') };
  }
}

const listens = (port) => new Promise((resolve) => {
  const server = net.createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
});

/** The first of `count` free ports in a row, below those that the kernel gives out. */
export async function freePorts(count) {
  for (;;) {
    const base = 10000 + Math.floor(Math.random() * 20000);
    let free = true;
    for (let i = 0; i < count && free; i++) free = await listens(base + i);
    if (free) return base;
  }
}

/** A line between nodes: whoever connects here comes out at the other end, until it is cut. */
export class Line {
  #pairs = new Set();
  #frozen = false;

  static async open(port, count = 1) {
    const line = new Line();
    line.port = await freePorts(count);
    line.servers = [];
    for (let i = 0; i < count; i++) await line.#serve(line.port + i, port + i);
    return line;
  }

  async #serve(port, to) {
    const server = net.createServer({ pauseOnConnect: true }, (near) => {
      const far = net.connect(to, '127.0.0.1');
      const pair = { near, far };
      this.#pairs.add(pair);
      for (const [a, b] of [[near, far], [far, near]]) {
        a.on('data', (data) => { if (!this.#frozen) b.write(data); });
        a.on('error', () => {});
        a.on('close', () => { b.destroy(); this.#pairs.delete(pair); });
      }
      near.resume();
    });
    server.target = { port, to };
    this.servers.push(server);
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  }

  /** As if the cable were pulled: nothing passes, nobody is told. */
  freeze() { this.#frozen = true; }
  /** As if the port were closed: what is there breaks, what is new is refused. */
  async refuse() {
    const servers = this.servers.splice(0);
    this.targets = servers.map((server) => server.target);
    const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const { near, far } of this.#pairs) { near.destroy(); far.destroy(); }
    await Promise.all(closed);
  }

  async mend() {
    this.#frozen = false;
    for (const { near, far } of this.#pairs) { near.destroy(); far.destroy(); } // half of what was said is lost
    for (const { port, to } of this.targets?.splice(0) ?? []) await this.#serve(port, to);
  }

  async close() { this.#frozen = false; if (this.servers.length > 0) await this.refuse(); }
}
