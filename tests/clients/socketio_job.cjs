// socketio_job PORT: two socket.io servers that know of each other through Redis alone, with a client at each.
//
// Once with the adapter on node-redis at both, once on ioredis at one of them, and once with the sharded adapter, which uses
// sharded channels. Events to everyone and to rooms, from servers and from clients; bytes; answers of clients and of servers;
// and the calls by which one server asks about, moves and disconnects the clients of the other.
//
// None of the adapters needs scripts.
//
// Commands sent: CLIENT SETINFO, HELLO, INFO, PSUBSCRIBE, PUBLISH, PUBSUB NUMSUB, PUBSUB SHARDNUMSUB, PUNSUBSCRIBE, QUIT, SPUBLISH,
// SSUBSCRIBE, SUBSCRIBE, SUNSUBSCRIBE, UNSUBSCRIBE.
const assert = require("node:assert");
const http = require("node:http");
const { once } = require("node:events");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");
const connect = require("socket.io-client");
const Redis = require("ioredis");

// What is to be ended, in reverse order.
const open = [];

async function main(port) {
  const nodeRedis = async () => {
    const client = createClient({ socket: { host: "127.0.0.1", port, reconnectStrategy: false } });
    client.on("error", (error) => fail(error));
    await client.connect();
    open.push(() => client.close());
    return client;
  };
  const ioredis = async () => {
    const client = new Redis({ host: "127.0.0.1", port });
    client.on("error", (error) => fail(error));
    open.push(() => client.quit());
    return client;
  };
  const classic = async (client) => createAdapter(await client(), await client(), { requestsTimeout: 10000 });
  const sharded = async () => createShardedAdapter(await nodeRedis(), await nodeRedis());

  await talk("node-redis", await classic(nodeRedis), await classic(nodeRedis));
  await talk("node-redis and ioredis", await classic(nodeRedis), await classic(ioredis));
  await talk("sharded", await sharded(), await sharded());
}

async function talk(name, adapterHere, adapterThere) {
  const here = await serve(adapterHere);
  const there = await serve(adapterThere);
  await until("the servers see each other", async () => (await here.io.of("/").adapter.serverCount()) === 2);
  const ann = await visit(here);
  const bob = await visit(there);
  await until("both clients are seen", async () => (await here.io.fetchSockets()).length === 2);

  await broadcasts(here, there, ann, bob);
  await rooms(here, there, ann, bob);
  await answers(here, there, ann, bob);
  await strangers(here, there, bob);
  await end();
  console.log(`${name}: ok`);
}

async function broadcasts(here, there, ann, bob) {
  const news = [once(ann, "news"), once(bob, "news")];
  here.io.emit("news", "from here", { deep: [1, null, "\u{1f9c0}"] });
  for (const args of await Promise.all(news)) assert.deepEqual(args, ["from here", { deep: [1, null, "\u{1f9c0}"] }]);

  const bytes = Buffer.from(Array.from({ length: 70000 }, (_, i) => i % 256));
  const blob = once(ann, "blob");
  there.io.emit("blob", bytes);
  assert.ok(bytes.equals((await blob)[0]));

  // Who sends to all others hears nothing of it: the second message is the first that ann gets.
  const first = once(ann, "chat");
  const heard = once(bob, "chat");
  ann.emit("say", "hello");
  assert.deepEqual(await heard, ["hello"]);
  bob.emit("say", "hello, ann");
  assert.deepEqual(await first, ["hello, ann"]);
}

async function rooms(here, there, ann, bob) {
  await bob.emitWithAck("join", "kitchen");
  await until("the room is known", async () => (await here.io.in("kitchen").fetchSockets()).length === 1);
  const inKitchen = once(bob, "dinner");
  ann.on("dinner", () => fail(new Error("who is not in the room heard it")));
  here.io.to("kitchen").emit("dinner", "at eight");
  assert.deepEqual(await inKitchen, ["at eight"]);
  ann.off("dinner");

  const { adapter } = here.io.of("/");
  // The sharded adapter has no such call.
  if (adapter.allRooms) assert.deepEqual([...(await adapter.allRooms())].sort(), [ann.id, bob.id, "kitchen"].sort());
  const [remote] = await here.io.in("kitchen").fetchSockets();
  assert.deepEqual([remote.id, remote.data], [bob.id, { joined: "kitchen" }]);
  here.io.in(bob.id).socketsJoin("cellar");
  await until("bob is in the cellar", () => there.io.of("/").adapter.rooms.has("cellar"));
  here.io.in(bob.id).socketsLeave("cellar");
  await until("bob is not in the cellar", () => !there.io.of("/").adapter.rooms.has("cellar"));
  const direct = once(bob, "direct");
  here.io.to(bob.id).emit("direct", 1);
  assert.deepEqual(await direct, [1]);
}

async function answers(here, there, ann, bob) {
  for (const [client, name] of [[ann, "ann"], [bob, "bob"]]) client.on("name?", (answer) => answer(name));
  const names = await here.io.timeout(10000).emitWithAck("name?");
  assert.deepEqual(names.sort(), ["ann", "bob"]);

  there.io.on("load?", (factor, answer) => answer(factor * 21));
  assert.deepEqual(await here.io.serverSideEmitWithAck("load?", 2), [42]);
}

// A client that comes and goes at one server is seen by the other, which can send it away.
async function strangers(here, there, bob) {
  const carol = await visit(there);
  await until("carol is seen", async () => (await here.io.fetchSockets()).length === 3);
  const gone = once(carol, "disconnect");
  here.io.in(carol.id).disconnectSockets(true);
  await gone;
  await until("carol is gone", async () => (await here.io.fetchSockets()).length === 2);
  assert.ok(bob.connected);
}

async function serve(adapter) {
  const server = http.createServer();
  const io = new Server(server, { adapter });
  io.on("connection", (socket) => {
    socket.on("say", (text) => socket.broadcast.emit("chat", text));
    socket.on("join", async (room, answer) => {
      socket.data.joined = room;
      await socket.join(room);
      answer();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(() => io.close());
  return { io, url: `http://127.0.0.1:${server.address().port}` };
}

async function visit({ url }) {
  const client = connect(url, { transports: ["websocket"], reconnection: false, forceNew: true });
  open.push(() => client.close());
  await once(client, "connect");
  return client;
}

async function until(what, condition) {
  const deadline = Date.now() + 20000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function end() {
  while (open.length > 0) await open.pop()();
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

// The adapters leave timers behind that would keep the process for ten seconds.
main(Number(process.argv[2])).then(() => process.exit(0), fail);
