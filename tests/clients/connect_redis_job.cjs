// connect_redis_job PORT: an Express site on two servers whose sessions are kept by connect-redis, and its visitors.
//
// Logging in, visits that prolong the session, logging out, sessions that end by themselves, a cookie that was made up, and what
// an operator asks the store: how many sessions, which, and to drop them all.
//
// None of it needs scripts.
//
// Commands sent: CLIENT SETINFO, DBSIZE, DEL, EXISTS, EXPIRE, GET, HELLO, MGET, SCAN, SET, TTL.
const assert = require("node:assert");
const { once } = require("node:events");
const { RedisStore } = require("connect-redis");
const express = require("express");
const session = require("express-session");
const { createClient } = require("redis");

const LIFE_SECONDS = 600;

async function main(port) {
  const clients = [];
  const servers = [];
  try {
    const sites = [];
    for (let index = 0; index < 2; index++) {
      const client = createClient({ socket: { host: "127.0.0.1", port, reconnectStrategy: false } });
      client.on("error", fail);
      clients.push(await client.connect());
      const store = new RedisStore({ client, prefix: "site:", scanCount: 10 });
      const server = site(store).listen(0, "127.0.0.1");
      servers.push(server);
      await once(server, "listening");
      sites.push({ store, client, url: `http://127.0.0.1:${server.address().port}` });
    }
    await loginFlow(...sites);
    await lifetimes(...sites);
    await manySessions(...sites);
  } finally {
    for (const server of servers) server.close().closeAllConnections();
    for (const client of clients) await client.close();
  }
}

function site(store) {
  const app = express();
  const cookie = { maxAge: LIFE_SECONDS * 1000 };
  app.use(session({ store, cookie, secret: "for this job only", resave: false, saveUninitialized: false, name: "visit" }));
  app.post("/login/:name", (request, response, next) =>
    // A new session id at login, so that one that was known before is worth nothing.
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.name = request.params.name;
      request.session.pages = 0;
      response.send("welcome");
    }),
  );
  app.get("/page", (request, response) => {
    if (!request.session.name) return response.status(401).send("who are you?");
    response.json({ name: request.session.name, pages: ++request.session.pages });
  });
  app.get("/quiet", (request, response) => response.status(request.session.name ? 200 : 401).end());
  app.post("/brief/:millis", (request, response) => {
    request.session.cookie.maxAge = Number(request.params.millis);
    response.end();
  });
  app.post("/logout", (request, response, next) =>
    request.session.destroy((error) => (error ? next(error) : response.send("goodbye"))),
  );
  return app;
}

// A browser: it keeps the site's cookie, whichever server it asks.
class Visitor {
  cookie = "";

  async ask(method, url) {
    const response = await fetch(url, { method, headers: { cookie: this.cookie }, signal: AbortSignal.timeout(20000) });
    const [cookie] = response.headers.getSetCookie();
    if (cookie) this.cookie = cookie.split(";")[0];
    return response;
  }

  // The key of the session: the cookie holds its id, and a signature after a dot.
  key() {
    return "site:" + decodeURIComponent(this.cookie).match(/^visit=s:([^.]+)\./)[1];
  }
}

async function loginFlow(here, there) {
  const visitor = new Visitor();
  assert.equal((await visitor.ask("GET", `${here.url}/page`)).status, 401);
  assert.equal(await here.client.dbSize(), 0);

  assert.equal((await visitor.ask("POST", `${here.url}/login/ann`)).status, 200);
  const before = visitor.key();
  assert.deepEqual(await (await visitor.ask("GET", `${here.url}/page`)).json(), { name: "ann", pages: 1 });
  assert.deepEqual(await (await visitor.ask("GET", `${there.url}/page`)).json(), { name: "ann", pages: 2 });
  assert.equal(JSON.parse(await here.client.get(before)).name, "ann");

  await visitor.ask("POST", `${there.url}/login/bob`);
  assert.notEqual(visitor.key(), before);
  assert.equal(await here.client.exists(before), 0);
  assert.deepEqual(await (await visitor.ask("GET", `${here.url}/page`)).json(), { name: "bob", pages: 1 });

  const other = new Visitor();
  await other.ask("POST", `${here.url}/login/carol`);
  assert.equal((await visitor.ask("POST", `${here.url}/logout`)).status, 200);
  assert.equal((await visitor.ask("GET", `${there.url}/page`)).status, 401);
  assert.deepEqual(await (await other.ask("GET", `${there.url}/page`)).json(), { name: "carol", pages: 1 });

  const forger = new Visitor();
  forger.cookie = other.cookie.slice(0, -2) + "xx";
  assert.equal((await forger.ask("GET", `${there.url}/page`)).status, 401);
  await other.ask("POST", `${there.url}/logout`);
  assert.equal(await here.client.dbSize(), 0);
}

async function lifetimes(here, there) {
  const visitor = new Visitor();
  await visitor.ask("POST", `${here.url}/login/ann`);
  const key = visitor.key();
  assertBetween(LIFE_SECONDS - 20, await here.client.ttl(key), LIFE_SECONDS);
  // A visit that changes nothing does not write the session, but prolongs it.
  await here.client.expire(key, 100);
  assert.equal((await visitor.ask("GET", `${there.url}/quiet`)).status, 200);
  assertBetween(LIFE_SECONDS - 20, await here.client.ttl(key), LIFE_SECONDS);

  await visitor.ask("POST", `${here.url}/brief/1000`);
  await until("the session has ended", async () => (await here.client.exists(key)) === 0);
  assert.equal((await visitor.ask("GET", `${there.url}/page`)).status, 401);
}

async function manySessions(here, there) {
  const visitors = Array.from({ length: 100 }, () => new Visitor());
  await Promise.all(visitors.map((visitor, i) => visitor.ask("POST", `${(i % 2 ? here : there).url}/login/visitor${i}`)));
  await here.client.set("not:a:session", "1");
  const ask = (question) => new Promise((answer, reject) => there.store[question]((e, value) => (e ? reject(e) : answer(value))));
  assert.equal(await ask("length"), 100);
  assert.deepEqual((await ask("ids")).sort(), visitors.map((visitor) => visitor.key().slice("site:".length)).sort());
  const names = (await ask("all")).map((stored) => stored.name).sort();
  assert.deepEqual(names, visitors.map((_, i) => `visitor${i}`).sort());
  await ask("clear");
  assert.equal(await ask("length"), 0);
  assert.equal((await visitors[0].ask("GET", `${here.url}/page`)).status, 401);
  assert.equal(await here.client.get("not:a:session"), "1");
}

function assertBetween(least, value, most) {
  assert.ok(least <= value && value <= most, `${value} is not from ${least} to ${most}`);
}

async function until(what, condition) {
  const deadline = Date.now() + 20000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

main(Number(process.argv[2])).catch(fail);
