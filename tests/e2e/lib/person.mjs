// A person at the page: what they see and click, by the handles of web/TESTIDS.md.
import { until } from "./wait.mjs";

export class Person {
  static async open(browser, origin, options = {}) {
    const { path = "/", ...contextOptions } = options;
    const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: origin, ...contextOptions });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    const person = new Person(context, page);
    page.on("console", (message) => person.console.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => person.errors.push(String(error)));
    await page.goto(path);
    return person;
  }

  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.console = [];
    this.errors = [];
  }

  id(name) {
    return this.page.getByTestId(name);
  }

  async see(name, timeout = 20_000) {
    await this.id(name).waitFor({ state: "visible", timeout });
  }

  async click(name) {
    await this.id(name).click({ timeout: 20_000 });
  }

  // Waits until the element has this attribute value.
  async attr(name, attribute, value, timeout = 20_000) {
    let last;
    await until(
      `${name} ${attribute}=${value}`,
      async () => {
        last = (await this.id(name).count()) === 1 ? await this.id(name).getAttribute(attribute) : undefined;
        return last === value;
      },
      timeout,
    ).catch((error) => {
      throw new Error(`${error.message} (it was ${last})`);
    });
  }

  async signUp(username, name, password) {
    await this.click("goto-signup");
    await this.id("signup-username").fill(username);
    await this.id("signup-name").fill(name);
    await this.id("signup-password").fill(password);
    await this.click("signup-submit");
    await this.home(username);
  }

  async logIn(username, password) {
    await this.see("login-form");
    await this.id("login-username").fill(username);
    await this.id("login-password").fill(password);
    await this.click("login-submit");
    await this.home(username);
  }

  async home(username) {
    this.username = username;
    await this.attr("home", "data-user", username, 30_000);
    await this.online();
  }

  online() {
    return this.attr("self-status", "data-status", "online", 30_000);
  }

  async addContact(username) {
    await this.id("search").fill(username);
    await this.click(`add-${username}`);
    await this.id("search").fill("");
    await this.see(`contact-${username}`);
  }

  sees(username, status, timeout = 20_000) {
    return this.attr(`presence-${username}`, "data-status", status, timeout);
  }

  async call(username, media) {
    await this.click(`call-${media}-${username}`);
  }

  phase(phase, timeout = 20_000) {
    return this.attr("call", "data-phase", phase, timeout);
  }

  async failure(code, timeout = 20_000) {
    await this.attr("failure", "data-code", code, timeout);
    return {
      sip: await this.id("failure").getAttribute("data-sip"),
      title: await this.id("failure-title").innerText(),
      action: await this.id("failure-action").innerText(),
    };
  }

  async closeFailure() {
    await this.click("failure-close");
    await this.id("failure").waitFor({ state: "detached" });
  }

  async chat(text) {
    await this.id("chat-input").fill(text);
    await this.click("chat-send");
  }

  message(from, text) {
    return this.page.locator(`[data-testid="chat-message"][data-from="${from}"]`, { hasText: text });
  }

  // getStats of the call's peer connection, as a plain array.
  stats() {
    return this.page.evaluate(async () => {
      const pc = window.__duplex.debug.peerConnection;
      return pc ? [...(await pc.getStats()).values()] : [];
    });
  }

  // What flows: frames and packets received by kind, and over which kinds of candidate.
  async media() {
    const all = await this.stats();
    const inbound = (kind) => all.find((s) => s.type === "inbound-rtp" && s.kind === kind);
    const transport = all.find((s) => s.type === "transport");
    const pair = all.find((s) => s.id === transport?.selectedCandidatePairId);
    const local = all.find((s) => s.id === pair?.localCandidateId);
    const remote = all.find((s) => s.id === pair?.remoteCandidateId);
    return {
      audioPackets: inbound("audio")?.packetsReceived ?? 0,
      audioLost: inbound("audio")?.packetsLost ?? 0,
      audioSamples: inbound("audio")?.totalSamplesReceived ?? 0,
      videoFrames: inbound("video")?.framesDecoded ?? 0,
      hasVideo: inbound("video") !== undefined,
      local: local?.candidateType,
      remote: remote?.candidateType,
      dataMessages: all.filter((s) => s.type === "data-channel").reduce((n, s) => n + s.messagesReceived, 0),
    };
  }

  // What an ICE restart would change: user fragment and selected path.
  async ice() {
    const all = await this.stats();
    const transport = all.find((s) => s.type === "transport");
    const ufrag = await this.page.evaluate(() => /a=ice-ufrag:(\S+)/.exec(window.__duplex.debug.peerConnection.localDescription.sdp)[1]);
    return { ufrag, pair: transport?.selectedCandidatePairId, changes: transport?.selectedCandidatePairChanges };
  }

  // From now on until longestSilence(): how long at most no sound came in, in milliseconds, looked at every 50.
  listenForSilence() {
    return this.page.evaluate(() => {
      const pc = window.__duplex.debug.peerConnection;
      const seen = { packets: -1, at: performance.now(), longest: 0 };
      window.__silence = seen;
      seen.timer = setInterval(async () => {
        const sound = [...(await pc.getStats()).values()].find((s) => s.type === "inbound-rtp" && s.kind === "audio");
        const now = performance.now();
        seen.longest = Math.max(seen.longest, now - seen.at);
        if (sound && sound.packetsReceived !== seen.packets) Object.assign(seen, { packets: sound.packetsReceived, at: now });
      }, 50);
    });
  }

  longestSilence() {
    return this.page.evaluate(() => {
      clearInterval(window.__silence.timer);
      return Math.round(window.__silence.longest);
    });
  }

  async hears(andSees, timeout = 20_000) {
    let last;
    const start = await this.media();
    await until(
      andSees ? "audio and video received" : "audio received",
      async () => {
        last = await this.media();
        return last.audioPackets > start.audioPackets + 20 && (!andSees || last.videoFrames > start.videoFrames + 10);
      },
      timeout,
      200,
    ).catch((error) => {
      throw new Error(`${error.message}; last: ${JSON.stringify(last)}`);
    });
    return last;
  }

  // After a call: nothing of it is left.
  async released() {
    await until("peer connection closed and tracks stopped", () =>
      this.page.evaluate(() => {
        const { peerConnection, localStream } = window.__duplex.debug;
        const closed = peerConnection === null || peerConnection.connectionState === "closed" || peerConnection.signalingState === "closed";
        return closed && (localStream === null || localStream.getTracks().every((track) => track.readyState === "ended"));
      }),
    );
    await this.id("call").waitFor({ state: "detached" });
    await this.online();
  }

  async leave() {
    await this.context.close();
  }
}
