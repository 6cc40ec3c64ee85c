/** web/src/store/*.ts and web/src/format.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CallRecord } from '../../web/src/api.ts';
import { dayOf, duration, hue, initials } from '../../web/src/format.ts';
import { Conversations, ITEMS_MAX, type ChatItem } from '../../web/src/store/conversations.ts';
import { History, isMissed, outcomeWords } from '../../web/src/store/history.ts';
import { People } from '../../web/src/store/people.ts';
import { dismissToast, toast, toasts } from '../../web/src/store/toasts.ts';

function storage(fill: Record<string, string> = {}) {
	const map = new Map(Object.entries(fill));
	return { map, getItem: (k: string) => map.get(k) ?? null, setItem: (k: string, v: string) => void map.set(k, v), removeItem: (k: string) => void map.delete(k) };
}

const item = (id: string, part: Partial<ChatItem> = {}): ChatItem => ({ id, from: 'peer', text: `t${id}`, at: Number(id) || 0, via: 'sip', state: 'received', ...part });

test('conversations: unread counts until read, nothing twice', () => {
	const c = new Conversations(storage(), 'alice');
	assert.equal(c.add('bob', item('1')), true);
	assert.equal(c.add('bob', item('1')), false);
	c.add('bob', item('2'));
	c.add('bob', item('3', { from: 'me', state: 'sending' }));
	assert.equal(c.unread.value.get('bob'), 2);
	c.read('bob');
	assert.equal(c.unread.value.has('bob'), false);
	c.add('bob', item('4'));
	assert.equal(c.unread.value.has('bob'), false, 'it is on the screen');
	c.flush();
});

test('conversations: kept over a reload, what was on its way counts as failed', () => {
	const s = storage();
	const before = new Conversations(s, 'alice');
	before.add('bob', item('1'));
	before.add('bob', item('2', { from: 'me', state: 'sending' }));
	before.flush();
	const after = new Conversations(s, 'alice');
	assert.deepEqual(after.items.value.get('bob')?.map((i) => i.state), ['received', 'failed']);
	assert.equal(after.unread.value.get('bob'), 1);
	assert.equal(new Conversations(s, 'mallory').items.value.size, 0, 'another user sees nothing of it');
	after.forget('bob');
	after.flush();
	assert.equal(new Conversations(s, 'alice').items.value.size, 0);
});

test('conversations: bounded, and rubbish in the store does no harm', () => {
	const c = new Conversations(storage({ 'duplex.chat.alice': '{"items":{"bob":[{"id":1}],"eve":"x"},"unread":{"bob":"many"}}' }), 'alice');
	assert.equal(c.items.value.get('bob')?.length, 0);
	assert.equal(c.unread.value.size, 0);
	for (let i = 0; i < ITEMS_MAX + 20; i++) c.add('bob', item(String(i + 1)));
	assert.equal(c.items.value.get('bob')?.length, ITEMS_MAX);
	c.flush();
	new Conversations(storage({ 'duplex.chat.alice': 'no json' }), 'alice');
});

test('conversations: states of my own messages', () => {
	const c = new Conversations(storage(), 'alice');
	c.add('bob', item('1', { from: 'me', state: 'sending' }));
	c.setState('bob', '1', 'stored');
	assert.equal(c.items.value.get('bob')?.[0]?.state, 'stored');
	c.setState('carol', '1', 'sent');
	c.flush();
});

test('a message of ours is sent, delivered, read, and never less again', () => {
	const c = new Conversations(storage(), 'alice');
	c.add('bob', { id: '1', from: 'me', text: 'x', at: 1, via: 'sip', state: 'sending' });
	const state = (): string | undefined => c.items.value.get('bob')?.[0]?.state;
	for (const [to, is] of [['delivered', 'delivered'], ['sent', 'delivered'], ['read', 'read'], ['delivered', 'read'], ['stored', 'read'], ['failed', 'read']] as const) {
		c.setState('bob', '1', to);
		assert.equal(state(), is, to);
	}
	c.flush();
});

test('who asked is told once what has been read, and only then; later, while there is no line', () => {
	const told: string[] = [];
	let line = false;
	const s = storage();
	const c = new Conversations(s, 'alice', (peer, ids) => {
		if (line) told.push(`${peer} ${ids.join(' ')}`);
		return line;
	});
	const theirs = (peer: string, id: string, owed = true): unknown => c.add(peer, { id, from: 'peer', text: id, at: 1, via: 'sip', state: 'received', ...(owed ? { owed } : {}) });
	theirs('bob', 'b1');
	theirs('bob', 'b2', false);
	theirs('bob', 'b3');
	theirs('carol', 'c1');
	line = true;
	c.settle();
	assert.equal(told.length, 0, 'nothing was read yet');
	line = false;
	c.read('bob');
	line = true;
	c.flush();
	const again = new Conversations(s, 'alice', (peer, ids) => told.push(`${peer} ${ids.join(' ')}`) > 0);
	again.settle();
	assert.deepEqual(told, ['bob b1 b3'], 'the page was loaded anew meanwhile');
	again.settle();
	c.settle();
	again.read('carol');
	again.add('carol', { id: 'c2', from: 'peer', text: 'x', at: 2, via: 'sip', state: 'received', owed: true });
	assert.deepEqual(told, ['bob b1 b3', 'bob b1 b3', 'carol c1', 'carol c2']);
	c.flush();
	again.flush();
});

const call = (part: Partial<CallRecord>): CallRecord => ({
	id: 'x', direction: 'incoming', peer: { username: 'bob', display_name: 'Bob' }, media: 'audio', started_at: '2026-01-02T10:00:00.000Z', answered_at: null, ended_at: null, end_reason: '', sip_status: 487, referred_by: null, ...part,
});

test('missed is what nobody took and nobody declined', () => {
	assert.equal(isMissed(call({})), true);
	assert.equal(isMissed(call({ answered_at: '2026-01-02T10:00:05.000Z' })), false);
	assert.equal(isMissed(call({ sip_status: 603 })), false);
	assert.equal(isMissed(call({ direction: 'outgoing' })), false);
	assert.equal(isMissed(call({ sip_status: 480 })), true);
});

for (const [end_reason, sip_status, words] of [
	['unreachable', 480, 'Not online'],
	['no_answer', 480, 'No answer'],
	['no_answer', 408, 'No answer'],
	['busy', 486, 'Busy'],
	['busy', 600, 'Busy'],
	['not_found', 404, 'No such user'],
	['forbidden', 403, 'Not permitted'],
	['declined', 603, 'Declined'],
	['cancelled', 487, 'Cancelled'],
	['failed', 488, 'Failed'],
	[null, null, 'Failed'],
] as const) {
	test(`history: a call that ended as ${end_reason} (${sip_status}) reads "${words}"`, () =>
		assert.equal(outcomeWords(call({ direction: 'outgoing', end_reason, sip_status })), words));
}

test('history: how long, or missed', () => {
	assert.equal(outcomeWords(call({ direction: 'outgoing', answered_at: '2026-01-02T10:00:05.000Z', ended_at: '2026-01-02T10:01:10.000Z', end_reason: 'completed', sip_status: 200 })), '1:05');
	assert.equal(outcomeWords(call({ end_reason: 'cancelled' })), 'Missed');
	assert.equal(outcomeWords(call({ end_reason: 'declined', sip_status: 603 })), 'Declined');
});

test('toasts: the two newest, each until it is dismissed', () => {
	for (const kind of ['a', 'b', 'c']) toast(kind, kind);
	assert.deepEqual(toasts.value.map((t) => t.kind), ['b', 'c']);
	for (const t of toasts.value) dismissToast(t.id);
	assert.equal(toasts.value.length, 0);
});

test('the badge counts what came after the last look, also after a reload', async () => {
	const s = storage();
	let items = [call({ id: '1' })];
	const api = { calls: () => Promise.resolve({ items, next: null }) };
	const h = new History(api, s, 'alice');
	await h.refresh();
	assert.equal(h.missed.value, 1);
	h.markSeen();
	assert.equal(h.missed.value, 0);
	items = [call({ id: '2', started_at: '2026-01-02T11:00:00.000Z' }), ...items];
	const again = new History(api, s, 'alice');
	await again.refresh();
	assert.equal(again.missed.value, 1);
	// A call that was missed during a longer one stands behind it in the list, but began after it.
	items = [call({ id: '4', started_at: '2026-01-02T12:00:00.000Z', answered_at: '2026-01-02T12:00:02.000Z' }), call({ id: '3', started_at: '2026-01-02T12:05:00.000Z', sip_status: 486 }), ...items];
	await again.refresh();
	again.markSeen();
	assert.equal(again.missed.value, 0);
});

test('people: who can be reached comes first; a busy one does not jump', async () => {
	const contact = (username: string, display_name: string) => ({ username, display_name, added_at: '' });
	const p = new People(
		{
			contacts: () => Promise.resolve([contact('a1', 'Zoe'), contact('b1', 'Ann'), contact('c1', 'Max')]),
			addContact: (u: string) => Promise.resolve(contact(u, u)),
			removeContact: () => Promise.resolve(),
			searchUsers: () => Promise.resolve([]),
		},
		'me',
	);
	await p.load();
	assert.equal(p.statusOf('a1'), 'unknown');
	const order = (): string[] => p.sorted.value.map((c) => c.display_name);
	p.setPresence(new Map([['a1', 'online'], ['b1', 'offline'], ['c1', 'online']]));
	assert.deepEqual(order(), ['Max', 'Zoe', 'Ann']);
	p.setPresence(new Map([['a1', 'online'], ['b1', 'offline'], ['c1', 'busy']]));
	assert.deepEqual(order(), ['Max', 'Zoe', 'Ann']);
	await p.add('d1');
	await p.add('d1');
	assert.equal(p.contacts.value.length, 4);
	await p.remove('d1');
	assert.equal(p.isContact('d1'), false);
	assert.equal(p.nameOf('b1'), 'Ann');
	assert.equal(p.nameOf('x9', 'Offered'), 'Offered');
});

test('durations, days, initials, hues', () => {
	assert.equal(duration(0), '0:00');
	assert.equal(duration(62.9), '1:02');
	assert.equal(duration(3661), '1:01:01');
	assert.equal(duration(-5), '0:00');
	const noon = new Date(2026, 5, 15, 12).getTime();
	assert.equal(dayOf(noon - 3_600_000, noon), 'Today');
	assert.equal(dayOf(noon - 13 * 3_600_000, noon), 'Yesterday');
	assert.equal(dayOf(noon - 37 * 3_600_000, noon) === 'Yesterday', false);
	assert.equal(initials('Alice Anders'), 'AA');
	assert.equal(initials('bob'), 'B');
	assert.equal(initials('  '), '?');
	assert.equal(initials('Zoë Žižková'), 'ZŽ');
	for (const name of ['alice', 'bob', 'carol']) assert.ok(hue(name) >= 0 && hue(name) < 10);
	assert.equal(hue('alice'), hue('alice'));
});
