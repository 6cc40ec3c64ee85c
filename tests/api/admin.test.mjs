// What an administrator sees and does, through the API and through duplexctl.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, person } from "./lib/client.mjs";
import { start } from "./lib/server.mjs";

let server, admin;
before(async () => {
	server = await start();
	admin = await person(server, "root-1", { role: "admin", display: "The Boss" });
});
after(() => server.stop());

const events = (type, user, stream = "events:signal") => server.events(stream).filter((e) => e.t === type && e.user === user);

describe("users", () => {
	test("are listed, in pages, with what is known of them", async () => {
		for (let i = 0; i < 7; i++)
			server.addUser(`list${i}`);
		server.redis("HSET", "location:{list3}", "x", "y");
		const names = [];
		let cursor = "";
		do {
			const { body } = await admin.get(`/admin/users?limit=3${cursor}`);
			names.push(...body.items.map((u) => u.username));
			if (body.items.some((u) => u.username === "list3"))
				assert.equal(body.items.find((u) => u.username === "list3").online, true);
			cursor = body.next ? `&cursor=${body.next}` : undefined;
		} while (cursor);
		assert.deepEqual(names, ["list0", "list1", "list2", "list3", "list4", "list5", "list6", "root-1"]);
	});
	test("are searched, disabled ones too", async () => {
		server.ctl(["user", "disable", "list5"]);
		const { body } = await admin.get("/admin/users?q=list5");
		assert.deepEqual(body.items.map((u) => [u.username, u.state]), [["list5", "disabled"]]);
	});
	test("that do not exist are not found", async () => {
		assert.equal((await admin.get("/admin/users/nobody-here")).body.code, "no_such_user");
		assert.equal((await admin.patch("/admin/users/nobody-here", {})).body.code, "no_such_user");
		assert.equal((await admin.get("/admin/users/N%20")).status, 404);
	});
	test("change with a tag", async () => {
		server.addUser("tagged");
		const { etag } = (await admin.get("/admin/users/tagged")).headers;
		const done = await admin.patch("/admin/users/tagged", { display_name: "New Name" }, { HTTP_IF_MATCH: etag });
		assert.equal(done.status, 200);
		assert.notEqual(done.headers.etag, etag);
		assert.equal((await admin.patch("/admin/users/tagged", { role: "admin" }, { HTTP_IF_MATCH: etag })).status, 412);
		assert.deepEqual((await admin.get("/users?q=new")).body.items, [{ username: "tagged", display_name: "New Name" }]);
	});
	test("many changes at once: none is lost", async () => {
		server.addUser("busy1");
		const all = await Promise.all(Array.from({ length: 6 }, (_, i) => admin.patch("/admin/users/busy1", { display_name: `Name ${i}` })));
		const done = all.filter((r) => r.status === 200).length;
		assert.ok(all.every((r) => r.status === 200 || r.status === 412));
		assert.equal(server.redis("HGET", "user:{busy1}", "rev"), String(1 + done));
	});
	test("wrong fields are named", async () => {
		server.addUser("fields");
		const reply = await admin.patch("/admin/users/fields", { state: "gone", role: "king", denied_permissions: ["call.audio", "fly"], display_name: "" });
		assert.deepEqual(reply.body.errors.map((e) => e.pointer).sort(), ["/denied_permissions", "/display_name", "/role", "/state"]);
		assert.equal((await admin.patch("/admin/users/fields", { denied_permissions: "call.audio" })).status, 422);
		assert.equal((await admin.patch("/admin/users/fields", { password: "x" })).status, 422);
	});
});

describe("disabling a user", () => {
	test("ends sessions, sockets and allocations at once", async () => {
		const victim = await person(server, "victim");
		const reply = await admin.patch("/admin/users/victim", { state: "disabled" });
		assert.equal(reply.body.state, "disabled");
		assert.deepEqual(reply.body.permissions, []);
		assert.equal((await victim.get("/me")).status, 401);
		assert.equal((await victim.get("/internal/authorize", { ORIGINAL_URI: "/sip" })).status, 401);
		assert.equal(events("user.disable", "victim").length, 1);
		assert.equal(events("user.revoke", "victim", "events:relay").length, 1);
		assert.equal(server.redis("EXISTS", "sessions:{victim}"), 0);
		assert.equal((await new Client(server).post("/sessions", { username: "victim", password: "password of victim" })).status, 403);
	});
	test("can be taken back; old sessions stay ended", async () => {
		const user = await person(server, "returns");
		await admin.patch("/admin/users/returns", { state: "disabled" });
		await admin.patch("/admin/users/returns", { state: "active" });
		assert.equal((await user.get("/me")).status, 401);
		await user.logIn("returns");
	});
	test("loses no race against a login", async () => {
		server.addUser("racer");
		const logins = Array.from({ length: 8 }, () => new Client(server).post("/sessions", { username: "racer", password: "password of racer" }));
		const [done] = await Promise.all([admin.patch("/admin/users/racer", { state: "disabled" }), ...logins]);
		assert.equal(done.status, 200);
		assert.equal(server.redis("ZCARD", "sessions:{racer}"), 0);
	});
});

describe("permissions", () => {
	test("change at once, and close the sockets", async () => {
		const user = await person(server, "limited");
		const reply = await admin.patch("/admin/users/limited", { denied_permissions: ["call.video", "chat.send"] });
		assert.deepEqual(reply.body.denied_permissions, ["call.video", "chat.send"]);
		const upgrade = await user.get("/internal/authorize", { ORIGINAL_URI: "/sip" });
		assert.equal(upgrade.headers["x-duplex-permissions"], "call.audio,directory.search,certificates.issue");
		assert.equal(upgrade.headers["x-duplex-revision"], server.redis("HGET", "user:{limited}", "rev"));
		assert.equal(events("user.disable", "limited").length, 1);
		assert.equal(events("user.revoke", "limited", "events:relay").length, 0);
		assert.equal((await user.get("/me")).status, 200);
	});
	test("come with the role", async () => {
		const user = await person(server, "riser");
		assert.equal((await user.get("/admin/users")).status, 403);
		await admin.patch("/admin/users/riser", { role: "admin" });
		assert.equal((await user.get("/admin/users")).status, 200);
		await admin.patch("/admin/users/riser", { denied_permissions: ["users.write"] });
		assert.equal((await user.patch("/admin/users/riser", { role: "user" })).status, 403);
		await admin.patch("/admin/users/riser", { role: "user", denied_permissions: [] });
		assert.equal((await user.get("/admin/users")).status, 403);
	});
	test("a change of the name closes nothing", async () => {
		server.addUser("renamed");
		await admin.patch("/admin/users/renamed", { display_name: "Other" });
		assert.equal(events("user.disable", "renamed").length, 0);
	});
	test("an administrator does not lock themselves out", async () => {
		for (const change of [{ state: "disabled" }, { role: "user" }, { denied_permissions: ["users.write"] }]) {
			const reply = await admin.patch("/admin/users/root-1", change);
			assert.equal(reply.status, 409);
			assert.equal(reply.body.code, "last_administrator");
		}
		assert.equal((await admin.patch("/admin/users/root-1", { denied_permissions: ["call.video"], role: "admin" })).status, 200);
	});
});

describe("live calls", () => {
	const call = { caller: "alice", callee: "bob", media: "video", state: "answered", started_at: 1790000000000, answered_at: 1790000004000 };
	before(() => {
		server.redis("ZADD", "workers", Date.now() + 600000, "n1.0", Date.now() + 600000, "n1.1", Date.now() - 1, "n2.0");
		server.redis("HSET", "live:n1.0", "a".repeat(32), JSON.stringify(call));
		server.redis("HSET", "live:n1.1", "b".repeat(32), JSON.stringify({ ...call, state: "ringing", answered_at: 0 }), "broken", "{");
		server.redis("HSET", "live:n2.0", "c".repeat(32), JSON.stringify(call));
	});
	test("are those of the workers that live", async () => {
		const { body } = await admin.get("/admin/calls");
		assert.deepEqual(body.items.map((c) => [c.id[0], c.worker, c.state, c.answered_at]).sort(),
			[["a", "n1.0", "answered", "2026-09-21T14:13:24.000Z"], ["b", "n1.1", "ringing", null]]);
	});
	test("are hung up by an event", async () => {
		assert.equal((await admin.delete(`/admin/calls/${"b".repeat(32)}`)).status, 202);
		assert.deepEqual(server.events("events:signal").filter((e) => e.t === "call.hangup"), [{ t: "call.hangup", id: "b".repeat(32), by: "root-1" }]);
	});
	test("that are over are not found", async () => {
		assert.equal((await admin.delete(`/admin/calls/${"c".repeat(32)}`)).status, 404);
		assert.equal((await admin.delete("/admin/calls/x")).status, 404);
	});
});

describe("the media of a live call", () => {
	const call = { caller: "alice", callee: "bob", media: "audio", state: "answered", started_at: 1790000000000, answered_at: 1790000004000 };
	const sessions = { caller_session: "1".repeat(32), callee_session: "2".repeat(32) };
	const stream = (packets, lost, jitter_ms) => ({ packets, bytes: packets * 100, lost, jitter_ms });
	const silent = stream(0, 0, 0);
	const side = (sent, received, one_way_audio = false) => ({ allocations: 1, sent: { audio: sent, video: silent }, received: { audio: received, video: silent }, one_way_audio });
	const none = { ...side(silent, silent), allocations: 0 };
	const id = "d".repeat(32), url = `/admin/calls/${id}`;
	const show = (more) => server.redis("HSET", "live:n3.0", id, JSON.stringify({ ...call, ...more }));
	const relaysUp = (...names) => {
		server.redis("DEL", "relays");
		for (const name of names)
			server.redis("ZADD", "relays", Date.now() + 600000, name);
	};
	// Answers the next question as the relays do; `asked` is what they were asked.
	const answering = async (...answers) => {
		const seen = server.events("{events:relay}:asked").length;
		const reply = admin.get(url);
		let asked;
		await server.until(() => (asked = server.events("{events:relay}:asked")[seen]) !== undefined, "the question");
		for (const answer of answers)
			server.redis("RPUSH", `answer:${asked.ask}`, typeof answer === "string" ? answer : JSON.stringify(answer));
		return { asked, ...(await reply) };
	};
	before(() => {
		server.redis("ZADD", "workers", Date.now() + 600000, "n3.0");
		show(sessions);
	});
	after(() => server.redis("DEL", "relays"));

	test("no relay is up: said plainly, and nothing is waited for", async () => {
		relaysUp();
		const began = Date.now();
		const { status, body } = await admin.get(url);
		assert.equal(status, 200);
		assert.deepEqual([body.relays, body.measured_at], [{ asked: 0, answered: 0 }, null]);
		assert.deepEqual(body.sides.caller, { session_id: "1".repeat(32), allocations: 0, quality: null });
		assert.deepEqual([body.id, body.caller, body.state, body.worker], [id, "alice", "answered", "n3.0"]);
		assert.ok(Date.now() - began < 250);
	});
	test("relays are asked for both sides, and what they say is added up", async () => {
		relaysUp("host-a", "host-b");
		const { asked, body } = await answering({ relay: "host-a", caller: side(stream(100, 2, 1.5), stream(90, 0, 2)), callee: none },
			{ relay: "host-b", caller: side(stream(10, 1, 0.5), silent), callee: side(stream(95, 0, 3), silent, true) });
		assert.deepEqual(asked, { t: "media.ask", ask: asked.ask, caller: "alice", caller_call: "1".repeat(32), callee: "bob", callee_call: "2".repeat(32) });
		assert.match(asked.ask, /^[0-9a-f]{32}$/);
		assert.deepEqual(body.relays, { asked: 2, answered: 2 });
		assert.equal(body.sides.caller.allocations, 2);
		assert.deepEqual(body.sides.caller.quality.sent, { audio: stream(110, 3, 0.5), video: null });
		assert.deepEqual(body.sides.caller.quality.received, { audio: stream(90, 0, 2), video: null });
		assert.deepEqual(body.sides.callee.quality, { sent: { audio: stream(95, 0, 3), video: null }, received: { audio: null, video: null }, one_way_audio: true });
		assert.ok(Math.abs(Date.parse(body.measured_at) - Date.now()) < 5000);
	});
	test("what an allocation that has ended carried is in it, too", async () => {
		relaysUp("host-a");
		server.redis("HSET", `media:{alice}:${"1".repeat(32)}`, "sent.audio.packets", 1000, "sent.audio.bytes", 100000, "sent.audio.lost", 5,
			"sent.audio.jitter_us", 9000, "one_way_audio", 1);
		const { body } = await answering({ relay: "host-a", caller: side(stream(100, 2, 1.5), stream(90, 0, 2)), callee: none });
		assert.deepEqual(body.sides.caller.quality.sent.audio, { packets: 1100, bytes: 110000, lost: 7, jitter_ms: 1.5 });
		assert.equal(body.sides.caller.quality.one_way_audio, false);
		server.redis("DEL", `media:{alice}:${"1".repeat(32)}`);
	});
	test("a relay that does not answer is waited for briefly, while other requests are served", async () => {
		relaysUp("host-a", "host-hung");
		const began = Date.now();
		const slow = answering({ relay: "host-a", caller: side(stream(100, 2, 1.5), silent), callee: none });
		const others = await Promise.all(Array.from({ length: 12 }, () => admin.get("/me")));
		assert.ok(others.every((r) => r.status === 200));
		const { body } = await slow, took = Date.now() - began;
		assert.deepEqual(body.relays, { asked: 2, answered: 1 });
		assert.equal(body.sides.caller.quality.sent.audio.packets, 100);
		assert.ok(took >= 280 && took < 2000, `${took} ms`);
	});
	test("many at once do not hold up the rest for longer than that", async () => {
		relaysUp("host-hung");
		const began = Date.now();
		const all = await Promise.all([...Array.from({ length: 8 }, () => admin.get(url)), admin.get("/me")]);
		assert.deepEqual(all.slice(0, 8).map((r) => [r.status, r.body.relays.answered, r.body.measured_at]), Array(8).fill([200, 0, null]));
		assert.equal(all[8].status, 200);
		assert.ok(Date.now() - began < 3000);
	});
	test("odd answers count as none, and odd figures as nothing", async () => {
		relaysUp("host-a", "host-b", "host-c", "host-d");
		const odd = { allocations: -3, sent: { audio: { packets: "many" }, video: 7 }, received: [], one_way_audio: 1 };
		const { body } = await answering("{", "[]", { relay: 1, caller: odd },
			{ caller: { allocations: 1, sent: { audio: { packets: 5, bytes: -1, lost: 1.5, jitter_ms: -2 } } } });
		assert.deepEqual(body.relays, { asked: 4, answered: 2 });
		assert.deepEqual(body.sides.caller, { session_id: "1".repeat(32), allocations: 1, quality: {
			sent: { audio: { packets: 5, bytes: 0, lost: 0, jitter_ms: 0 }, video: null }, received: { audio: null, video: null }, one_way_audio: false } });
		assert.deepEqual(body.sides.callee.quality, null);
	});
	test("a side without Session-ID cannot be asked for", async () => {
		relaysUp("host-a");
		show({});
		const { body } = await admin.get(url);
		assert.deepEqual(body.sides, { caller: { session_id: null, allocations: 0, quality: null }, callee: { session_id: null, allocations: 0, quality: null } });
		assert.deepEqual(body.relays, { asked: 0, answered: 0 });
		show(sessions);
	});
	test("answers do not stay behind, questions are few", () => {
		for (const { ask } of server.events("{events:relay}:asked"))
			assert.equal(server.redis("EXISTS", `answer:${ask}`), 0);
		assert.ok(server.redis("XLEN", "{events:relay}:asked") <= 1100);
		assert.equal(server.events("events:relay").filter((e) => e.t === "media.ask").length, 0);
	});
	test("is for administrators, of calls that are there", async () => {
		const someone = await person(server, "no-calls");
		assert.equal((await someone.get(url)).status, 403);
		assert.equal((await admin.get("/admin/calls/nope")).status, 404);
	});
});

describe("relays", () => {
	const relay = { version: "0.1.0", state: "serving", addresses: "192.0.2.10 2001:db8::10", allocations: 3, capacity: 16384, workers: 2, busy: 125, started: 1790000000000 };
	before(() => {
		server.redis("ZADD", "relays", Date.now() + 600000, "host-a", Date.now() + 600000, "host-gone", Date.now() - 1, "host-dead");
		for (const name of ["host-a", "host-dead"])
			server.redis("HSET", `relay:${name}`, ...Object.entries(relay).flat().map(String));
	});
	test("are those that are up", async () => {
		const { body } = await admin.get("/admin/relays");
		assert.deepEqual(body.items, [{
			name: "host-a", state: "serving", version: "0.1.0", addresses: ["192.0.2.10", "2001:db8::10"], allocations: 3, capacity: 16384, workers: 2,
			busy: 0.125, started_at: "2026-09-21T14:13:20.000Z",
		}]);
	});
	test("are drained by an event", async () => {
		assert.equal((await admin.patch("/admin/relays/host-a", { state: "draining" })).status, 202);
		assert.equal((await admin.patch("/admin/relays/host-a", { state: "serving" })).status, 202);
		assert.deepEqual(server.events("events:relay").filter((e) => e.t === "relay.drain"),
			[{ t: "relay.drain", relay: "host-a", state: "draining" }, { t: "relay.drain", relay: "host-a", state: "serving" }]);
	});
	test("that are not up are not found, other states are refused", async () => {
		assert.equal((await admin.patch("/admin/relays/host-dead", { state: "draining" })).status, 404);
		assert.equal((await admin.patch("/admin/relays/host-a", { state: "gone" })).status, 422);
	});
	test("are for administrators", async () => {
		const someone = await person(server, "no-admin");
		assert.equal((await someone.get("/admin/relays")).status, 403);
		assert.equal((await someone.patch("/admin/relays/host-a", { state: "draining" })).status, 403);
	});
});

describe("nodes", () => {
	const worker = { version: "0.1.0", state: "serving", address: "192.0.2.1:7100", connections: 3, registrations: 2, calls: 1, started: 1790000000000 };
	const put = (name, ms, change = {}) => {
		server.redis("ZADD", "workers", Date.now() + ms, name);
		server.redis("HSET", `worker:${name}`, ...Object.entries({ ...worker, ...change }).flat().map(String));
	};
	before(() => {
		server.redis("DEL", "workers");
		put("east.1", 600000, { started: 1790000001000 });
		put("east.0", 600000);
		put("a-west.0", 600000, { state: "draining", connections: 0 });
		put("dead.0", -1);
		server.redis("ZADD", "workers", Date.now() + 600000, "going.0");
	});
	test("are those with a worker that lives, summed up, by name", async () => {
		const { body } = await admin.get("/admin/nodes");
		assert.deepEqual(body.items, [
			{ name: "a-west", state: "draining", version: "0.1.0", workers: 1, connections: 0, registrations: 2, calls: 1, started_at: "2026-09-21T14:13:20.000Z" },
			{ name: "east", state: "serving", version: "0.1.0", workers: 2, connections: 6, registrations: 4, calls: 2, started_at: "2026-09-21T14:13:20.000Z" },
		]);
	});
	test("are emptied by an event, and workers that start later find it in the store", async () => {
		assert.equal((await admin.patch("/admin/nodes/east", { state: "draining" })).status, 202);
		assert.equal(Number(server.redis("SISMEMBER", "nodes:draining", "east")), 1);
		assert.equal((await admin.patch("/admin/nodes/east", { state: "serving" })).status, 202);
		assert.equal(Number(server.redis("SCARD", "nodes:draining")), 0);
		assert.deepEqual(server.events("events:signal").filter((e) => e.t === "node.drain"),
			[{ t: "node.drain", node: "east", state: "draining" }, { t: "node.drain", node: "east", state: "serving" }]);
	});
	test("that are not up are not found, other states are refused", async () => {
		for (const name of ["dead", "eas", "east.0", "x"])
			assert.equal((await admin.patch(`/admin/nodes/${name}`, { state: "draining" })).status, 404, name);
		assert.equal((await admin.patch("/admin/nodes/east", { state: "gone" })).status, 422);
		assert.equal(Number(server.redis("SCARD", "nodes:draining")), 0);
	});
	test("are for administrators", async () => {
		const someone = await person(server, "no-operator");
		assert.equal((await someone.get("/admin/nodes")).status, 403);
		assert.equal((await someone.patch("/admin/nodes/east", { state: "draining" })).status, 403);
	});
	test("say by /health/ready that a balancer shall look elsewhere", async () => {
		assert.equal((await admin.get("/health/ready")).status, 200);
		server.redis("SADD", "nodes:draining", "n1");
		const reply = await admin.get("/health/ready");
		assert.equal(reply.status, 503);
		assert.equal(reply.body.code, "node_draining");
		assert.equal((await admin.get("/health/live")).status, 200);
		server.redis("SREM", "nodes:draining", "n1");
		assert.equal((await admin.get("/health/ready")).status, 200);
	});
});

describe("duplexctl", () => {
	const ctl = (words, input) => server.ctl(words.split(" "), input);
	test("adds a user who can log in", async () => {
		const done = server.ctl(["user", "add", "made", "--display-name", "Made Here", "--role", "admin", "--password-stdin"], "a password of theirs\n");
		assert.deepEqual([done.status, done.out, done.err], [0, "made was added\n", ""]);
		const client = await new Client(server).logIn("made", "a password of theirs");
		assert.equal((await client.get("/me")).body.role, "admin");
	});
	test("says why not", () => {
		const cases = [
			["user add made --password-stdin", "a password of theirs", 1, /exists already/], ["user add Made --password-stdin", "x", 1, /user name/],
			["user add other", undefined, 1, /--password-stdin/], ["user add other --password-stdin", "short", 1, /at least 10/],
			["user add other --password-stdin", "Password123", 1, /common/], ["user add other --password-stdin", "", 1, /no password/],
			["user add other --role king --password-stdin", "a password of theirs", 1, /role/], ["user disable nobody", undefined, 1, /no user/],
			["user fly made", undefined, 2, /usage/], ["user", undefined, 2, /usage/], ["", undefined, 2, /usage/], ["user add", undefined, 2, /usage/],
			["user list --frob", undefined, 2, /usage/], ["user role made king", undefined, 1, /role/],
		];
		for (const [words, input, status, text] of cases) {
			const done = ctl(words, input);
			assert.equal(done.status, status, `${words}: ${done.err}`);
			assert.match(done.err, text);
		}
	});
	test("--help shows what it can do, without a configuration", () => {
		const done = server.ctl(["--help"]);
		assert.deepEqual([done.status, done.err], [0, ""]);
		assert.match(done.out, /^ +duplexctl \[--config FILE\] user add NAME/m);
		assert.match(done.out, /^ +duplexctl \[--config FILE\] relay status/m);
		assert.doesNotMatch(done.out, /argon2/);
	});
	test("lists, disables, enables, changes role and password", async () => {
		const client = await person(server, "ctl-user");
		assert.equal(ctl("user role ctl-user admin").status, 0);
		assert.match(ctl("user list").out, /^ctl-user +admin +active +offline +ctl-user$/m);
		assert.equal(ctl("user password ctl-user --password-stdin", "brand new phrase\n").status, 0);
		assert.equal((await client.get("/me")).status, 401);
		assert.ok(events("session.end", "ctl-user").some((e) => e.session === client.session));
		await client.logIn("ctl-user", "brand new phrase");
		assert.equal(ctl("user disable ctl-user").status, 0);
		assert.equal((await client.get("/me")).status, 401);
		assert.match(ctl("user list").out, /^ctl-user +admin +disabled/m);
		assert.equal(ctl("user enable ctl-user").status, 0);
	});
});
