// Sign-up, the profile, passwords.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, person } from "./lib/client.mjs";
import { start } from "./lib/server.mjs";

let server, nobody;
before(async () => {
	server = await start();
	nobody = new Client(server);
});
after(() => server.stop());

const signUp = (over = {}) => ({ username: "carol", display_name: "Carol Danvers", password: "a stone in the rain", ...over });
const pointers = (reply) => reply.body.errors.map((e) => e.pointer);

describe("sign-up", () => {
	test("makes a user who can log in", async () => {
		const made = await nobody.post("/users", signUp());
		assert.equal(made.status, 201);
		assert.equal(made.body.username, "carol");
		assert.equal(made.body.role, "user");
		assert.ok(!made.body.permissions.includes("users.read"));
		const carol = await new Client(server).logIn("carol", "a stone in the rain");
		assert.deepEqual((await carol.get("/me")).body, made.body);
	});
	test("does not keep the password", () => {
		const record = server.redis("HGETALL", "user:{carol}");
		assert.match(record.password, /^\$argon2id\$/);
		assert.ok(!JSON.stringify(record).includes("stone"));
	});
	test("refuses a name that is taken", async () => {
		const again = await nobody.post("/users", signUp({ display_name: "Another" }));
		assert.equal(again.status, 409);
		assert.equal(again.body.code, "user_exists");
		assert.equal(server.redis("HGET", "user:{carol}", "display_name"), "Carol Danvers");
	});
	test("lets one of many win at the same time", async () => {
		const all = await Promise.all(Array.from({ length: 8 }, (_, i) => nobody.post("/users", signUp({ username: "race", display_name: `R ${i}` }))));
		assert.deepEqual(all.map((r) => r.status).sort(), [201, 409, 409, 409, 409, 409, 409, 409]);
	});
	test("shows all wrong fields at once", async () => {
		const reply = await nobody.post("/users", { username: "X", display_name: " a", password: "short", colour: "red", "a/b~c": 1 });
		assert.equal(reply.status, 422);
		assert.deepEqual(pointers(reply).sort(), ["/a~1b~0c", "/colour", "/display_name", "/password", "/username"]);
	});
	test("names what is missing", async () => {
		assert.deepEqual(pointers(await nobody.post("/users", {})).sort(), ["/display_name", "/password", "/username"]);
	});
	for (const username of ["a", "-ab", "ab-", "Carol", "c arol", "käthe", "a".repeat(33), "contacts", "me", "admin", "a{b}c"]) {
		test(`refuses the user name ${username}`, async () => {
			assert.deepEqual(pointers(await nobody.post("/users", signUp({ username }))), ["/username"]);
		});
	}
	for (const [what, name] of [["empty", ""], ["65 characters", "x".repeat(65)], ["a newline", "a\nb"], ["a bidirectional override", "a\u202eb"],
		["a zero-width space", "a\u200bb"], ["a trailing blank", "a "], ["two blanks", "a  b"], ["private use", "\ue000"],
		["stacked marks", `a${"\u0301".repeat(5)}`], ["a number", 7]]) {
		test(`refuses a display name with ${what}`, async () => {
			assert.deepEqual(pointers(await nobody.post("/users", signUp({ username: "dora", display_name: name }))), ["/display_name"]);
		});
	}
	for (const [i, name] of ["Zoë", "山田 太郎", "أحمد", "👩‍💻 Ada", "Nguyễn Văn A", "O’Neil-Smith, Jr.", "\u{1f600}".repeat(64)].entries()) {
		test(`takes the display name ${name.slice(0, 20)}`, async () => {
			const made = await nobody.post("/users", signUp({ username: `name${i}`, display_name: name }));
			assert.equal(made.status, 201);
			assert.equal(made.body.display_name, name);
		});
	}
	for (const password of ["Password123", "P@ssw0rd2024!", "qwertyuiop", "1234567890", "aaaaaaaaaaaa", "abcabcabcabc", "carolcarol1", "CarolDanvers1",
		"Summer2024!!", "iloveyou12", "ninechars"]) {
		test(`refuses the password ${password}`, async () => {
			const reply = await nobody.post("/users", signUp({ username: "caroline", display_name: "Carol Danvers", password }));
			assert.equal(reply.status, 422);
			assert.deepEqual(pointers(reply), ["/password"]);
		});
	}
	test("takes a password of 128 characters of any kind", async () => {
		const password = "ñ😀 ".repeat(42) + "xy";
		assert.equal([...password].length, 128);
		assert.equal((await nobody.post("/users", signUp({ username: "longpass", password }))).status, 201);
		await new Client(server).logIn("longpass", password);
		assert.equal((await nobody.post("/users", signUp({ username: "longpass2", password: `${password}z` }))).status, 422);
	});
});

describe("the profile", () => {
	test("is found by a display name only as it is now", async () => {
		const eve = await person(server, "eve", { display: "Eve First" });
		const changed = await eve.patch("/me", { display_name: "Eve Second" });
		assert.equal(changed.status, 200);
		assert.equal(changed.body.display_name, "Eve Second");
		assert.deepEqual((await eve.get("/users?q=second")).body.items, [{ username: "eve", display_name: "Eve Second" }]);
		assert.deepEqual((await eve.get("/users?q=first")).body.items, []);
	});
	test("has a tag: 304 and 412", async () => {
		const ned = await person(server, "ned");
		const { etag } = (await ned.get("/me")).headers;
		assert.equal((await ned.get("/me", { HTTP_IF_NONE_MATCH: etag })).status, 304);
		assert.equal((await ned.patch("/me", { display_name: "Ned B" }, { HTTP_IF_MATCH: etag })).status, 200);
		const late = await ned.patch("/me", { display_name: "Ned C" }, { HTTP_IF_MATCH: etag });
		assert.equal(late.status, 412);
		assert.equal(late.body.code, "changed");
		assert.equal((await ned.get("/me", { HTTP_IF_NONE_MATCH: etag })).status, 200);
	});
	test("cannot be given another role", async () => {
		const mallory = await person(server, "mallory");
		const reply = await mallory.patch("/me", { role: "admin" });
		assert.equal(reply.status, 422);
		assert.deepEqual(pointers(reply), ["/role"]);
		assert.equal((await mallory.get("/me")).body.role, "user");
	});
});

describe("a password change", () => {
	test("ends the other sessions and tells the workers", async () => {
		const here = await person(server, "pat");
		const there = await new Client(server).logIn("pat");
		const done = await here.put("/me/password", { current_password: "password of pat", new_password: "another long phrase" });
		assert.equal(done.status, 204);
		assert.equal((await here.get("/me")).status, 200);
		assert.equal((await there.get("/me")).status, 401);
		const ended = server.events("events:signal").filter((e) => e.t === "session.end" && e.user === "pat");
		assert.deepEqual(ended.map((e) => e.session), [there.session]);
		assert.equal((await new Client(server).post("/sessions", { username: "pat", password: "password of pat" })).status, 401);
		await new Client(server).logIn("pat", "another long phrase");
	});
	test("needs the current one, and not too often", async () => {
		const quinn = await person(server, "quinn");
		const attempt = () => quinn.put("/me/password", { current_password: "wrong", new_password: "another long phrase" });
		const first = await attempt();
		assert.equal(first.status, 403);
		assert.equal(first.body.code, "wrong_password");
		const later = [];
		for (let i = 0; i < 10; i++)
			later.push((await attempt()).status);
		assert.equal(later.at(-1), 429);
	});
	test("refuses a weak one", async () => {
		const rose = await person(server, "rose");
		const reply = await rose.put("/me/password", { current_password: "password of rose", new_password: "Password2024" });
		assert.deepEqual(pointers(reply), ["/new_password"]);
	});
});

test("a closed server makes no accounts", async () => {
	const closed = await start({ signup: "closed" });
	try {
		const reply = await new Client(closed).post("/users", signUp());
		assert.equal(reply.status, 403);
		assert.equal(reply.body.code, "signup_closed");
	} finally {
		await closed.stop();
	}
});

test("one address makes a limited number of accounts", async () => {
	const strict = await start({ "signup-rate": 2 });
	try {
		const from = (address) => new Client(strict, { address });
		const one = from("2001:db8::1"), neighbour = from("2001:db8::2"), other = from("2001:db8:0:1::1");
		assert.equal((await one.post("/users", signUp({ username: "u1" }))).status, 201);
		assert.equal((await neighbour.post("/users", signUp({ username: "u2" }))).status, 201);
		const third = await one.post("/users", signUp({ username: "u3" }));
		assert.equal(third.status, 429);
		assert.ok(Number(third.headers["retry-after"]) > 3000);
		assert.equal((await other.post("/users", signUp({ username: "u4" }))).status, 201);
	} finally {
		await strict.stop();
	}
});
