// Where things stand on the screen: long lists, small windows, a phone on its side. Sizes that a person has met.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { steps } from "./lib/chapter.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";

const laptop = { viewport: { width: 1280, height: 800 } };

// The box of an element, and whether all of it can be seen.
async function box(person, locator) {
  const { width, height } = person.page.viewportSize();
  const b = await locator.boundingBox();
  assert.ok(b, "it is not on the page");
  return { ...b, inside: b.x >= 0 && b.y >= 0 && b.x + b.width <= width + 0.5 && b.y + b.height <= height + 0.5 };
}

const apart = (a, b) => a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;

// What the API would say to someone with so many contacts and calls.
async function fill(person, count) {
  const user = (i) => ({ username: `person-${i}`, display_name: `Person Number ${i}` });
  const at = (i) => new Date(Date.UTC(2026, 0, 2, 12, 0, 0) - i * 3_600_000).toISOString();
  const items = (make) => (route) => route.fulfill({ json: { items: Array.from({ length: count }, (_, i) => make(i)), next: null } });
  await person.page.route("**/api/v1/contacts?*", items((i) => ({ ...user(i), added_at: at(i) })));
  await person.page.route("**/api/v1/calls?*", items((i) => ({ id: `call-${i}`, direction: "outgoing", peer: user(i), media: "audio", started_at: at(i), answered_at: null, ended_at: at(i), end_reason: "busy", sip_status: 486 })));
  await person.page.reload();
}

export function layoutChapter(world) {
  describe("layout", () => {
    const test = steps();

    let ida, jan;

    before(async () => {
      await world.instance.addUser("ida", "Ida Immel", world.password);
      await world.instance.addUser("jan", "Jan Jung", world.password);
    });

    for (const [name, size] of [["a laptop", laptop.viewport], ["a phone", { width: 390, height: 780 }], ["a phone on its side", { width: 780, height: 360 }]]) {
      test(`long lists scroll on ${name}`, async () => {
        const ida = await Person.open(world.browser, world.origin, { viewport: size });
        await ida.logIn("ida", world.password);
        await fill(ida, 30);
        await ida.see("contact-person-0");
        const list = ida.page.locator(".list");
        for (const tab of ["contacts", "calls"]) {
          await ida.click(`tab-${tab}`);
          await ida.page.locator(".row").last().waitFor();
          const { scroll, client } = await list.evaluate((e) => ({ scroll: e.scrollHeight, client: e.clientHeight }));
          assert.ok(scroll > client + 200, `${tab}: ${client} of ${scroll} px`);
          await ida.page.locator(".row").last().scrollIntoViewIfNeeded();
          assert.ok((await box(ida, ida.page.locator(".row").last())).inside, `the last row of ${tab}`);
          assert.ok((await box(ida, ida.id("self-status"))).inside, "who I am, below the list");
          assert.ok((await box(ida, ida.id("search"))).inside, "the search, above it");
        }
        await ida.leave();
      });
    }

    test("a phone on its side shows all of an incoming call, and of a failed one", async () => {
      ida = await Person.open(world.browser, world.origin, laptop);
      jan = await Person.open(world.browser, world.origin, { viewport: { width: 667, height: 330 } });
      await ida.logIn("ida", world.password);
      await jan.logIn("jan", world.password);
      if ((await ida.id("contact-jan").count()) === 0) await ida.addContact("jan");
      if ((await jan.id("contact-ida").count()) === 0) await jan.addContact("ida");
      await ida.sees("jan", "online");
      await ida.call("jan", "video");
      await jan.see("incoming");
      for (const size of [{ width: 667, height: 330 }, { width: 780, height: 360 }, { width: 390, height: 780 }, { width: 360, height: 560 }]) {
        await jan.page.setViewportSize(size);
        for (const part of ["incoming", "decline", "accept-audio", "accept-video"]) assert.ok((await box(jan, jan.id(part))).inside, `${part} at ${size.width}x${size.height}`);
      }
      // Less than any phone has: what does not fit can be scrolled to.
      await jan.page.setViewportSize({ width: 480, height: 180 });
      await jan.id("accept-video").scrollIntoViewIfNeeded();
      assert.ok((await box(jan, jan.id("accept-video"))).inside);
      await jan.page.locator("#incoming-name").scrollIntoViewIfNeeded();
      assert.ok((await box(jan, jan.page.locator("#incoming-name"))).inside);
      await ida.page.setViewportSize({ width: 667, height: 330 });
      await jan.click("decline");
      await ida.failure("declined");
      for (const part of ["failure", "failure-title", "failure-write", "failure-close"]) assert.ok((await box(ida, ida.id(part))).inside, part);
      await ida.closeFailure();
    });

    test("the devices can be chosen in a call on a phone on its side", async () => {
      for (const person of [ida, jan]) await person.page.setViewportSize({ width: 780, height: 360 });
      await ida.call("jan", "video");
      await jan.see("incoming");
      await jan.click("accept-video");
      await ida.phase("active");
      await ida.click("devices");
      for (const part of ["device-audio", "device-video", "device-output"]) assert.ok((await box(ida, ida.id(part))).inside, part);
      assert.ok((await box(ida, ida.page.locator(".menu"))).inside);
      await ida.click("hangup");
      await Promise.all([ida.released(), jan.released()]);
    });

    test("notices on a phone leave the newest message and one's own picture free", async () => {
      for (const person of [ida, jan]) await person.page.setViewportSize({ width: 390, height: 780 });
      await ida.click("open-jan");
      for (let i = 0; i < 12; i++) await ida.chat(`line ${i}`);
      await ida.click("conversation-video");
      await jan.see("incoming");
      await ida.click("cancel");
      await ida.id("toast").first().waitFor();
      const toast = await box(ida, ida.id("toast").first());
      assert.ok(toast.inside);
      assert.ok(apart(toast, await box(ida, ida.id("chat-message").last())), "the newest message");
      assert.ok(apart(toast, await box(ida, ida.id("conversation-audio"))), "the buttons");
      // Turned to its side, and back.
      for (const size of [{ width: 780, height: 360 }, { width: 390, height: 780 }]) {
        await ida.page.setViewportSize(size);
        await until("the newest message is in sight", async () => (await box(ida, ida.id("chat-message").last())).y + 20 < (await box(ida, ida.id("chat-input"))).y, 2000);
      }
      await ida.click("conversation-back");
    });

    test("the news that the line is lost covers nothing, and is covered by nothing", async () => {
      await ida.page.routeWebSocket("**/sip", (socket) => void socket.close());
      await ida.page.reload();
      await ida.see("line-banner");
      for (const size of [{ width: 390, height: 780 }, laptop.viewport]) {
        await ida.page.setViewportSize(size);
        const banner = await box(ida, ida.id("line-banner"));
        assert.ok(banner.inside && banner.height < 80, `${banner.height} px`);
        for (const part of ["settings", "logout", "search", "open-jan", "self-status"]) {
          const other = await box(ida, ida.id(part));
          assert.ok(other.inside && apart(other, banner), `${part} at ${size.width}x${size.height}`);
        }
        await ida.call("jan", "audio");
        await ida.failure("socket-lost");
        await ida.closeFailure();
        await ida.click("open-jan");
        await ida.chat("never mind");
        await ida.id("toast").first().waitFor();
        assert.ok(apart(await box(ida, ida.id("toast").first()), banner), "the notice");
        if (size.width < 761) await ida.click("conversation-back");
      }
    });

    test("the choices of appearance fit their places at phone width", async () => {
      await jan.page.setViewportSize({ width: 390, height: 780 });
      await jan.click("settings");
      for (const theme of ["auto", "light", "dark"]) {
        const { over, height } = await jan.id(`theme-${theme}`).evaluate((e) => ({ over: e.scrollHeight - e.clientHeight, height: e.clientHeight }));
        assert.ok(over <= 0 && height >= 40, `${theme}: ${over} px over`);
      }
      await jan.click("settings-close");
      await ida.leave();
      await jan.leave();
    });
  });
}
