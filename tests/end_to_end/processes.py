"""Gateways as processes of their own, for the tests of this folder."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.pool import SECRET

START_TIMEOUT = 20.0


@dataclass(frozen=True)
class GatewayProcess:
    port: int
    process: asyncio.subprocess.Process

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"{self.origin}/bigbluebutton/api"

    async def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start_gateway(database_url: str, port: int | None = None, **environment: str) -> GatewayProcess:
    """A gateway that listens. `environment`: more settings."""
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        env=os.environ
        | {
            "MEETINGPOOL_DATABASE_URL": database_url,
            "MEETINGPOOL_LOADBALANCER_SECRET": SECRET,
            "MEETINGPOOL_LOG_FORMAT": "json",
            "PORT": str(port),
            **environment,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(START_TIMEOUT):
        await _until_listening(process)
    return GatewayProcess(port, process)


@asynccontextmanager
async def gateway_process(database_url: str, port: int | None = None, **environment: str) -> AsyncIterator[GatewayProcess]:
    """A gateway that runs as long as the context, unless the test ends it earlier."""
    gateway = await start_gateway(database_url, port, **environment)
    try:
        yield gateway
    finally:
        if gateway.process.returncode is None:
            gateway.process.kill()
            await gateway.process.wait()


async def _until_listening(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        if line.startswith(b"{") and json.loads(line)["event"] == "listening":
            return
    raise AssertionError("the gateway ended before it listened")
