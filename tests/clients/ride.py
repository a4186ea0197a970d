"""ride.py BIN CLIENT...: lets a client of a cluster read and write while nodes join, leave, hand over and are killed.

Starts six nodes of BIN on free ports: three shards with a replica each. In the end the killed node comes back, and `redis-cli
--cluster check` has to find nothing wrong. The client is started with the port of one of them, and
told on its standard input, a line each: `tolerate` when an error is excusable, since a primary was killed just now, `strict` when
none is any longer, and `stop`. It leaves with 0 if it has seen no other error and all it has written is there.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BIN, CLIENT = os.path.abspath(sys.argv[1]), sys.argv[2:]
SECRET = "of the ride"
# A cluster has so many seconds for whatever it is waited for.
PATIENCE = 60


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def count(slots):
    """How many slots a range has, as CLUSTER NODES spells it."""
    first, _, last = slots.partition("-")
    return 0 if slots.startswith("[") else int(last or first) - int(first) + 1


class Node:
    def __init__(self, folder, port, bus, more):
        self.port, self.bus = port, bus
        args = [BIN, "--port", port, "--bus-port", bus, "--bind", "127.0.0.1", "--dir", f"{folder}/{port}", "--save", ""]
        args += ["--cluster-secret", SECRET, "--cluster-replicas", "1", *more]
        self.args, self.log = [str(arg) for arg in args], f"{folder}/{port}.log"
        self.run()

    def run(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.args, stdout=log, stderr=log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ask(self, *words):
        """The reply to a command as text; empty if there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as link:
                link.sendall(f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
                with link.makefile("rb") as reader:
                    head = reader.readline().decode().rstrip()
                    return reader.read(int(head[1:])).decode() if head.startswith("$") else head
        except OSError:
            return ""

    def seen(self):
        """What the node says of all: id, port, role, whether it is up, its slots, those on their way in brackets, and its primary."""
        nodes = []
        text = self.ask("CLUSTER", "NODES")
        # A replica that is just being given everything says so, as in Redis.
        if text.startswith("-LOADING"):
            return []
        for line in text.splitlines():
            words = line.split()
            flags = words[2].split(",")
            port = int(words[1].split("@")[0].rsplit(":", 1)[1])
            up = "fail" not in flags and "fail?" not in flags
            nodes.append((words[0], port, "master" if "master" in flags else "slave", up, words[8:], words[3]))
        return nodes


class Cluster:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="larder-ride-")
        ports = free_ports(16)
        self.places = list(zip(ports[:8], ports[8:]))
        founders = " ".join(f"127.0.0.1:{port}@{bus}" for port, bus in self.places[:6])
        self.nodes = [Node(self.folder, port, bus, ["--cluster-nodes", founders]) for port, bus in self.places[:6]]

    def join(self, port, bus):
        first = self.nodes[0]
        self.nodes.append(Node(self.folder, port, bus, ["--join", f"127.0.0.1:{first.port}@{first.bus}"]))

    def wait_until(self, what, holds):
        until = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > until:
                for node in self.nodes:
                    seen = [(*one[1:4], sum(map(count, one[4])), one[5]) for one in node.seen()]
                    print(f"--- {node.port}:", *seen, sep="\n")
                    print(open(node.log, errors="replace").read()[-1000:])
                sys.exit(f"never came to pass: {what}")
            time.sleep(0.05)

    def is_whole(self, shards):
        """Whether all nodes that run agree upon so many shards with slots, a replica each, and nothing moves."""
        views = [node.seen() for node in self.nodes if node.process.poll() is None]
        if not views or any(not view for view in views):
            return False
        serving = [sorted((node[1], node[4]) for node in view if node[2] == "master" and node[4]) for view in views]
        replicas = [sum(node[2] == "slave" and node[3] for node in view) for view in views]
        moving = any("[" in slot for view in views for node in view for slot in node[4])
        alike = all(one == serving[0] for one in serving)
        held = [sum(count(slot) for slot in slots) for _, slots in serving[0]]
        is_even = held and max(held) - min(held) <= 1 and sum(held) == 16384
        return alike and is_even and len(held) == shards and not moving and min(replicas) >= shards

    def with_role(self, role):
        """The nodes of a role that have a part, with their ids."""
        seen = self.nodes[0].seen()
        busy = [(node[0], node[1]) for node in seen if node[2] == role and node[3] and (node[4] or role == "slave")]
        return [(id, node) for id, port in busy for node in self.nodes if node.port == port]

    def end(self):
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def step(what):
    print(f"{time.monotonic() - began:6.1f} s: {what}", flush=True)


def ride(cluster, client):
    def say(line):
        client.stdin.write(line + "\n")
        client.stdin.flush()

    if client.stdout.readline().strip() != "ready":
        return
    step("two nodes join")
    for port, bus in cluster.places[6:]:
        cluster.join(port, bus)
    cluster.wait_until("a fourth shard", lambda: cluster.is_whole(4))
    step("a replica takes over")
    old = [node.port for _, node in cluster.with_role("master")]
    _, replica = next((id, node) for id, node in cluster.with_role("slave") if node is not cluster.nodes[0])
    answer = replica.ask("CLUSTER", "FAILOVER")
    assert answer == "+OK", answer
    cluster.wait_until("the replica leads", lambda: replica.port in [node.port for _, node in cluster.with_role("master")])
    assert replica.port not in old
    step("a shard is drained")
    leaving = next(id for id, node in cluster.with_role("master") if node is not cluster.nodes[0])
    both = [node[0] for node in cluster.nodes[0].seen() if leaving in (node[0], node[5])]
    for id in both:
        answer = cluster.nodes[0].ask("CLUSTER", "CHANGE", "leave", id)
        assert answer.startswith(":"), answer
    cluster.wait_until("three shards again", lambda: cluster.is_whole(3))
    assert len(both) == 2 and not [node for node in cluster.nodes[0].seen() if node[0] in both and node[4]]
    step("a primary is killed")
    say("tolerate")
    _, killed = next((id, node) for id, node in cluster.with_role("master") if node is not cluster.nodes[0])
    before = len(cluster.with_role("master"))
    killed.kill()
    at = time.monotonic()
    cluster.wait_until("another leads", lambda: len([n for _, n in cluster.with_role("master") if n is not killed]) == before)
    step(f"another leads after {time.monotonic() - at:.1f} s")
    # What the client has asked meanwhile may take its own time-outs to fail.
    time.sleep(3)
    say("strict")
    step("it comes back")
    killed.run()
    cluster.wait_until("three shards once more", lambda: cluster.is_whole(3))
    time.sleep(1)
    check(cluster)
    step("the end")
    say("stop")


def check(cluster):
    """Has redis-cli look at the cluster."""
    checked = subprocess.run(["redis-cli", "--cluster", "check", f"127.0.0.1:{cluster.nodes[0].port}"], capture_output=True, text=True)
    is_satisfied = checked.returncode == 0 and "All 16384 slots covered" in checked.stdout and "[ERR]" not in checked.stdout
    if not is_satisfied or "[WARNING]" in checked.stdout:
        sys.exit(f"redis-cli --cluster check is not satisfied:\n{checked.stdout}{checked.stderr}")
    step("redis-cli --cluster check is satisfied")


began = time.monotonic()
cluster = Cluster()
client = None
try:
    cluster.wait_until("three shards", lambda: cluster.is_whole(3))
    step("six nodes are there")
    command = CLIENT + [str(cluster.nodes[0].port)]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ride(cluster, client)
    rest, _ = client.communicate(timeout=PATIENCE)
    print(rest, end="")
    code = client.returncode
finally:
    if client is not None and client.poll() is None:
        client.kill()
    cluster.end()
sys.exit(code)
