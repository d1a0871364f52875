"""Real processes of Meetingpool, started and watched as an operator's service manager would."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.pool import SECRET

START_TIMEOUT = 20.0


@dataclass(frozen=True)
class GatewayProcess:
    port: int
    process: asyncio.subprocess.Process

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/bigbluebutton/api"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def gateway_process(
    database_url: str, port: int | None = None, *, within: Sequence[str] = (), **environment: str
) -> AsyncIterator[GatewayProcess]:
    """A gateway process that is ready, run by the command `within` if any; killed at the end if it has not been stopped."""
    gateway = await start_gateway(database_url, port or free_port(), within=within, **environment)
    try:
        yield gateway
    finally:
        if gateway.process.returncode is None:
            gateway.process.kill()
            await gateway.process.wait()


async def start_gateway(database_url: str, port: int, *, within: Sequence[str] = (), **environment: str) -> GatewayProcess:
    settings = {
        "MEETINGPOOL_DATABASE_URL": database_url,
        "MEETINGPOOL_PORT": str(port),
        "MEETINGPOOL_LOADBALANCER_SECRET": SECRET,
        "MEETINGPOOL_DRAIN_DELAY": "0.5",
        "MEETINGPOOL_LOG_FORMAT": "json",
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        *within, sys.executable, "-m", "gateway", env=os.environ | settings, stderr=asyncio.subprocess.PIPE
    )
    await _until_listening(process)
    return GatewayProcess(port, process)


async def _until_listening(process: asyncio.subprocess.Process) -> None:
    # Its own word counts: another process on the same port could answer for it.
    assert process.stderr is not None
    async with asyncio.timeout(START_TIMEOUT):
        while line := await process.stderr.readline():
            if json.loads(line)["event"] == "listening":
                return
    raise AssertionError("the gateway ended while it started")
