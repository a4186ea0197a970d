"""The processes of a job: they end with it, whatever happens to it, and their logs are shown when it fails.

Used by the jobs written in Python. A job that is ended by SIGTERM, as `timeout` does, still ends its children.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Seconds that a child has between being asked to end and being killed.
GRACE = 10


class Children:
    """Starts processes in a temporary folder. Leaving the `with` block ends them all and removes the folder."""

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self._running = {}
        return self

    def __exit__(self, failure, *_):
        for child in self._running.values():
            child.terminate()
        for child in self._running.values():
            _end(child)
        if failure:
            for log in sorted(self.folder.glob("*.log")):
                print(f"--- {log.name}:", *log.read_text(errors="replace").splitlines()[-30:], sep="\n", file=sys.stderr)
        self._folder.cleanup()

    def start(self, name, *command):
        """Starts a command, whose output goes to the log of that name. Modules beside this file can be imported."""
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        with open(self.folder / f"{name}.log", "wb") as log:
            self._running[name] = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )

    def wait_for_line(self, name, pattern, seconds=30):
        """Waits until a line of a child's log matches; returns the match."""
        log = self.folder / f"{name}.log"

        def found():
            assert self._running[name].poll() is None, f"{name} left with {self._running[name].returncode}"
            return re.search(pattern, log.read_text(errors="replace"))

        return wait_for(f"{name} says {pattern}", found, seconds)

    def wait_for_end(self, name, seconds=30):
        """Waits until a child that was asked to end has done so, and asserts that it was content."""
        child = self._running.pop(name)
        try:
            status = child.wait(seconds)
        finally:
            _end(child)
        assert status == 0, f"{name} left with {status}"

    def stop(self, name, seconds=30):
        """Asks a child to end and waits until it has."""
        self._running[name].terminate()
        self.wait_for_end(name, seconds)


def _end(child):
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def wait_for(what, condition, seconds=30):
    """Asks until the condition holds, and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
