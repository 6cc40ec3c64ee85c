// Debian's baresip as a desk phone: its own process, a tone as microphone, and what it decodes in a file.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { DOMAIN, until } from './system.mjs';
import { freePort } from './phone.mjs';

const RATE = 8000;

/** `seconds` of a tone as a WAV file of 16-bit samples. */
export function tone(file, hertz, seconds = 30) {
  const samples = Buffer.alloc(2 * RATE * seconds), head = Buffer.alloc(44);
  for (let i = 0; i < RATE * seconds; i++) samples.writeInt16LE(Math.round(12000 * Math.sin(2 * Math.PI * hertz * i / RATE)), 2 * i);
  head.write('RIFF', 0); head.writeUInt32LE(36 + samples.length, 4); head.write('WAVEfmt ', 8); head.writeUInt32LE(16, 16); head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22); head.writeUInt32LE(RATE, 24); head.writeUInt32LE(2 * RATE, 28); head.writeUInt16LE(2, 32); head.writeUInt16LE(16, 34);
  head.write('data', 36); head.writeUInt32LE(samples.length, 40);
  writeFileSync(file, Buffer.concat([head, samples]));
}

/** Share of a WAV file's energy at `hertz`, from 0 to 1, over its last `seconds`. */
export function shareOf(file, hertz, seconds = 1) {
  const all = readFileSync(file).subarray(44), count = Math.min(Math.floor(all.length / 2), RATE * seconds);
  if (count < RATE / 2) return 0;
  let re = 0, im = 0, energy = 0;
  for (let i = 0; i < count; i++) {
    const x = all.readInt16LE(2 * (Math.floor(all.length / 2) - count + i));
    re += x * Math.cos(2 * Math.PI * hertz * i / RATE);
    im += x * Math.sin(2 * Math.PI * hertz * i / RATE);
    energy += x * x;
  }
  return energy === 0 ? 0 : 2 * (re * re + im * im) / (count * energy);
}

export class Baresip {
  events = [];
  output = '';

  /** Starts and waits until it has registered. */
  static async start(dir, device, port, transport, { hertz = 440, ca, auto = false } = {}) {
    const phone = new Baresip();
    const home = path.join(dir, device.user), control = await freePort();
    mkdirSync(home);
    phone.user = device.user;
    phone.home = home;
    tone(path.join(home, 'tone.wav'), hertz);
    writeFileSync(path.join(home, 'config'), ['module_path /usr/lib/baresip/modules', 'module g711.so', 'module aufile.so', 'module account.so',
      'module menu.so', 'module ctrl_tcp.so', `ctrl_tcp_listen 127.0.0.1:${control}`, `audio_source aufile,${path.join(home, 'tone.wav')}`,
      'module aubridge.so', 'module sndfile.so', 'audio_player aubridge,nowhere', `snd_path ${home}`, 'ausrc_srate 8000', 'auplay_srate 8000', 'ausrc_channels 1', 'auplay_channels 1',
      'net_interface 127.0.0.1', 'sip_listen 127.0.0.1:0', ...(ca ? [`sip_cafile ${ca}`] : []), ''].join('\n'));
    writeFileSync(path.join(home, 'accounts'), `<sip:${device.user}@${DOMAIN};transport=${transport}>;auth_user=${device.login};auth_pass=${device.secret};` +
      `outbound="sip:127.0.0.1:${port};transport=${transport}";regint=120;audio_codecs=PCMU${auto ? ';answermode=auto' : ''}\n`);
    phone.child = spawn('baresip', ['-f', home], { stdio: ['ignore', 'pipe', 'pipe'] });
    phone.gone = new Promise((resolve) => phone.child.once('exit', resolve));
    for (const stream of [phone.child.stdout, phone.child.stderr]) stream.on('data', (text) => { phone.output += text; });
    try {
      await until('baresip registers', () => {
        if (phone.child.exitCode !== null) throw new Error(`baresip ended: ${phone.output}`);
        return /200 OK \(\).*\[1 binding\]/.test(phone.output);
      }, 20000);
      phone.control = net.connect({ host: '127.0.0.1', port: control });
      await new Promise((resolve, reject) => phone.control.once('connect', resolve).once('error', reject));
    } catch (error) {
      phone.child.kill('SIGKILL');
      throw new Error(`${error.message}\n${phone.output}`);
    }
    let waiting = Buffer.alloc(0);
    phone.control.on('error', () => {});
    phone.control.on('data', (data) => {
      waiting = Buffer.concat([waiting, data]);
      for (;;) {
        const colon = waiting.indexOf(':'), length = Number(waiting.subarray(0, colon));
        if (colon < 0 || waiting.length < colon + length + 2) return;
        phone.events.push(JSON.parse(waiting.subarray(colon + 1, colon + 1 + length)));
        waiting = waiting.subarray(colon + length + 2);
      }
    });
    return phone;
  }

  /** Share of a tone in what it has heard, decoded: 0 as long as there is too little. */
  hears(hertz) {
    const file = readdirSync(this.home).filter((name) => name.endsWith('-dec.wav')).sort().at(-1);
    return file ? shareOf(path.join(this.home, file), hertz) : 0;
  }

  command(command, params = '') {
    const text = JSON.stringify({ command, params });
    this.control.write(`${Buffer.byteLength(text)}:${text},`);
  }

  event(type, ms = 10000) {
    return until(`${this.user}: ${type}; there are ${this.events.map((e) => e.type)}`, () => {
      const at = this.events.findIndex((e) => e.type === type);
      return at >= 0 ? this.events.splice(at, 1)[0] : undefined;
    }, ms);
  }

  async stop() {
    this.control?.destroy();
    this.child.kill('SIGTERM');
    const last = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await this.gone;
    clearTimeout(last);
  }
}
