"""flood PORT DATABASE: 200 plain redis-py clients read one page that a real database takes 100 ms for, and that expires every second.

Each of them does what every cache-aside library does, and knows nothing of rules: GET, and if there is nothing, query and SET. First
without a rule, then with one. DATABASE is `sqlite` or `postgresql`; a PostgreSQL of its own is started, and stopped in the end.

Prints queries and the longest GET of both, and leaves with 1 if the rule does not bring the queries down to one for each lifetime.
"""

import glob
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import redis

CLIENTS = 200
QUERY_S = 0.1
TTL_MS = 1000
LIFETIMES = 5
KEY = "hot:page"
RULE = ["lease", "on", "lease-wait", "500ms", "stale-while-revalidate", "5s"]


class Sqlite:
    """A file; the query sleeps in a function of ours, as SQLite has none that does."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "pages.db")
        with sqlite3.connect(self.path) as base:
            base.execute("CREATE TABLE pages (name TEXT PRIMARY KEY, text TEXT)")
            base.execute("INSERT INTO pages VALUES (?, ?)", (KEY, "the page"))

    def connect(self):
        base = sqlite3.connect(self.path)
        base.create_function("pause", 1, lambda seconds: time.sleep(seconds) or 0)
        return lambda: base.execute("SELECT text FROM pages WHERE name = ? AND pause(?) = 0", (KEY, QUERY_S)).fetchone()[0]

    def stop(self):
        pass


class Postgresql:
    """A server in a folder, which listens there and on no network."""

    def __init__(self, folder):
        import psycopg2

        self.driver = psycopg2
        self.folder = folder
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        # It does not run as root.
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            shutil.chown(folder, self.user)
        data = os.path.join(folder, "data")
        self.run([f"{programs}/initdb", "-D", data, "-A", "trust", "--no-sync"])
        settings = f"-k {folder} -c listen_addresses= -c max_connections={CLIENTS + 20} -c fsync=off"
        log = os.path.join(folder, "log")
        self.end = [f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "stop"]
        self.run([f"{programs}/pg_ctl", "-D", data, "-o", settings, "-l", log, "-w", "start"])
        with self.open() as base, base.cursor() as cursor:
            cursor.execute("CREATE TABLE pages (name TEXT PRIMARY KEY, text TEXT)")
            cursor.execute("INSERT INTO pages VALUES (%s, %s)", (KEY, "the page"))

    def run(self, command):
        as_user = ["runuser", "-u", self.user, "--"] if os.getuid() == 0 else []
        subprocess.run(as_user + command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def open(self):
        return self.driver.connect(host=self.folder, user=self.user, dbname="postgres")

    def connect(self):
        base = self.open()
        base.autocommit = True

        def query():
            with base.cursor() as cursor:
                cursor.execute("SELECT text, pg_sleep(%s) FROM pages WHERE name = %s", (QUERY_S, KEY))
                return cursor.fetchone()[0]

        return query

    def stop(self):
        self.run(self.end)


class Flood:
    """What all clients see."""

    def __init__(self, port, database):
        self.port, self.database = port, database
        self.lock = threading.Lock()
        self.queries = self.gets = 0
        self.longest = 0.0
        self.errors = []

    def run(self):
        self.begin = threading.Barrier(CLIENTS + 1)
        threads = [threading.Thread(target=self.read) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        self.until = time.monotonic() + 60
        self.begin.wait()
        self.until = time.monotonic() + LIFETIMES * TTL_MS / 1000
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def read(self):
        try:
            cache, query = redis.Redis(port=self.port), self.database.connect()
            cache.ping()
            self.begin.wait()
            while time.monotonic() < self.until:
                began = time.monotonic()
                page = cache.get(KEY)
                took = time.monotonic() - began
                if page is None:
                    cache.set(KEY, query(), px=TTL_MS)
                with self.lock:
                    self.gets += 1
                    self.queries += page is None
                    self.longest = max(self.longest, took)
                time.sleep(0.05)
        except Exception as error:
            self.errors.append(error)
            self.begin.abort()


def main():
    port, kind = int(sys.argv[1]), sys.argv[2]
    node = redis.Redis(port=port)
    with tempfile.TemporaryDirectory() as folder:
        database = {"sqlite": Sqlite, "postgresql": Postgresql}[kind](folder)
        try:
            seen = {}
            for rule in [None, RULE]:
                node.delete(KEY)
                if rule:
                    node.execute_command("CACHE.RULE", "SET", "hot:", *rule)
                flood = seen[bool(rule)] = Flood(port, database)
                flood.run()
                told = " ".join(rule) if rule else "no rule"
                print(f"{kind}, {told}: {flood.queries} queries in {LIFETIMES} lifetimes, {flood.gets} GETs, longest {flood.longest * 1000:.0f} ms")
        finally:
            node.execute_command("CACHE.RULE", "DEL", "hot:")
            database.stop()
    assert seen[False].queries > 24 * LIFETIMES, "without a rule there is no flood to be seen"
    # One at the start, and one each time that it expires.
    assert seen[True].queries <= LIFETIMES + 1, "with the rule there is more than one query for each lifetime"


main()
