"""rq_job PORT: rq with two workers, one of them for one queue (BLMOVE) and the other for two (BLPOP).

Results with their history, progress, dependencies, groups, callbacks, retries, failed, canceled, stopped and scheduled
jobs, and orders to the workers.

Scripts are needed, and so left out, for: moving scheduled jobs to their queues (`--with-scheduler`), `unique=True`, and
`Queue.empty` with `Queue.delete`.

Commands sent: BLMOVE, BLPOP, CLIENT LIST, CLIENT SETINFO, CLIENT SETNAME, DEL, EXEC, EXISTS, EXPIRE, GET, HDEL, HELLO, HGET,
HGETALL, HINCRBY, HINCRBYFLOAT, HSET, INCRBY, INFO, LLEN, LPOS, LPUSH, LRANGE, LREM, MULTI, PERSIST, PUBLISH, RPUSH, SADD, SELECT,
SET, SMEMBERS, SREM, SUBSCRIBE, UNSUBSCRIBE, UNWATCH, WATCH, XADD, XREAD, XREVRANGE, ZADD, ZRANGE, ZRANGEBYSCORE, ZREM,
ZREMRANGEBYSCORE, ZSCORE.
"""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import redis
from rq import Callback, Queue, Retry, Worker, get_current_job
from rq.command import send_shutdown_command, send_stop_job_command
from rq.exceptions import NoSuchJobError
from rq.group import Group
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry

from children import Children, wait_for

SCRATCH = 2


def add(a, b):
    return a + b


def with_progress(steps):
    job = get_current_job()
    for step in range(steps):
        job.meta["step"] = step + 1
        job.save_meta()
    return job.id


def fails_first(port, times):
    with redis.Redis(port=port, db=SCRATCH) as scratch:
        attempt = scratch.incr("attempts")
    if attempt <= times:
        raise RuntimeError(f"attempt {attempt}")
    return attempt


def never_ends(port):
    with redis.Redis(port=port, db=SCRATCH) as scratch:
        scratch.lpush("begun", "yes")
        scratch.blpop("nobody writes here", 60)


def sum_of_dependencies():
    return sum(job.return_value() for job in get_current_job().fetch_dependencies())


def on_success(job, connection, result):
    connection.set(f"told:{job.id}", result)


def on_failure(job, connection, kind, value, traceback):
    connection.set(f"told:{job.id}", str(value))


def main(port):
    connection = redis.Redis(port=port)
    scratch = redis.Redis(port=port, db=SCRATCH)
    high, low = Queue("high", connection=connection), Queue("low", connection=connection)
    with Children() as children:
        start_worker(children, port, "both", "high", "low")
        start_worker(children, port, "single", "low")
        wait_for("both workers are known", lambda: {worker.name for worker in Worker.all(connection)} == {"both", "single"})
        results(high, low)
        dependencies(high, low)
        groups(connection, low)
        failures(port, connection, high)
        canceled_and_stopped(port, connection, scratch, high)
        scheduled(connection, low)
        orders(children, connection)


def start_worker(children, port, name, *queues):
    rq = Path(sys.executable).with_name("rq")
    children.start(name, rq, "worker", "-u", f"redis://127.0.0.1:{port}/0", "-n", name, *queues)
    children.wait_for_line(name, "Listening on")


def finished(job, seconds=30):
    wait_for(f"job {job.id} is finished", lambda: job.get_status() == JobStatus.FINISHED, seconds)
    return job.return_value()


def results(high, low):
    job = low.enqueue(add, 2, 3, job_id="sum", result_ttl=600)
    assert job.latest_result(timeout=30).return_value == 5
    assert finished(job) == 5
    again = low.fetch_job("sum")
    assert again.args == (2, 3) and [result.return_value for result in again.results()] == [5]
    wait_for("it is filed", lambda: "sum" in FinishedJobRegistry(queue=low))
    again.delete()
    assert low.fetch_job("sum") is None

    assert finished(high.enqueue(with_progress, 5, job_id="progress")) == "progress"
    assert high.fetch_job("progress").get_meta() == {"step": 5}
    many = [queue.enqueue(add, number, number) for number in range(10) for queue in (high, low)]
    assert sum(finished(job) for job in many) == 2 * sum(2 * number for number in range(10))

    told = high.enqueue(add, 1, 2, on_success=Callback(on_success))
    finished(told)
    assert high.connection.get(f"told:{told.id}") == b"3"


def dependencies(high, low):
    """A job waits for those it depends on, whichever queue they are in."""
    parts = [high.enqueue(add, 1, 2), low.enqueue(add, 3, 4)]
    assert finished(low.enqueue(sum_of_dependencies, depends_on=parts)) == 10


def groups(connection, low):
    group = Group.create(connection)
    group.enqueue_many(low, [Queue.prepare_data(add, (number, 1)) for number in range(5)])
    wait_for("the group is done", lambda: all(job.get_status() == JobStatus.FINISHED for job in group.get_jobs()))
    assert sorted(job.return_value() for job in Group.fetch(group.name, connection).get_jobs()) == [1, 2, 3, 4, 5]


def failures(port, connection, high):
    assert finished(high.enqueue(fails_first, port, 2, retry=Retry(max=3))) == 3

    scratch = redis.Redis(port=port, db=SCRATCH)
    scratch.delete("attempts")
    job = high.enqueue(fails_first, port, 1, on_failure=Callback(on_failure))
    registry = FailedJobRegistry(queue=high)
    wait_for("the job has failed", lambda: job.get_status() == JobStatus.FAILED and job in registry)
    assert "RuntimeError: attempt 1" in job.latest_result().exc_string
    assert connection.get(f"told:{job.id}") == b"attempt 1"
    registry.requeue(job)
    assert finished(job) == 2 and job not in registry


def canceled_and_stopped(port, connection, scratch, high):
    running = high.enqueue(never_ends, port)
    assert scratch.blpop("begun", 30) == (b"begun", b"yes")
    waiting = high.enqueue(add, 1, 1)
    assert waiting.get_position() == 0
    waiting.cancel()
    assert waiting.is_canceled and high.count == 0 and waiting.id in high.canceled_job_registry

    send_stop_job_command(connection, running.id)
    wait_for("the job is stopped", lambda: running.get_status() == JobStatus.STOPPED)
    assert high.enqueue(add, 4, 4).latest_result(timeout=30).return_value == 8


def scheduled(connection, low):
    registry = ScheduledJobRegistry(queue=low)
    soon = low.enqueue_in(timedelta(hours=1), add, 1, 1)
    later = low.enqueue_at(datetime(2100, 1, 1, tzinfo=timezone.utc), add, 2, 2)
    assert registry.get_job_ids() == [soon.id, later.id]
    assert registry.get_scheduled_time(later) == datetime(2100, 1, 1, tzinfo=timezone.utc)
    assert registry.get_jobs_to_schedule(int(datetime(2099, 1, 1).timestamp())) == [soon.id]
    later.delete()
    assert registry.get_job_ids() == [soon.id]
    try:
        Job.fetch(later.id, connection)
        raise AssertionError("a deleted job is still there")
    except NoSuchJobError:
        pass


def orders(children, connection):
    """One worker is told by an order, the other by a signal; both clear away what they wrote about themselves."""
    assert sum(worker.successful_job_count for worker in Worker.all(connection)) >= 30
    send_shutdown_command(connection, "both")
    children.wait_for_end("both")
    children.stop("single")
    assert Worker.all(connection) == []
    assert connection.smembers("rq:workers") == set()


if __name__ == "__main__":
    # A worker must be able to import the functions, so they may not belong to `__main__`.
    import rq_job

    rq_job.main(int(sys.argv[1]))
