"""The usual pattern of a cache beside a database: look into the cache; if it is not there, ask the database and keep the answer.

    cargo run --release                     # in one terminal
    pip install redis                       # in another
    python3 examples/cache-aside.py

LARDER_URL names another node: redis://:password@host:port/0
"""

import json
import os
import sqlite3
import time

import redis

TTL_S = 60


def open_database():
    """A database in memory stands for the one that a cache protects."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, cents INTEGER)")
    database.executemany("INSERT INTO product VALUES (?, ?, ?)", [(1, "flour", 129), (2, "honey", 499), (3, "salt", 59)])
    return database


class Products:
    """Products by id, read through the cache."""

    def __init__(self, database, cache):
        self.database = database
        self.cache = cache
        self.loads = 0

    def get(self, product_id):
        key = f"product:{product_id}"
        cached = self.cache.get(key)
        if cached is not None:
            return json.loads(cached)
        product = self._load(product_id)
        # `null` is kept as well: who asks for what does not exist should not reach the database each time.
        self.cache.set(key, json.dumps(product), ex=TTL_S)
        return product

    def set_price(self, product_id, cents):
        self.database.execute("UPDATE product SET cents = ? WHERE id = ?", (cents, product_id))
        # Deleted rather than set: of two writers at once, the slower could leave the older price for TTL_S seconds.
        self.cache.delete(f"product:{product_id}")

    def _load(self, product_id):
        self.loads += 1
        time.sleep(0.02)  # what a real query may take
        row = self.database.execute("SELECT name, cents FROM product WHERE id = ?", (product_id,)).fetchone()
        return row and {"name": row[0], "cents": row[1]}


def timed(what, call):
    start = time.perf_counter()
    result = call()
    print(f"{what:<28} {(time.perf_counter() - start) * 1000:6.2f} ms   {result}")
    return result


def main():
    cache = redis.Redis.from_url(os.environ.get("LARDER_URL", "redis://127.0.0.1:6379"), decode_responses=True)
    cache.delete("product:2", "product:99")
    products = Products(open_database(), cache)

    timed("not in the cache", lambda: products.get(2))
    timed("in the cache", lambda: products.get(2))
    products.set_price(2, 549)
    timed("after a change", lambda: products.get(2))
    timed("no such product", lambda: products.get(99))
    timed("no such product, again", lambda: products.get(99))
    print(f"\nThe database was asked {products.loads} times. The answer expires in {cache.ttl('product:2')} s.")

    info = cache.info()
    print(f"Larder {info['larder_version']}: {info['keyspace_hits']} hits, {info['keyspace_misses']} misses.")


if __name__ == "__main__":
    main()
