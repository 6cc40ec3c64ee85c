// The focus: a person without a mouse always knows where they are, and is never put back to the top of the page.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { steps } from "./lib/chapter.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";

// The element with the focus, by its handle, id or name.
const focused = (person) =>
  person.page.evaluate(() => {
    const e = document.activeElement;
    return e === document.body ? "nothing" : (e.getAttribute("data-testid") ?? (e.id || e.className || e.tagName));
  });

async function has(person, name) {
  await until(`focus on ${name}`, async () => (await focused(person)) === name, 3000).catch(async () => assert.equal(await focused(person), name));
}

async function press(person, ...keys) {
  for (const key of keys) await person.page.keyboard.press(key);
}

export function keyboardChapter(world) {
  describe("keyboard", () => {
    const test = steps();
    let kate, leo;

    before(async () => {
      await world.instance.addUser("kate", "Kate Kern", world.password);
      await world.instance.addUser("leo", "Leo Lang", world.password);
      [kate, leo] = await Promise.all(
        ["kate", "leo"].map(async (name) => {
          const person = await Person.open(world.browser, world.origin);
          await person.logIn(name, world.password);
          return person;
        }),
      );
    });

    after(async () => {
      for (const person of [kate, leo]) await person?.leave();
    });

    test("after the log-in the next Tab is at the start of the page", async () => {
      await has(kate, "sidebar");
      await press(kate, "Tab");
      await has(kate, "theme");
      await kate.addContact("leo");
      await leo.addContact("kate");
      await kate.sees("leo", "online");
      await leo.sees("kate", "online");
    });

    test("an incoming call holds the focus until it is over, and gives it back", async () => {
      await leo.click("open-kate");
      await leo.id("chat-input").fill("in the middle of a ");
      await kate.id("call-audio-leo").focus();
      await press(kate, "Enter");
      await leo.see("incoming");
      await has(leo, "incoming");
      await leo.page.keyboard.type("sentence ");
      await press(leo, "Escape", "Escape");
      await leo.see("incoming");
      const seen = new Set();
      for (let i = 0; i < 6; i++) {
        await press(leo, "Tab");
        seen.add(await focused(leo));
      }
      // The browser's own controls are a stop on the way round.
      for (const name of ["decline", "accept-audio"]) assert.ok(seen.delete(name), name);
      for (const name of seen) assert.ok(["nothing", "veil", "incoming"].includes(name), `${name} is behind the card`);
      await leo.id("decline").focus();
      await press(leo, "Enter");
      await leo.id("incoming").waitFor({ state: "detached" });
      await has(leo, "chat-input");
      assert.equal(await leo.id("chat-input").inputValue(), "in the middle of a ");
      await kate.failure("declined");
      await has(kate, "failure");
      await press(kate, "Escape");
      await has(kate, "call-audio-leo");
    });

    test("an open dialog does not hide an incoming call, nor the call once it is accepted", async () => {
      await leo.click("settings");
      await kate.call("leo", "audio");
      await leo.see("incoming");
      await leo.click("accept-audio");
      await kate.phase("active");
      await leo.id("settings-dialog").waitFor({ state: "detached" });
      await has(leo, "call");
    });

    test("the menu of devices takes the focus and gives it back", async () => {
      await kate.id("devices").focus();
      await press(kate, "Enter");
      await has(kate, "device-audio");
      await press(kate, "Shift+Tab");
      await has(kate, "devices");
      await press(kate, "Tab", "Escape");
      await has(kate, "devices");
      assert.equal(await kate.id("device-audio").count(), 0);
    });

    test("Escape in the chat of a call goes back to its button", async () => {
      await kate.click("chat-toggle");
      await kate.id("chat-input").focus();
      await press(kate, "Escape");
      await has(kate, "chat-toggle");
    });

    test("after a call the focus is where it was, or in the conversation", async () => {
      await kate.click("hangup");
      await Promise.all([kate.released(), leo.released()]);
      await has(kate, "call-audio-leo");
      await has(leo, "chat-input");
      await kate.call("leo", "audio");
      await leo.see("incoming");
      await leo.click("accept-audio");
      await kate.phase("active");
      await kate.click("hangup");
      await Promise.all([kate.released(), leo.released()]);
      await has(leo, "chat-input");
    });
  });
}
