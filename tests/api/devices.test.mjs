// Devices: made, listed, taken away, by their user and by an administrator; what Redis keeps of the secret.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { person } from "./lib/client.mjs";
import { start } from "./lib/server.mjs";

let server, alice, bob, admin;
before(async () => {
	server = await start();
	alice = await person(server, "alice");
	bob = await person(server, "bob");
	admin = await person(server, "adam", { role: "admin" });
});
after(() => server.stop());

const hash = (name, text) => createHash(name).update(text).digest("hex");
const ended = (session) => server.events("events:signal").filter((e) => e.t === "session.end" && e.session === session).length;

test("a device is made with a secret that is told once and kept as hashes", async () => {
	const made = await alice.post("/me/devices", { name: "Desk" });
	assert.equal(made.status, 201);
	const { id, login, secret, realm, address_of_record } = made.body;
	assert.match(id, /^[0-9a-f]{16}$/);
	assert.equal(login, `alice+${id}`);
	assert.match(secret, /^[0-9a-z]{24}$/);
	assert.equal(address_of_record, `sip:alice@${realm}`);
	const list = (await alice.get("/me/devices")).body.items;
	assert.deepEqual(list, [{ id, name: "Desk", created_at: made.body.created_at, used_at: null }]);
	const kept = server.redis("HGETALL", `device:{alice}:${id}`);
	assert.ok(!JSON.stringify(kept).includes(secret));
	assert.equal(server.redis("HGET", `device:{alice}:${id}`, "sha256"), hash("sha256", `${login}:${realm}:${secret}`));
	assert.equal(server.redis("HGET", `device:{alice}:${id}`, "md5"), hash("md5", `${login}:${realm}:${secret}`));
	assert.equal((await alice.delete(`/me/devices/${id}`)).status, 204);
	assert.equal(ended(`d-${id}`), 1);
	assert.equal(server.redis("EXISTS", `device:{alice}:${id}`), 0);
	assert.deepEqual((await alice.get("/me/devices")).body.items, []);
});

test("a name is needed, an unknown device is not found, another's neither", async () => {
	assert.equal((await alice.post("/me/devices", {})).status, 422);
	assert.equal((await alice.post("/me/devices", { name: " " })).status, 422);
	const { id } = (await alice.post("/me/devices", { name: "Desk" })).body;
	assert.equal((await bob.delete(`/me/devices/${id}`)).status, 404);
	assert.equal((await alice.delete("/me/devices/0123456789abcdef")).status, 404);
	assert.equal((await alice.delete("/me/devices/x")).status, 404);
	assert.equal((await alice.delete(`/me/devices/${id}`)).status, 204);
});

test("there are at most 16", async () => {
	for (let i = 0; i < 16; i++) assert.equal((await bob.post("/me/devices", { name: `Phone ${i}` })).status, 201);
	const reply = await bob.post("/me/devices", { name: "One more" });
	assert.equal(reply.status, 409);
	assert.equal(reply.body.code, "limit_reached");
	assert.deepEqual((await bob.get("/me/devices")).body.items.map((d) => d.name).sort()[0], "Phone 0");
});

test("an administrator sees and takes away; others may not", async () => {
	const { id } = (await alice.post("/me/devices", { name: "Hall" })).body;
	assert.deepEqual((await admin.get("/admin/users/alice/devices")).body.items.map((d) => d.id), [id]);
	assert.equal((await bob.get("/admin/users/alice/devices")).status, 403);
	assert.equal((await bob.delete(`/admin/users/alice/devices/${id}`)).status, 403);
	assert.equal((await admin.get("/admin/users/nobody/devices")).body.code, "no_such_user");
	assert.equal((await admin.delete("/admin/users/alice/devices/0123456789abcdef")).status, 404);
	assert.equal((await admin.delete(`/admin/users/alice/devices/${id}`)).status, 204);
	assert.equal(ended(`d-${id}`), 1);
	assert.deepEqual((await alice.get("/me/devices")).body.items, []);
});

test("a token for SIP names user, session and permissions, under the cluster's secret", async () => {
	const made = await alice.post("/me/sip-tokens");
	assert.equal(made.status, 201);
	const [body] = made.body.token.split(".");
	const [version, user, session, , expires, permissions] = Buffer.from(body, "base64url").toString().split(" ");
	assert.deepEqual([version, user, session], ["1", "alice", alice.session]);
	assert.equal(new Date(made.body.expires_at).getTime(), Number(expires) * 1000);
	assert.ok(Number(expires) * 1000 - Date.now() <= 300000);
	assert.ok(permissions.split(",").includes("call.audio"));
	assert.equal((await alice.get("/me/devices")).status, 200);
});
