// From sign-up to a hung-up call, media through the relay only.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";
import { metric } from "./lib/instance.mjs";

export function callChapter(world) {
  describe("the call", () => {
    let alice, bob;

    before(async () => {
      alice = await Person.open(world.browser, world.origin);
      bob = await Person.open(world.browser, world.origin);
    });

    after(async () => {
      await alice?.leave();
      await bob?.leave();
    });

    test("two people sign up on the page and are registered by themselves", async () => {
      await alice.signUp("alice", "Alice Anders", world.password);
      await bob.signUp("bob", "Bob Brandt", world.password);
      world.alice = alice;
      world.bob = bob;
    });

    test("a contact is found, added, and seen coming online and going offline", async () => {
      await alice.addContact("bob");
      await alice.sees("bob", "online");
      await bob.click("logout");
      await bob.see("login-form");
      await alice.sees("bob", "offline");
      await bob.logIn("bob", world.password);
      await alice.sees("bob", "online");
      await bob.addContact("alice");
      await bob.sees("alice", "online");
    });

    test("a video call: rings, is accepted, both see and hear each other over the relay", async () => {
      await alice.call("bob", "video");
      await alice.phase("ringing");
      await bob.see("incoming");
      assert.equal(await bob.id("incoming").getAttribute("data-peer"), "alice");
      await bob.click("accept-video");
      await alice.phase("active");
      await bob.phase("active");
      const [a, b] = await Promise.all([alice.hears(true), bob.hears(true)]);
      for (const side of [a, b]) {
        assert.equal(side.local, "relay");
        assert.equal(side.remote, "relay");
        assert.ok(side.audioSamples > 0 && side.videoFrames > 10);
      }
      assert.equal(await world.instance.relayAllocations() >= 2, true);
    });

    test("contacts see both as busy", async () => {
      await alice.sees("bob", "busy");
    });

    test("chat runs over the data channel in both directions", async () => {
      for (const person of [alice, bob]) {
        if ((await person.id("chat-panel").count()) === 0) await person.click("chat-toggle");
        await person.attr("chat-panel", "data-channel", "open");
      }
      await alice.chat("hello from alice");
      await bob.message("peer", "hello from alice").waitFor();
      assert.equal(await bob.message("peer", "hello from alice").getAttribute("data-via"), "call");
      await bob.chat("hello from bob");
      await alice.message("peer", "hello from bob").waitFor();
      const [a, b] = await Promise.all([alice.media(), bob.media()]);
      assert.ok(a.dataMessages >= 1 && b.dataMessages >= 1);
    });

    test("mute silences, and camera off stops the picture, at the other side", async () => {
      const level = async (person) => {
        const s = (await person.stats()).find((x) => x.type === "inbound-rtp" && x.kind === "audio");
        return { energy: s.totalAudioEnergy, duration: s.totalSamplesDuration };
      };
      const energyOver = async (person, ms) => {
        const a = await level(person);
        await person.page.waitForTimeout(ms);
        const b = await level(person);
        return b.energy - a.energy;
      };
      const loud = await energyOver(bob, 2500);
      await alice.click("mute");
      await alice.attr("mute", "aria-pressed", "true");
      await alice.page.waitForTimeout(500);
      const quiet = await energyOver(bob, 2500);
      assert.ok(loud > 0 && quiet < loud / 20, `audio energy ${loud} before, ${quiet} muted`);
      await alice.click("mute");
      await alice.attr("mute", "aria-pressed", "false");

      await alice.click("camera");
      await bob.see("remote-avatar");
      await alice.click("camera");
      await bob.see("remote-video");
      await bob.hears(true);
    });

    test("the caller hangs up: both are online again and nothing is left, at the relay neither", async () => {
      await alice.click("hangup");
      await Promise.all([alice.released(), bob.released()]);
      await until("no allocation at the relay", async () => (await world.instance.relayAllocations()) === 0, 3000);
      await alice.sees("bob", "online");
    });

    test("an audio call has no video and is hung up by the callee", async () => {
      await alice.call("bob", "audio");
      await bob.see("incoming");
      await bob.click("accept-audio");
      const [a] = await Promise.all([alice.hears(false), bob.hears(false)]);
      assert.equal(a.hasVideo, false);
      await bob.click("hangup");
      await Promise.all([alice.released(), bob.released()]);
      await until("no allocation at the relay", async () => (await world.instance.relayAllocations()) === 0, 3000);
    });

    test("messages outside a call go by SIP, and wait for a user who is offline", async () => {
      await alice.click("open-bob");
      await alice.chat("are you there?");
      await bob.click("open-alice");
      await bob.message("peer", "are you there?").waitFor();
      assert.equal(await bob.message("peer", "are you there?").getAttribute("data-via"), "sip");
      await bob.click("logout");
      await bob.see("login-form");
      await alice.chat("for later");
      await until("stored", async () => (await alice.message("me", "for later").getAttribute("data-state")) === "stored");
      await bob.logIn("bob", world.password);
      await bob.click("open-alice");
      await bob.message("peer", "for later").waitFor();
    });

    test("the history shows the calls to both sides", async () => {
      for (const [person, direction] of [
        [alice, "outgoing"],
        [bob, "incoming"],
      ]) {
        await person.click("tab-calls");
        const items = person.id("history-item");
        await until("two calls in the history", async () => (await items.count()) >= 2);
        assert.equal(await items.first().getAttribute("data-direction"), direction);
        assert.equal(await items.first().getAttribute("data-missed"), "false");
        await person.click("tab-contacts");
      }
    });

    test("the relay counted every packet: received = sent + consumed + dropped", async () => {
      const text = await world.instance.relayMetrics();
      assert.ok(metric(text, "duplex_relay_received_packets_total") > 1000);
      assert.ok(metric(text, "duplex_relay_sent_packets_total") > 1000);
    });

    test("no script error, no blocked resource on either page", () => {
      for (const person of [alice, bob]) {
        assert.deepEqual(person.errors, []);
        assert.deepEqual(person.console.filter((line) => /Content Security Policy|Refused to/i.test(line)), []);
      }
    });
  });
}
