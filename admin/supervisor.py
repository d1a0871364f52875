"""Keeps child processes running: starts them, starts a crashed one again, stops them all. Used by `admin.up` and `admin.demo`.

One task per child owns its process: cancelling the task stops the process. A child that fails as soon as it is started the first
time (a port in use, a wrong setting) would fail again and again, so everything is stopped instead.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from admin.refusals import Refused
from meetingpool.logs import get_logger

# Exits within this time count as failing at the start; a crash after it starts the back-off anew. In seconds.
STEADY_AFTER = 10.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STOP_TIMEOUT = 28.0

_SET_DEATH_SIGNAL = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What runs in a child process. `environment` is added to ours; `output` is where it writes, our own streams if None."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None


class Supervisor:
    """The children of this process. Made by `supervised`."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()

    def start(self, program: Program) -> None:
        """Runs the program until `stop`."""
        self._running.add(self._tasks.create_task(_keep_running(program), name=program.name))

    def stop(self) -> None:
        for task in self._running:
            task.cancel()


@asynccontextmanager
async def supervised() -> AsyncIterator[Supervisor]:
    """A supervisor whose children are stopped at the end of the context. Raises Refused when one fails at its first start."""
    try:
        async with asyncio.TaskGroup() as tasks:
            supervisor = Supervisor(tasks)
            try:
                yield supervisor
            finally:
                supervisor.stop()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT from now on, or when the terminal is closed."""
    stop = asyncio.Event()
    # A program under nohup is told to ignore the terminal.
    numbers = [signal.SIGTERM, signal.SIGINT] + [signal.SIGHUP] * (signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _keep_running(program: Program) -> None:
    clock = asyncio.get_running_loop()
    pause, is_first = FIRST_PAUSE, True
    while True:
        began = clock.time()
        code = await _run(program)
        lasted = clock.time() - began
        if is_first and code > 0 and lasted < STEADY_AFTER:
            raise Refused(_complaint(program, code))
        is_first = False
        pause = FIRST_PAUSE if lasted > STEADY_AFTER else pause
        log.error("process_exited", program=program.name, code=code, starts_again_in=pause)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def _run(program: Program) -> int:
    """Runs the program once; its exit code, negative for a signal. Stops it when cancelled."""
    with program.output.open("ab") if program.output else nullcontext() as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            program.module,
            *program.arguments,
            env={**os.environ, **program.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A session of its own: Ctrl-C in the terminal is for the supervisor, which stops the children in its own way.
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()) if _libc else None,
        )
    try:
        return await process.wait()
    finally:
        # To the end, however often this task is cancelled meanwhile.
        stopping = asyncio.ensure_future(_stop(process))
        while not stopping.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _die_with_parent(parent: int) -> Callable[[], None]:
    """For the child, before it becomes the program: be told to stop when the supervisor is gone, however that came."""

    def ask_kernel() -> None:
        if _libc:
            _libc.prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def _complaint(program: Program, code: int) -> str:
    said = _last_line(program.output) if program.output else ""
    return f"The {program.name} did not start (exit code {code}): {said or 'it said why above'}"


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
