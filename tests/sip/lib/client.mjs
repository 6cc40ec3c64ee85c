// A SIP user agent over WebSocket, as small as the tests allow, and free to break every rule.
import WebSocket from 'ws';
import { randomBytes } from 'node:crypto';
import { DOMAIN } from './system.mjs';

const token = () => randomBytes(8).toString('hex');
export const ALL = 'call.audio,call.video,chat.send,directory.search';
export const uri = (user) => `sip:${user}@${DOMAIN}`;

/** Text -> { method, uri } or { status, phrase }, headers as [name, value] pairs, body. */
export function parse(text) {
  const at = text.indexOf('\r\n\r\n');
  const [start, ...lines] = text.slice(0, at).replace(/\r\n[ \t]+/g, ' ').split('\r\n');
  const message = { text, headers: lines.map((line) => /^([^:]+?)\s*:\s*(.*)$/.exec(line).slice(1, 3)), body: text.slice(at + 4) };
  const response = /^SIP\/2\.0 (\d+) (.*)$/.exec(start);
  if (response) Object.assign(message, { status: Number(response[1]), phrase: response[2] });
  else Object.assign(message, { method: start.split(' ')[0], uri: start.split(' ')[1] });
  message.all = (name) => message.headers.filter(([n]) => n.toLowerCase() === name.toLowerCase()).map(([, v]) => v);
  message.get = (name) => message.all(name)[0];
  message.cseqMethod = message.get('CSeq')?.split(' ')[1];
  return message;
}

export const tagOf = (value) => /;tag=([^;>]+)/.exec(value)?.[1];
export const uriOf = (value) => /<([^>]+)>/.exec(value)?.[1] ?? value.split(';')[0];

export class Ua {
  messages = [];
  #waiting = [];
  #cseq = 1;

  constructor(user) {
    this.user = user;
    this.host = `${token()}.invalid`;
    this.contact = `sip:${token()}@${this.host};transport=ws`;
    this.instance = `urn:uuid:${token().slice(0, 8)}-0000-4000-8000-${token().slice(0, 12)}`;
    this.registerCallId = token();
    this.registerCseq = 0;
    this.autoAnswer = true;
  }

  /** Opens the WebSocket; rejects with `.status` when the upgrade is refused. */
  static async connect(system, user, { session, worker = 0, permissions = ALL, headers = {}, protocol = 'sip', like } = {}) {
    const ua = new Ua(user);
    if (like) Object.assign(ua, { instance: like.instance });
    await ua.open(system, { session, worker, permissions, headers, protocol });
    return ua;
  }

  open(system, { session, worker = 0, permissions = ALL, headers = {}, protocol = 'sip' }) {
    Object.assign(this, { system, session, worker });
    const identity = { 'X-Duplex-User': this.user, 'X-Duplex-Session': session, 'X-Duplex-Permissions': permissions,
      'X-Duplex-Address': '192.0.2.1', ...headers };
    for (const name of Object.keys(identity)) if (identity[name] === undefined || identity[name] === null) delete identity[name];
    this.ws = new WebSocket(`ws+unix://${system.socket(worker)}:/sip`, protocol ? [protocol] : [], { headers: identity, perMessageDeflate: false });
    this.closed = new Promise((resolve) => this.ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() })));
    this.ws.on('message', (data) => this.#receive(data.toString()));
    return new Promise((resolve, reject) => {
      this.ws.once('open', resolve);
      this.ws.once('unexpected-response', (_, response) => reject(Object.assign(new Error(`HTTP ${response.statusCode}`), { status: response.statusCode })));
      this.ws.on('error', reject);
    });
  }

  close(code = 1000) { this.ws.close(code); return this.closed; }
  cut() { this.ws.terminate(); return this.closed; }

  #receive(text) {
    if (text === '\r\n') return this.#deliver({ keepalive: true, text });
    const message = parse(text);
    if (this.autoAnswer && (message.method === 'NOTIFY' || message.method === 'MESSAGE')) this.reply(message, 200);
    return this.#deliver(message);
  }

  #deliver(message) {
    const at = this.#waiting.findIndex(({ want }) => want(message));
    if (at < 0) this.messages.push(message);
    else this.#waiting.splice(at, 1)[0].resolve(message);
  }

  /** The next message for which `want` is true, old ones first. */
  next(want, what = 'message', ms = 10000) {
    const at = this.messages.findIndex(want);
    if (at >= 0) return Promise.resolve(this.messages.splice(at, 1)[0]);
    return new Promise((resolve, reject) => {
      const entry = { want, resolve: (message) => { clearTimeout(timer); resolve(message); } };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(new Error(`${this.user}: no ${what} within ${ms} ms; there are: ${this.messages.slice(-20).map((m) => m.method ?? m.status).join(' ')}`));
      }, ms);
      this.#waiting.push(entry);
    });
  }

  request(method, ms) { return this.next((m) => m.method === method, method, ms); }
  response(sent, want = (status) => status >= 200, ms = undefined) {
    return this.next((m) => m.status !== undefined && want(m.status) && m.get('Call-ID') === sent.callId &&
      m.get('CSeq') === `${sent.cseq} ${sent.method}`, `response to ${sent.method}`, ms);
  }

  raw(text) { this.ws.send(text); }

  /** Sends a request; gives what identifies it. Any field may be overridden; headers are [name, value] pairs. */
  send(method, target, { headers = [], body = '', type, from = `<${uri(this.user)}>;tag=${this.tag ?? token()}`, to = `<${target}>`,
    callId = token(), cseq = this.#cseq++, branch = `z9hG4bK${token()}`, route = [], maxForwards = 70 } = {}) {
    const lines = [`${method} ${target} SIP/2.0`, `Via: SIP/2.0/WSS ${this.host};branch=${branch}`,
      ...route.map((value) => `Route: ${value}`), `Max-Forwards: ${maxForwards}`, `From: ${from}`, `To: ${to}`, `Call-ID: ${callId}`,
      `CSeq: ${cseq} ${method}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
    if (body) lines.push(`Content-Type: ${type ?? 'application/sdp'}`);
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`, '', body);
    this.raw(lines.join('\r\n'));
    return { method, target, from, to, callId, cseq, branch, headers };
  }

  /** Sends a request outside a dialog and waits for the final response. */
  async ask(method, target, options = {}) {
    const sent = this.send(method, target, options);
    return this.response(sent, undefined, options.ms);
  }

  reply(request, status, { phrase = 'Test', tag, headers = [], body = '', type } = {}) {
    const to = request.get('To');
    const lines = [`SIP/2.0 ${status} ${phrase}`, ...request.all('Via').map((v) => `Via: ${v}`),
      ...request.all('Record-Route').map((v) => `Record-Route: ${v}`), `From: ${request.get('From')}`,
      `To: ${tagOf(to) || status === 100 ? to : `${to};tag=${tag ?? (request.tag ??= token())}`}`,
      `Call-ID: ${request.get('Call-ID')}`, `CSeq: ${request.get('CSeq')}`, ...headers.map(([n, v]) => `${n}: ${v}`)];
    if (body) lines.push(`Content-Type: ${type ?? 'application/sdp'}`);
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`, '', body);
    this.raw(lines.join('\r\n'));
  }

  /** REGISTER; sets `gruu` from the answer. */
  async register({ expires = 600, instance = this.instance, contact, headers = [] } = {}) {
    const value = contact ?? `<${this.contact}>;+sip.instance="<${instance}>";reg-id=1;expires=${expires}`;
    const answer = await this.ask('REGISTER', `sip:${DOMAIN}`, { to: `<${uri(this.user)}>`, callId: this.registerCallId,
      cseq: ++this.registerCseq, headers: [['Contact', value], ['Supported', 'path, gruu, outbound'], ...headers] });
    const own = answer.all('Contact').find((v) => v.includes(instance));
    this.gruu = own && /pub-gruu="([^"]+)"/.exec(own)?.[1];
    return answer;
  }
}

/** A connected and registered device. */
export async function device(system, user, options = {}) {
  const session = options.session ?? await system.addUser(user);
  const ua = await Ua.connect(system, user, { ...options, session });
  const answer = await ua.register();
  if (answer.status !== 200) throw new Error(`REGISTER: ${answer.status} ${answer.phrase}`);
  return ua;
}
