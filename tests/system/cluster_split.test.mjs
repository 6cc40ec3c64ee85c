// Two nodes in network namespaces of their own, and a wire between them that swallows packets, in both directions or in one, while both reach Redis: nobody is told anything by
// the kernel of the other side, only time tells. docs/cluster.md says within which.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";

import { System, sleep, until } from "../sip/lib/system.mjs";
import { device, uri, uriOf } from "../sip/lib/client.mjs";

const SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
const GRACE_MS = 300;
const ns = [1, 2].map((k) => `dpxsplit${process.pid}-${k}`);
const address = ["192.0.2.1", "192.0.2.2"];
const ip = (...words) => execFileSync("ip", words, { stdio: ["ignore", "ignore", "inherit"] });
const inside = (k, ...words) => ip("netns", "exec", ns[k], ...words);
let system;
let serial = 0;
const name = (what) => `${what}${++serial}`;

before(async () => {
  for (const one of ns) ip("netns", "add", one);
  ip("link", "add", "wire", "netns", ns[0], "type", "veth", "peer", "name", "wire", "netns", ns[1]);
  for (const k of [0, 1]) {
    ip("-n", ns[k], "addr", "add", `${address[k]}/24`, "dev", "wire");
    ip("-n", ns[k], "link", "set", "wire", "up");
    ip("-n", ns[k], "link", "set", "lo", "up");
  }
  system = await System.start({ nodes: 2, workers: 1, options: { "ring-timeout": 60, "flow-grace": GRACE_MS }, place: (k) => ({ address: address[k], namespace: ns[k] }) });
});

after(async () => {
  await system?.stop();
  for (const one of ns) ip("netns", "del", one);
});

// What node k sends is swallowed.
function swallow(...nodes) {
  for (const k of nodes) {
    inside(k, "nft", "add table inet cut");
    inside(k, "nft", "add chain inet cut out { type filter hook output priority 0; oif wire drop; }");
  }
}

async function mend(...nodes) {
  for (const k of nodes) inside(k, "nft", "delete table inet cut");
  await until("streams", () => system.linked(0, 1) && system.linked(1, 0), 30_000);
}

const invite = (from, to) => from.send("INVITE", uri(to.user), { headers: [["Contact", `<${from.gruu}>`]], body: SDP });

for (const [what, nodes] of [["in both directions", [0, 1]], ["from the caller's node to the callee's", [0]], ["from the callee's node to the caller's", [1]]]) {
  describe(`packets are swallowed ${what}`, () => {
    test("calls across fail within 8 s, later within the time of an attempt; what is up goes on when the wire is whole", async () => {
      const ann = await device(system, name("ann"));
      const bob = await device(system, name("bob"), { worker: 1 });
      const cat = await device(system, name("cat"), { worker: 1 });
      const sent = invite(ann, bob);
      const request = await bob.request("INVITE");
      bob.reply(request, 200, { headers: [["Contact", `<${bob.gruu}>`]], body: SDP });
      const ok = await ann.response(sent);
      const dialog = { from: sent.from, to: ok.get("To"), callId: sent.callId, route: ok.all("Record-Route") };
      ann.send("ACK", uriOf(ok.get("Contact")), { ...dialog, cseq: sent.cseq });
      await bob.request("ACK");

      swallow(...nodes);
      const start = Date.now();
      const first = await ann.response(invite(ann, cat), undefined, 12_000);
      assert.equal(first.status, 480);
      console.log(`# noticed after ${Date.now() - start - GRACE_MS} ms`);
      assert.ok(Date.now() - start < 8000, `${Date.now() - start} ms`);
      await until("both ends know", () => !system.linked(0, 1) && !system.linked(1, 0), 12_000);
      for (let i = 0; i < 3; i++) {
        const again = Date.now();
        assert.equal((await ann.response(invite(ann, cat), undefined, 6000)).status, 480);
        assert.ok(Date.now() - again < 4500, `${Date.now() - again} ms`);
        await sleep(500);
      }
      assert.equal(await system.redis("HLEN", `location:{${cat.user}}`), "1");
      // What had rung beyond does not go on ringing for nobody.
      const rung = cat.messages.filter((m) => m.method === "INVITE").length;
      assert.equal(cat.messages.filter((m) => m.method === "CANCEL").length, rung);

      await mend(...nodes);
      const later = invite(ann, cat);
      cat.reply(await cat.next((m) => m.method === "INVITE" && m.get("Call-ID") === later.callId, "INVITE", 5000), 486);
      assert.equal((await ann.response(later)).status, 486);
      const bye = bob.send("BYE", ann.gruu, { from: ok.get("To"), to: sent.from, callId: sent.callId, route: request.all("Record-Route") });
      ann.reply(await ann.request("BYE"), 200);
      assert.equal((await bob.response(bye)).status, 200);
    });
  });
}
