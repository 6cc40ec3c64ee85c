// From sign-up to a hung-up call, media through the relay only.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { steps } from "./lib/chapter.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";
import { metric } from "./lib/instance.mjs";

export function callChapter(world) {
  describe("the call", () => {
    const test = steps();
    let anna, ben;

    before(async () => {
      anna = await Person.open(world.browser, world.origin);
      ben = await Person.open(world.browser, world.origin);
    });

    after(async () => {
      await anna?.leave();
      await ben?.leave();
    });

    test("two people sign up on the page and are registered by themselves", async () => {
      await anna.signUp("anna", "Anna Anders", world.password);
      await ben.signUp("ben", "Ben Brandt", world.password);
      world.anna = anna;
      world.ben = ben;
    });

    test("a contact is found, added, and seen coming online and going offline", async () => {
      await anna.addContact("ben");
      await anna.sees("ben", "online");
      await ben.click("logout");
      await ben.see("login-form");
      await anna.sees("ben", "offline");
      await ben.logIn("ben", world.password);
      await anna.sees("ben", "online");
      await ben.addContact("anna");
      await ben.sees("anna", "online");
    });

    test("a video call: rings, is accepted, both see and hear each other over the relay", async () => {
      await anna.call("ben", "video");
      await anna.phase("ringing");
      await ben.see("incoming");
      assert.equal(await ben.id("incoming").getAttribute("data-peer"), "anna");
      await ben.click("accept-video");
      await anna.phase("active");
      await ben.phase("active");
      const [a, b] = await Promise.all([anna.hears(true), ben.hears(true)]);
      for (const side of [a, b]) {
        assert.equal(side.local, "relay");
        // A peer's relayed address that is first learned from its check is "prflx" (RFC 8445 §7.3.1.3).
        assert.ok(["relay", "prflx"].includes(side.remote), side.remote);
        assert.ok(side.audioSamples > 0 && side.videoFrames > 10);
      }
      assert.equal(await world.instance.relayAllocations() >= 2, true);
    });

    test("contacts see both as busy", async () => {
      await anna.sees("ben", "busy");
    });

    test("chat runs over the data channel in both directions", async () => {
      for (const person of [anna, ben]) {
        if ((await person.id("chat-panel").count()) === 0) await person.click("chat-toggle");
        await person.attr("chat-panel", "data-channel", "open");
      }
      await anna.chat("hello from anna");
      await ben.message("peer", "hello from anna").waitFor();
      assert.equal(await ben.message("peer", "hello from anna").getAttribute("data-via"), "call");
      await ben.chat("hello from ben");
      await anna.message("peer", "hello from ben").waitFor();
      const [a, b] = await Promise.all([anna.media(), ben.media()]);
      assert.ok(a.dataMessages >= 1 && b.dataMessages >= 1);
    });

    test("the relay is killed and comes back: sound and picture go on, on the same paths, without an ICE restart", async () => {
      const before = await Promise.all([anna.ice(), ben.ice()]);
      await Promise.all([anna.listenForSilence(), ben.listenForSilence()]);
      await world.instance.killRelay();
      await until("the relay is back", async () => {
        const text = await world.instance.relayMetrics().catch(() => "");
        return metric(text, 'duplex_relay_restored{what="allocations"}') >= 2;
      });
      await Promise.all([anna.hears(true), ben.hears(true)]);
      assert.deepEqual(await Promise.all([anna.ice(), ben.ice()]), before);
      const silence = await Promise.all([anna.longestSilence(), ben.longestSilence()]);
      console.log(`# longest time without sound: ${silence.join(" and ")} ms`);
      // A second on a machine that has time for it; here two browsers and whatever else runs share it.
      assert.ok(Math.max(...silence) < 3000, `${silence}`);
      await anna.phase("active");
      await ben.phase("active");
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
      const loud = await energyOver(ben, 2500);
      await anna.click("mute");
      await anna.attr("mute", "aria-pressed", "true");
      await anna.page.waitForTimeout(500);
      const quiet = await energyOver(ben, 2500);
      assert.ok(loud > 0 && quiet < loud / 20, `audio energy ${loud} before, ${quiet} muted`);
      await anna.click("mute");
      await anna.attr("mute", "aria-pressed", "false");

      await anna.click("camera");
      await ben.see("remote-avatar");
      await anna.click("camera");
      await ben.see("remote-video");
      await ben.hears(true);
    });

    test("the caller hangs up: both are online again and nothing is left, at the relay neither", async () => {
      await anna.click("hangup");
      await Promise.all([anna.released(), ben.released()]);
      await until("no allocation at the relay", async () => (await world.instance.relayAllocations()) === 0, 3000);
      await anna.sees("ben", "online");
    });

    test("an audio call has no video and is hung up by the callee", async () => {
      await anna.call("ben", "audio");
      await ben.see("incoming");
      await ben.click("accept-audio");
      const [a] = await Promise.all([anna.hears(false), ben.hears(false)]);
      assert.equal(a.hasVideo, false);
      await ben.click("hangup");
      await Promise.all([anna.released(), ben.released()]);
      await until("no allocation at the relay", async () => (await world.instance.relayAllocations()) === 0, 3000);
    });

    test("messages outside a call go by SIP, and wait for a user who is offline", async () => {
      await anna.click("open-ben");
      await anna.chat("are you there?");
      await ben.click("open-anna");
      await ben.message("peer", "are you there?").waitFor();
      assert.equal(await ben.message("peer", "are you there?").getAttribute("data-via"), "sip");
      await ben.click("logout");
      await ben.see("login-form");
      await anna.chat("for later");
      await until("stored", async () => (await anna.message("me", "for later").getAttribute("data-state")) === "stored");
      await ben.logIn("ben", world.password);
      await ben.click("open-anna");
      await ben.message("peer", "for later").waitFor();
    });

    test("the history shows the calls to both sides", async () => {
      for (const [person, direction] of [
        [anna, "outgoing"],
        [ben, "incoming"],
      ]) {
        await person.click("tab-calls");
        const items = person.id("history-item");
        await until("two calls in the history", async () => (await items.count()) >= 2);
        assert.equal(await items.first().getAttribute("data-direction"), direction);
        assert.equal(await items.first().getAttribute("data-missed"), "false");
        await person.click("tab-contacts");
      }
    });

    test("the record of a call says how its media went, as the relay saw it", async () => {
      for (const person of [anna, ben]) {
        const quality = async () => {
          const { items } = await person.page.evaluate(() => fetch("/api/v1/calls").then((reply) => reply.json()));
          return items.find((call) => call.media === "video")?.quality;
        };
        await until("the relay's figures in the record", async () => (await quality()) != null);
        const { sent, received, one_way_audio } = await quality();
        for (const direction of [sent, received]) {
          assert.ok(direction.audio.packets > 200 && direction.audio.bytes > 5000, JSON.stringify(direction));
          assert.ok(direction.video.packets > 50 && direction.video.bytes > 20000, JSON.stringify(direction));
          assert.ok(direction.audio.lost < direction.audio.packets / 10, JSON.stringify(direction));
          assert.ok(direction.audio.jitter_ms < 100, JSON.stringify(direction));
        }
        assert.equal(one_way_audio, false);
      }
    });

    test("the media went through the relay, from channel to channel inside it", async () => {
      const text = await world.instance.relayMetrics();
      assert.ok(metric(text, 'duplex_relay_relayed_packets_total{direction="hairpin"}') > 1000, text);
    });

    test("no script error, no blocked resource on either page", () => {
      for (const person of [anna, ben]) {
        assert.deepEqual(person.errors, []);
        assert.deepEqual(person.console.filter((line) => /Content Security Policy|Refused to/i.test(line)), []);
      }
    });
  });
}
