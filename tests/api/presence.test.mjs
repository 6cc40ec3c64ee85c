// Do not disturb.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { person } from "./lib/client.mjs";
import { start } from "./lib/server.mjs";

let server;
before(async () => {
	server = await start();
});
after(() => server.stop());

describe("presence", () => {
	const said = (user) => server.events("events:presence").filter((e) => e.t === "presence" && e.user === user).map((e) => e.status);

	test("is available at first, is set for all devices, and told to the workers", async () => {
		const alice = await person(server, "alice");
		assert.deepEqual((await alice.get("/me/presence")).body, { status: "available" });
		const put = await alice.put("/me/presence", { status: "do_not_disturb" });
		assert.equal(put.status, 200);
		assert.deepEqual(put.body, { status: "do_not_disturb" });
		assert.deepEqual((await alice.get("/me/presence")).body, { status: "do_not_disturb" });
		assert.equal(server.redis("HGET", "user:{alice}", "dnd"), "1");
		assert.deepEqual((await alice.put("/me/presence", { status: "available" })).body, { status: "available" });
		assert.equal(server.redis("HEXISTS", "user:{alice}", "dnd"), 0);
		assert.deepEqual(said("alice"), ["dnd", "available"]);
	});
	test("survives a change of the profile", async () => {
		const bob = await person(server, "bob");
		await bob.put("/me/presence", { status: "do_not_disturb" });
		assert.equal((await bob.patch("/me", { display_name: "Robert" })).status, 200);
		assert.deepEqual((await bob.get("/me/presence")).body, { status: "do_not_disturb" });
	});
	test("is one of two words", async () => {
		const carol = await person(server, "carol");
		for (const body of [{}, { status: "away" }, { status: true }, { status: "available", more: 1 }])
			assert.equal((await carol.put("/me/presence", body)).status, 422);
		assert.deepEqual(said("carol"), []);
	});
});
