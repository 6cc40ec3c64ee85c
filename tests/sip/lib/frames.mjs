// WebSocket at the level of bytes: a socket that may write anything, and frames that may be wrong.
import assert from 'node:assert/strict';
import net from 'node:net';
import { sleep, until } from './system.mjs';

/** A socket that speaks bytes. */
export class Raw {
  constructor(path) {
    this.bytes = Buffer.alloc(0);
    this.socket = net.connect(path);
    this.socket.on('data', (chunk) => { this.bytes = Buffer.concat([this.bytes, chunk]); });
    this.socket.on('error', () => {});
    this.ended = new Promise((resolve) => this.socket.once('close', resolve));
  }

  /** Connected and upgraded by `request`. Those that the test has just closed may still be counted: 503 is tried again. */
  static async open(path, request) {
    let raw;
    await until('101', async () => {
      raw = new Raw(path);
      raw.write(request);
      await until('an answer', () => raw.bytes.includes('\r\n\r\n'), 30000);
      if (raw.bytes.toString('latin1').startsWith('HTTP/1.1 503 ')) raw.socket.destroy();
      else return true;
      return false;
    }, 30000);
    assert.match(raw.bytes.toString('latin1'), /^HTTP\/1\.1 101 /);
    raw.bytes = raw.bytes.subarray(raw.bytes.indexOf('\r\n\r\n') + 4);
    return raw;
  }

  write(bytes) { this.socket.write(bytes); }

  /** The code of the close frame that the server has sent. */
  #code() {
    let at = 0;
    while (at + 1 < this.bytes.length) {
      const len = this.bytes[at + 1] & 0x7f;
      const head = len === 126 ? 4 : 2;
      if (at + head + 2 > this.bytes.length) return undefined;
      const size = len === 126 ? this.bytes.readUInt16BE(at + 2) : len;
      if ((this.bytes[at] & 0x0f) === 8) return this.bytes.readUInt16BE(at + head);
      at += head + size;
    }
    return undefined;
  }

  /** The same when it comes; undefined if the socket is closed without one, or after five seconds. */
  async closeCode() {
    let over = false;
    void this.ended.then(() => { over = true; });
    for (const end = Date.now() + 5000; this.#code() === undefined && !over && Date.now() < end;) await sleep(2);
    return this.#code();
  }
}

/** One frame of a client. */
export function frame(opcode, payload, { fin = true, mask = true, rsv = 0, length } = {}) {
  const body = Buffer.from(payload);
  const size = length ?? body.length;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const flag = mask ? 0x80 : 0;
  if (size < 126) head.push(flag | size);
  else if (size < 65536) head.push(flag | 126, size >> 8, size & 255);
  else head.push(flag | 127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255);
  const key = [0x11, 0x22, 0x33, 0x44];
  return Buffer.concat([Buffer.from(head), mask ? Buffer.from(key) : Buffer.alloc(0),
    mask ? Buffer.from(body.map((byte, i) => byte ^ key[i % 4])) : body]);
}
