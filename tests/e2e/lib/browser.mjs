// Debian's Chromium with fake devices. What it says about its devices is chosen here: camera and microphone, no camera, or permission refused.
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

export function launch(kind = "fake") {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: [...base, ...devices[kind]], timeout: 60_000 });
}
