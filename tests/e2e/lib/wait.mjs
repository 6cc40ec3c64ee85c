// Polls until `probe` gives a true value, and says what it waited for when it does not.
export async function until(what, probe, timeout = 10_000, step = 50) {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${timeout} ms for: ${what}`);
    await new Promise((done) => setTimeout(done, step));
  }
}
