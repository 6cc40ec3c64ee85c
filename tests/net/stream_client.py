#!/usr/bin/env python3
"""A TURN client over TCP and TLS that shares no code with the relay and breaks the rules on demand. Prints TAP.

stream_client.py OPTIONS CHECK…   runs the checks named (functions check_* below)
"""
import argparse
import base64
import hashlib
import hmac
import os
import re
import select
import socket
import ssl
import struct
import subprocess
import sys
import time

MAGIC = 0x2112A442
BINDING, ALLOCATE, REFRESH, SEND, DATA, PERMISSION, CHANNEL = 1, 3, 4, 6, 7, 8, 9
A_USERNAME, A_INTEGRITY, A_ERROR, A_CHANNEL, A_LIFETIME = 0x06, 0x08, 0x09, 0x0C, 0x0D
A_PEER, A_DATA, A_REALM, A_NONCE, A_RELAYED, A_TRANSPORT, A_MAPPED = 0x12, 0x13, 0x14, 0x15, 0x16, 0x19, 0x20


class Closed(Exception):
    pass


def attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def message(kind, body=b"", tid=None):
    return struct.pack(">HHI", kind, len(body), MAGIC) + (tid or os.urandom(12)) + body


def parse(m):
    kind, length, magic = struct.unpack(">HHI", m[:8])
    assert magic == MAGIC and length == len(m) - 20, "a malformed message from the relay"
    at, out = 20, {}
    while at < len(m):
        a, n = struct.unpack(">HH", m[at:at + 4])
        out.setdefault(a, m[at + 4:at + 4 + n])
        at += 4 + (n + 3 & ~3)
    return kind, m[8:20], out


def address(value, tid):
    family, port = value[1], struct.unpack(">H", value[2:4])[0] ^ MAGIC >> 16
    mask = struct.pack(">I", MAGIC) + tid
    raw = bytes(a ^ b for a, b in zip(value[4:], mask))
    return socket.inet_ntop(socket.AF_INET if family == 1 else socket.AF_INET6, raw), port


def peer_attribute(host, port):
    raw = bytes(a ^ b for a, b in zip(socket.inet_aton(host), struct.pack(">I", MAGIC)))
    return attribute(A_PEER, struct.pack(">BBH", 0, 1, port ^ MAGIC >> 16) + raw)


def channel_data(number, data):
    return struct.pack(">HH", number, len(data)) + data + b"\0" * (-len(data) % 4)


class Client:
    """One connection; `greeting` is sent before everything else, TLS included."""

    def __init__(self, o, place=None, tls=None, greeting=b"", rcvbuf=None, local=None, name="localhost"):
        self.o, self.buffer, self.nonce, self.realm, self.key = o, b"", b"", b"", None
        place = place or (o.server, o.tcp)
        if isinstance(place, str):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            s = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_STREAM)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if local:
            s.bind(local)
        s.settimeout(5)
        s.connect(place)
        if greeting:
            s.sendall(greeting)
        self.raw = s
        self.s = tls.wrap_socket(s, server_hostname=name) if tls else s

    def send(self, data):
        self.s.sendall(data)

    def fill(self, timeout):
        self.s.settimeout(timeout)
        try:
            got = self.s.recv(65536)
        except (ConnectionError, ssl.SSLError) as e:
            if isinstance(e, (ssl.SSLWantReadError, TimeoutError)) or "timed out" in str(e):
                raise TimeoutError from e
            raise Closed from e
        if not got:
            raise Closed
        self.buffer += got

    def read(self, timeout=5):
        """The next message, padding taken off: (None, STUN message) or (channel, data)."""
        end = time.monotonic() + timeout
        while True:
            b = self.buffer
            if len(b) >= 4:
                first, n = struct.unpack(">HH", b[:4])
                total = 20 + n if b[0] < 4 else 4 + (n + 3 & ~3)
                if len(b) >= total:
                    self.buffer = b[total:]
                    if b[0] < 4:
                        return None, b[:total]
                    assert b[4 + n:total] == b"\0" * (total - 4 - n), "padding that is not zero"
                    return first, b[4:4 + n]
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.fill(left)

    def signed(self, kind, body):
        tid = os.urandom(12)
        if self.key:
            body += attribute(A_USERNAME, self.user) + attribute(A_REALM, self.realm) + attribute(A_NONCE, self.nonce)
            head = struct.pack(">HHI", kind, len(body) + 24, MAGIC) + tid
            body += attribute(A_INTEGRITY, hmac.new(self.key, head + body, hashlib.sha1).digest())
        return tid, message(kind, body, tid)

    def answer(self, tid, timeout=5):
        while True:
            channel, m = self.read(timeout)
            if channel is None:
                kind, got, attributes = parse(m)
                if got == tid:
                    return kind, attributes

    def request(self, kind, body=b"", timeout=5):
        tid, m = self.signed(kind, body)
        self.send(m)
        return self.answer(tid, timeout)

    def binding(self, timeout=5):
        tid = os.urandom(12)
        self.send(message(BINDING, b"", tid))
        kind, attributes = self.answer(tid, timeout)
        assert kind == 0x101, hex(kind)
        return address(attributes[A_MAPPED], tid)

    def allocate(self, user="anna", lifetime=None):
        self.user = b"%d:%s" % (int(time.time()) + 3600, user.encode())
        ask = attribute(A_TRANSPORT, b"\x11\0\0\0")
        if lifetime:
            ask += attribute(A_LIFETIME, struct.pack(">I", lifetime))
        kind, attributes = self.request(ALLOCATE, ask)
        assert kind == 0x113 and attributes[A_ERROR][2:4] == b"\4\1", "no 401"
        self.realm, self.nonce = attributes[A_REALM], attributes[A_NONCE]
        password = base64.b64encode(hmac.new(self.o.secret, self.user, hashlib.sha1).digest())
        self.key = hashlib.md5(self.user + b":" + self.realm + b":" + password).digest()
        tid, m = self.signed(ALLOCATE, ask)
        self.send(m)
        kind, attributes = self.answer(tid)
        assert kind == 0x103, attributes.get(A_ERROR)
        self.relayed, self.mapped = address(attributes[A_RELAYED], tid), address(attributes[A_MAPPED], tid)
        return self

    def good(self, kind, body, timeout=5):
        got, attributes = self.request(kind, body, timeout)
        assert got == kind | 0x100, attributes.get(A_ERROR)
        return attributes

    def permit(self, host, port=9):
        self.good(PERMISSION, peer_attribute(host, port))

    def bind(self, number, host, port):
        self.good(CHANNEL, attribute(A_CHANNEL, struct.pack(">HH", number, 0)) + peer_attribute(host, port))

    def close(self):
        self.s.close()

    def reset(self):
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()


def metric(o, name, label=""):
    text = subprocess.run(["curl", "-sS", "--max-time", "3", "--unix-socket", o.metrics, "http://localhost/metrics"],
                          stdout=subprocess.PIPE, check=True, text=True).stdout
    return sum(int(line.split()[1]) for line in text.splitlines()
               if re.match(re.escape(name) + r"[{ ]", line) and label in line)


def eventually(what, seconds=2.0):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def closed(c, timeout=5):
    """Whether the relay closes within the time, whatever it says before that."""
    end = time.monotonic() + timeout
    try:
        while time.monotonic() < end:
            c.fill(end - time.monotonic())
    except Closed:
        return True
    except TimeoutError:
        return False
    return False


def peer_socket(o, host=None):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((host or o.peer, 0))
    s.settimeout(3)
    return s


def bound(o, number=0x4001, **kw):
    """A client with an allocation and a channel to a peer of ours."""
    c, p = Client(o, **kw).allocate(), peer_socket(o)
    c.bind(number, *p.getsockname())
    return c, p


# --- framing ---------------------------------------------------------------------------------------------------------------


def check_binding(o):
    """the mapped address is the client's"""
    for place in [(o.server, o.tcp), ("127.0.0.1", o.tcp), ("::1", o.tcp)]:
        c = Client(o, place)
        assert c.binding() == c.s.getsockname()[:2], place
        c.close()


def check_echo(o):
    """channel data and indications both ways, every length's padding, every checksum right at the peer"""
    c, p = bound(o)
    for n in list(range(1, 70)) + [500, 1200, 1400]:
        data = os.urandom(n)
        c.send(channel_data(0x4001, data))
        got, at = p.recvfrom(4096)
        assert got == data and at == c.relayed, n
        p.sendto(data[::-1], c.relayed)
        assert c.read() == (0x4001, data[::-1]), n
    other = peer_socket(o, o.other)
    c.permit(o.other)
    for n in range(0, 70):
        data = os.urandom(n)
        c.send(message(0x10 | SEND, peer_attribute(*other.getsockname()) + attribute(A_DATA, data)))
        assert other.recv(4096) == data
        other.sendto(data, c.relayed)
        channel, m = c.read()
        kind, tid, attributes = parse(m)
        assert channel is None and kind == 0x17 and attributes[A_DATA] == data
        assert address(attributes[A_PEER], tid) == other.getsockname()
    c.close()


def check_split(o):
    """messages in single bytes, and cut anywhere"""
    c, p = bound(o)
    tid = os.urandom(12)
    blob = channel_data(0x4001, b"abcde") + message(BINDING, b"", tid) + channel_data(0x4001, b"fg")
    for byte in blob:
        c.send(bytes([byte]))
        time.sleep(0.001)
    assert p.recv(100) == b"abcde" and p.recv(100) == b"fg"
    assert c.answer(tid)[0] == 0x101
    for cut in range(1, len(blob)):
        c.send(blob[:cut])
        time.sleep(0.002)
        c.send(blob[cut:])
        assert p.recv(100) == b"abcde" and p.recv(100) == b"fg" and c.answer(tid)[0] == 0x101, cut
    c.close()


def check_merged(o):
    """three hundred messages in one write: all handled, in order"""
    c, p = bound(o)
    blob, tids = b"", []
    for i in range(100):
        tids.append(os.urandom(12))
        blob += channel_data(0x4001, b"%d" % i) + message(BINDING, b"", tids[-1]) + channel_data(0x4001, b"x" * (i % 9))
    c.send(blob)
    for i in range(100):
        assert p.recv(100) == b"%d" % i and p.recv(100) == b"x" * (i % 9)
    for tid in tids:
        assert parse(c.read()[1])[:2] == (0x101, tid)
    c.close()


def check_too_long(o):
    """a message no datagram can carry is passed over, the stream goes on"""
    c, p = bound(o)
    before = metric(o, "duplex_relay_drops_total", '"too_big"')
    for n in (1897, 4000, 65535):
        c.send(channel_data(0x4001, b"z" * n) + channel_data(0x4001, b"after"))
        assert p.recv(100) == b"after", n
    c.send(message(0x10 | SEND, peer_attribute(*p.getsockname()) + attribute(A_DATA, b"z" * 40000)))
    c.binding()
    assert metric(o, "duplex_relay_drops_total", '"too_big"') == before + 4
    c.close()


def check_streams_meet(o):
    """a client on TCP and one on TLS reach each other through the relay, and two allocations of one user are two"""
    a, b = Client(o).allocate(), Client(o, (o.server, o.tls), tls=context(o)).allocate()
    a.permit(b.relayed[0])
    b.bind(0x4fff, *a.relayed)
    b.send(channel_data(0x4fff, b"hello"))
    kind, tid, attributes = parse(a.read()[1])
    assert kind == 0x17 and attributes[A_DATA] == b"hello" and address(attributes[A_PEER], tid) == b.relayed
    a.bind(0x4000, *b.relayed)
    a.send(channel_data(0x4000, b"you"))
    assert b.read() == (0x4fff, b"you")
    a.close()
    b.close()


# --- ends ------------------------------------------------------------------------------------------------------------------


def gone_after(o, how):
    c, p = bound(o)
    assert metric(o, "duplex_relay_allocations") == 1
    how(c)
    began = time.monotonic()
    assert eventually(lambda: metric(o, "duplex_relay_allocations") == 0), "the allocation lives on"
    took = time.monotonic() - began
    assert took < 1, took
    p.sendto(b"late", c.relayed)
    p.close()


def check_end_close(o):
    """a connection that closes ends its allocation at once"""
    gone_after(o, Client.close)


def check_end_half(o):
    """a half-closed connection likewise, and the relay closes the other half"""
    kept = []

    def half(c):
        kept.append(c)
        c.s.shutdown(socket.SHUT_WR)

    gone_after(o, half)
    assert closed(kept[0])


def check_end_reset(o):
    """a reset likewise"""
    gone_after(o, Client.reset)


def check_end_refresh(o):
    """Refresh 0 ends the allocation and not the connection, on which there may be another one"""
    c, _ = bound(o)
    c.good(REFRESH, attribute(A_LIFETIME, b"\0\0\0\0"))
    assert metric(o, "duplex_relay_allocations") == 0
    c.key = None
    c.allocate()
    assert metric(o, "duplex_relay_allocations") == 1
    c.close()
    assert eventually(lambda: metric(o, "duplex_relay_allocations") == 0)


def check_end_garbage(o):
    """a client that loses its framing loses its connection and its allocation"""
    gone_after(o, lambda c: c.send(b"\xff" * 40))


def check_garbage(o):
    """HTTP, TLS, junk and broken STUN close the connection under their names"""
    hello = bytes.fromhex("160301020001000100") + os.urandom(40)
    cases = [(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"), (b"POST /x", "http"), (hello, "tls_on_plain"), (b"SSH-2.0-x\r\n", "garbage"),
             (b"\x80\0\0\0" * 5, "garbage"), (struct.pack(">HHI", 1, 0, 7) + b"\0" * 12, "garbage"),
             (struct.pack(">HHI", 1, 3, MAGIC) + b"\0" * 15, "garbage"), (b"\0", None), (b"", None)]
    for data, reason in cases:
        before = metric(o, "duplex_relay_stream_closed_total", '"%s"' % reason) if reason else 0
        c = Client(o)
        if data:
            c.send(data)
        if reason:
            assert closed(c, 2), data
            assert metric(o, "duplex_relay_stream_closed_total", '"%s"' % reason) == before + 1, reason
        c.close()
    for data in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(300), message(BINDING), b"\x16\x03\x01\xff\xff" + os.urandom(200)):
        before = metric(o, "duplex_relay_stream_closed_total", '"tls"')
        c = Client(o, (o.server, o.tls))
        c.send(data)
        c.raw.shutdown(socket.SHUT_WR)
        assert closed(c, 3), data
        assert eventually(lambda: metric(o, "duplex_relay_stream_closed_total", '"tls"') == before + 1)


def check_slow_start(o):
    """slowloris: a TLS handshake, a PROXY header and a message that do not come to their end are ended (here after 2 s)"""
    before = [metric(o, "duplex_relay_stream_closed_total", '"%s"' % r) for r in ("handshake_timeout", "partial_timeout")]
    began, conns = time.monotonic(), []
    conns.append((Client(o, (o.server, o.tls)), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60))
    conns.append((Client(o, (o.server, o.proxy)), b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\1\2\3"))
    conns.append((Client(o), message(BINDING, b"\0\x22\0\x20" + b"y" * 32)[:40]))
    for i in range(40):
        for c, data in conns:
            try:
                c.send(data[i:i + 1])
            except OSError:
                pass
        time.sleep(0.05)
    for c, _ in conns:
        assert closed(c, 3)
    assert 1.9 < time.monotonic() - began < 5, time.monotonic() - began
    after = [metric(o, "duplex_relay_stream_closed_total", '"%s"' % r) for r in ("handshake_timeout", "partial_timeout")]
    assert after == [before[0] + 2, before[1] + 1], (before, after)


def check_idle(o):
    """without an allocation a connection ends (here after 3 s), requests or not; with one it stays"""
    before = metric(o, "duplex_relay_stream_closed_total", '"idle"')
    quiet, busy = Client(o), Client(o)
    with_one, _ = bound(o)
    began = time.monotonic()
    try:
        while time.monotonic() - began < 8:
            busy.binding()
            time.sleep(0.1)
        raise AssertionError("a connection without an allocation stays")
    except (Closed, OSError):
        pass
    assert 2.5 < time.monotonic() - began < 5, time.monotonic() - began
    assert closed(quiet, 2)
    time.sleep(4)
    with_one.good(REFRESH, b"")
    assert metric(o, "duplex_relay_stream_closed_total", '"idle"') == before + 2
    with_one.good(REFRESH, attribute(A_LIFETIME, b"\0\0\0\0"))
    assert closed(with_one, 8), "without its allocation it stays"


def check_limit_address(o):
    """one address may have so many connections (here 40), counted exactly"""
    before = metric(o, "duplex_relay_stream_closed_total", '"limit_address"')
    for _ in range(3):
        held = [Client(o) for _ in range(40)]
        for c in held:
            c.binding()
        more = Client(o)
        assert closed(more, 2)
        other = Client(o, local=(o.other, 0))
        other.binding()
        other.close()
        for c in held:
            c.close()
        assert eventually(lambda: metric(o, "duplex_relay_stream_connections") == 0)
    assert metric(o, "duplex_relay_stream_closed_total", '"limit_address"') == before + 3


def check_limit_total(o):
    """all together so many (here 60): more are closed at once, those that are there live"""
    before = metric(o, "duplex_relay_stream_closed_total", '"limit_total"')
    held = [Client(o, local=(h, 0)) for h in (o.server, o.other) for _ in range(30)]
    for c in held:
        c.binding()
    assert closed(Client(o, local=(o.peer, 0)), 2)
    assert metric(o, "duplex_relay_stream_closed_total", '"limit_total"') == before + 1
    held.pop().close()
    assert eventually(lambda: metric(o, "duplex_relay_stream_connections") == 59)
    Client(o, local=(o.peer, 0)).binding()
    for c in held:
        c.binding()
        c.close()


# --- slow readers ----------------------------------------------------------------------------------------------------------


def check_slow_reader(o, **kw):
    """a client that does not read: media is dropped, the oldest first, answers all come, others do not notice"""
    drops = ("stream_late", "stream_full")
    before = {d: metric(o, "duplex_relay_drops_total", '"%s"' % d) for d in drops}
    written = metric(o, "duplex_relay_stream_messages_total", '"out"')
    c, p = bound(o, rcvbuf=4096, **kw)
    other, q = bound(o, 0x4002)
    tids, sent, worst, began = [], 0, 0, time.monotonic()
    for step in range(300):
        for _ in range(20):
            p.sendto(struct.pack(">Id", sent, time.monotonic()) + b"v" * 1000, c.relayed)
            sent += 1
        if step % 10 == 0:
            tid, m = c.signed(REFRESH, b"")
            tids.append(tid)
            c.send(m)
        at = time.monotonic()
        q.sendto(b"ping", other.relayed)
        assert other.read() == (0x4002, b"ping")
        worst = max(worst, time.monotonic() - at)
        time.sleep(0.01)
    stuck = time.monotonic() - began
    got, answers, last, age = 0, [], -1, 0
    queued_until = time.monotonic() + 3
    while time.monotonic() < queued_until:
        try:
            channel, m = c.read(0.5)
        except TimeoutError:
            break
        if channel is None:
            answers.append(parse(m)[1])
            continue
        n, at = struct.unpack(">Id", m[:12])
        assert n > last, "out of order"
        last, got = n, got + 1
    dropped = sum(metric(o, "duplex_relay_drops_total", '"%s"' % d) - before[d] for d in drops)
    assert answers == tids, "answers: %d of %d" % (len(answers), len(tids))
    print("# sent %d while it did not read for %.1f s, %d came, %d were dropped; the other's worst echo took %.1f ms"
          % (sent, stuck, got, dropped, worst * 1000))
    assert got + dropped == sent, (got, dropped, sent)
    assert dropped > sent / 2 and worst < 0.5, (dropped, worst)
    # What is sent from now on comes at once: nothing old is in front of it.
    at = time.monotonic()
    p.sendto(b"now", c.relayed)
    assert c.read() == (0x4001, b"now") and time.monotonic() - at < 0.2
    assert metric(o, "duplex_relay_stream_messages_total", '"out"') > written
    c.close()
    other.close()


def check_slow_reader_tls(o):
    """the same over TLS"""
    check_slow_reader(o, place=(o.server, o.tls), tls=context(o))


def check_unread_answers(o):
    """who sends requests without reading the answers is not read any more, and costs no more than that"""
    c = Client(o, rcvbuf=4096).allocate()
    c.raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    before = metric(o, "duplex_relay_stream_stalls_total")
    c.s.settimeout(0.5)
    sent, one = 0, message(BINDING)
    try:
        while sent < 200000:
            sent += c.s.send(one * 50) / 20
    except (TimeoutError, socket.timeout):
        pass
    assert sent < 200000, "it is read without end"
    assert metric(o, "duplex_relay_stream_stalls_total") > before
    assert metric(o, "duplex_relay_stream_queued_bytes") < 4 << 20
    whole, c.s = int(sent), c.raw
    for _ in range(whole):
        assert parse(c.read()[1])[0] == 0x101
    print("# %d requests went out before it was stopped; all were answered" % whole)
    c.close()


# --- PROXY -----------------------------------------------------------------------------------------------------------------


def v2(client, port, server="192.0.2.80", command=1):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    server = server if family == socket.AF_INET else "2001:db8::80"
    body = socket.inet_pton(family, client) + socket.inet_pton(family, server) + struct.pack(">HH", port, 443)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", 0x20 | command, 0x21 if ":" in client else 0x11, len(body)) + body


def check_proxy(o):
    """PROXY version 2 and 1, on TCP and a unix socket: the mapped address is the real client's"""
    for place in ((o.server, o.proxy), o.unix):
        tls = context(o) if place == o.unix else None
        for greeting, want in ((v2("198.51.100.7", 4711), ("198.51.100.7", 4711)), (v2("2001:db8::7", 4712), ("2001:db8::7", 4712)),
                               (b"PROXY TCP4 203.0.113.9 192.0.2.80 5555 443\r\n", ("203.0.113.9", 5555)),
                               (b"PROXY TCP6 2001:db8::9 2001:db8::80 5556 443\r\n", ("2001:db8::9", 5556))):
            c = Client(o, place, tls=tls, greeting=greeting)
            assert c.binding() == want, (place, want)
            c.allocate()
            assert c.mapped == want
            c.close()


def check_proxy_limits(o):
    """limits go by the real client"""
    held = [Client(o, (o.server, o.proxy), greeting=v2("198.51.100.7", 1000 + i)) for i in range(40)]
    for c in held:
        c.binding()
    assert closed(Client(o, (o.server, o.proxy), greeting=v2("198.51.100.7", 2000)), 2)
    Client(o, (o.server, o.proxy), greeting=v2("198.51.100.8", 2000)).binding()
    for c in held:
        c.close()


def check_proxy_required(o):
    """where the header must be, anything else closes; where it must not be, it is garbage"""
    for data in (message(BINDING), b"GET / HTTP/1.1\r\n\r\n", v2("198.51.100.7", 1, command=0), b"PROXY UNKNOWN\r\n", b"PROXY TCP4 1\r\n"):
        before = metric(o, "duplex_relay_stream_closed_total", '"proxy"')
        assert closed(Client(o, (o.server, o.proxy), greeting=data), 2), data
        assert metric(o, "duplex_relay_stream_closed_total", '"proxy"') == before + 1
    before = metric(o, "duplex_relay_stream_closed_total", '"garbage"')
    assert closed(Client(o, greeting=v2("198.51.100.7", 1)), 2)
    assert metric(o, "duplex_relay_stream_closed_total", '"garbage"') == before + 1
    c = Client(o, (o.server, o.proxy))
    for byte in v2("198.51.100.7", 9) + message(BINDING, b"", b"x" * 12):
        c.send(bytes([byte]))
        time.sleep(0.001)
    assert c.answer(b"x" * 12)[0] == 0x101


# --- TLS -------------------------------------------------------------------------------------------------------------------


def context(o, version=None, alpn=None, ca=None):
    t = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    t.load_verify_locations(ca or o.ca)
    if version:
        t.minimum_version = t.maximum_version = version
    if alpn:
        t.set_alpn_protocols(alpn)
    return t


def check_tls(o):
    """TLS 1.2 and 1.3, verified; ALPN stun.turn is taken, others are not; the certificate goes by the name asked for"""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        c = Client(o, (o.server, o.tls), tls=context(o, version))
        assert c.binding() == c.s.getsockname()[:2]
        assert c.s.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        c.close()
    for offered, want in ((["stun.turn"], "stun.turn"), (["http/1.1", "stun.turn"], "stun.turn"), (["h2"], None), (None, None)):
        c = Client(o, (o.server, o.tls), tls=context(o, alpn=offered))
        assert c.s.selected_alpn_protocol() == want, offered
        c.binding()
        c.close()
    for name, want in (("localhost", "localhost"), ("other.test", "other.test"), ("third.test", "localhost")):
        t = context(o)
        t.check_hostname = False
        c = Client(o, (o.server, o.tls), tls=t, name=name)
        assert dict(x[0] for x in c.s.getpeercert()["subject"])["commonName"] == want
        c.close()
    old = context(o)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    try:
        Client(o, (o.server, o.tls), tls=old)
        raise AssertionError("TLS 1.1 is accepted")
    except (ssl.SSLError, ConnectionError):
        pass


def check_tls_big(o):
    """records of every size, many messages in one, one message over many"""
    c, p = bound(o, place=(o.server, o.tls), tls=context(o))
    c.send(b"".join(channel_data(0x4001, b"%d" % i) for i in range(1000)))
    for i in range(1000):
        assert p.recv(100) == b"%d" % i
    for byte in channel_data(0x4001, b"slowly"):
        c.send(bytes([byte]))
    assert p.recv(100) == b"slowly"
    for i in range(2000):
        p.sendto(b"%d" % i, c.relayed)
        if i % 50 == 49:
            for k in range(i - 49, i + 1):
                assert c.read() == (0x4001, b"%d" % k)
    c.close()


def check_tls_held(o):
    """a session that stays while certificates change (stdin: a line for each time it shall work)"""
    c, p = bound(o, place=(o.server, o.tls), tls=context(o))
    print("# held", flush=True)
    for n, _ in enumerate(sys.stdin):
        c.send(channel_data(0x4001, b"%d" % n))
        assert p.recv(100) == b"%d" % n
        c.good(REFRESH, b"")
        print("# works", flush=True)
    c.close()


def check_certificate(o):
    """the serial number of the certificate served is --serial"""
    c = Client(o, (o.server, o.tls), tls=context(o))
    assert int(c.s.getpeercert()["serialNumber"], 16) == o.serial, c.s.getpeercert()["serialNumber"]
    c.binding()
    c.close()


def resident(o):
    with open("/proc/%d/status" % o.pid, encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def check_memory(o):
    """what an unproven client costs is bounded (and is given back)"""
    for kind, tls, most in (("TCP", None, 4096), ("TLS", context(o), 40960)):
        Client(o, (o.server, o.tls if tls else o.tcp), tls=tls).close()
        before, n, held = resident(o), 1000, []
        for _ in range(n):
            c = Client(o, (o.server, o.tls if tls else o.tcp), tls=tls)
            c.send(message(BINDING, b"\0\x22\x04\0" + b"y" * 1024)[:-1])
            held.append(c)
        assert eventually(lambda: metric(o, "duplex_relay_stream_connections") >= n, 5)
        time.sleep(0.2)
        each = (resident(o) - before) / n
        print("# %s: %d connections with an unfinished message of 1 kB each: %d bytes each" % (kind, n, each))
        assert each < most, each
        for c in held:
            c.close()
        assert eventually(lambda: metric(o, "duplex_relay_stream_connections") == 0, 5)


def main():
    a = argparse.ArgumentParser()
    for name in ("server", "peer", "other", "metrics", "unix", "ca"):
        a.add_argument("--" + name)
    for name in ("tcp", "tls", "proxy", "pid"):
        a.add_argument("--" + name, type=int)
    a.add_argument("--serial", type=lambda s: int(s, 16))
    a.add_argument("--secret-file")
    a.add_argument("checks", nargs="+")
    o = a.parse_args()
    with open(o.secret_file, "rb") as f:
        o.secret = f.readline().strip()
    for n, name in enumerate(o.checks, 1):
        check = globals()["check_" + name]
        try:
            check(o)
            print("ok %d - %s: %s" % (n, name, check.__doc__), flush=True)
        except Exception as e:  # whatever goes wrong is a failed test, the next one runs all the same
            trace = e.__traceback__
            while trace.tb_next:
                trace = trace.tb_next
            print("not ok %d - %s: %s\n# line %d: %r" % (n, name, check.__doc__, trace.tb_lineno, e), flush=True)
    print("1..%d" % len(o.checks))


main()
