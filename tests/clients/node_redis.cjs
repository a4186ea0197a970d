// node-redis PORT: over RESP2 and RESP3.
const assert = require("node:assert");
const { createClient } = require("redis");

async function smoke(port, RESP) {
  const options = { socket: { port, host: "127.0.0.1" }, RESP, name: "smoke" };
  const client = await createClient(options).on("error", () => {}).connect();
  await client.flushAll();
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.clientGetName(), "smoke");

  assert.equal(await client.set("k", "v", { EX: 100, NX: true }), "OK");
  assert.equal(await client.set("k", "w", { NX: true }), null);
  assert.equal(await client.get("k"), "v");
  assert.equal(await client.get("absent"), null);
  const ttl = await client.pTTL("k");
  assert.ok(ttl > 95000 && ttl <= 100000, `pttl ${ttl}`);
  const bytes = Buffer.from(Array.from({ length: 100000 }, (_, i) => i % 256));
  assert.equal(await client.set("binary", bytes), "OK");
  assert.equal(await client.strLen("binary"), 100000);
  const cut = await client.sendCommand(["GETRANGE", "binary", "65", "67"]);
  assert.equal(cut.toString(), "ABC");
  await client.mSet({ a: "1", b: "2" });
  assert.deepEqual(await client.mGet(["a", "absent", "b"]), ["1", null, "2"]);

  const together = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => client.set(`key:${i}`, String(i)).then(() => client.get(`key:${i}`))),
  );
  together.forEach((reply, i) => assert.equal(reply, String(i)));
  const seen = new Set();
  for await (const keys of client.scanIterator({ MATCH: "key:*", COUNT: 50 })) [keys].flat().forEach((key) => seen.add(key));
  assert.equal(seen.size, 1000);

  await assert.rejects(client.incr("k"), /value is not an integer or out of range/);
  await assert.rejects(client.sendCommand(["NONSENSE", "x"]), /unknown command 'NONSENSE', with args beginning with: 'x'/);
  assert.match(await client.info(), /^redis_version:7\./m);
  assert.equal((await client.configGet("databases")).databases, "16");

  const other = await createClient({ ...options, database: 5 }).on("error", () => {}).connect();
  assert.equal(await other.get("k"), null);
  await other.close();

  const id = await client.clientId();
  const back = new Promise((resolve) => client.once("ready", resolve));
  const killer = await createClient(options).on("error", () => {}).connect();
  assert.equal(await killer.sendCommand(["CLIENT", "KILL", "ID", String(id)]), 1);
  await back;
  assert.equal(await client.get("k"), "v");
  await Promise.all([client.close(), killer.close()]);
}

async function main(port) {
  for (const RESP of [2, 3]) await smoke(port, RESP);
}

main(Number(process.argv[2])).catch((error) => {
  console.error(error);
  process.exit(1);
});
