// Every message of RFC 4475 and RFC 5118, as the RFC has it, to a running worker: the outcome of each is in its table (columns `as it is` and
// `as its user`), and whatever came, the connection that may stay does stay and answers the next request.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { System, sleep } from './lib/system.mjs';
import { Ua } from './lib/client.mjs';
import { phoneOptions } from './lib/phone.mjs';

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'messages');
const DOMAIN = 'example.com';

/** Rows of a table: { name, section, …, asItIs, asUser }. */
function table(suite) {
  return readFileSync(path.join(folder, `${suite}.tsv`), 'utf8').split('\n').filter((line) => line && !line.startsWith('#')).map((line) => {
    const [name, section, parse, check, asItIs, asUser] = line.split('\t');
    return { suite, name, section, parse, check, asItIs, asUser, text: readFileSync(path.join(folder, suite, `${name}.sip`), 'latin1') };
  });
}

const FROM = /(^|\n)((?:from|f)[ \t]*:(?:[^\r]|\r\n[ \t])*?sips?:)([^@>;]+)@([^>;:\s]+)/i;
const userOf = (text) => FROM.exec(text)?.[3].replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

/** As a browser of the person in From would send it: From in our domain, one Via, a Contact that names nobody. */
function asItsUser(text) {
  const end = text.indexOf('\r\n\r\n');
  let vias = 0;
  const lines = text.slice(0, end).replace(FROM, (_, nl, head, user) => `${nl}${head}${user}@${DOMAIN}`).split(/\r\n(?![ \t])/)
    .filter((line) => !/^v(ia)?[ \t]*:/i.test(line) || vias++ === 0)
    .map((line) => (/^(contact|m)[ \t]*:/i.test(line) ? line.replace(/(sip:(?:[^@>]*@)?)[^>;?\s]+/gi, '$1host.invalid') : line));
  return `${lines.join('\r\n')}${text.slice(end)}`;
}

let system, ports;
const dir = mkdtempSync(path.join(tmpdir(), 'duplex-torture-'));
before(async () => {
  const made = await phoneOptions(dir, { 'sip-login-timeout': 60000 });
  ports = made.ports;
  system = await System.start({ workers: 1, domain: DOMAIN, options: made.options });
  await system.addUser('user');
});
after(async () => {
  await system.stop();
  rmSync(dir, { recursive: true, force: true });
});

const options = (user) => `OPTIONS sip:${DOMAIN} SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKafter\r\nMax-Forwards: 70\r\nFrom: <sip:${user}@${DOMAIN}>;tag=1\r\n` +
  `To: <sip:${DOMAIN}>\r\nCall-ID: after\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`;

/** What the worker does with it: a status, "drop" (the connection stays), or "close CODE". */
async function outcome(user, text) {
  const ua = new Ua(user);
  const session = await system.addUser(user);
  const started = [];
  await ua.open(system, { session });
  ua.ws.removeAllListeners('message');
  const over = new Promise((resolve) => {
    ua.ws.on('message', (data) => {
      const answer = data.toString('latin1');
      if (answer.includes('\r\nCall-ID: after\r\n')) resolve(started.filter((s) => s >= 200)[0]?.toString() ?? 'drop');
      else started.push(Number(/^SIP\/2\.0 (\d+)/.exec(answer)?.[1]));
    });
    ua.ws.on('close', (code) => resolve(`close ${code}`));
  });
  ua.ws.send(Buffer.from(text, 'latin1')); // binary: not all of them are UTF-8
  await sleep(20); // an answer may wait for Redis; what comes later is seen as well
  if (/^INVITE|^MESSAGE|^REGISTER|^OPTIONS/.test(text)) for (let i = 0; i < 400 && !started.some((s) => s >= 200) && ua.ws.readyState === 1; i++) await sleep(10);
  if (ua.ws.readyState === 1) ua.ws.send(options(user));
  const got = await Promise.race([over, sleep(5000).then(() => 'silence')]);
  ua.ws.terminate();
  return got;
}

for (const suite of ['rfc4475', 'rfc5118']) {
  describe(suite, () => {
    for (const row of table(suite)) {
      const user = userOf(row.text);
      const name = /^[a-z0-9][a-z0-9.-]{0,31}$/.test(user ?? '') ? user : 'user';
      it(`§${row.section} ${row.name}, as it is: ${row.asItIs}`, async () => { assert.equal(await outcome(name, row.text), row.asItIs); });
      it(`§${row.section} ${row.name}, as its user: ${row.asUser}`, async () => { assert.equal(await outcome(name, asItsUser(row.text)), row.asUser); });
    }
  });
}

describe('from a stranger on the port for desk phones', () => {
  const probe = options('nobody').replace('/WSS', '/TCP');

  /** Over a stream: what comes back before the answer to one more request, as a status; "drop"; or "close". */
  async function overTcp(text) {
    const socket = net.connect(ports.tcp, '127.0.0.1');
    let got = '';
    socket.on('data', (data) => { got += data.toString('latin1'); });
    socket.on('error', () => {});
    const ended = new Promise((resolve) => { socket.once('close', () => resolve('close')); });
    socket.write(Buffer.from(text, 'latin1'));
    socket.write(probe);
    const answered = (async () => {
      for (const end = Date.now() + (text.includes(': 9999') ? 500 : 20000); Date.now() < end; await sleep(5)) {
        const answers = got.split(/(?=SIP\/2\.0 )/);
        if (answers.some((a) => a.includes('Call-ID: after'))) return /^SIP\/2\.0 (\d+)/.exec(answers.find((a) => !a.includes('Call-ID: after')) ?? '')?.[1] ?? 'drop';
      }
      return 'silence';
    })();
    const outcome = await Promise.race([answered, ended]);
    socket.destroy();
    return outcome;
  }

  for (const suite of ['rfc4475', 'rfc5118']) {
    for (const row of table(suite)) {
      it(`${row.name} over TCP gets nothing but a refusal`, async () => {
        const outcome = await overTcp(row.text);
        if (row.name === 'clerr') return assert.equal(outcome, 'silence', 'the rest of its 9999 bytes may still come');
        assert.ok(outcome === 'close' || outcome === 'drop' || Number(outcome) >= 400, outcome);
        if (row.parse === '0' && row.check === '0' && /^REGISTER sip:example\.com /.test(row.text)) assert.ok(['401', '403'].includes(outcome), outcome);
      });
    }
  }

  it('all of them over UDP leave it as it was', async () => {
    const socket = dgram.createSocket('udp4');
    const answers = [];
    socket.on('message', (data) => answers.push(data.toString('latin1')));
    await new Promise((resolve) => { socket.bind(0, '127.0.0.1', resolve); });
    const send = (text) => new Promise((resolve) => { socket.send(Buffer.from(text, 'latin1'), ports.udp, '127.0.0.1', resolve); });
    for (const row of [...table('rfc4475'), ...table('rfc5118')]) {
      await send(row.text);
      /* The same with the answer to where it came from (RFC 3581). */
      await send(row.text.replace(/;branch/i, ';rport;branch'));
    }
    /* Strangers are answered at a limited rate, so it may take more than one. */
    for (let i = 0; i < 60 && !answers.some((a) => a.includes('Call-ID: after')); i++) {
      await send(options('nobody').replace('/WSS', '/UDP').replace(';branch', ';rport;branch').replace('bKafter', `bKafter${i}`));
      await sleep(250);
    }
    assert.match(answers.find((a) => a.includes('Call-ID: after')), /^SIP\/2\.0 40[17] /);
    for (const answer of answers) assert.match(answer, /^SIP\/2\.0 [456]\d\d /);
    socket.close();
    assert.ok(system.running(0));
  });
});
