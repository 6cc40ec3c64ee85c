// Debian's Chromium with fake devices. What it says about its devices is chosen here: camera and microphone, no camera, or permission refused.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const base = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--lang=en-US",
];

const devices = {
  fake: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  denied: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny"],
  none: ["--use-fake-device-for-media-stream=device-count=0", "--use-fake-ui-for-media-stream"],
};

// A browser that trusts this authority as docs/running.md tells a person to make it (an NSS database in a home of its own), and no other. TURN over TLS is
// verified against that alone: no setting of a page or of Playwright's context reaches it.
export async function launchTrusting(authority) {
  const home = mkdtempSync(join(tmpdir(), "duplex-e2e-"));
  const database = join(home, ".pki", "nssdb");
  mkdirSync(database, { recursive: true });
  execFileSync("certutil", ["-N", "--empty-password", "-d", `sql:${database}`]);
  execFileSync("certutil", ["-A", "-t", "C,,", "-n", "duplex", "-i", authority, "-d", `sql:${database}`]);
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: [...base, ...devices.fake], timeout: 60_000, env: { ...process.env, HOME: home } });
  browser.on("disconnected", () => rmSync(home, { recursive: true, force: true }));
  return browser;
}

export function launch(kind = "fake") {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: [...base, ...devices[kind]], timeout: 60_000 });
}
