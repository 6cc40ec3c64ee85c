/** web/src/api.ts: what goes out, and that every failure comes back as one error. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Api, ApiError, problem } from '../../web/src/api.ts';

interface Sent {
	url: string;
	init: RequestInit;
}

function api(reply: (sent: Sent) => Response | Promise<Response>): { api: Api; sent: Sent[] } {
	const sent: Sent[] = [];
	return {
		sent,
		api: new Api(async (url, init) => {
			sent.push({ url, init });
			return reply({ url, init });
		}),
	};
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
	new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } });

async function failing(work: Promise<unknown>): Promise<ApiError> {
	try {
		await work;
	} catch (e) {
		assert.ok(e instanceof ApiError, String(e));
		return e;
	}
	return assert.fail('it did not fail');
}

test('unsafe methods carry the guard header and JSON, safe ones neither', async () => {
	const { api: a, sent } = api(() => json(200, { items: [], next: null }));
	await a.contacts();
	await a.logIn('alice', 'secret');
	const [get, post] = sent as [Sent, Sent];
	const headers = (s: Sent): Record<string, string> => s.init.headers as Record<string, string>;
	assert.equal(get.init.method, 'GET');
	assert.equal(headers(get)['X-Duplex-Request'], undefined);
	assert.equal(headers(get)['Content-Type'], undefined);
	assert.equal(post.url, '/api/v1/sessions');
	assert.equal(headers(post)['X-Duplex-Request'], '1');
	assert.equal(headers(post)['Content-Type'], 'application/json');
	assert.deepEqual(JSON.parse(String(post.init.body)), { username: 'alice', password: 'secret' });
	assert.equal(post.init.credentials, 'same-origin');
});

test('a DELETE has no body and takes 204', async () => {
	const { api: a, sent } = api(() => new Response(null, { status: 204 }));
	await a.removeContact('a/b');
	assert.equal(sent[0]?.url, '/api/v1/contacts/a%2Fb');
	assert.equal(sent[0]?.init.body, null);
});

test('contacts follow the cursor to the end', async () => {
	const { api: a, sent } = api(({ url }) =>
		url.includes('cursor=two') ? json(200, { items: [{ username: 'bob' }], next: null }) : json(200, { items: [{ username: 'ann' }], next: 'two' }),
	);
	const all = await a.contacts();
	assert.deepEqual(all.map((c) => c.username), ['ann', 'bob']);
	assert.equal(sent.length, 2);
});

test('a list that never ends is given up', async () => {
	const { api: a, sent } = api(() => json(200, { items: [], next: 'again' }));
	await a.contacts();
	assert.equal(sent.length, 25);
});

test('a problem document is read in full', async () => {
	const body = { type: 'about:blank', title: 'Some fields are not valid', status: 422, code: 'invalid', errors: [{ pointer: '/password', detail: 'too short' }] };
	const { api: a } = api(() => json(422, body));
	const e = await failing(a.signUp('alice', 'Alice', 'x'));
	assert.equal(e.status, 422);
	assert.equal(e.code, 'invalid');
	assert.equal(e.field('password'), 'too short');
	assert.equal(e.field('username'), undefined);
});

test('Retry-After in seconds is kept, a date is not guessed at', () => {
	assert.equal(problem(429, {}, '17').retryAfter, 17);
	assert.equal(problem(429, {}, 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfter, null);
});

for (const body of [undefined, null, 'text', [], { errors: 'no list', code: 7 }]) {
	test(`an error without a usable document: ${JSON.stringify(body)}`, () => {
		const e = problem(502, body, null);
		assert.equal(e.code, 'http-502');
		assert.ok(e.title.length > 0);
		assert.deepEqual(e.fields, []);
	});
}

test('no answer is an ApiError of status 0', async () => {
	const { api: a } = api(() => Promise.reject(new TypeError('failed to fetch')));
	const e = await failing(a.me());
	assert.equal(e.status, 0);
	assert.equal(e.code, 'network');
});

test('200 with something that is not JSON is an error', async () => {
	const { api: a } = api(() => new Response('<html>', { status: 200 }));
	const e = await failing(a.me());
	assert.equal(e.status, 200);
});

test('401 tells that the session is over, but not while logging in', async () => {
	let told = 0;
	const { api: a } = api(() => json(401, { code: 'no_session' }));
	a.onSessionEnded = () => told++;
	await failing(a.logIn('alice', 'x'));
	await failing(a.me());
	assert.equal(told, 0);
	await failing(a.callConfig());
	assert.equal(told, 1);
});

test('a search is escaped', async () => {
	const { api: a, sent } = api(() => json(200, { items: [], next: null }));
	await a.searchUsers('a&b=c d');
	assert.equal(new URL(sent[0]?.url ?? '', 'http://x').searchParams.get('q'), 'a&b=c d');
});
