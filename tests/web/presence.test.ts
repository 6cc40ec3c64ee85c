/** web/src/sip/{xml,multipart,presence,headers}.ts: the bodies and headers that come from the network. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parameter, splitMultipart } from '../../web/src/sip/multipart.ts';
import { parseNotice, parsePidf, PresenceList, userOf } from '../../web/src/sip/presence.ts';
import { parseReason, parseSessionId, sdpHas, sessionIdHeader } from '../../web/src/sip/headers.ts';
import { parseXml, XmlError } from '../../web/src/sip/xml.ts';

const TYPE = 'multipart/related;type="application/rlmi+xml";start="<nXYxAE@duplex>";boundary="50UBfW7LSCVLtggUPe5z"';

const pidf = (user: string, basic: string, note: string): string =>
	`<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:${user}@example.com">\r\n` +
	`<tuple id="t1"><status><basic>${basic}</basic></status></tuple><note>${note}</note></presence>\r\n`;

/** A list notice in the shape of the example of RFC 4662 §5.5. */
function notice(full: boolean, version: number, people: [user: string, basic: string, note: string][], gone: string[] = []): string {
	const B = '--50UBfW7LSCVLtggUPe5z';
	const resources = people.map(([u]) => `<resource uri="sip:${u}@example.com"><name xml:lang="en">${u}</name><instance id="i" state="active" cid="${u}@duplex"/></resource>`);
	for (const u of gone) resources.push(`<resource uri="sip:${u}@example.com"><instance id="i" state="terminated" reason="noresource"/></resource>`);
	let body = `${B}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <nXYxAE@duplex>\r\nContent-Type: application/rlmi+xml;charset="UTF-8"\r\n\r\n`;
	body += `<?xml version="1.0" encoding="UTF-8"?>\r\n<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:contacts@example.com" version="${version}" fullState="${full}">${resources.join('')}</list>\r\n`;
	for (const [u, basic, note] of people) {
		body += `${B}\r\nContent-ID: <${u}@duplex>\r\nContent-Type: application/pidf+xml;charset="UTF-8"\r\n\r\n${pidf(u, basic, note)}`;
	}
	return `${body}${B}--\r\n`;
}

test('XML: elements, attributes, text, references, CDATA, comments', () => {
	const root = parseXml(`<?xml version="1.0"?><!-- hi --><p:a x='1' y:z = "&lt;&#65;&#x42;&gt;"><b/>t&amp;u<![CDATA[<raw>]]><c>3</c ></p:a>`);
	assert.equal(root.name, 'a');
	assert.deepEqual(root.attrs, { x: '1', z: '<AB>' });
	assert.equal(root.text, 't&u<raw>');
	assert.deepEqual(root.children.map((c) => [c.name, c.text]), [['b', ''], ['c', '3']]);
});

for (const [why, bad] of [
	['a document type', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
	['an unknown entity', '<a>&nbsp;</a>'],
	['crossed ends', '<a><b></a></b>'],
	['two roots', '<a/><b/>'],
	['nothing', '  '],
	['text outside', '<a/>x'],
	['an attribute without quotes', '<a b=c/>'],
	['a reference beyond Unicode', '<a>&#x110000;</a>'],
	['great depth', `${'<a>'.repeat(40)}${'</a>'.repeat(40)}`],
	['great size', `<a>${'x'.repeat(1 << 20)}</a>`],
] as const) {
	test(`XML is refused: ${why}`, () => assert.throws(() => parseXml(bad), XmlError));
}

test('XML: every prefix of a document is refused, none hangs', () => {
	const whole = pidf('bob', 'open', 'online').trim();
	for (let i = 0; i < whole.length; i++) assert.throws(() => parseXml(whole.slice(0, i)), XmlError);
	assert.equal(parseXml(whole).name, 'presence');
});

test('header parameters, quoted and plain', () => {
	assert.equal(parameter(TYPE, 'boundary'), '50UBfW7LSCVLtggUPe5z');
	assert.equal(parameter('a/b; boundary=xyz; q=1', 'boundary'), 'xyz');
	assert.equal(parameter('a/b; x="q\\"uote"', 'x'), 'q"uote');
	assert.equal(parameter('a/b', 'x'), undefined);
});

test('multipart: preamble and epilogue are ignored, folded headers joined, bare LF taken', () => {
	const parts = splitMultipart('multipart/mixed; boundary=b', 'preamble\n--b\nA: 1\n  2\n\none\n--b  \n\ntwo\n--b--\nepilogue');
	assert.deepEqual(parts, [
		{ headers: { a: '1 2' }, body: 'one' },
		{ headers: {}, body: 'two' },
	]);
});

test('multipart: a delimiter in the middle of a line, or with more behind it, is text', () => {
	const parts = splitMultipart('multipart/mixed; boundary=b', '--b\r\n\r\nx --b y\r\n--bc\r\n--b--');
	assert.equal(parts.length, 1);
	assert.equal(parts[0]?.body, 'x --b y\r\n--bc');
});

test('multipart: without a closing delimiter nothing is believed', () => {
	assert.deepEqual(splitMultipart('multipart/mixed; boundary=b', '--b\r\n\r\none\r\n'), []);
	assert.deepEqual(splitMultipart('text/plain', 'x'), []);
});

test('PIDF: basic status and note', () => {
	assert.equal(parsePidf(pidf('bob', 'open', 'online')), 'online');
	assert.equal(parsePidf(pidf('bob', 'open', 'busy')), 'busy');
	assert.equal(parsePidf(pidf('bob', 'open', 'dnd')), 'dnd');
	assert.equal(parsePidf(pidf('bob', 'closed', 'dnd')), 'offline');
	assert.equal(parsePidf(pidf('bob', 'closed', 'offline')), 'offline');
	assert.equal(parsePidf('<presence><tuple id="a"><status><basic> open </basic></status><note>Busy</note></tuple></presence>'), 'busy');
	assert.equal(parsePidf('<presence/>'), 'offline');
});

test('users of URIs', () => {
	assert.equal(userOf('sip:bob@example.com;transport=ws'), 'bob');
	assert.equal(userOf('SIPS:Bob.B@x'), 'bob.b');
	assert.equal(userOf('pres:bob@x'), 'bob');
	assert.equal(userOf('sip:example.com'), undefined);
	assert.equal(userOf('tel:+49'), undefined);
	assert.equal(userOf('sip:%zz@x'), undefined);
});

test('a full notice, then a partial one, then a contact that is gone', () => {
	const list = new PresenceList();
	assert.equal(list.apply(parseNotice(TYPE, notice(true, 0, [['bob', 'open', 'online'], ['carol', 'closed', 'offline']]))), true);
	assert.deepEqual([...list.snapshot()], [['bob', 'online'], ['carol', 'offline']]);
	assert.equal(list.apply(parseNotice(TYPE, notice(false, 1, [['carol', 'open', 'busy']]))), true);
	assert.equal(list.snapshot().get('bob'), 'online');
	assert.equal(list.snapshot().get('carol'), 'busy');
	assert.equal(list.apply(parseNotice(TYPE, notice(false, 2, [], ['bob']))), true);
	assert.equal(list.snapshot().has('bob'), false);
});

test('a missed notice is told, an overtaken one is dropped, a full one starts afresh', () => {
	const list = new PresenceList();
	list.apply(parseNotice(TYPE, notice(true, 4, [['bob', 'open', 'online']])));
	assert.equal(list.apply(parseNotice(TYPE, notice(false, 6, [['bob', 'open', 'busy']]))), false);
	assert.equal(list.apply(parseNotice(TYPE, notice(false, 5, [['bob', 'closed', 'offline']]))), true);
	assert.equal(list.snapshot().get('bob'), 'busy');
	assert.equal(list.apply(parseNotice(TYPE, notice(true, 0, [['carol', 'open', 'online']]))), true);
	assert.deepEqual([...list.snapshot().keys()], ['carol']);
});

test('a resource without an instance is offline, one whose part is missing too', () => {
	const body = '--b\r\nContent-Type: application/rlmi+xml\r\n\r\n<list version="1" fullState="true"><resource uri="sip:a1@x"/><resource uri="sip:b1@x"><instance id="1" state="active" cid="none"/></resource></list>\r\n--b--';
	assert.deepEqual([...parseNotice('multipart/related; boundary=b', body).states], [['a1', 'offline'], ['b1', 'offline']]);
});

test('the root may stand anywhere when start names it', () => {
	const body = `--b\r\nContent-ID: <p>\r\nContent-Type: application/pidf+xml\r\n\r\n${pidf('bob', 'open', 'x')}\r\n--b\r\nContent-ID: <r>\r\nContent-Type: application/rlmi+xml\r\n\r\n<list version="1" fullState="true"><resource uri="sip:bob@x"><instance id="1" state="active" cid="p"/></resource></list>\r\n--b--`;
	assert.equal(parseNotice('multipart/related; boundary=b; start="<r>"', body).states.get('bob'), 'online');
});

test('every prefix of a notice throws, none is believed', () => {
	const whole = notice(true, 0, [['bob', 'open', 'online']]);
	const end = whole.lastIndexOf('--\r\n') + 2;
	for (let i = 0; i < end; i++) assert.throws(() => parseNotice(TYPE, whole.slice(0, i)), Error);
	assert.equal(parseNotice(TYPE, whole).states.get('bob'), 'online');
});

test('Session-ID', () => {
	const id = '0123456789abcdef0123456789abcdef';
	assert.equal(sessionIdHeader(id, null), `Session-ID: ${id};remote=${'0'.repeat(32)}`);
	assert.equal(parseSessionId(`${id};remote=${'0'.repeat(32)}`), id);
	assert.equal(parseSessionId('0'.repeat(32)), null);
	assert.equal(parseSessionId('xyz'), null);
	assert.equal(parseSessionId(undefined), null);
});

test('Reason', () => {
	assert.deepEqual(parseReason('SIP;cause=200;text="Call completed elsewhere"'), { protocol: 'SIP', cause: 200, text: 'Call completed elsewhere' });
	assert.deepEqual(parseReason('SIP ;cause=603; text=gone'), { protocol: 'SIP', cause: 603, text: 'gone' });
	assert.deepEqual(parseReason('Q.850;cause=16'), { protocol: 'Q.850', cause: 16, text: '' });
	assert.equal(parseReason(undefined), null);
	assert.equal(parseReason(''), null);
});

test('media of an offer', () => {
	const sdp = 'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n';
	assert.equal(sdpHas(sdp, 'audio'), true);
	assert.equal(sdpHas(sdp, 'video'), false);
	assert.equal(sdpHas('', 'audio'), false);
});
