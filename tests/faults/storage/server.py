"""`python -m tests.faults.storage.server`, with the shim loaded: does jobs, one a line, each in a child of its own.

The answer to each is a line as well: how the child ended, or that it stands still, and what it told.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.storage.operations import ACKNOWLEDGED, CALLS, Job, run
from tests.faults.storage.shim import VARIABLE, Counted, Fault, Outcome

# In the place of a job.
GO_ON = "go on"
# Seconds after which a child is taken to hang.
LONGEST = 60


@dataclass(frozen=True, slots=True)
class Ran:
    """How a job ended. `calls`: how many there were, if the child got to the end."""

    status: int
    told: tuple[str, ...]

    @property
    def is_killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def stands(self) -> bool:
        return self.status == -signal.SIGSTOP

    @property
    def is_acknowledged(self) -> bool:
        return ACKNOWLEDGED in self.told

    @property
    def calls(self) -> int:
        assert self.status == 0, "the child did not come to the end; what it wrote to standard error says why"
        name, _, number = self.told[-1].partition(" ")
        assert name == CALLS
        return int(number)


class FaultServer:
    """The server process, from the side of the tests."""

    def __init__(self, shim: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env={**os.environ, VARIABLE: str(shim)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, job: Job) -> Ran:
        """Runs the job until its process has ended, or stands still."""
        return self._ask(json.dumps(asdict(job)))

    def go_on(self) -> Ran:
        """Lets the process that stands still go on to its end."""
        return self._ask(GO_ON)

    def _ask(self, line: str) -> Ran:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        status, told = json.loads(self._process.stdout.readline())
        return Ran(status, tuple(told.splitlines()))

    def stop(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


class _Child:
    """The process of one job."""

    def __init__(self, job: Job) -> None:
        self._reading, writing = os.pipe()
        self._id = os.fork()
        if self._id == 0:
            signal.alarm(LONGEST)
            os._exit(_status_of(job, writing))
        self._stands = False
        os.close(writing)
        os.set_blocking(self._reading, False)

    def until_it_stands(self) -> tuple[int, str]:
        """Waits until it has ended, or was stopped. How, and what it told since the last time."""
        _, status = os.waitpid(self._id, os.WUNTRACED)
        told = ""
        with suppress(BlockingIOError):
            told = os.read(self._reading, 65536).decode()
        self._stands = os.WIFSTOPPED(status)
        if self._stands:
            return -os.WSTOPSIG(status), told
        os.close(self._reading)
        return os.waitstatus_to_exitcode(status), told

    def go_on(self) -> None:
        os.kill(self._id, signal.SIGCONT)

    def end(self) -> None:
        """Of one that was left standing, since the test that stopped it failed."""
        if self._stands:
            os.kill(self._id, signal.SIGKILL)
            self.until_it_stands()


def main() -> None:
    child: _Child | None = None
    for line in sys.stdin:
        if child is not None and line.strip() == GO_ON:
            child.go_on()
        else:
            _end(child)
            child = _Child(_job(json.loads(line)))
        sys.stdout.write(json.dumps(child.until_it_stands()) + "\n")
        sys.stdout.flush()
    _end(child)


def _end(child: _Child | None) -> None:
    if child is not None:
        child.end()


def _job(given: Mapping[str, Any]) -> Job:
    fault = given["fault"]
    read = {**fault, "counted": Counted(fault["counted"]), "outcome": Outcome(fault["outcome"])}
    return Job(**{**given, "fault": Fault(**read)})


def _status_of(job: Job, writing: int) -> int:
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if job.log else -1
    try:
        asyncio.run(run(job, log, lambda said: _write(writing, said)))
    except Exception:  # noqa: BLE001 - the end of the child: its status says so
        traceback.print_exc()
        return 1
    return 0


def _write(descriptor: int, said: str) -> None:
    os.write(descriptor, f"{said}\n".encode())


if __name__ == "__main__":
    main()
