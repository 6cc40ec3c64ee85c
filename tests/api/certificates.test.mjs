// Client certificates: issue, login on their own host, revoke. nginx is played by its parameters; tests/system has the real one.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Client, person } from "./lib/client.mjs";
import { CERTIFICATE_ORIGIN, Server, start } from "./lib/server.mjs";

let server, alice;
const at = (name) => path.join(server.folder, name);
const openssl = (...words) => execFileSync("openssl", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

function makeAuthority() {
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=Users", "-keyout", at("ca.key"), "-out", at("ca.crt"),
		"-addext", "keyUsage=critical,keyCertSign,cRLSign");
	execFileSync("chmod", ["600", at("ca.key")]);
}

function makeCsr(key, { subject = "/CN=someone-else/O=Evil", extra = [] } = {}) {
	openssl("genpkey", ...key, "-out", at("user.key"));
	return openssl("req", "-new", "-key", at("user.key"), "-subj", subject, ...extra);
}

before(async () => {
	server = new Server({});
	makeAuthority();
	server.configure({ "users-ca-cert": "@/ca.crt", "users-ca-key": "@/ca.key", "crl-file": "@/users.crl" });
	await server.startRedis();
	await server.startApi();
	alice = await person(server, "alice");
});
after(() => server.stop());

const keys = { "P-256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "P-384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
	"RSA 2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "Ed25519": ["-algorithm", "ED25519"] };
const present = (serial, over = {}) => ({ HTTP_ORIGIN: CERTIFICATE_ORIGIN, SSL_CLIENT_VERIFY: "SUCCESS", SSL_CLIENT_SERIAL: serial.toUpperCase(), SSL_CLIENT_S_DN: "CN=alice",
	...over });
const issue = async (client = alice, label = "Laptop") => (await client.post("/me/certificates", { label, passphrase: "open sesame" })).body;
const logIn = (client, serial, over) => client.post("/sessions/certificate", undefined, present(serial, over));

describe("from a certificate request", () => {
	for (const [name, key] of Object.entries(keys)) {
		test(`with ${name}`, async () => {
			const reply = await alice.post("/me/certificates", { label: name, csr: makeCsr(key) });
			assert.equal(reply.status, 201, reply.text);
			writeFileSync(at("user.crt"), reply.body.certificate);
			assert.match(openssl("verify", "-CAfile", at("ca.crt"), "-purpose", "sslclient", at("user.crt")), /OK/);
			const text = openssl("x509", "-in", at("user.crt"), "-noout", "-subject", "-serial", "-enddate", "-ext", "subjectAltName,extendedKeyUsage,keyUsage,basicConstraints");
			assert.match(text, /subject=CN = alice\n/);
			assert.match(text, /URI:sip:alice@localhost/);
			assert.match(text, /TLS Web Client Authentication/);
			assert.match(text, /CA:FALSE/);
			assert.equal(/serial=(\w+)/.exec(text)[1].toLowerCase(), reply.body.serial);
			const days = (Date.parse(reply.body.not_after) - Date.now()) / 86400000;
			assert.ok(days > 59.9 && days <= 60);
			assert.equal(Date.parse(/notAfter=(.*)/.exec(text)[1]), Date.parse(reply.body.not_after));
			assert.equal(openssl("x509", "-in", at("user.crt"), "-noout", "-pubkey"), openssl("pkey", "-in", at("user.key"), "-pubout"));
			await alice.delete(`/me/certificates/${reply.body.serial}`);
		});
	}
	test("that is not right is refused, with the reason", async () => {
		const good = makeCsr(keys["P-256"]);
		const lines = good.split("\n");
		const body = Buffer.from(lines.slice(1, -2).join(""), "base64");
		body[body.length - 3] ^= 1;
		const forged = `${lines[0]}\n${body.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE REQUEST-----\n`;
		const cases = [["x", /PEM/], ["-----BEGIN NOTHING-----\n", /PEM/], [forged, /own key/], [good.slice(0, 200), /PEM/],
			[makeCsr(["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]), /2048/], [makeCsr(["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]), /neither/],
			[makeCsr(["-algorithm", "ED448"]), /neither/]];
		for (const [csr, why] of cases) {
			const reply = await alice.post("/me/certificates", { label: "x", csr });
			assert.equal(reply.status, 422, why.source);
			assert.equal(reply.body.errors[0].pointer, "/csr");
			assert.match(reply.body.errors[0].detail, why);
		}
	});
	test("extensions that it asks for are not granted", async () => {
		const csr = makeCsr(keys["P-256"], { extra: ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectAltName=URI:sip:bob@localhost"] });
		const { body } = await alice.post("/me/certificates", { label: "x", csr });
		writeFileSync(at("user.crt"), body.certificate);
		const text = openssl("x509", "-in", at("user.crt"), "-noout", "-text");
		assert.ok(!text.includes("CA:TRUE") && !text.includes("bob"));
		await alice.delete(`/me/certificates/${body.serial}`);
	});
});

test("as PKCS#12 with modern ciphers, for the passphrase only", async () => {
	const made = await issue();
	writeFileSync(at("user.p12"), Buffer.from(made.pkcs12, "base64"));
	const read = (pass) => spawnSync("openssl", ["pkcs12", "-in", at("user.p12"), "-passin", `pass:${pass}`, "-info", "-nodes"], { encoding: "utf8" });
	const good = read("open sesame");
	assert.equal(good.status, 0, good.stderr);
	assert.match(good.stderr, /AES-256-CBC.*\n/);
	assert.match(good.stderr, /PRF hmacWithSHA256/);
	assert.match(good.stderr, /MAC: sha256, Iteration 100000/);
	assert.match(good.stdout, /BEGIN PRIVATE KEY/);
	assert.equal(good.stdout.match(/BEGIN CERTIFICATE/g).length, 2);
	assert.match(good.stdout, /friendlyName: Laptop/);
	assert.notEqual(read("open sesam").status, 0);
	await alice.delete(`/me/certificates/${made.serial}`);
});

test("wrong requests", async () => {
	for (const [body, pointer] of [[{ label: "x" }, "/csr"], [{ label: "x", csr: "-----BEGIN ", passphrase: "open sesame" }, "/csr"], [{ passphrase: "open sesame" }, "/label"],
		[{ label: "x", passphrase: "short" }, "/passphrase"]])
		assert.equal((await alice.post("/me/certificates", body)).body.errors[0].pointer, pointer);
});

test("one without the permission gets none", async () => {
	const other = await person(server, "other");
	const admin = await person(server, "chief", { role: "admin" });
	await admin.patch("/admin/users/other", { denied_permissions: ["certificates.issue"] });
	assert.equal((await other.post("/me/certificates", { label: "x", passphrase: "open sesame" })).status, 403);
});

describe("login with a certificate", () => {
	test("gives a ticket on its host, which opens a session on the main host, once", async () => {
		const { serial } = await issue();
		const browser = new Client(server);
		const first = await logIn(browser, serial);
		assert.equal(first.status, 201, first.text);
		assert.equal(first.headers["set-cookie"], undefined);
		const session = await browser.post("/sessions", { ticket: first.body.ticket });
		assert.equal(session.status, 201, session.text);
		assert.equal(session.body.user.username, "alice");
		assert.equal(session.body.session.method, "certificate");
		assert.equal((await browser.get("/me")).status, 200);
		assert.equal((await browser.post("/sessions", { ticket: first.body.ticket })).status, 401);
		await alice.delete(`/me/certificates/${serial}`);
	});
	test("the ticket opens no WebSocket", async () => {
		const { serial } = await issue();
		const { ticket } = (await logIn(new Client(server), serial)).body;
		assert.equal((await new Client(server).get("/internal/authorize", { ORIGINAL_URI: `/sip?ticket=${ticket}` })).status, 401);
		await alice.delete(`/me/certificates/${serial}`);
	});
	test("works on its host only, and only for a page of ours", async () => {
		const { serial } = await issue();
		const browser = new Client(server);
		const elsewhere = await browser.post("/sessions/certificate");
		assert.equal(elsewhere.status, 421);
		assert.equal((await logIn(browser, serial, { SSL_CLIENT_VERIFY: undefined })).status, 403); // its Origin means nothing on the main host
		assert.equal((await logIn(browser, serial, { HTTP_ORIGIN: "https://evil.example" })).body.code, "cross_site");
		await alice.delete(`/me/certificates/${serial}`);
	});
	test("needs a certificate that is good", async () => {
		const { serial } = await issue();
		const browser = new Client(server);
		assert.equal((await logIn(browser, serial, { SSL_CLIENT_VERIFY: "NONE" })).body.code, "certificate_missing");
		for (const over of [{ SSL_CLIENT_VERIFY: "FAILED:certificate revoked" }, { SSL_CLIENT_S_DN: "CN=other" }, { SSL_CLIENT_S_DN: "" }, { SSL_CLIENT_S_DN: "CN=*" },
			{ SSL_CLIENT_SERIAL: "" }, { SSL_CLIENT_SERIAL: "00" }, { SSL_CLIENT_SERIAL: "A".repeat(32) }]) {
			const reply = await logIn(browser, serial, over);
			assert.equal(reply.status, 403);
			assert.equal(reply.body.code, "certificate_refused");
		}
		server.redis("HSET", "cert:{alice}", serial, "1000000000 Laptop");
		assert.equal((await logIn(browser, serial)).body.code, "certificate_refused");
	});
	test("is refused for a disabled user", async () => {
		const dan = await person(server, "dan");
		const { serial } = await issue(dan);
		const browser = new Client(server);
		const { ticket } = (await logIn(browser, serial, { SSL_CLIENT_S_DN: "CN=dan" })).body;
		server.ctl(["user", "disable", "dan"]);
		assert.equal((await logIn(browser, serial, { SSL_CLIENT_S_DN: "CN=dan" })).status, 403);
		assert.equal((await browser.post("/sessions", { ticket })).status, 403);
	});
});

describe("revoking", () => {
	test("ends what was opened with it, at once and nothing else", async () => {
		const { serial } = await issue(), kept = await issue(alice, "Phone");
		const browser = new Client(server), phone = new Client(server);
		const { body } = await browser.post("/sessions", { ticket: (await logIn(browser, serial)).body.ticket });
		await phone.post("/sessions", { ticket: (await logIn(phone, kept.serial)).body.ticket });
		const { ticket } = (await logIn(browser, serial)).body;

		assert.equal((await alice.delete(`/me/certificates/${serial}`)).status, 204);
		assert.equal((await browser.get("/me")).status, 401);
		assert.equal((await phone.get("/me")).status, 200);
		assert.equal((await alice.get("/me")).status, 200);
		assert.deepEqual(server.events("events:signal").filter((e) => e.t === "session.end").map((e) => e.session).filter((id) => id === body.session.id).length, 1);
		assert.equal((await logIn(browser, serial)).body.code, "certificate_refused");
		assert.equal((await new Client(server).post("/sessions", { ticket })).body.code, "certificate_refused");
		assert.equal((await alice.delete(`/me/certificates/${serial}`)).status, 404);
		assert.deepEqual((await alice.get("/me/certificates")).body.items.map((c) => [c.serial, c.label]), [[kept.serial, "Phone"]]);
		await alice.delete(`/me/certificates/${kept.serial}`);
	});
	test("writes a list that is signed and names it", async () => {
		const { serial, pkcs12 } = await issue();
		await alice.delete(`/me/certificates/${serial}`);
		assert.match(spawnSync("openssl", ["crl", "-in", at("users.crl"), "-CAfile", at("ca.crt"), "-noout"], { encoding: "utf8" }).stderr, /verify OK/);
		const text = openssl("crl", "-in", at("users.crl"), "-noout", "-text", "-nextupdate");
		assert.ok(text.includes(`Serial Number: ${serial.toUpperCase()}`));
		assert.ok(Date.parse(/nextUpdate=(.*)/.exec(text)[1]) > Date.now() + 3000 * 86400000);
		assert.equal(statSync(at("users.crl")).mode & 0o777, 0o644);
		writeFileSync(at("user.p12"), Buffer.from(pkcs12, "base64"));
		writeFileSync(at("user.crt"), openssl("pkcs12", "-in", at("user.p12"), "-passin", "pass:open sesame", "-clcerts", "-nokeys"));
		const checked = spawnSync("openssl", ["verify", "-crl_check", "-CAfile", at("ca.crt"), "-CRLfile", at("users.crl"), at("user.crt")], { encoding: "utf8" });
		assert.match(checked.stderr, /certificate revoked/);
	});
	test("many at once leave a list of all", async () => {
		const made = await Promise.all(Array.from({ length: 6 }, () => issue()));
		await Promise.all(made.map((c) => alice.delete(`/me/certificates/${c.serial}`)));
		const text = openssl("crl", "-in", at("users.crl"), "-noout", "-text");
		for (const { serial } of made)
			assert.ok(text.includes(serial.toUpperCase()));
		assert.ok(readFileSync(at("users.crl"), "utf8").endsWith("-----END X509 CRL-----\n"));
	});
	test("of someone else's is not possible", async () => {
		const { serial } = await issue();
		const mallory = await person(server, "mallory");
		assert.equal((await mallory.delete(`/me/certificates/${serial}`)).status, 404);
		for (const text of ["x", "*", serial.slice(2)])
			assert.equal((await alice.delete(`/me/certificates/${text}`)).status, 404);
		assert.equal((await logIn(new Client(server), serial)).status, 201);
		await alice.delete(`/me/certificates/${serial}`);
	});
});

test("a user has at most 16", async () => {
	const collector = await person(server, "collector");
	const all = [];
	for (let i = 0; i < 17; i++)
		all.push((await collector.post("/me/certificates", { label: `no ${i}`, passphrase: "open sesame" })).status);
	assert.deepEqual(all, [...Array(16).fill(201), 409]);
});

test("a server without authority issues none", async () => {
	const plain = await start();
	try {
		const reply = await (await person(plain, "plain")).post("/me/certificates", { label: "x", passphrase: "open sesame" });
		assert.equal(reply.status, 503);
		assert.equal(reply.body.code, "certificates_unavailable");
	} finally {
		await plain.stop();
	}
});
