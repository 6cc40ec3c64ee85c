// The pictures of the README's tour: `node tests/e2e/screenshots.mjs` (root, after `make`) writes them to docs/screenshots.
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { launch } from "./lib/browser.mjs";
import { Instance } from "./lib/instance.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";

const target = resolve(dirname(fileURLToPath(import.meta.url)), "../../docs/screenshots");
const password = "a-long-pass-phrase-7";
const people = [["anna", "Anna Adler"], ["bela", "Bela Brandt"], ["dora", "Dora Dahl"], ["carl", "Carl Christ"], ["emil", "Emil Ek"]];
const wide = { viewport: { width: 1280, height: 800 } };
const phone = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const instance = await Instance.start();
const browser = await launch();
try {
  // Without the notices of before, and once everything that moves has arrived.
  const shot = async (person, name) => {
    await until("notices gone", async () => (await person.id("toast").count()) === 0);
    await person.page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect.getTiming().iterations === 1).map((a) => a.finished)));
    await person.page.screenshot({ path: `${target}/${name}.png` });
  };
  for (const [name, display] of people) await instance.addUser(name, display, password);

  const anna = await Person.open(browser, instance.origin, { ...wide, colorScheme: "dark" });
  await anna.see("login-form");
  await shot(anna, "login");
  await anna.logIn("anna", password);
  for (const [name] of people.slice(1)) await anna.addContact(name);

  const bela = await Person.open(browser, instance.origin, { ...phone, colorScheme: "light" });
  await bela.logIn("bela", password);
  for (const name of ["anna", "dora"]) await bela.addContact(name);
  const dora = await Person.open(browser, instance.origin, { ...wide, colorScheme: "light" });
  await dora.logIn("dora", password);
  await anna.sees("bela", "online");
  await anna.sees("dora", "online");
  await anna.click("open-bela");
  await anna.chat("Do you have five minutes for the plan?");
  await until("delivered", async () => (await anna.message("me", "five minutes").getAttribute("data-state")) === "delivered");
  await anna.chat("I'll call you.");
  await shot(anna, "conversation");

  await anna.call("bela", "video");
  await bela.see("incoming");
  await anna.phase("ringing");
  await shot(bela, "incoming-phone");
  await bela.click("decline");
  await anna.failure("declined");
  await shot(anna, "declined");
} finally {
  await browser.close();
  await instance.stop();
}
