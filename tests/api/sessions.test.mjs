// Login, logout, sessions, tickets, the question that nginx asks before an upgrade.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Client, person } from "./lib/client.mjs";
import { start } from "./lib/server.mjs";

let server, nobody;
before(async () => {
	server = await start();
	nobody = new Client(server);
});
after(() => server.stop());

const upgrade = (client, uri = "/sip", extra = {}) => client.get("/internal/authorize", { ORIGINAL_URI: uri, ...extra });

describe("login", () => {
	test("sets a cookie that only we can read, and keeps its hash only", async () => {
		server.addUser("alice");
		const reply = await nobody.post("/sessions", { username: "alice", password: "password of alice" });
		assert.equal(reply.status, 201);
		const cookie = /^__Host-duplex=alice\.([A-Za-z0-9_-]{43}); Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000$/.exec(reply.headers["set-cookie"]);
		assert.ok(cookie, reply.headers["set-cookie"]);
		const id = createHash("sha256").update(Buffer.from(cookie[1], "base64url")).digest("hex").slice(0, 32);
		assert.equal(reply.body.session.id, id);
		const record = server.redis("HGETALL", `session:{alice}:${id}`);
		assert.equal(record.method, "password");
		assert.equal(record.address, "127.0.0.1");
		assert.ok(!JSON.stringify(record).includes(cookie[1]));
		nobody.cookie = undefined;
	});
	test("answers the same for an unknown user and a wrong password", async () => {
		server.addUser("bob");
		const wrong = await nobody.post("/sessions", { username: "bob", password: "not this one" });
		const unknown = await nobody.post("/sessions", { username: "nobody-here", password: "not this one" });
		assert.equal(wrong.status, 401);
		assert.equal(wrong.text, unknown.text);
		assert.equal(wrong.headers["set-cookie"], undefined);
	});
	test("refuses a disabled user, but only with the right password", async () => {
		server.addUser("dan");
		assert.equal(server.ctl(["user", "disable", "dan"]).status, 0);
		assert.equal((await nobody.post("/sessions", { username: "dan", password: "wrong" })).body.code, "bad_credentials");
		const reply = await nobody.post("/sessions", { username: "dan", password: "password of dan" });
		assert.equal(reply.status, 403);
		assert.equal(reply.body.code, "user_disabled");
	});
	test("says which fields are wrong", async () => {
		for (const [body, pointer] of [[{}, "/username"], [{ username: "alice" }, "/password"], [{ username: "alice", password: "" }, "/password"],
			[{ username: "Al", password: "x" }, "/username"], [{ ticket: "t", username: "alice" }, "/ticket"], [{ ticket: "" }, "/ticket"]]) {
			const reply = await nobody.post("/sessions", body);
			assert.equal(reply.status, 422);
			assert.equal(reply.body.errors[0].pointer, pointer);
		}
	});
	test("hashes again when the costs were raised", async () => {
		await server.stopApi();
		server.configure({ "argon2-memory": 128, "argon2-ops": 2 });
		server.addUser("old");
		await server.stopApi();
		server.configure({});
		await server.startApi();
		const before = server.redis("HGET", "user:{old}", "password");
		assert.match(before, /m=128,t=2/);
		await new Client(server).logIn("old");
		assert.match(server.redis("HGET", "user:{old}", "password"), /m=64,t=1/);
		await new Client(server).logIn("old");
	});
	test("keeps at most 32 sessions, and tells of the one that gave way", async () => {
		server.addUser("many");
		const first = await new Client(server).logIn("many");
		for (let i = 0; i < 32; i++)
			await new Client(server).logIn("many");
		assert.equal(server.redis("ZCARD", "sessions:{many}"), 32);
		assert.equal((await first.get("/me")).status, 401);
		assert.ok(server.events("events:signal").some((e) => e.t === "session.end" && e.session === first.session));
	});
});

describe("a session", () => {
	test("ends by logout, with an event in the same moment", async () => {
		const client = await person(server, "lou");
		const { cookie, session } = client;
		const reply = await client.delete("/sessions/current");
		assert.equal(reply.status, 204);
		assert.match(reply.headers["set-cookie"], /^__Host-duplex=; .*Max-Age=0$/);
		client.cookie = cookie;
		const after = await client.get("/me");
		assert.equal(after.status, 401);
		assert.equal(after.body.code, "no_session");
		assert.deepEqual(server.events("events:signal").filter((e) => e.user === "lou"), [{ t: "session.end", user: "lou", session }]);
		assert.equal(server.redis("EXISTS", `session:{lou}:${session}`), 0);
		assert.equal(server.redis("ZCARD", "sessions:{lou}"), 0);
	});
	test("is listed, and can be ended from another one", async () => {
		const here = await person(server, "max");
		const there = await new Client(server, { address: "198.51.100.7" }).logIn("max");
		const { items } = (await here.get("/me/sessions")).body;
		assert.deepEqual(items.map((s) => [s.id, s.address, s.current]).sort(),
			[[here.session, "127.0.0.1", true], [there.session, "198.51.100.7", false]].sort());
		assert.equal((await here.delete(`/me/sessions/${there.session}`)).status, 204);
		assert.equal((await there.get("/me")).status, 401);
		assert.equal((await here.delete(`/me/sessions/${there.session}`)).status, 404);
		assert.equal((await here.get("/me")).status, 200);
	});
	test("of someone else cannot be ended", async () => {
		const one = await person(server, "one"), two = await person(server, "two");
		assert.equal((await one.delete(`/me/sessions/${two.session}`)).status, 404);
		for (const id of ["current", "x", "*", "0".repeat(31), `${"0".repeat(31)}g`])
			assert.equal((await one.delete(`/me/sessions/${id}`)).status, 404);
		assert.equal((await two.get("/me")).status, 200);
	});
	test("runs out when it is not used, and at its absolute end", async () => {
		const client = await person(server, "ida");
		const key = `session:{ida}:${client.session}`;
		const idle = server.redis("PTTL", key);
		assert.ok(idle > 604700000 && idle <= 604800000);
		server.redis("HSET", key, "expires", Date.now() - 1);
		assert.equal((await client.get("/me")).status, 401);
	});
	test("lives longer by being used, but is not brought back", async () => {
		const client = await person(server, "uma");
		const key = `session:{uma}:${client.session}`;
		server.redis("HSET", key, "seen", Date.now() - 120000);
		server.redis("PEXPIRE", key, 100000);
		assert.equal((await client.get("/me")).status, 200);
		assert.ok(server.redis("PTTL", key) > 604000000);
		assert.ok(Number(server.redis("HGET", key, "seen")) > Date.now() - 10000);
	});
	for (const cookie of ["", "alice", "alice.", ".", "alice.AAAA", `alice.${"A".repeat(44)}`, `{x}.${"A".repeat(43)}`, `alice.${"A".repeat(42)}=`]) {
		test(`is not the cookie ${JSON.stringify(cookie.slice(0, 20))}`, async () => {
			assert.equal((await nobody.get("/me", { HTTP_COOKIE: `__Host-duplex=${cookie}` })).status, 401);
		});
	}
	test("is not one of two cookies of the same name", async () => {
		const client = await person(server, "vic");
		assert.equal((await client.get("/me", { HTTP_COOKIE: `a=b; ${client.cookie}; c=d` })).status, 200);
		assert.equal((await client.get("/me", { HTTP_COOKIE: `${client.cookie}; ${client.cookie}` })).status, 401);
	});
});

describe("call-config", () => {
	test("has TURN credentials for one call", async () => {
		const client = await person(server, "tess");
		const { body } = await client.get("/me/call-config"), again = (await client.get("/me/call-config")).body;
		assert.notEqual(body.session_id, again.session_id);
		assert.equal(body.address_of_record, "sip:tess@localhost");
		assert.equal(body.websocket_url, "wss://localhost:8443/sip");
		const [ice] = body.ice_servers;
		assert.deepEqual(ice.urls, ["turn:192.0.2.1:3478?transport=udp", "turns:192.0.2.1:443"]);
		const [expiry, user, call] = ice.username.split(":");
		assert.equal(user, "tess");
		assert.equal(call, body.session_id);
		assert.equal(Number(expiry) * 1000, Date.parse(body.expires_at));
		assert.ok(Number(expiry) > Date.now() / 1000 + 43000);
		const { createHmac } = await import("node:crypto");
		assert.equal(ice.credential, createHmac("sha1", "secret".repeat(5)).update(ice.username).digest("base64"));
	});
});

describe("the upgrade", () => {
	test("passes with the cookie", async () => {
		const client = await person(server, "wes");
		const reply = await upgrade(client);
		assert.equal(reply.status, 204);
		assert.equal(reply.headers["x-duplex-user"], "wes");
		assert.equal(reply.headers["x-duplex-session"], client.session);
		assert.equal(reply.headers["x-duplex-permissions"], "call.audio,call.video,chat.send,directory.search,certificates.issue");
		assert.equal(reply.headers["x-duplex-address"], "127.0.0.1");
	});
	test("passes once with a ticket, and needs no cookie", async () => {
		const client = await person(server, "xena");
		const { ticket, expires_at } = (await client.post("/me/tickets")).body;
		assert.ok(Date.parse(expires_at) > Date.now() + 25000);
		const first = await upgrade(nobody, `/sip?ticket=${ticket}`, { HTTP_ORIGIN: undefined });
		assert.equal(first.status, 204);
		assert.equal(first.headers["x-duplex-session"], client.session);
		assert.equal((await upgrade(nobody, `/sip?ticket=${ticket}`)).status, 401);
	});
	test("does not pass with the ticket of an ended session", async () => {
		const client = await person(server, "yuri");
		const { ticket } = (await client.post("/me/tickets")).body;
		await client.delete("/sessions/current");
		assert.equal((await upgrade(nobody, `/sip?ticket=${ticket}`)).status, 401);
	});
	test("a ticket for it is no login", async () => {
		const client = await person(server, "zack");
		const { ticket } = (await client.post("/me/tickets")).body;
		const reply = await nobody.post("/sessions", { ticket });
		assert.equal(reply.status, 401);
		assert.equal(reply.body.code, "bad_ticket");
	});
	test("does not pass without, with a bad ticket, or from another origin", async () => {
		const client = await person(server, "yan");
		assert.equal((await upgrade(nobody)).status, 401);
		for (const query of ["ticket=", "ticket=x", `ticket=${"A".repeat(43)}`, "ticket=%00", "ticket=%zz", `ticket=${"A".repeat(5000)}`])
			assert.equal((await upgrade(client, `/sip?${query}`)).status, 401);
		const foreign = await upgrade(client, "/sip", { HTTP_ORIGIN: "https://evil.example" });
		assert.equal(foreign.status, 403);
		assert.equal(foreign.body.code, "cross_site");
	});
	test("is asked for by nginx only", async () => {
		const client = await person(server, "ann");
		assert.equal((await client.get("/internal/authorize")).status, 404);
		assert.equal((await client.get("/internal/authorize", { HTTP_ORIGINAL_URI: "/sip" })).status, 404);
	});
});
