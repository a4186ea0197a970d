"""redis-py PORT PARSER: with its own parser or that of hiredis, over RESP2 and RESP3."""

import os
import sys

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

PORT = int(sys.argv[1])
PARSER = sys.argv[2]


def parser(protocol):
    if PARSER == "hiredis":
        from redis._parsers import _HiredisParser

        return _HiredisParser
    from redis._parsers import _RESP2Parser, _RESP3Parser

    return _RESP3Parser if protocol == 3 else _RESP2Parser


def connect(protocol, **options):
    pool = redis.ConnectionPool(
        connection_class=Connection, host="127.0.0.1", port=PORT, protocol=protocol, parser_class=parser(protocol),
        socket_timeout=20, retry=Retry(NoBackoff(), 1), **options,
    )
    return redis.Redis(connection_pool=pool)


def smoke(protocol):
    client = connect(protocol, client_name="smoke")
    client.flushall()
    assert client.ping()
    assert client.client_getname() in ("smoke", b"smoke")

    every_byte = bytes(range(256)) * 1000
    assert client.set(every_byte[:512], every_byte)
    assert client.get(every_byte[:512]) == every_byte
    assert client.get("absent") is None
    assert client.set("k", "v", nx=True, ex=100) and client.set("k", "w", nx=True) is None
    assert 95 <= client.ttl("k") <= 100 and 95_000 <= client.pttl("k") <= 100_000
    assert client.set("k", "w", get=True, keepttl=True) == b"v"
    assert client.mset({"a": 1, "b": 2}) and client.mget("a", "absent", "b") == [b"1", None, b"2"]
    assert client.incrbyfloat("f", 1.5) == 1.5
    assert client.getex("a", ex=10) == b"1" and client.persist("a")
    assert client.copy("a", "c") and client.exists("a", "c", "absent") == 2

    pipe = client.pipeline(transaction=False)
    for number in range(1000):
        pipe.set(f"key:{number}", number)
        pipe.get(f"key:{number}")
    replies = pipe.execute()
    assert replies[0::2] == [True] * 1000
    assert replies[1::2] == [str(number).encode() for number in range(1000)]
    assert {key for key in client.scan_iter("key:*", count=50)} == {f"key:{number}".encode() for number in range(1000)}

    try:
        client.incr("k")
        raise AssertionError("an error has to be raised")
    except redis.ResponseError as error:
        assert str(error) == "value is not an integer or out of range", error
    pipe.get("a").execute_command("NONSENSE").get("b")
    replies = pipe.execute(raise_on_error=False)
    assert replies[0] == b"1" and replies[2] == b"2" and "unknown command 'NONSENSE'" in str(replies[1]), replies

    info = client.info()
    assert info["redis_version"].startswith("7.") and info["used_memory"] > 0, info
    assert info["db0"]["keys"] == client.dbsize()
    assert client.config_get("maxmemory")["maxmemory"].isdigit()
    assert client.command_count() > 50 and "get" in client.command()
    assert any(line["name"] == "smoke" for line in client.client_list())
    assert client.restore("restored", 0, client.dump("k")) and client.get("restored") == b"w"

    other = connect(protocol, db=5)
    assert other.get("k") is None and other.set("k", "five") and client.get("k") == b"w"

    single = redis.Redis(connection_pool=client.connection_pool, single_connection_client=True)
    assert single.execute_command("QUIT") in (True, b"OK", "OK")
    assert single.get("k") == b"w", "the client connects again after QUIT"
    os.write(1, f"RESP{protocol} with {PARSER}: ok\n".encode())


for protocol in (2, 3):
    smoke(protocol)
