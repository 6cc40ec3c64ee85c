// Requests that do not come from our page, hostile bodies, guessing, HTTP manners.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client, person } from "./lib/client.mjs";
import { encodeRequest, exchange, record } from "./lib/fastcgi.mjs";
import { contract } from "./lib/openapi.mjs";
import { CERTIFICATE_ORIGIN, start } from "./lib/server.mjs";

let server, nobody, alice;
before(async () => {
	server = await start();
	nobody = new Client(server);
	alice = await person(server, "alice");
});
after(() => server.stop());

describe("a request from another site is refused", () => {
	const cases = {
		"without the guard header": { HTTP_X_DUPLEX_REQUEST: undefined },
		"with another guard": { HTTP_X_DUPLEX_REQUEST: "0" },
		"with a foreign Origin": { HTTP_ORIGIN: "https://evil.example" },
		"with an Origin that begins like ours": { HTTP_ORIGIN: "https://localhost:8443.evil.example" },
		"with Origin null": { HTTP_ORIGIN: "null" },
		"with our Origin over HTTP": { HTTP_ORIGIN: "http://localhost:8443" },
		"without Origin, cross-site": { HTTP_ORIGIN: undefined, HTTP_SEC_FETCH_SITE: "cross-site" },
		"without Origin, same-site": { HTTP_ORIGIN: undefined, HTTP_SEC_FETCH_SITE: "same-site" },
	};
	for (const [name, extra] of Object.entries(cases)) {
		test(name, async () => {
			const reply = await alice.post("/me/tickets", undefined, extra);
			assert.equal(reply.status, 403);
			assert.equal(reply.body.code, "cross_site");
		});
	}
	test("on every unsafe route", async () => {
		for (const [path, item] of Object.entries(contract.paths)) {
			for (const method of ["post", "put", "patch", "delete"].filter((m) => item[m])) {
				const body = item[method].requestBody ? {} : undefined;
				const extra = { HTTP_ORIGIN: "https://evil.example", ...(path.endsWith("certificate") ? { SSL_CLIENT_VERIFY: "NONE" } : {}) };
				const reply = await alice.send(method.toUpperCase(), path.replace(/\{\w+\}/, "bob"), body, extra);
				assert.equal(reply.body?.code, "cross_site", `${method} ${path}`);
			}
		}
	});
	test("but none without Origin from a tool, nor a navigation", async () => {
		assert.equal((await alice.post("/me/tickets", undefined, { HTTP_ORIGIN: undefined })).status, 201);
		assert.equal((await alice.post("/me/tickets", undefined, { HTTP_ORIGIN: undefined, HTTP_SEC_FETCH_SITE: "same-origin" })).status, 201);
	});
});

test("every protected route needs a session", async () => {
	for (const [path, item] of Object.entries(contract.paths)) {
		for (const method of ["get", "post", "put", "patch", "delete"].filter((m) => item[m] && !item[m].security)) {
			const body = item[method].requestBody ? {} : undefined;
			const reply = await nobody.send(method.toUpperCase(), path.replace(/\{\w+\}/, "bob"), body);
			assert.equal(reply.status, 401, `${method} ${path}`);
		}
	}
});

test("every administrators' route needs the permission", async () => {
	for (const [path, item] of Object.entries(contract.paths).filter(([p]) => p.startsWith("/admin/"))) {
		for (const method of Object.keys(item)) {
			const reply = await alice.send(method.toUpperCase(), path.replace(/\{\w+\}/, "alice"), item[method].requestBody ? {} : undefined);
			assert.equal(reply.status, 403, `${method} ${path}`);
			assert.equal(reply.body.code, "forbidden");
		}
	}
});

describe("a body", () => {
	const post = (body, extra) => nobody.post("/sessions", Buffer.from(body), extra);
	for (const [name, body] of Object.entries({
		"no JSON": "hello", "half of it": '{"username":"alice","pass', "two names alike": '{"username":"a","username":"b"}', "something behind": "{} {}",
		"NUL in a text": '{"username":"a\\u0000b"}', "bad UTF-8": '{"username":"\xff"}', "nine levels": `{"a":${"[".repeat(9)}${"]".repeat(9)}}`,
		"three thousand levels": "[".repeat(3000), "a lone surrogate": '{"username":"\\ud800"}', "a byte order mark": "\ufeff{}",
	})) {
		test(`with ${name} is malformed`, async () => {
			const bytes = name === "bad UTF-8" ? Buffer.from(body, "latin1") : Buffer.from(body);
			const reply = await nobody.post("/sessions", bytes);
			assert.equal(reply.status, 400);
			assert.equal(reply.body.code, "bad_json");
		});
	}
	for (const body of ["[]", "1", '"x"', "null", "true"]) {
		test(`${body} is no object`, async () => {
			const reply = await post(body);
			assert.equal(reply.status, 422);
			assert.equal(reply.body.errors[0].pointer, "");
		});
	}
	for (const type of [undefined, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
		"application/json; charset=latin1"]) {
		test(`of type ${type} is refused`, async () => {
			const reply = await post('{"username":"alice","password":"x"}', { CONTENT_TYPE: type });
			assert.equal(reply.status, 415);
		});
	}
	for (const type of ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]) {
		test(`of type ${type} is read`, async () => assert.equal((await post("{}", { CONTENT_TYPE: type })).status, 422));
	}
	test("of 4097 bytes is too large, 4096 are not", async () => {
		const sized = (n) => Buffer.from(`{"username":"${"a".repeat(n - 15)}"}`);
		assert.equal((await nobody.post("/sessions", sized(4096))).status, 422);
		assert.equal((await nobody.post("/sessions", sized(4097))).status, 413);
	});
	test("of a megabyte is refused without being read", async () => {
		assert.equal((await nobody.post("/sessions", Buffer.alloc(1 << 20, 0x20))).status, 413);
	});
	test("shorter than announced is malformed", async () => {
		const reply = await nobody.post("/sessions", Buffer.from("{}"), { CONTENT_LENGTH: "100" });
		assert.ok([400, 422].includes(reply.status));
	});
	test("is not taken where none belongs", async () => {
		assert.equal((await alice.post("/me/tickets", { a: 1 })).status, 413);
	});
	test("with a length that is no number is too large", async () => {
		for (const length of ["-1", "1e3", "99999999999999999999", "0x10"])
			assert.equal((await post("{}", { CONTENT_LENGTH: length })).status, 413);
	});
});

describe("HTTP", () => {
	test("unknown paths", async () => {
		for (const path of ["/", "/nothing", "/me/", "//me", "/me/x/y", "/users/", "/../me", `/${"a".repeat(5000)}`, "/me%00"])
			assert.equal((await alice.get(path)).status, 404, path);
	});
	test("methods that are not there: 405 with Allow", async () => {
		const reply = await alice.put("/me", {});
		assert.equal(reply.status, 405);
		assert.equal(reply.headers.allow, "GET, HEAD, PATCH, OPTIONS");
		assert.equal((await alice.send("BREW", "/me")).status, 405);
	});
	test("OPTIONS and HEAD on every route", async () => {
		for (const [path, item] of Object.entries(contract.paths)) {
			const reply = await alice.send("OPTIONS", path.replace(/\{\w+\}/, "x"));
			assert.equal(reply.status, 204);
			const allowed = reply.headers.allow.split(", ");
			for (const method of Object.keys(item))
				assert.ok(allowed.includes(method.toUpperCase()), `${method} ${path}`);
			if (item.get && !path.includes("{"))
				assert.equal((await alice.send("HEAD", `${path}?q=a`)).text, "");
		}
	});
	test("Accept", async () => {
		for (const accept of ["text/html", "application/json;q=0", "application/json; q=0.0, */*", "image/*"])
			assert.equal((await alice.get("/me", { HTTP_ACCEPT: accept })).status, 406, accept);
		for (const accept of ["", "*/*", "application/*", "text/html, application/json;q=0.5", "text/html, */*;q=0.1"])
			assert.equal((await alice.get("/me", { HTTP_ACCEPT: accept })).status, 200, accept);
	});
	test("nothing is cached", async () => {
		for (const reply of [await alice.get("/me"), await nobody.get("/me")])
			assert.equal(reply.headers["cache-control"], "no-store");
	});
	test("a problem carries nginx's request id", async () => {
		assert.equal((await nobody.get("/me", { REQUEST_ID: "0123456789abcdef" })).body.request_id, "0123456789abcdef");
	});
	test("the contract is served", async () => {
		assert.deepEqual((await nobody.get("/openapi.json")).body, contract);
	});
	test("version and health", async () => {
		const { version, certificate_url } = (await nobody.get("/version")).body;
		assert.match(version, /^\d+\.\d+\.\d+$/);
		assert.equal(certificate_url, CERTIFICATE_ORIGIN);
		assert.equal((await nobody.get("/health/live")).status, 200);
		assert.equal((await nobody.get("/health/ready")).status, 200);
	});
});

describe("guessing a password", () => {
	const guess = (client, username, password = "wrong guess") => client.post("/sessions", { username, password });
	test("is slow after five attempts, for that address", async () => {
		const password = server.addUser("victim");
		const attacker = new Client(server, { address: "203.0.113.5" });
		for (let i = 0; i < 5; i++)
			assert.equal((await guess(attacker, "victim")).status, 401);
		const sixth = await guess(attacker, "victim");
		assert.equal(sixth.status, 429);
		assert.equal(sixth.body.code, "throttled");
		assert.ok(Number(sixth.headers["retry-after"]) >= 1);
		// Nor does the right one pass before its time: that would tell.
		assert.equal((await guess(attacker, "victim", password)).status, 429);
		// The owner, from another address, is not kept out.
		await new Client(server, { address: "203.0.113.6" }).logIn("victim");
	});
	test("waits longer each time", async () => {
		server.addUser("patient");
		const attacker = new Client(server, { address: "203.0.113.7" });
		const key = "rate:login-pair:{patient/203.0.113.7}";
		const waits = [];
		for (let i = 0; i < 10; i++) {
			await guess(attacker, "patient");
			waits.push(Math.round((Number(server.redis("HGET", key, "next")) - Date.now()) / 1000));
			server.redis("HSET", key, "next", 0);
		}
		assert.deepEqual(waits.slice(4), [1, 2, 4, 8, 16, 32]);
	});
	test("of a user who does not exist is just as slow", async () => {
		const attacker = new Client(server, { address: "203.0.113.8" });
		const seen = [];
		for (let i = 0; i < 6; i++)
			seen.push((await guess(attacker, "ghost")).status);
		assert.deepEqual(seen, [401, 401, 401, 401, 401, 429]);
	});
	test("at the same time gains nothing", async () => {
		server.addUser("swarm");
		const attacker = new Client(server, { address: "203.0.113.9" });
		const all = await Promise.all(Array.from({ length: 30 }, () => guess(attacker, "swarm")));
		assert.ok(all.filter((r) => r.status === 401).length <= 5);
	});
	test("is forgiven by a success", async () => {
		server.addUser("clumsy");
		const client = new Client(server, { address: "203.0.113.10" });
		for (let round = 0; round < 3; round++) {
			for (let i = 0; i < 4; i++)
				assert.equal((await guess(client, "clumsy")).status, 401);
			await client.logIn("clumsy");
		}
	});
	test("of many accounts from one network ends", async () => {
		await server.stopApi();
		server.configure({ "login-failures": 10 });
		await server.startApi();
		const statuses = [];
		for (let i = 0; i < 12; i++)
			statuses.push((await guess(new Client(server, { address: `2001:db8:5::${i + 1}` }), `user${i}`)).status);
		assert.deepEqual(statuses.slice(9), [401, 429, 429]);
		assert.equal((await guess(new Client(server, { address: "2001:db8:6::1" }), "user1")).status, 401);
	});
});

describe("garbage on the socket", () => {
	const head = record(1, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]));
	for (const [name, bytes] of Object.entries({
		"HTTP": Buffer.from("GET / HTTP/1.1\r\n\r\n"), "zeros": Buffer.alloc(4096), "ones": Buffer.alloc(4096, 0xff),
		"a record cut short": encodeRequest({ REQUEST_METHOD: "GET" }).subarray(0, 20),
		"parameters that overrun": Buffer.concat([head, record(4, Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2])), record(4)]),
		"no parameters at all": encodeRequest({}),
	})) {
		test(name, async () => {
			await exchange(server.socket, bytes, { end: true }).catch(() => {});
			assert.equal((await nobody.get("/health/ready")).status, 200);
		});
	}
});
