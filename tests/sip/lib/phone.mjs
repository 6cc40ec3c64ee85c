// A desk phone over UDP, TCP or TLS, as small as the tests allow, and free to break every rule.
import { createHash, randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { parse, tagOf, uri } from './client.mjs';
import { DOMAIN, until } from './system.mjs';

const token = () => randomBytes(8).toString('hex');
const hash = (algorithm, text) => createHash(algorithm === 'SHA-256' ? 'sha256' : 'md5').update(text).digest('hex');

/** A port on loopback that nobody uses now, for UDP and TCP alike. */
export async function freePort() {
  for (;;) {
    const server = net.createServer();
    const port = await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
    await new Promise((resolve) => server.close(resolve));
    const socket = dgram.createSocket('udp4');
    const free = await new Promise((resolve) => socket.once('error', () => resolve(false)).bind(port, '127.0.0.1', () => resolve(true)));
    socket.close();
    if (free) return port;
  }
}

/** Options of [signalling] for phones on loopback, and where to reach them. `dir`: where the certificate goes. */
export async function phoneOptions(dir, more = {}) {
  const ports = { udp: await freePort(), tcp: await freePort(), tls: await freePort() };
  const certificate = makeCertificate(dir, 'server');
  return { ports, certificate, options: { 'sip-listen-udp': `127.0.0.1:${ports.udp}`, 'sip-listen-tcp': `127.0.0.1:${ports.tcp}`,
    'sip-listen-tls': `127.0.0.1:${ports.tls}`, 'sip-certificate': certificate.file, 'sip-certificate-key': certificate.key, ...more } };
}

export function makeCertificate(dir, name) {
  const file = path.join(dir, `${name}.pem`), key = path.join(dir, `${name}.key`);
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', file,
    '-days', '2', '-subj', `/CN=${DOMAIN}`, '-addext', `subjectAltName=DNS:${DOMAIN},IP:127.0.0.1`]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
  return { file, key };
}

/** A device as the API makes it. */
export async function addDevice(system, user, { role = 'user' } = {}) {
  const id = token(), login = `${user}+${id}`, secret = token();
  await system.redis('HSET', `user:{${user}}`, 'state', 'active', 'display_name', user, 'role', role, 'rev', 1);
  await system.redis('HSET', `device:{${user}}:${id}`, 'name', 'Phone', 'created', Date.now(), 'used', 0,
    'sha256', hash('SHA-256', `${login}:${DOMAIN}:${secret}`), 'md5', hash('MD5', `${login}:${DOMAIN}:${secret}`));
  return { user, id, login, secret, session: `d-${id}` };
}

/** "Digest a=b, …" -> { a: 'b' } */
export const challengeOf = (value) => Object.fromEntries([...value.matchAll(/(\w+)=(?:"([^"]*)"|([^,\s]+))/g)].map(([, k, q, t]) => [k, q ?? t]));

export class Phone {
  messages = [];
  waiting = [];
  cseq = 1;
  count = 0;
  autoAnswer = true;

  constructor(device) {
    this.device = device;
    this.user = device.user;
    this.registerCallId = token();
    this.registerCseq = 0;
    this.instance = `urn:uuid:${token().slice(0, 8)}-0000-4000-8000-${token().slice(0, 12)}`;
  }

  /** `transport`: udp, tcp or tls. */
  static async open(ports, device, transport, options = {}) {
    const phone = new Phone(device);
    await phone.open(ports[transport], transport, options);
    return phone;
  }

  async open(port, transport, { ca, localPort } = {}) {
    this.transport = transport;
    this.port = port;
    if (transport === 'udp') {
      this.socket = dgram.createSocket('udp4');
      await new Promise((resolve) => this.socket.bind(localPort ?? 0, '127.0.0.1', resolve));
      this.socket.on('message', (data) => this.take(data));
      this.host = `127.0.0.1:${this.socket.address().port}`;
      this.closed = new Promise((resolve) => this.socket.once('close', resolve));
    } else {
      this.socket = transport === 'tls'
        ? tls.connect({ host: '127.0.0.1', port, servername: DOMAIN, ca: ca ? readFileSync(ca) : undefined, rejectUnauthorized: Boolean(ca) })
        : net.connect({ host: '127.0.0.1', port });
      this.buffer = Buffer.alloc(0);
      this.socket.on('data', (data) => this.stream(data));
      this.socket.on('error', () => {});
      this.closed = new Promise((resolve) => this.socket.once('close', resolve));
      await new Promise((resolve, reject) => {
        this.socket.once(transport === 'tls' ? 'secureConnect' : 'connect', resolve);
        this.socket.once('error', reject);
      });
      this.host = `127.0.0.1:${this.socket.localPort}`;
    }
    this.contact = `sip:${this.user}@${this.host};transport=${transport}`;
  }

  stream(data) {
    this.buffer = Buffer.concat([this.buffer, data]);
    for (;;) {
      if (this.buffer.subarray(0, 2).equals(Buffer.from('\r\n'))) {
        this.deliver({ keepalive: true });
        this.buffer = this.buffer.subarray(2);
        continue;
      }
      const end = this.buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/^(?:content-length|l)\s*:\s*(\d+)/im.exec(this.buffer.subarray(0, end).toString())[1]);
      if (this.buffer.length < end + 4 + length) return;
      this.take(this.buffer.subarray(0, end + 4 + length));
      this.buffer = this.buffer.subarray(end + 4 + length);
    }
  }

  take(data) {
    if (this.transport === 'udp' && data[0] < 2) return this.deliver({ stun: data });
    const message = parse(data.toString());
    if (this.autoAnswer && (message.method === 'NOTIFY' || message.method === 'MESSAGE')) this.reply(message, 200);
    return this.deliver(message);
  }

  deliver(message) {
    const at = this.waiting.findIndex(({ want }) => want(message));
    if (at < 0) this.messages.push(message);
    else this.waiting.splice(at, 1)[0].resolve(message);
  }

  next(want, what = 'message', ms = 10000) {
    const at = this.messages.findIndex(want);
    if (at >= 0) return Promise.resolve(this.messages.splice(at, 1)[0]);
    return new Promise((resolve, reject) => {
      const entry = { want, resolve: (message) => { clearTimeout(timer); resolve(message); } };
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        reject(new Error(`${this.user}: no ${what} within ${ms} ms; there are: ${this.messages.map((m) => m.method ?? m.status).join(' ')}`));
      }, ms);
      this.waiting.push(entry);
    });
  }

  request(method, ms) { return this.next((m) => m.method === method, method, ms); }
  response(sent, want = (status) => status >= 200, ms = undefined) {
    return this.next((m) => m.status !== undefined && want(m.status) && m.get('Call-ID') === sent.callId &&
      m.get('CSeq') === `${sent.cseq} ${sent.method}`, `response to ${sent.method}`, ms);
  }

  raw(bytes) {
    if (this.transport === 'udp') this.socket.send(bytes, this.port, '127.0.0.1');
    else this.socket.write(bytes);
  }

  close() {
    if (this.transport === 'udp') this.socket.close();
    else this.socket.end();
    return this.closed;
  }

  /** Sends a request; gives what identifies it, the bytes among it. Any field may be overridden. */
  send(method, target, { headers = [], body = '', type, from = `<${uri(this.user)}>;tag=${this.tag ?? token()}`, to = `<${target}>`, callId = token(),
    cseq = this.cseq++, branch = `z9hG4bK${token()}`, route = [], rport = true, via, length } = {}) {
    const lines = [`${method} ${target} SIP/2.0`,
      `Via: ${via ?? `SIP/2.0/${this.transport.toUpperCase()} ${this.host}${rport ? ';rport' : ''}`};branch=${branch}`,
      ...route.map((value) => `Route: ${value}`), 'Max-Forwards: 70', `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`, `CSeq: ${cseq} ${method}`,
      ...headers.map(([name, value]) => `${name}: ${value}`)];
    if (body) lines.push(`Content-Type: ${type ?? 'application/sdp'}`);
    lines.push(`Content-Length: ${length ?? Buffer.byteLength(body)}`, '', body);
    const text = lines.join('\r\n');
    this.raw(text);
    this.last = { method, target, from, to, callId, cseq, branch, headers, route, text };
    return this.last;
  }

  /** The header that answers a challenge. */
  credentials(answer, method, target, { algorithm, nc, cnonce = token(), nonce, login = this.device.login, secret = this.device.secret, digestUri = target } = {}) {
    const name = answer.status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate';
    const all = answer.all(name).filter((v) => v.startsWith('Digest')).map(challengeOf);
    const c = algorithm ? all.find((x) => x.algorithm === algorithm) : all[0];
    if (!c) throw new Error(`no challenge for ${algorithm}`);
    const used = nonce ?? c.nonce;
    this.count = used === this.nonce ? this.count + 1 : 1;
    this.nonce = used;
    const counter = (nc ?? this.count).toString(16).padStart(8, '0');
    const response = hash(c.algorithm, `${hash(c.algorithm, `${login}:${c.realm}:${secret}`)}:${used}:${counter}:${cnonce}:auth:${
      hash(c.algorithm, `${method}:${digestUri}`)}`);
    return [answer.status === 401 ? 'Authorization' : 'Proxy-Authorization', `Digest username="${login}", realm="${c.realm}", nonce="${used}", uri="${
      digestUri}", response="${response}", algorithm=${c.algorithm}, cnonce="${cnonce}", qop=auth, nc=${counter}`];
  }

  /** Sends a request, answers the challenge, and waits for the final response. `sent` of the answer is the last request. */
  async ask(method, target, options = {}) {
    const first = this.send(method, target, options);
    let answer = await this.response(first, undefined, options.ms);
    let sent = first;
    if (answer.status === 401 || answer.status === 407) {
      if (method === 'INVITE') this.ack(answer, first);
      const cseq = options.cseq === undefined ? this.cseq++ : options.cseq + 1;
      if (options.cseq !== undefined && method === 'REGISTER') this.registerCseq = cseq;
      sent = this.send(method, target, { ...options, callId: first.callId, from: first.from, cseq,
        headers: [...(options.headers ?? []), this.credentials(answer, method, target, options.auth)] });
      answer = await this.response(sent, options.want, options.ms);
    }
    answer.sent = sent;
    return answer;
  }

  /** ACK of a failure (RFC 3261 §17.1.1.3). */
  ack(answer, sent) {
    this.raw([`ACK ${sent.target} SIP/2.0`, /^Via: .*$/m.exec(sent.text)[0].trim(), ...sent.route.map((v) => `Route: ${v}`), 'Max-Forwards: 70',
      `From: ${sent.from}`, `To: ${answer.get('To')}`, `Call-ID: ${sent.callId}`, `CSeq: ${sent.cseq} ACK`, 'Content-Length: 0', '', ''].join('\r\n'));
  }

  cancel(sent) {
    this.raw([`CANCEL ${sent.target} SIP/2.0`, /^Via: .*$/m.exec(sent.text)[0].trim(), 'Max-Forwards: 70', `From: ${sent.from}`, `To: ${sent.to}`,
      `Call-ID: ${sent.callId}`, `CSeq: ${sent.cseq} CANCEL`, 'Content-Length: 0', '', ''].join('\r\n'));
  }

  reply(request, status, { phrase = 'Test', headers = [], body = '', vias } = {}) {
    const to = request.get('To');
    const lines = [`SIP/2.0 ${status} ${phrase}`, ...(vias ?? request.all('Via')).map((v) => `Via: ${v}`),
      ...request.all('Record-Route').map((v) => `Record-Route: ${v}`), `From: ${request.get('From')}`,
      `To: ${tagOf(to) || status === 100 ? to : `${to};tag=${request.tag ??= token()}`}`, `Call-ID: ${request.get('Call-ID')}`, `CSeq: ${request.get('CSeq')}`,
      ...headers.map(([n, v]) => `${n}: ${v}`)];
    if (body) lines.push('Content-Type: application/sdp');
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`, '', body);
    this.raw(lines.join('\r\n'));
  }

  async register({ expires = 600, contact, auth, headers = [], ms } = {}) {
    const answer = await this.ask('REGISTER', `sip:${DOMAIN}`, { to: `<${uri(this.user)}>`, callId: this.registerCallId, cseq: ++this.registerCseq, auth, ms,
      headers: [['Contact', contact ?? `<${this.contact}>;expires=${expires}`], ...headers] });
    return answer;
  }

  /** An SDP of plain RTP. */
  get sdp() {
    return ['v=0', `o=- 1 1 IN IP4 127.0.0.1`, 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 40000 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000', ''].join('\r\n');
  }
}

/** A phone that has registered. */
export async function registered(system, ports, user, transport, options = {}) {
  const phone = await Phone.open(ports, options.device ?? await addDevice(system, user), transport, options);
  const answer = await phone.register(options);
  if (answer.status !== 200) throw new Error(`REGISTER: ${answer.status} ${answer.phrase}`);
  return phone;
}

export { token, until };
