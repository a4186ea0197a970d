"""redis-py as ride.py leads it: `cluster` (RedisCluster) or `plain` (Redis, which knows of no cluster), and PORT of one node."""

import sys
import threading

from redis import Redis
from redis.cluster import ClusterNode, RedisCluster

# `tolerations` counts how often errors began to be excusable.
told = {"strict": True, "tolerations": 0, "goes_on": True}


def listen():
    for line in sys.stdin:
        word = line.strip()
        told["strict"] = {"tolerate": False, "strict": True}.get(word, told["strict"])
        told["tolerations"] += word == "tolerate"
        if word == "stop":
            break
    told["goes_on"] = False


def is_strict(since):
    """Whether no error has been excusable since the round that began with this."""
    return since["strict"] and told["strict"] and since["tolerations"] == told["tolerations"]


kind, port = sys.argv[1], int(sys.argv[2])
if kind == "plain":
    client = Redis("127.0.0.1", port, socket_timeout=10, decode_responses=True)
else:
    client = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port)], socket_timeout=5, decode_responses=True)
threading.Thread(target=listen, daemon=True).start()
operations, excused, errors, wrong = 0, 0, [], []
written, counters = {}, {}
round = 0
client.set("first", "1")
print("ready", flush=True)
while told["goes_on"]:
    round += 1
    name, counter = f"key:{round % 2000}", f"counter:{round % 300}"
    since = dict(told)
    try:
        client.set(name, str(round))
        written[name] = str(round)
        # What a killed primary had not sent on is lost.
        if client.get(name) != str(round) and is_strict(since):
            wrong.append(f"{name} is not what was just written")
        count = client.incr(counter)
        if counter in counters and count != counters[counter] + 1 and is_strict(since):
            wrong.append(f"{counter} went from {counters[counter]} to {count}")
        counters[counter] = count
        operations += 3
    except Exception as error:
        # It may have been done or not.
        written.pop(name, None)
        counters.pop(counter, None)
        if is_strict(since):
            errors.append(repr(error))
        excused += 1
    if not is_strict(since):
        # What a killed primary had not sent on is lost.
        written.clear()
        counters.clear()
for name, value in written.items():
    found = client.get(name)
    if found != value:
        wrong.append(f"{name} is {found}, not {value}")
print(f"{operations} operations, {excused - len(errors)} errors excused, {len(errors)} not: {errors[:3]}, wrong: {wrong[:3]}")
sys.exit(1 if errors or wrong or operations < 1000 else 0)
