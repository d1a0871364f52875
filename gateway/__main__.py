"""One gateway process: `python -m gateway`. Started by `meetingpool gateway` and `meetingpool up`, one per worker.

Each process has its own socket on the shared port. Told to stop, it first says so on /readyz, then closes the port, then
finishes what is under way.
"""

import asyncio
import socket
import sys
from types import FrameType

import uvicorn

from gateway.app import create_app
from gateway.state import Readiness
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.migrate import WrongRevision, require_database
from meetingpool.logs import configure_logs, get_logger
from meetingpool.settings import Settings, SettingsError, read_settings

GRACEFUL_SHUTDOWN_SECONDS = 20
BACKLOG = 2048


class DrainingServer(uvicorn.Server):
    """Waits between the signal and the closing of the port, so that whoever balances gateways can turn away first."""

    def __init__(self, config: uvicorn.Config, readiness: Readiness, drain_delay: float) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._drain_delay = drain_delay

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._readiness.draining:
            super().handle_exit(sig, frame)
            return
        self._readiness.draining = True
        asyncio.get_running_loop().call_later(self._drain_delay, setattr, self, "should_exit", True)


def main() -> int:
    try:
        settings = read_settings()
        asyncio.run(require_database(settings.database_url))
    except (SettingsError, DatabaseUnavailable, WrongRevision) as error:
        print(error, file=sys.stderr)
        return 1
    configure_logs(process="gateway", log_format=settings.log_format, level=settings.log_level)
    readiness = Readiness()
    config = uvicorn.Config(
        create_app(settings, readiness),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )
    server = DrainingServer(config, readiness, settings.drain_delay)
    try:
        server.run(sockets=[open_socket(settings)])
    except OSError as error:
        get_logger().error("port_not_opened", address=settings.bind, port=settings.port, reason=error.strerror)
        return 1
    return 0 if server.started else 1


def open_socket(settings: Settings) -> socket.socket:
    """A listening socket of this process alone; the kernel shares connections out among all of them on the port."""
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((settings.bind, settings.port))
    return listener


if __name__ == "__main__":
    sys.exit(main())
