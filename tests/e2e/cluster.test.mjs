// Two nodes with a balancer in front, as docs/cluster.md tells an administrator to make them, and a call of two Chromiums that outlives whatever dies under it: its media never
// stop for longer than a moment, and either side can hang up afterwards.
//
//   anna ──▶ balancer ─▶ nginx of n1 ─▶ workers n1.0, n1.1 ┐ SIP over TLS    media: anna ─▶ relay of n1 ─▶ ben
//   ben  ──▶ balancer ─▶ nginx of n2 ─▶ workers n2.0, n2.1 ┴ Redis of n1
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { Balancer } from "./lib/balancer.mjs";
import { launch } from "./lib/browser.mjs";
import { steps } from "./lib/chapter.mjs";
import { Instance } from "./lib/instance.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";

// Of the sound that was sent while something died. How long nothing was heard is shown, but not judged: on a machine that two browsers share with two instances and
// more, that is mostly how long a browser was not on a core.
const LOSS_MAX = 0.03;
// For the next ten pictures on such a machine.
const PATIENCE_MS = 60_000;
const password = "a-long-pass-phrase-7";

describe("two nodes", () => {
  const test = steps();
  let n1, n2, balancer, browser, anna, ben;

  before(async () => {
    // Below the ports that the kernel gives out, which a load test beside us may all be using; each worker has one of its own.
    const peer = 20000 + (process.pid % 1000) * 10;
    const ports = { n1: peer + 2, n2: peer + 3, public: peer + 4 };
    balancer = await Balancer.open(ports.public, [ports.n1, ports.n2]);
    const common = { PUBLIC_PORT: String(ports.public), WORKERS: "2" };
    n1 = await Instance.start({ ...common, HTTPS_PORT: String(ports.n1), NODE: "n1", PEER: `127.0.0.1:${peer}`, RING_TIMEOUT_S: "20" });
    const archive = await n1.invite("n2");
    n2 = await Instance.start({ INSTANCE: `${n1.settings.INSTANCE}-n2`, WORKERS: "2", HTTPS_PORT: String(ports.n2), PEER: `127.0.0.1:${peer + 5}`, JOIN: archive });
    browser = await launch();
    const origin = `https://localhost:${ports.public}`;
    anna = await Person.open(browser, origin);
    await anna.signUp("anna", "Anna Anders", password);
    balancer.choose(1);
    ben = await Person.open(browser, origin);
    await ben.signUp("ben", "Ben Brandt", password);
    await anna.addContact("ben");
    await ben.addContact("anna");
  });

  after(async () => {
    await browser?.close();
    await n2?.stop();
    await n1?.stop();
    await balancer?.close();
  });

  const workers = ["signalling.0", "signalling.1"];
  async function connections(instance) {
    let n = 0;
    for (const worker of [0, 1]) n += await instance.signallingMetric(worker, "duplex_signal_connections").catch(() => 0);
    return n;
  }

  // Makes something happen to a call that is up, and looks on: sound keeps coming in at both sides, nobody's call ends, and both have a line again.
  async function through(what, happen, { lossMax = LOSS_MAX } = {}) {
    await Promise.all([anna.listenForSilence(), ben.listenForSilence()]);
    const before = await Promise.all([anna.media(), ben.media()]);
    await happen();
    await Promise.all([anna.attr("self-status", "data-status", "busy", 40_000), ben.attr("self-status", "data-status", "busy", 40_000)]);
    await Promise.all([anna.hears(true, PATIENCE_MS), ben.hears(true, PATIENCE_MS)]);
    await Promise.all([anna.phase("active"), ben.phase("active")]);
    const silence = await Promise.all([anna.longestSilence(), ben.longestSilence()]);
    const after_ = await Promise.all([anna.media(), ben.media()]);
    const grown = (side, what) => after_[side][what] - before[side][what];
    const loss = [0, 1].map((side) => grown(side, "audioLost") / (grown(side, "audioLost") + grown(side, "audioPackets")));
    console.log(`# ${what}: sound lost ${loss.map((l) => `${(100 * l).toFixed(2)} %`).join(" and ")}, longest time without ${silence.join(" and ")} ms`);
    assert.ok(Math.max(...loss) < lossMax, `${loss}`);
    for (const side of [0, 1]) assert.ok(grown(side, "audioPackets") > 20 && grown(side, "videoFrames") > 10);
  }

  const away = (person) => person.attr("self-status", "data-status", "connecting", 15_000);

  async function call(from, to) {
    await from.call(to.username, "video");
    await to.see("incoming");
    await to.click("accept-video");
    await Promise.all([from.phase("active"), to.phase("active")]);
    await Promise.all([from.hears(true), to.hears(true)]);
  }

  async function hangUp(from, to) {
    await from.click("hangup");
    await Promise.all([from.released(), to.released()]);
    await until("no allocation at the relay", async () => (await n1.relayAllocations()) === 0, 5000);
    for (const person of [anna, ben]) assert.equal(await person.id("failure").count(), 0);
  }

  test("each has people of its own, who see each other and call across", async () => {
    assert.ok((await connections(n1)) >= 1 && (await connections(n2)) >= 1);
    await Promise.all([anna.sees("ben", "online"), ben.sees("anna", "online")]);
    await call(anna, ben);
    assert.ok((await n2.signallingMetric(0, "duplex_signal_peer_messages_in_total")) + (await n2.signallingMetric(1, "duplex_signal_peer_messages_in_total")) > 0);
  });

  test("the callee's connection drops and comes back on the other node", async () => {
    balancer.choose(0);
    await through("connection dropped", async () => {
      balancer.cut(1);
      await away(ben);
    });
    await until("ben is on n1", async () => (await connections(n2)) === 0);
  });

  test("both connections drop at once", async () => {
    balancer.choose(1);
    await through("both dropped", async () => {
      balancer.cut(0);
      await Promise.all([away(anna), away(ben)]);
    });
    await until("both are on n2", async () => (await connections(n1)) === 0);
  });

  test("the workers that hold their sockets are killed", async () => {
    await through("workers killed", async () => {
      await n2.kill(...workers);
      await Promise.all([away(anna), away(ben)]);
    });
  });

  test("Redis is killed and comes back", async () => {
    await through("Redis killed", async () => {
      await n1.kill("redis");
      await until("Redis is back", () => n1.redisAnswers());
    });
  });

  test("nginx is reloaded, and its old processes end", async () => {
    await through("nginx reloaded", async () => {
      await n2.hup("nginx");
      await Promise.all([away(anna), away(ben)]); // after worker_shutdown_timeout
    });
  });

  test("the worker that keeps the call has long been another one: the callee hangs up", () => hangUp(ben, anna));

  test("a second call, and the node of the callee dies as a whole", async () => {
    await Promise.all([anna.sees("ben", "online"), ben.sees("anna", "online")]);
    balancer.choose(0);
    balancer.cut(1);
    await Promise.all([anna.online(), ben.online()]);
    balancer.choose(1);
    balancer.cut(0);
    await until("both are on n2", async () => (await connections(n1)) === 0 && (await connections(n2)) === 2, 20_000);
    await Promise.all([anna.online(), ben.online()]);
    await call(ben, anna);
    await through("node killed", async () => {
      await n2.crash(...workers, "api", "nginx");
      await Promise.all([away(anna), away(ben)]);
    });
    await until("both are on n1", async () => (await connections(n1)) === 2);
  });

  test("the caller hangs up, without the node that kept the call", () => hangUp(ben, anna));

  test("a third call loses its media path: both sides find a new one by an ICE restart", async () => {
    await Promise.all([anna.sees("ben", "online"), ben.sees("anna", "online")]);
    await call(anna, ben);
    const before = await anna.ice();
    await through(
      "path lost",
      async () => {
        await n1.endAllocations("anna");
        await anna.phase("interrupted", 20_000);
        await anna.phase("active", 40_000);
      },
      { lossMax: 1 },
    );
    assert.notEqual((await anna.ice()).ufrag, before.ufrag);
    await hangUp(anna, ben);
  });

  test("no script error on either page", () => {
    for (const person of [anna, ben]) assert.deepEqual(person.errors, []);
  });
});
