// Every way a call can fail has its own message.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { launch } from "./lib/browser.mjs";
import { steps } from "./lib/chapter.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";

export function failuresChapter(world) {
  describe("failures, each with its own message", () => {
    const titles = new Map();
    const test = steps();
    let carol, dave, erin;

    // Asserts the message, and that no other failure has the same words.
    async function fails(person, code, sip) {
      const shown = await person.failure(code, (world.ringTimeoutS + 15) * 1000);
      if (sip !== undefined) assert.equal(shown.sip, String(sip));
      assert.ok(shown.title.length > 0 && shown.action.length > 0);
      for (const [other, title] of titles) assert.ok(other === code || title !== shown.title, `${code} reads like ${other}: ${title}`);
      titles.set(code, shown.title);
      await person.closeFailure();
      await person.online();
    }

    before(async () => {
      for (const [name, display] of [["carol", "Carol Christ"], ["dave", "Dave Dorn"], ["erin", "Erin Ernst"], ["frank", "Frank Falk"]])
        await world.instance.addUser(name, display, world.password, name === "erin" ? "admin" : "user");
      [carol, dave, erin] = await Promise.all(
        ["carol", "dave", "erin"].map(async (name) => {
          const person = await Person.open(world.browser, world.origin);
          await person.logIn(name, world.password);
          return person;
        }),
      );
      await carol.addContact("dave");
      await carol.addContact("frank");
      await erin.addContact("dave");
      await carol.sees("dave", "online");
      await erin.sees("dave", "online");
    });

    after(async () => {
      for (const person of [carol, dave, erin]) await person?.leave();
    });

    test("declined", async () => {
      await carol.call("dave", "audio");
      await dave.see("incoming");
      await dave.click("decline");
      await fails(carol, "declined", 603);
      await dave.released();
    });

    test("cancelled by the caller: ringing stops at the callee, who sees a missed call", async () => {
      await carol.call("dave", "video");
      await dave.see("incoming");
      await carol.click("cancel");
      await dave.id("incoming").waitFor({ state: "detached", timeout: 2000 });
      await carol.id("call").waitFor({ state: "detached" });
      // One's own cancel is no failure: a notice says what became of the call.
      const toast = carol.id("toast").and(carol.page.locator('[data-kind="cancelled"]'));
      assert.equal(await toast.locator("span").innerText({ timeout: 2000 }), "Call to Dave Dorn cancelled");
      assert.equal(await carol.id("failure").count(), 0);
      await carol.online();
      await until("missed badge", async () => (await dave.id("missed-badge").count()) === 1);
      if ((await dave.id("failure").count()) > 0) await dave.closeFailure();
    });

    test("no answer", async () => {
      await carol.call("dave", "audio");
      await dave.see("incoming");
      await fails(carol, "no-answer", 408);
      await dave.id("incoming").waitFor({ state: "detached", timeout: 2000 });
    });

    test("busy", async () => {
      await dave.click("settings");
      await dave.click("call-waiting"); // with it erin would ring: features.mjs
      await dave.click("settings-close");
      await carol.call("dave", "audio");
      await dave.see("incoming");
      await dave.click("accept-audio");
      await carol.phase("active");
      await erin.call("dave", "audio");
      await fails(erin, "busy", 486);
      await dave.phase("active");
      await carol.click("hangup");
      await Promise.all([carol.released(), dave.released()]);
    });

    test("user not registered", async () => {
      await carol.call("frank", "audio");
      await fails(carol, "not-registered", 480);
    });

    test("unknown user", async () => {
      // A contact whose account has gone meanwhile is the way a person meets this: the address is dialled by a deep link.
      await carol.page.evaluate(() => (location.hash = "#call=audio:nobody-here"));
      await fails(carol, "unknown-user", 404);
      await carol.page.evaluate(() => (location.hash = ""));
    });

    test("no permission", async () => {
      const status = await erin.page.evaluate(async () => {
        const reply = await fetch("/api/v1/admin/users/carol", {
          method: "PATCH",
          headers: { "Content-Type": "application/json", "X-Duplex-Request": "1" },
          body: JSON.stringify({ denied_permissions: ["call.video"] }),
        });
        return reply.status;
      });
      assert.equal(status, 200);
      // The page may hide what is not permitted; the server must refuse it in any case, so the page is asked to try.
      await carol.page.reload();
      await carol.home("carol");
      await carol.page.evaluate(() => (location.hash = "#call=video:dave"));
      await fails(carol, "no-permission", 403);
      await carol.page.evaluate(() => (location.hash = ""));
    });

    for (const [kind, media, code] of [
      ["denied", "audio", "media-denied"],
      ["none", "video", "media-missing"],
    ]) {
      test(`camera or microphone: ${kind}`, async () => {
        const browser = await launch(kind);
        try {
          const frank = await Person.open(browser, world.origin);
          await frank.logIn("frank", world.password);
          if ((await frank.id("contact-dave").count()) === 0) await frank.addContact("dave");
          await frank.call("dave", media);
          await fails(frank, code);
          assert.equal(await dave.id("incoming").count(), 0);
        } finally {
          await browser.close();
        }
      });
    }
  });
}
