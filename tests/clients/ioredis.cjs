// ioredis PORT: commands, automatic and explicit pipelines, iteration, errors, and a connection that comes back.
const assert = require("node:assert");
const Redis = require("ioredis");

async function main(port) {
  const redis = new Redis({ port, host: "127.0.0.1", connectionName: "smoke", commandTimeout: 20000 });
  await redis.flushall();
  assert.equal(await redis.ping(), "PONG");
  assert.equal(await redis.client("GETNAME"), "smoke");

  const bytes = Buffer.from(Array.from({ length: 100000 }, (_, i) => i % 256));
  assert.equal(await redis.set(bytes.subarray(0, 300), bytes), "OK");
  assert.deepEqual(await redis.getBuffer(bytes.subarray(0, 300)), bytes);
  assert.equal(await redis.get("absent"), null);
  assert.equal(await redis.set("k", "v", "EX", 100, "NX"), "OK");
  assert.equal(await redis.set("k", "w", "NX"), null);
  const ttl = await redis.pttl("k");
  assert.ok(ttl > 95000 && ttl <= 100000, `pttl ${ttl}`);
  assert.equal(await redis.mset({ a: 1, b: 2 }), "OK");
  assert.deepEqual(await redis.mget("a", "absent", "b"), ["1", null, "2"]);

  const pipeline = redis.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.set(`key:${i}`, i).get(`key:${i}`);
  const replies = await pipeline.exec();
  assert.equal(replies.length, 2000);
  replies.forEach(([error, reply], i) => assert.deepEqual([error, reply], [null, i % 2 ? String(i >> 1) : "OK"]));
  const together = await Promise.all(Array.from({ length: 1000 }, (_, i) => redis.get(`key:${i}`)));
  together.forEach((reply, i) => assert.equal(reply, String(i)));

  const seen = new Set();
  for await (const keys of redis.scanStream({ match: "key:*", count: 50 })) keys.forEach((key) => seen.add(key));
  assert.equal(seen.size, 1000);

  await assert.rejects(redis.incr("k"), /ERR value is not an integer or out of range/);
  await assert.rejects(redis.call("NONSENSE", "x"), /ERR unknown command 'NONSENSE', with args beginning with: 'x'/);
  const info = await redis.info();
  assert.match(info, /^redis_version:7\./m);
  assert.match(info, /^loading:0/m);

  const other = new Redis({ port, host: "127.0.0.1", db: 5 });
  assert.equal(await other.get("k"), null);
  assert.equal(await other.quit(), "OK");

  const id = await redis.client("ID");
  const back = new Promise((resolve) => redis.once("ready", resolve));
  const killer = new Redis({ port, host: "127.0.0.1" });
  assert.equal(await killer.client("KILL", "ID", id), 1);
  await back;
  assert.equal(await redis.get("k"), "v");
  await Promise.all([redis.quit(), killer.quit()]);
}

main(Number(process.argv[2])).catch((error) => {
  console.error(error);
  process.exit(1);
});
