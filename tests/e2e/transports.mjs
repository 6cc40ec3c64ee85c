// Calls on networks that let no UDP out: each page gets only the TURN URL of one transport, and the call goes over it.
//
//   Chromium ── TCP 3478 ──▶ relay          Chromium ── TLS, the public port ──▶ nginx (stream.conf) ── unix socket, PROXY ──▶ relay
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { launchTrusting } from "./lib/browser.mjs";
import { steps } from "./lib/chapter.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";
import { metric } from "./lib/instance.mjs";

// The call configuration as the API gives it, with the URLs of this transport alone.
async function allowOnly(person, pattern) {
  await person.context.route("**/api/v1/me/call-config", async (route) => {
    const reply = await route.fetch();
    const config = await reply.json();
    for (const server of config.ice_servers) {
      server.urls = server.urls.filter((url) => pattern.test(url));
      assert.equal(server.urls.length, 1, String(pattern));
    }
    await route.fulfill({ response: reply, json: config });
  });
}

// By which protocol the call's candidate reaches the relay (RTCIceCandidateStats.relayProtocol).
async function relayProtocol(person) {
  const all = await person.stats();
  const transport = all.find((s) => s.type === "transport");
  const pair = all.find((s) => s.id === transport?.selectedCandidatePairId);
  return all.find((s) => s.id === pair?.localCandidateId)?.relayProtocol;
}

export function transportsChapter(world) {
  describe("without UDP", () => {
    const test = steps();
    const open = [];
    let browser, eva, finn;

    before(async () => {
      for (const name of ["eva", "finn"]) await world.instance.addUser(name, name, world.password);
      browser = await launchTrusting(`${world.instance.stateDir}/pki/ca.crt`);
    });

    after(async () => {
      for (const person of open) await person.leave();
      await browser?.close();
    });

    for (const [protocol, pattern] of [
      ["tcp", /^turn:.*transport=tcp$/],
      ["tls", /^turns:turn\.localhost:/],
    ]) {
      test(`a video call over ${protocol}`, async () => {
        eva = await Person.open(browser, world.origin);
        finn = await Person.open(browser, world.origin);
        open.push(eva, finn);
        for (const person of [eva, finn]) {
          await allowOnly(person, pattern);
          await person.logIn(person === eva ? "eva" : "finn", world.password);
        }
        if (protocol === "tcp") await eva.addContact("finn");
        await eva.sees("finn", "online");
        await eva.call("finn", "video");
        await finn.see("incoming");
        await finn.click("accept-video");
        await eva.phase("active");
        await finn.phase("active");
        for (const side of await Promise.all([eva.hears(true), finn.hears(true)])) {
          assert.equal(side.local, "relay");
          assert.ok(side.videoFrames > 10);
        }
        assert.deepEqual([await relayProtocol(eva), await relayProtocol(finn)], [protocol, protocol]);
        const metrics = await world.instance.relayMetrics();
        assert.ok(metric(metrics, "duplex_relay_stream_connections") >= 2);
        assert.equal(metric(metrics, 'duplex_relay_stream_tls_total') >= 2, protocol === "tls");
      });

      test(`when it ends, nothing of it is left on the relay (${protocol})`, async () => {
        await eva.click("hangup");
        await eva.released();
        await finn.released();
        for (const person of open.splice(0)) await person.leave();
        await until("no connection on the relay", async () => metric(await world.instance.relayMetrics(), "duplex_relay_stream_connections") === 0);
        assert.equal(await world.instance.relayAllocations(), 0);
      });
    }
  });
}
