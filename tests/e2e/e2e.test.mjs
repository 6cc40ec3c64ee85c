// The whole system, as people use it: real nginx, Redis, API, signalling workers, DPDK relay and Chromium. One instance, the chapters in order.
//
//   Chromium (anna) ──wss──▶ nginx ─▶ signalling 0 ┐
//   Chromium (ben)   ──wss──▶ nginx ─▶ signalling 1 ┴ Redis       media: anna ─▶ relay (TAP, DPDK) ─▶ ben
import { after, before, describe } from "node:test";

import { launch } from "./lib/browser.mjs";
import { Instance } from "./lib/instance.mjs";
import { callChapter } from "./call.mjs";
import { featuresChapter } from "./features.mjs";
import { failuresChapter } from "./failures.mjs";
import { sessionsChapter } from "./sessions.mjs";
import { transportsChapter } from "./transports.mjs";
import { pageChapter } from "./page.mjs";
import { layoutChapter } from "./layout.mjs";
import { keyboardChapter } from "./keyboard.mjs";

const world = { password: "a-long-pass-phrase-7", ringTimeoutS: 8 };

describe("Duplex", () => {
  before(async () => {
    world.instance = await Instance.start({ RING_TIMEOUT_S: String(world.ringTimeoutS) });
    world.browser = await launch();
    world.origin = world.instance.origin;
  });

  after(async () => {
    await world.browser?.close();
    await world.instance?.stop();
  });

  callChapter(world);
  failuresChapter(world);
  featuresChapter(world);
  sessionsChapter(world);
  pageChapter(world);
  layoutChapter(world);
  keyboardChapter(world);
  transportsChapter(world);
});
