"""django_job PORT: a Django site on two servers, with django-redis for its cache and its sessions.

The cache's calls with django-redis, also compressed and with JSON; the counters with Django's own backend for Redis, since those
of django-redis need scripts; locks that end by time, since ending them by hand needs scripts; and visitors of the site, whose
sessions and cached pages both servers share.

Commands sent: CLIENT SETINFO, DBSIZE, DEL, EXEC, EXISTS, EXPIRE, EXPIREAT, FLUSHDB, GET, HDEL, HELLO, HEXISTS, HLEN, HSET, INCRBY,
KEYS, MGET, MSET, MULTI, PERSIST, PEXPIRE, PTTL, SADD, SCAN, SCARD, SDIFF, SELECT, SET, SINTER, SISMEMBER, SMEMBERS, SREM, SSCAN,
STRLEN, TTL, ZADD, ZCARD, ZINCRBY, ZPOPMAX, ZRANGE, ZRANK.
"""

import http.cookiejar
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import redis
from django.conf import settings
from django.core.cache import caches
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.cache import cache_page
from django_redis import get_redis_connection

from children import Children, wait_for

# Each cache is a database of its own, as clearing one of Django's empties the database.
SITE, PACKED, PLAIN = range(3)
HOST = "site.test"


def configure(port):
    def redis_cache(db, **options):
        location = f"redis://127.0.0.1:{port}/{db}"
        return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "TIMEOUT": 300, "OPTIONS": options}

    settings.configure(
        ALLOWED_HOSTS=[HOST],
        CACHES={
            "default": redis_cache(SITE),
            "packed": redis_cache(
                PACKED,
                COMPRESSOR="django_redis.compressors.zlib.ZlibCompressor",
                SERIALIZER="django_redis.serializers.json.JSONSerializer",
            ),
            "plain": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://127.0.0.1:{port}/{PLAIN}",
                "KEY_PREFIX": "plain",
            },
        },
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF="django_job",
        SECRET_KEY="for this job only",
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        SESSION_COOKIE_AGE=600,
    )
    django.setup()


def main(port):
    configure(port)
    cache = caches["default"]
    values(cache)
    values(caches["packed"])
    assert get_redis_connection("packed").strlen(caches["packed"].make_key("large")) < 10_000
    lifetimes(cache)
    many_and_patterns(cache)
    versions(cache)
    collections(cache)
    locks(cache)
    counters(caches["plain"])
    with Children() as children:
        site = [start_server(children, port, name) for name in ("first", "second")]
        sessions(cache, *site)
        pages(cache, *site)
    for name, db in (("default", SITE), ("packed", PACKED), ("plain", PLAIN)):
        caches[name].clear()
        assert redis.Redis(port=port, db=db).dbsize() == 0


def values(cache):
    for value in ("text", "gr\u00fc\u00df\u00eb", 42, -1, 1.5, True, None, [1, [2]], {"a": {"b": None}}):
        cache.set("value", value)
        assert cache.get("value", "default") == value
    large = [{"number": number, "text": "x" * 100} for number in range(1000)]
    cache.set("large", large)
    assert cache.get("large") == large
    assert cache.get("absent") is None and cache.get("absent", "default") == "default"
    assert cache.add("once", 1) and not cache.add("once", 2) and cache.get("once") == 1
    assert cache.set("once", 3, nx=True) is not True and cache.get("once") == 1
    assert cache.get_or_set("made", lambda: "made") == "made" and cache.get("made") == "made"
    assert cache.has_key("made") and "made" in cache and "absent" not in cache
    assert cache.delete("made") and not cache.delete("made")


def lifetimes(cache):
    cache.set("default", 1)
    cache.set("forever", 1, timeout=None)
    cache.set("brief", 1, timeout=0.3)
    cache.set("never", 1, timeout=0)
    assert 290 <= cache.ttl("default") <= 300
    assert cache.ttl("forever") is None and cache.ttl("never") == 0 and cache.pttl("brief") <= 300
    wait_for("a key expires", lambda: cache.get("brief") is None)
    assert cache.expire("default", 50) and 40 <= cache.ttl("default") <= 50
    assert cache.pexpire("default", 5000) and cache.pttl("default") <= 5000
    assert cache.touch("default", 70) and 60 <= cache.ttl("default") <= 70
    assert cache.expire_at("default", int(time.time()) + 100) and 90 <= cache.ttl("default") <= 100
    assert cache.persist("default") and cache.ttl("default") is None
    assert not cache.touch("absent", 10)


def many_and_patterns(cache):
    cache.set_many({f"user:{number}": number for number in range(200)}, timeout=60)
    assert cache.get_many(["user:1", "user:199", "user:200"]) == {"user:1": 1, "user:199": 199}
    assert cache.ttl("user:7") > 50
    assert sorted(cache.keys("user:1?")) == [f"user:1{digit}" for digit in range(10)]
    assert set(cache.iter_keys("user:*", itersize=7)) == {f"user:{number}" for number in range(200)}
    assert cache.delete_many(["user:0", "user:1", "absent"]) == 2
    cache.set("other", 1)
    assert cache.delete_pattern("user:*", itersize=50) == 198
    assert cache.keys("user:*") == [] and cache.get("other") == 1


def versions(cache):
    cache.set("versioned", "old", version=1)
    cache.set("versioned", "new", version=2)
    assert cache.get("versioned") == "old" and cache.get("versioned", version=2) == "new"
    assert cache.incr_version("versioned", delta=4) == 5
    assert cache.get("versioned") is None and cache.get("versioned", version=5) == "old"


def collections(cache):
    assert cache.sadd("colours", "red", "green", "blue") == 3
    assert cache.smembers("colours") == {"red", "green", "blue"} and cache.sismember("colours", "red")
    assert cache.srem("colours", "red") == 1 and cache.scard("colours") == 2
    assert set(cache.sscan_iter("colours")) == {"green", "blue"}
    cache.sadd("warm", "red", "blue")
    assert cache.sinter("colours", "warm") == {"blue"} and cache.sdiff("colours", "warm") == {"green"}
    assert cache.hset("profile", "name", "ann") == 1 and cache.hexists("profile", "name") and cache.hlen("profile") == 1
    assert cache.hdel("profile", "name") == 1
    assert cache.zadd("scores", {"ann": 3.5, "bob": 1}) == 2
    assert cache.zrange("scores", 0, -1, withscores=True) == [("bob", 1.0), ("ann", 3.5)]
    assert cache.zincrby("scores", 4, "bob") == 5 and cache.zrank("scores", "bob") == 1
    assert cache.zpopmax("scores") == ("bob", 5.0) and cache.zcard("scores") == 1


def locks(cache):
    """Of many who want a lock one has it; the others get it when its time is over."""
    held = cache.lock("lock", timeout=0.5)
    assert held.acquire(blocking=False) and held.locked() and held.owned()
    assert not cache.lock("lock", timeout=10).acquire(blocking=False)
    assert cache.lock("lock", timeout=10, sleep=0.02).acquire(blocking_timeout=20)
    assert not held.owned()

    def attempt(number):
        return cache.lock("contended", timeout=60).acquire(blocking=False)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(40))) == 1


def counters(cache):
    cache.set("count", 1, timeout=100)
    assert cache.incr("count") == 2 and cache.incr("count", 10) == 12 and cache.decr("count", 5) == 7
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cache.incr("count"), range(200)))
    assert cache.get("count") == 207
    try:
        cache.incr("absent")
        raise AssertionError("a counter that is not there was counted")
    except ValueError:
        pass
    cache.set_many({"a": [1], "b": "text"}, timeout=100)
    assert cache.get_many(["a", "b", "c"]) == {"a": [1], "b": "text"}
    assert cache.touch("a", 10) and cache.add("d", 1) and not cache.add("d", 2) and cache.has_key("d")
    cache.delete_many(["a", "b"])
    assert cache.get("a") is None


def login(request, name):
    request.session.cycle_key()
    request.session["name"] = name
    request.session["pages"] = 0
    return JsonResponse({"session": request.session.session_key})


def page(request):
    if "name" not in request.session:
        return HttpResponse(status=401)
    request.session["pages"] += 1
    return JsonResponse({"name": request.session["name"], "pages": request.session["pages"]})


def logout(request):
    request.session.flush()
    return HttpResponse()


def now(request):
    # Decorated here, as this module is read before there are settings.
    return cache_page(60)(lambda _: HttpResponse(str(time.time_ns())))(request)


urlpatterns = [path("login/<name>", login), path("page", page), path("logout", logout), path("now", now)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve(port):
    configure(port)
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        print(f"listening on {server.server_port}", flush=True)
        server.serve_forever()


def start_server(children, port, name):
    children.start(name, sys.executable, __file__, str(port), "serve")
    port = children.wait_for_line(name, r"listening on (\d+)")[1]
    return f"http://127.0.0.1:{port}"


class Visitor:
    """A browser: it keeps the site's cookies, whichever server it asks."""

    def __init__(self):
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def ask(self, url):
        """Returns the status and the body."""
        try:
            # To Django both servers are one host, so that they share its pages.
            request = urllib.request.Request(url, headers={"Host": HOST})
            with self._opener.open(request, timeout=20) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def sessions(cache, first, second):
    visitor = Visitor()
    assert visitor.ask(f"{first}/page")[0] == 401
    status, body = visitor.ask(f"{first}/login/ann")
    assert status == 200
    key = "django.contrib.sessions.cache" + body.split('"')[3]
    assert cache.get(key) == {"name": "ann", "pages": 0} and 590 <= cache.ttl(key) <= 600
    assert visitor.ask(f"{first}/page")[1] == '{"name": "ann", "pages": 1}'
    assert visitor.ask(f"{second}/page")[1] == '{"name": "ann", "pages": 2}'
    visitor.ask(f"{second}/login/ann")
    assert cache.get(key) is None
    assert Visitor().ask(f"{second}/page")[0] == 401
    assert visitor.ask(f"{first}/logout")[0] == 200 and visitor.ask(f"{second}/page")[0] == 401
    assert cache.keys("django.contrib.sessions.cache*") == []


def pages(cache, first, second):
    """A page that either server has made is served by both, until it is thrown away."""
    made = Visitor().ask(f"{first}/now")[1]
    assert Visitor().ask(f"{second}/now")[1] == made
    assert cache.delete_pattern("views.decorators.cache*") >= 2
    assert Visitor().ask(f"{second}/now")[1] != made


if __name__ == "__main__":
    (serve if sys.argv[2:] == ["serve"] else main)(int(sys.argv[1]))
