"""The processes of a benchmark: started as people would start them, stopped at the end whatever happens."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from typing import IO

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
# The first line of a fleet names hundreds of servers.
_LONGEST_LINE = 16 * 1024 * 1024


class ProcessFailed(Exception):
    """A process of the benchmark did not start, or ended before its time."""


@contextlib.asynccontextmanager
async def running_module(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m module`, stopped by SIGTERM at the end. Raises ProcessFailed, with its last words, when it ended earlier."""
    with tempfile.TemporaryFile() as errors:
        process = await _start(module, arguments, environment, errors)
        try:
            yield process
        finally:
            ended_early = process.returncode is not None
            await _stop(process)
        if ended_early:
            raise ProcessFailed(f"{module} ended with {process.returncode}: {_last_words(errors)}")


async def output_of(module: str, *arguments: str, given: bytes = b"") -> bytes:
    """What `python -m module` wrote, `given` on its input. Raises ProcessFailed."""
    with tempfile.TemporaryFile() as errors:
        process = await _start(module, arguments, None, errors)
        try:
            output, _ = await process.communicate(given)
        finally:
            await _stop(process)
        if process.returncode:
            raise ProcessFailed(f"{module} ended with {process.returncode}: {_last_words(errors)}")
    return output


async def first_line(process: asyncio.subprocess.Process) -> bytes:
    """The line that a process writes when it is ready. Raises ProcessFailed."""
    if process.stdout is None:
        raise ProcessFailed("the process has no output to read")
    line = await process.stdout.readline()
    if not line:
        raise ProcessFailed("the process ended before it was ready")
    return line


async def wait_for_port(port: int, process: asyncio.subprocess.Process) -> None:
    """Until `process` accepts connections on `port`. Raises ProcessFailed."""
    async with asyncio.timeout(START_TIMEOUT):
        while process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
    raise ProcessFailed(f"nothing listens on port {port}")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def _start(
    module: str, arguments: tuple[str, ...], environment: Mapping[str, str] | None, errors: IO[bytes]
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        limit=_LONGEST_LINE,
        # Ctrl-C is for the benchmark, which stops its processes itself.
        start_new_session=True,
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read()[-2000:].decode(errors="replace").strip()
