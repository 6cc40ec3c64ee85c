// Steps of one chapter build on each other: after a failed one the others fail at once and say so, instead of each waiting for its time-out.
import { test } from "node:test";

export function steps() {
  let failed;
  return (name, body) =>
    test(name, async (t) => {
      if (failed !== undefined) throw new Error(`not tried: "${failed}" failed before`);
      try {
        await body(t);
      } catch (error) {
        failed = name;
        throw error;
      }
    });
}
