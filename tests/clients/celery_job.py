"""celery_job PORT: Celery with the broker in database 0 and the results in database 1, and two workers.

Tasks, groups and chains with results, errors, retries, priorities, queues of their own, remote control, and a task that a
worker hands back when it is stopped.

Celery can do without scripts in what is done here, if three things are seen to:
* `control_queue_expires` and `event_queue_expires` are off; with them, a script renews the bindings of those queues.
* The lock under which one worker looks for tasks of workers that died is held by this job; releasing it takes a script.
* There are no chords, whose parts are counted by scripts.

Commands sent: BRPOP, CLIENT SETINFO, DEL, EXEC, GET, HDEL, HELLO, HGET, HLEN, HSET, LLEN, LPUSH, LRANGE, MGET, MULTI, PING,
PSUBSCRIBE, PUBLISH, PUNSUBSCRIBE, RPUSH, SADD, SELECT, SET, SETEX, SMEMBERS, SREM, SUBSCRIBE, TTL, UNSUBSCRIBE, WATCH, ZADD,
ZCARD, ZREM. Like all clients made with redis-py it also says CLIENT MAINT_NOTIFICATIONS, which Redis 7.2 refuses.
"""

import os
import sys

import redis
from celery import Celery, chain, group, uuid
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from children import Children, wait_for

# The workers import this file and find the port in their environment.
PORT = int(os.environ.get("JOB_PORT") or sys.argv[1])

app = Celery("celery_job", broker=f"redis://127.0.0.1:{PORT}/0", backend=f"redis://127.0.0.1:{PORT}/1")
app.conf.update(
    broker_connection_retry_on_startup=False,
    control_queue_expires=None,
    event_queue_expires=None,
    result_expires=600,
    task_track_started=True,
    task_routes={"celery_job.whereabouts": {"queue": "reports"}},
    worker_send_task_events=True,
)


@app.task
def add(a, b):
    return a + b


@app.task
def divide(a, b):
    return a / b


@app.task(bind=True, max_retries=3)
def third_time_lucky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(bind=True)
def whereabouts(self):
    return self.request.hostname, self.request.delivery_info["routing_key"]


@app.task(ignore_result=True)
def note(text):
    with redis.Redis(port=PORT, db=2) as client:
        client.rpush("notes", text)


def main():
    broker, results, notes = (redis.Redis(port=PORT, db=db, decode_responses=True) for db in range(3))
    broker.set("unacked_mutex", "held by the job", ex=300)
    os.environ["JOB_PORT"] = str(PORT)
    with Children() as children:
        priorities(notes, children)
        start_worker(children, "second", "reports", 2)
        tasks_and_results(results)
        workflows()
        remote_control(broker)
        handed_back(children, broker)
        children.stop("second")


def start_worker(children, name, queues, processes):
    command = [sys.executable, "-m", "celery", "-A", "celery_job", "worker", "-l", "INFO"]
    children.start(name, *command, "-n", f"{name}@job", "-Q", queues, "-c", str(processes))
    children.wait_for_line(name, "ready")


def priorities(notes, children):
    """Tasks queue up before there is a worker; each step of priority is a list of its own, and 0 goes first."""
    for priority in (9, 3, 6, 0):
        note.apply_async([priority], priority=priority)
    start_worker(children, "first", "celery", 1)
    wait_for("the notes are written", lambda: notes.llen("notes") == 4)
    assert notes.lrange("notes", 0, -1) == ["0", "3", "6", "9"]


def tasks_and_results(results):
    sum_of_two = add.delay(2, 3)
    assert sum_of_two.get(timeout=30) == 5 and sum_of_two.state == "SUCCESS"
    assert 500 < results.ttl(f"celery-task-meta-{sum_of_two.id}") <= 600
    assert AsyncResult(sum_of_two.id, app=app).result == 5
    sum_of_two.forget()
    assert AsyncResult(sum_of_two.id, app=app).state == "PENDING"

    try:
        divide.delay(1, 0).get(timeout=30)
        raise AssertionError("the error of the task did not arrive")
    except ZeroDivisionError:
        pass
    assert third_time_lucky.delay().get(timeout=30) == 2
    assert whereabouts.delay().get(timeout=30) == ["second@job", "reports"]
    large = "x" * 1_000_000
    assert add.delay(large, large).get(timeout=30) == large + large


def workflows():
    together = group(add.s(number, number) for number in range(100))()
    assert together.get(timeout=30) == [2 * number for number in range(100)]
    assert chain(add.s(1, 2), add.s(3), divide.s(2))().get(timeout=30) == 3


def remote_control(broker):
    """Orders go to the workers through pub/sub, and answers come back through a list."""
    names = {"first@job", "second@job"}
    wait_for("both workers answer", lambda: {name for reply in app.control.ping(timeout=1) for name in reply} == names)
    assert app.control.inspect(["first@job"]).stats()["first@job"]["total"]["celery_job.add"] >= 100

    app.control.cancel_consumer("reports", destination=["second@job"], reply=True)
    whereabouts.delay()
    whereabouts.delay()
    wait_for("nobody takes the tasks", lambda: broker.llen("reports") == 2)
    with app.connection_for_write() as connection:
        assert connection.default_channel.queue_purge("reports") == 2
    app.control.add_consumer("reports", destination=["second@job"], reply=True)
    assert whereabouts.delay().get(timeout=30) == ["second@job", "reports"]

    unwanted = uuid()
    app.control.revoke(unwanted, reply=True)
    try:
        add.apply_async([1, 1], task_id=unwanted).get(timeout=30)
        raise AssertionError("a revoked task ran")
    except TaskRevokedError:
        pass


def handed_back(children, broker):
    """What a worker has taken and not begun goes back to its queue when the worker stops, and another takes it."""
    later = add.apply_async([20, 22], countdown=3600)
    wait_for("the worker has the task", lambda: broker.hlen("unacked") == 1 and broker.zcard("unacked_index") == 1)
    children.stop("first")
    assert broker.llen("celery") == 1 and broker.hlen("unacked") == 0 and broker.zcard("unacked_index") == 0
    app.control.add_consumer("celery", destination=["second@job"], reply=True)
    wait_for("the other worker has it", lambda: broker.hlen("unacked") == 1 and broker.llen("celery") == 0)
    scheduled = app.control.inspect(["second@job"]).scheduled()["second@job"]
    assert [entry["request"]["id"] for entry in scheduled] == [later.id]


if __name__ == "__main__":
    main()
