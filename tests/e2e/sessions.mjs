// Identity once: what happens to a live page when its session ends, from any side.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import { steps } from "./lib/chapter.mjs";
import { Person } from "./lib/person.mjs";
import { until } from "./lib/wait.mjs";

const headers = { "Content-Type": "application/json", "X-Duplex-Request": "1" };

function api(person, method, path, body) {
  return person.page.evaluate(
    async ({ method, path, body, headers }) => {
      const reply = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
      const text = await reply.text();
      return { status: reply.status, body: text ? JSON.parse(text) : undefined };
    },
    { method, path, body, headers },
  );
}

export function sessionsChapter(world) {
  describe("sessions", () => {
    const test = steps();
    let grace, heidi, admin;

    before(async () => {
      await world.instance.addUser("grace", "Grace Graf", world.password);
      await world.instance.addUser("heidi", "Heidi Hahn", world.password);
      await world.instance.addUser("root-admin", "The Administrator", world.password, "admin");
      [grace, heidi, admin] = await Promise.all(
        ["grace", "heidi", "root-admin"].map(async (name) => {
          const person = await Person.open(world.browser, world.origin);
          await person.logIn(name, world.password);
          return person;
        }),
      );
      await grace.addContact("heidi");
      await grace.sees("heidi", "online");
    });

    after(async () => {
      for (const person of [grace, heidi, admin]) await person?.leave();
    });

    test("a reload resumes the session without a log-in", async () => {
      await heidi.page.reload();
      await heidi.home("heidi");
      await grace.sees("heidi", "online");
    });

    test("a second tab takes the line; when it is closed the first has it again", async () => {
      const second = await heidi.context.newPage();
      await second.goto("/");
      await second.getByTestId("home").waitFor();
      await heidi.see("elsewhere");
      await second.close();
      await heidi.home("heidi");
      await grace.sees("heidi", "online");
    });

    test("a session deleted elsewhere closes the socket within a second", async () => {
      const second = await Person.open(world.browser, world.origin);
      await second.logIn("heidi", world.password);
      const list = await api(second, "GET", "/me/sessions");
      const other = list.body.items.find((session) => !session.current);
      assert.ok(other, JSON.stringify(list.body));
      const start = Date.now();
      assert.equal((await api(second, "DELETE", `/me/sessions/${other.id}`)).status, 204);
      await heidi.see("login-form", 3000);
      assert.ok(Date.now() - start < 1000, `${Date.now() - start} ms`);
      assert.equal(await heidi.id("notice").getAttribute("data-code"), "session-ended");
      await second.leave();
      await heidi.logIn("heidi", world.password);
    });

    test("one user on two devices: both ring, the first answer wins, the other stops", async () => {
      const second = await Person.open(world.browser, world.origin);
      await second.logIn("heidi", world.password);
      await grace.sees("heidi", "online");
      await grace.call("heidi", "audio");
      await Promise.all([heidi.see("incoming"), second.see("incoming")]);
      await second.click("accept-audio");
      await heidi.id("incoming").waitFor({ state: "detached", timeout: 2000 });
      assert.equal(await heidi.id("missed-badge").count(), 0);
      await grace.hears(false);
      await grace.click("hangup");
      await Promise.all([grace.released(), second.released()]);
      await second.leave();
    });

    test("an administrator sees the live call and hangs it up", async () => {
      await grace.call("heidi", "audio");
      await heidi.see("incoming");
      await heidi.click("accept-audio");
      await grace.phase("active");
      const calls = await until("the live call", async () => {
        const reply = await api(admin, "GET", "/admin/calls");
        return reply.body.items.length > 0 && reply.body;
      });
      assert.equal(calls.items[0].caller, "grace");
      assert.equal(calls.items[0].callee, "heidi");
      await Promise.all([grace.hears(false), heidi.hears(false)]);
      const { body } = await until("the relay's figures of both sides", async () => {
        const reply = await api(admin, "GET", `/admin/calls/${encodeURIComponent(calls.items[0].id)}`);
        const { caller, callee } = reply.body.sides;
        return [caller, callee].every((s) => s.quality?.sent.audio?.packets > 50 && s.quality.received.audio?.packets > 50) && reply;
      });
      assert.deepEqual(body.relays, { asked: 1, answered: 1 });
      assert.ok(Math.abs(Date.parse(body.measured_at) - Date.now()) < 5000);
      for (const side of Object.values(body.sides)) {
        assert.match(side.session_id, /^[0-9a-f]{32}$/);
        assert.ok(side.allocations >= 1);
        assert.equal(side.quality.one_way_audio, false);
        assert.equal(side.quality.sent.video, null);
        assert.ok(side.quality.sent.audio.bytes > 1000 && side.quality.sent.audio.jitter_ms < 1000);
      }
      assert.equal((await api(admin, "DELETE", `/admin/calls/${encodeURIComponent(calls.items[0].id)}`)).status, 202);
      assert.equal((await grace.failure("ended-by-admin", 5000)).title.length > 0, true);
      await grace.closeFailure();
      await heidi.id("call").waitFor({ state: "detached" });
      if ((await heidi.id("failure").count()) > 0) await heidi.closeFailure();
      await until("no allocation at the relay", async () => (await world.instance.relayAllocations()) === 0, 3000);
    });

    test("a disabled user is thrown out of the page and of the call, and cannot log in", async () => {
      await grace.call("heidi", "audio");
      await heidi.see("incoming");
      await heidi.click("accept-audio");
      await grace.phase("active");
      const start = Date.now();
      assert.equal((await api(admin, "PATCH", "/admin/users/heidi", { state: "disabled" })).status, 200);
      await heidi.see("login-form", 3000);
      assert.ok(Date.now() - start < 1000, `${Date.now() - start} ms`);
      await grace.id("in-call").waitFor({ state: "detached", timeout: 3000 });
      assert.equal((await grace.failure("peer-logged-out", 3000)).title, "Heidi Hahn was logged out");
      await grace.closeFailure();
      await grace.sees("heidi", "offline");
      await heidi.id("login-username").fill("heidi");
      await heidi.id("login-password").fill(world.password);
      await heidi.click("login-submit");
      await heidi.see("login-error");
    });

    test("log out deregisters", async () => {
      await admin.addContact("grace");
      await admin.sees("grace", "online");
      await grace.click("logout");
      await grace.see("login-form");
      await admin.sees("grace", "offline");
      assert.equal((await api(grace, "GET", "/me")).status, 401);
    });
  });
}
