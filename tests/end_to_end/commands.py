"""Real processes for the tests of this folder."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil  # type: ignore[import-untyped]

T = TypeVar("T")

_NAMES_OF_SETTINGS = ("MEETINGPOOL_", "LOADBALANCER_SECRET", "PORT", "BIND", "WEB_CONCURRENCY", "POLL_INTERVAL")


class Started:
    """A running `meetingpool` command. What it prints on both streams gathers in `lines`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_line(self, wanted: str, seconds: float) -> str:
        """The first line that holds `wanted`."""
        return until(lambda: next((line for line in self.lines if wanted in line), None), seconds, self._told)

    def family(self, module: str = "") -> set[int]:
        """The process and all that it started; only those that run `module`, if given."""
        me = psutil.Process(self.process.pid)
        family = [me, *me.children(recursive=True)]
        return {process.pid for process in family if not module or module in command_line(process)}

    def stop(self, number: signal.Signals, seconds: float) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def _told(self) -> str:
        return "\n".join(self.lines) or "nothing"


@contextmanager
def started(*arguments: str, environment: Mapping[str, str]) -> Iterator[Started]:
    """`meetingpool` with these arguments, and no setting but those of `environment`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "admin", *arguments],
        env={**clean_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield Started(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(35)


def command(*arguments: str, environment: Mapping[str, str], exit_code: int = 0) -> str:
    """What a command prints, once it has ended as it must."""
    done = subprocess.run(
        [sys.executable, "-m", "admin", *arguments],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout if exit_code == 0 else done.stderr


def command_line(process: psutil.Process) -> list[str]:
    """Empty for a process that has ended."""
    try:
        return [str(part) for part in process.cmdline()]
    except psutil.Error:
        return []


def are_gone(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(pid) and command_line(psutil.Process(pid)) for pid in pids)


def processes_in(directory: Path) -> list[str]:
    """Command lines that name the directory."""
    lines = (" ".join(command_line(process)) for process in psutil.process_iter())
    return [line for line in lines if str(directory) in line]


def clean_environment() -> dict[str, str]:
    """Ours without settings. Bytecode is kept, wherever tests are told not to: without it each start takes seconds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NAMES_OF_SETTINGS)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "meetingpool-bytecode")}


def until(found: Callable[[], T | None], seconds: float, told: Callable[[], str] = str) -> T:
    """The first result of `found` that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s; what was said: {told()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
