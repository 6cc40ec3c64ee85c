// What stands in front of several nodes: TCP, passed on as it is. New connections go to the node that is chosen, or to the other when that refuses.
import { connect, createServer } from "node:net";

export class Balancer {
  #pairs = new Set();
  #chosen = 0;

  static async open(port, backends) {
    const balancer = new Balancer();
    balancer.backends = backends;
    balancer.server = createServer({ pauseOnConnect: true }, (near) => balancer.#pass(near, balancer.#chosen, 0));
    await new Promise((done) => balancer.server.listen(port, "127.0.0.1", done));
    return balancer;
  }

  #pass(near, index, tries) {
    const far = connect(this.backends[index], "127.0.0.1");
    const refused = () => {
      if (tries + 1 < this.backends.length) this.#pass(near, (index + 1) % this.backends.length, tries + 1);
      else near.destroy();
    };
    far.once("error", refused);
    far.once("connect", () => {
      far.off("error", refused);
      const pair = { near, far, index };
      this.#pairs.add(pair);
      for (const [a, b] of [[near, far], [far, near]]) {
        a.on("error", () => {});
        a.on("close", () => {
          b.destroy();
          this.#pairs.delete(pair);
        });
        a.pipe(b);
      }
    });
  }

  // From now on new connections go to this node.
  choose(index) {
    this.#chosen = index;
  }

  // Breaks every connection to this node.
  cut(index) {
    for (const pair of [...this.#pairs].filter((p) => p.index === index)) {
      pair.near.destroy();
      pair.far.destroy();
    }
  }

  count(index) {
    return [...this.#pairs].filter((p) => p.index === index).length;
  }

  async close() {
    const closed = new Promise((done) => this.server.close(done));
    for (let i = 0; i < this.backends.length; i++) this.cut(i);
    await closed;
  }
}
