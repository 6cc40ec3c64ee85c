// The page itself: keyboard, phone width, dark and light, and the rules of WCAG that axe can check.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { Person } from "./lib/person.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function violations(person) {
  await person.page.evaluate(axe);
  const found = await person.page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }));
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
}

export function pageChapter(world) {
  describe("the page", () => {
    for (const scheme of ["light", "dark"]) {
      test(`accessible by axe's rules, ${scheme}`, async () => {
        const person = await Person.open(world.browser, world.origin, { colorScheme: scheme });
        await person.see("login-form");
        assert.deepEqual(await violations(person), []);
        await person.logIn("anna", world.password);
        await person.see("contact-ben");
        assert.deepEqual(await violations(person), []);
        await person.leave();
      });
    }

    test("at phone width nothing runs over the edge", async () => {
      const person = await Person.open(world.browser, world.origin, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
      const wide = () => person.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      await person.see("login-form");
      assert.ok((await wide()) <= 0);
      await person.logIn("anna", world.password);
      await person.see("contact-ben");
      assert.ok((await wide()) <= 0);
      await person.leave();
    });

    test("log in and place a call by keyboard alone", async () => {
      const person = await Person.open(world.browser, world.origin);
      await person.see("login-form");
      await person.id("login-username").focus();
      await person.page.keyboard.type("anna");
      await person.page.keyboard.press("Tab");
      await person.page.keyboard.type(world.password);
      await person.page.keyboard.press("Enter");
      await person.home("anna");
      await person.see("contact-ben");
      // Tab until the call button of ben has the focus: it must be reachable.
      let reached = false;
      for (let i = 0; i < 60 && !reached; i++) {
        await person.page.keyboard.press("Tab");
        reached = await person.page.evaluate(() => document.activeElement?.getAttribute("data-testid") === "call-audio-ben");
      }
      assert.ok(reached, "call-audio-ben is not reached by Tab");
      await person.page.keyboard.press("Enter");
      await person.failure("not-registered");
      await person.leave();
    });
  });
}
