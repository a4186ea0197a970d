// node_cluster.cjs LIBRARY PORT: ioredis's Cluster or node-redis's createCluster, as ride.py leads it.
const readline = require("node:readline");

const [library, port] = process.argv.slice(2);
// `tolerations` counts how often errors began to be excusable.
const told = { strict: true, tolerations: 0, goesOn: true };

async function connect() {
  if (library === "ioredis") {
    const { Cluster } = require("ioredis");
    const client = new Cluster([{ host: "127.0.0.1", port: Number(port) }]);
    client.on("error", () => {});
    client.on("node error", () => {});
    return { set: (k, v) => client.set(k, v), get: (k) => client.get(k), incr: (k) => client.incr(k), end: () => client.disconnect() };
  }
  const { createCluster } = require("redis");
  // When a primary is gone it looks for another after five seconds, unless told otherwise; commands time out after as many.
  const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }], topologyRefreshOnReconnectionAttemptStrategy: 500 });
  client.on("error", () => {});
  client.on("node-error", () => {});
  await client.connect();
  return { set: (k, v) => client.set(k, v), get: (k) => client.get(k), incr: (k) => client.incr(k), end: () => client.destroy() };
}

async function main() {
  const client = await connect();
  await client.set("first", "1");
  const written = new Map();
  const counters = new Map();
  const errors = [];
  const wrong = [];
  let [operations, excused, round] = [0, 0, 0];
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    if (line === "tolerate") {
      told.strict = false;
      told.tolerations += 1;
    }
    if (line === "strict") told.strict = true;
    if (line === "stop") told.goesOn = false;
  });
  console.log("ready");
  // Several at a time, each with keys of its own.
  const ride = async (lane) => {
    while (told.goesOn) {
      round += 1;
      const value = String(round);
      const [name, counter] = [`key:${lane}:${round % 500}`, `counter:${lane}:${round % 100}`];
      const { strict, tolerations } = told;
      // Whether no error has been excusable since this round began.
      const isStrict = () => strict && told.strict && told.tolerations === tolerations;
      try {
        await client.set(name, value);
        written.set(name, value);
        const found = await client.get(name);
        // What a killed primary had not sent on is lost.
        if (found !== value && isStrict()) wrong.push(`${name} is not what was just written`);
        const count = await client.incr(counter);
        const before = counters.get(counter);
        if (before !== undefined && count !== before + 1 && isStrict()) wrong.push(`${counter} went from ${before} to ${count}`);
        counters.set(counter, count);
        operations += 3;
      } catch (error) {
        // It may have been done or not.
        written.delete(name);
        counters.delete(counter);
        if (isStrict()) errors.push(`${error.name} ${error.errors ? error.errors.map(String).join("; ") : error.message}`);
        else excused += 1;
      }
      if (!isStrict()) {
        // What a killed primary had not sent on is lost.
        written.clear();
        counters.clear();
      }
    }
  };
  await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(ride));
  for (const [name, value] of written) {
    const found = await client.get(name);
    if (found !== value) wrong.push(`${name} is ${found}, not ${value}`);
  }
  client.end();
  console.log(`${operations} operations, ${excused} errors excused, ${errors.length} not: ${errors.slice(0, 3)}, wrong: ${wrong.slice(0, 3)}`);
  process.exit(errors.length || wrong.length || operations < 1000 ? 1 : 0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
