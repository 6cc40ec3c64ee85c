/** web/src/sip/cpim.ts: messages that ask for receipts, and the receipts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { unwrap, wrapReceipt, wrapText } from '../../web/src/sip/cpim.ts';

const A = 'sip:alice@x';
const B = 'sip:bob@x';
const AT = Date.UTC(2026, 10, 25, 21, 0, 0);

test('a text comes out as it went in', () => {
	for (const text of ['hello', 'two\r\nlines\r\n\r\nand more', 'grüße 😀', '<imdn/>']) {
		assert.deepEqual(unwrap(wrapText(A, B, 'm1', text, AT)), { kind: 'text', id: 'm1', text, at: AT, wants: ['delivered', 'read'] });
	}
});

test('so does a receipt, whatever the id is', () => {
	for (const id of ['m1', 'a<b>&"\'']) {
		for (const receipt of ['delivered', 'read'] as const) assert.deepEqual(unwrap(wrapReceipt(B, A, id, receipt, AT)), { kind: 'receipt', id, receipt });
	}
});

test('a value cannot make a header of its own', () => {
	const body = wrapText(A, B, 'm1\r\nFrom: <sip:mallory@x>', 'x', AT);
	assert.equal(body.match(/^From:/gm)?.length, 1);
});

test('what others write is read: another prefix, no wish for receipts, no id', () => {
	const text = (heads: string): unknown => unwrap(`From: <${A}>\r\nTo: <${B}>\r\n${heads}\r\nContent-type: text/plain\r\n\r\nhi`);
	assert.deepEqual(text('NS: i <urn:ietf:params:imdn>\r\ni.Message-ID: 7\r\ni.Disposition-Notification: display\r\n'), { kind: 'text', id: '7', text: 'hi', at: null, wants: ['read'] });
	assert.deepEqual(text('imdn.Message-ID: 7\r\n'), { kind: 'text', id: null, text: 'hi', at: null, wants: [] });
	assert.deepEqual(text('NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 7\r\nimdn.Disposition-Notification: negative-delivery\r\n'), { kind: 'text', id: '7', text: 'hi', at: null, wants: [] });
});

test('what is neither is refused', () => {
	const heads = `From: <${A}>\r\nTo: <${B}>\r\n`;
	for (const body of ['', 'hello', heads, `${heads}\r\nContent-type: image/png\r\n\r\nx`, `${heads}no colon\r\n\r\nContent-type: text/plain\r\n\r\nx`, `${heads}\r\nContent-type: message/imdn+xml\r\n\r\n<imdn/>`, `${heads}\r\nContent-type: message/imdn+xml\r\n\r\n<imdn><message-id>1</message-id></imdn>`, `${heads}\r\nContent-type: message/imdn+xml\r\n\r\n<!DOCTYPE x><imdn/>`]) {
		assert.throws(() => unwrap(body));
	}
});
