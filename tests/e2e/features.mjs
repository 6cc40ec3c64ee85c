// What a call can do beyond being made and ended: hold, a second call, transfer, do-not-disturb, receipts.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { steps } from "./lib/chapter.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";

export function featuresChapter(world) {
  describe("features", () => {
    const test = steps();
    const people = {};

    before(async () => {
      for (const [name, full] of [["fay", "Fay Fuchs"], ["gus", "Gus Graf"], ["hal", "Hal Horn"]]) {
        await world.instance.addUser(name, full, world.password);
        people[name] = await Person.open(world.browser, world.origin);
        await people[name].logIn(name, world.password);
      }
      await people.fay.addContact("gus");
      await people.fay.addContact("hal");
      await people.gus.addContact("fay");
      await people.hal.addContact("fay");
    });

    after(async () => {
      for (const person of Object.values(people)) await person.leave();
    });

    const talk = async (caller, callee) => {
      await caller.call(callee.username, "audio");
      await callee.see("incoming");
      await callee.click("accept-audio");
      await Promise.all([caller.phase("active"), callee.phase("active")]);
    };
    const with_ = (person, peer) => person.attr("call", "data-peer", peer);
    const quiet = async () => {
      await Promise.all(Object.values(people).map((person) => person.released()));
    };

    test("a message is sent, delivered, and read when it has been looked at", async () => {
      const { fay, gus } = people;
      await fay.click("open-gus");
      await fay.chat("have you seen this?");
      const state = (value) => until(`state ${value}`, async () => (await fay.message("me", "have you seen this?").getAttribute("data-state")) === value);
      await state("delivered");
      await gus.click("open-fay");
      await state("read");
    });

    test("do not disturb: contacts see it, a call is refused with the reason and is a missed one", async () => {
      const { fay, gus } = people;
      await gus.click("dnd");
      await gus.attr("self-status", "data-status", "dnd");
      await fay.sees("gus", "dnd");
      await fay.call("gus", "audio");
      await fay.failure("do-not-disturb");
      await fay.click("failure-close");
      assert.equal(await gus.id("incoming").count(), 0);
      await gus.page.reload();
      await gus.attr("self-status", "data-status", "dnd");
      await gus.see("missed-badge");
      await gus.click("dnd");
      await fay.sees("gus", "online");
    });

    test("hold, and back", async () => {
      const { fay, gus } = people;
      await talk(fay, gus);
      await fay.click("hold");
      await fay.attr("hold-state", "data-by", "me");
      await gus.attr("hold-state", "data-by", "peer");
      await fay.click("hold");
      await until("no hold", async () => (await fay.id("hold-state").count()) + (await gus.id("hold-state").count()) === 0);
      await Promise.all([fay.hears(false), gus.hears(false)]);
    });

    test("call waiting: a second call comes in, the first is held, and goes on when the second ends", async () => {
      const { fay, gus, hal } = people;
      await hal.call("fay", "audio");
      await fay.attr("incoming", "data-waiting", "true");
      await fay.click("accept-hold");
      await with_(fay, "hal");
      await Promise.all([fay.phase("active"), hal.phase("active")]);
      await fay.attr("parked", "data-peer", "gus");
      await gus.attr("hold-state", "data-by", "peer");
      await hal.click("hangup");
      await with_(fay, "gus");
      await until("no hold", async () => (await gus.id("hold-state").count()) === 0);
      await Promise.all([fay.hears(false), gus.hears(false)]);
    });

    test("blind transfer: gus is handed to hal", async () => {
      const { fay, gus, hal } = people;
      await fay.click("transfer");
      await fay.click("transfer-hal");
      await hal.attr("incoming", "data-peer", "gus");
      await hal.click("accept-audio");
      await with_(gus, "hal");
      await Promise.all([gus.phase("active"), hal.phase("active")]);
      await fay.released();
      await Promise.all([gus.hears(false), hal.hears(false)]);
      await hal.click("hangup");
      await quiet();
      const { items } = await hal.page.evaluate(() => fetch("/api/v1/calls").then((reply) => reply.json()));
      assert.equal(items[0].referred_by, "fay");
      assert.equal(items[0].peer.username, "gus");
    });

    test("attended transfer: fay asks hal first, then connects the two", async () => {
      const { fay, gus, hal } = people;
      await talk(fay, gus);
      await fay.click("transfer");
      await fay.click("consult-hal");
      await hal.see("incoming");
      await hal.click("accept-audio");
      await with_(fay, "hal");
      await Promise.all([fay.phase("active"), hal.phase("active")]);
      await fay.click("join");
      await Promise.all([with_(gus, "hal"), with_(hal, "gus")]);
      await fay.released();
      await Promise.all([gus.phase("active"), hal.phase("active")]);
      await Promise.all([gus.hears(false), hal.hears(false)]);
      await gus.click("hangup");
      await quiet();
    });

    test("both call each other in the same moment: it is one call", async () => {
      const { fay, gus } = people;
      await Promise.all([fay.call("gus", "audio"), gus.call("fay", "audio")]);
      await Promise.all([fay.phase("active"), gus.phase("active")]);
      await Promise.all([fay.hears(false), gus.hears(false)]);
      await fay.click("hangup");
      await quiet();
    });

    test("no script error on any page", () => {
      for (const person of Object.values(people)) assert.deepEqual(person.errors, []);
    });
  });
}
