// Contacts, the directory, call history.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, person } from "./lib/client.mjs";
import { start } from "./lib/server.mjs";

let server;
before(async () => {
	server = await start();
});
after(() => server.stop());

// All pages of a list, and how many there were.
async function pages(client, path) {
	const items = [];
	let cursor = "", count = 0;
	do {
		const { status, body } = await client.get(`${path}${path.includes("?") ? "&" : "?"}${cursor}`);
		assert.equal(status, 200);
		items.push(...body.items);
		cursor = body.next ? `cursor=${body.next}` : undefined;
		count++;
	} while (cursor && count < 100);
	return { items, count };
}

describe("contacts", () => {
	let alice;
	before(async () => {
		alice = await person(server, "alice");
		server.addUser("bob", { display: "Bob Builder" });
	});
	const changes = () => server.events("events:signal").filter((e) => e.t === "contacts.changed" && e.user === "alice").length;

	test("are added once, with an event", async () => {
		const first = await alice.post("/contacts", { username: "bob" });
		assert.equal(first.status, 201);
		assert.equal(first.body.display_name, "Bob Builder");
		assert.equal(changes(), 1);
		const again = await alice.post("/contacts", { username: "bob" });
		assert.equal(again.status, 200);
		assert.deepEqual(again.body, first.body);
		assert.deepEqual((await alice.get("/contacts")).body, { items: [first.body], next: null });
	});
	test("are people who exist, and not oneself", async () => {
		assert.equal((await alice.post("/contacts", { username: "nobody-here" })).body.code, "no_such_user");
		assert.equal((await alice.post("/contacts", { username: "alice" })).status, 422);
		assert.equal((await alice.post("/contacts", { username: "B OB" })).status, 422);
		assert.equal((await alice.post("/contacts", { username: 5 })).status, 422);
	});
	test("are removed, with an event", async () => {
		const before = changes();
		assert.equal((await alice.delete("/contacts/bob")).status, 204);
		assert.equal(changes(), before + 1);
		assert.equal((await alice.delete("/contacts/bob")).status, 404);
		assert.equal((await alice.delete("/contacts/B%20B")).status, 404);
		assert.deepEqual((await alice.get("/contacts")).body.items, []);
	});
	test("come in pages, in order", async () => {
		const names = Array.from({ length: 23 }, (_, i) => `c${String(i).padStart(2, "0")}`);
		server.redis("HSET", "contacts:{alice}", ...[...names].reverse().flatMap((n) => [n, 1790000000000]));
		const { items, count } = await pages(alice, "/contacts?limit=5");
		assert.equal(count, 5);
		assert.deepEqual(items.map((c) => c.username), names);
		assert.equal(items[0].added_at, "2026-09-21T14:13:20.000Z");
	});
	test("are at most 500", async () => {
		server.redis("HSET", "contacts:{alice}", ...Array.from({ length: 500 }, (_, i) => [`full${i}`, 1]).flat());
		const reply = await alice.post("/contacts", { username: "bob" });
		assert.equal(reply.status, 409);
		assert.equal(reply.body.code, "limit_reached");
	});
	test("limit and cursor are checked", async () => {
		for (const query of ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "cursor=%20", "cursor=a", "limit=1&limit=2", `cursor=${"A".repeat(500)}`])
			assert.equal((await alice.get(`/contacts?${query}`)).status, 422, query);
	});
});

describe("the directory", () => {
	let seeker;
	const people = { "ada": "Ada Lovelace", "alan": "Alan Turing", "barbara": "Barbara Liskov", "dennis": "Dennis MacAlistair Ritchie", "edsger": "Edsger W. Dijkstra",
		"aria": "Ári Önundarson", "hopper": "Grace Hopper", "al-khwarizmi": "Muḥammad ibn Mūsā al-Khwārizmī", "twice": "Anna Annabel Annis" };
	before(async () => {
		seeker = await person(server, "seeker");
		for (const [name, display] of Object.entries(people))
			server.addUser(name, { display });
	});
	const find = async (q) => (await seeker.get(`/users?q=${encodeURIComponent(q)}`)).body.items.map((p) => p.username);

	test("finds by the beginning of the user name", async () => assert.deepEqual(await find("bar"), ["barbara"]));
	test("finds by any word of the display name", async () => {
		assert.deepEqual(await find("turing"), ["alan"]);
		assert.deepEqual(await find("w. dijk"), ["edsger"]);
		assert.deepEqual(await find("HOP"), ["hopper"]);
	});
	test("finds beyond ASCII, whatever the case", async () => {
		assert.deepEqual(await find("önun"), ["aria"]);
		assert.deepEqual(await find("ÖNUN"), ["aria"]);
		assert.deepEqual(await find("khwā"), ["al-khwarizmi"]);
	});
	test("does not find the middle of a word", async () => assert.deepEqual(await find("ovelace"), []));
	test("lists each person once", async () => {
		assert.deepEqual(await find("ann"), ["twice"]);
		assert.deepEqual((await find("a")).sort(), ["ada", "al-khwarizmi", "alan", "alice", "aria", "twice"].sort());
	});
	test("comes in pages", async () => {
		const { items, count } = await pages(seeker, "/users?q=a&limit=1");
		assert.deepEqual(items.map((p) => p.username).sort(), ["ada", "al-khwarizmi", "alan", "alice", "aria", "twice"].sort());
		assert.ok(count >= 6);
	});
	test("does not show disabled people", async () => {
		server.ctl(["user", "disable", "ada"]);
		assert.deepEqual(await find("lovelace"), []);
		assert.deepEqual(await find("ada"), []);
		server.ctl(["user", "enable", "ada"]);
		assert.deepEqual(await find("lovelace"), ["ada"]);
	});
	test("needs something to look for", async () => {
		for (const query of ["", "?q=", `?q=${"x".repeat(65)}`, "?q=%ff", "?q=%00", "?q=a&q=b", "?q=%E2%80%AE"])
			assert.equal((await seeker.get(`/users${query}`)).status, 422, query);
	});
	test("is not a pattern language", async () => {
		for (const q of ["*", "[", "(", "+", "-", "\\", "?"])
			assert.deepEqual(await find(q), []);
	});
	test("needs the permission", async () => {
		const admin = await person(server, "boss", { role: "admin" });
		await admin.patch("/admin/users/seeker", { denied_permissions: ["directory.search"] });
		assert.equal((await seeker.get("/users?q=a")).status, 403);
	});
});

describe("call history", () => {
	let dave;
	const add = (id, fields) => server.redis("XADD", "history:{dave}", "*", ...Object.entries({ id, call_id: `sip-${id}`, ...fields }).flat());
	before(async () => {
		dave = await person(server, "dave");
		server.addUser("erin", { display: "Erin Grey" });
		add("1".repeat(32), { caller: "dave", callee: "erin", media: "video", started: 1790000000000, ringing: 1790000000100, answered: 1790000004120,
			ended: 1790000060000, reason: "completed", status: 200, by: "caller", caller_session: "a".repeat(32), callee_session: "b".repeat(32), referred_by: "abe" });
		add("2".repeat(32), { caller: "erin", callee: "dave", media: "audio", started: 1790000100000, ringing: 0, answered: 0, ended: 1790000100001,
			reason: "unreachable", status: 480, by: "server" });
		add("3".repeat(32), { caller: "dave", callee: "gone", media: "audio", started: 1790000200000, ringing: 0, answered: 0, ended: 1790000200001,
			reason: "not_found", status: 404, by: "server" });
	});
	test("is newest first, seen from the user", async () => {
		const { body } = await dave.get("/calls");
		assert.deepEqual(body.items.map((c) => c.id[0]), ["3", "2", "1"]);
		assert.deepEqual(body.items[2], { id: "1".repeat(32), direction: "outgoing", peer: { username: "erin", display_name: "Erin Grey" }, media: "video",
			started_at: "2026-09-21T14:13:20.000Z", answered_at: "2026-09-21T14:13:24.120Z", ended_at: "2026-09-21T14:14:20.000Z", end_reason: "completed",
			sip_status: 200, referred_by: "abe", quality: null });
		assert.deepEqual([body.items[1].direction, body.items[1].answered_at, body.items[1].end_reason], ["incoming", null, "unreachable"]);
		assert.deepEqual(body.items[0].peer, { username: "gone", display_name: "gone" });
	});
	test("with what the relays measured at the user's own side", async () => {
		const stream = (name, packets, bytes, lost, us) => [`${name}.packets`, packets, `${name}.bytes`, bytes, `${name}.lost`, lost, `${name}.jitter_us`, us];
		server.redis("HSET", `media:{dave}:${"a".repeat(32)}`, ...stream("sent.audio", 3000, 300000, 2, 1400), ...stream("received.video", 900, 900000, 0, 30000),
			"one_way_audio", 1);
		server.redis("HSET", `media:{erin}:${"b".repeat(32)}`, ...stream("sent.audio", 1, 1, 1, 1));
		const { body } = await dave.get("/calls");
		assert.deepEqual(body.items[2].quality, {
			sent: { audio: { packets: 3000, bytes: 300000, lost: 2, jitter_ms: 1.4 }, video: null },
			received: { audio: null, video: { packets: 900, bytes: 900000, lost: 0, jitter_ms: 30 } }, one_way_audio: true,
		});
		assert.deepEqual(body.items.slice(0, 2).map((c) => c.quality), [null, null]);
	});
	test("comes in pages", async () => {
		const { items, count } = await pages(dave, "/calls?limit=2");
		assert.deepEqual(items.map((c) => c.id[0]), ["3", "2", "1"]);
		assert.equal(count, 2);
	});
	test("is nobody else's", async () => assert.deepEqual((await (await person(server, "frank")).get("/calls")).body.items, []));
	test("takes only its own cursors", async () => {
		for (const text of ["+", "0", "(1-1", "1-x", "1-1\n"])
			assert.equal((await dave.get(`/calls?cursor=${Buffer.from(text).toString("base64url")}`)).status, 422);
	});
});

test("users of different names do not meet in the keys", async () => {
	const one = await person(server, "key.one"), other = await person(server, "key-one");
	await one.post("/contacts", { username: "key-one" });
	assert.deepEqual((await other.get("/contacts")).body.items, []);
	assert.equal((await new Client(server).get("/me", { HTTP_COOKIE: one.cookie.replace("key.one", "key-one") })).status, 401);
});
