"""One gateway process: `python -m gateway`. Started by `meetingpool gateway` and `meetingpool up`, one per worker.

Each process has its own socket on the shared port. Told to stop, it first says so on /readyz, then closes the port, then
finishes what is under way.
"""

import asyncio
import gc
import socket
import sys
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.access_log import AccessLog
from gateway.app import create_app
from gateway.connections import ConnectionLimits, connections_within, this_machine_and
from gateway.descriptors import connections_that_fit
from gateway.limits import BoundedRequests
from gateway.listener import SETTLING_SECONDS, open_listener, turn_away_new_connections
from gateway.region_header import RegionHeader
from gateway.state import Readiness
from meetingpool.clock import SystemClock
from meetingpool.country_files import country_file
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.revision import WrongRevision, require_database
from meetingpool.logs import configure_logs, get_logger
from meetingpool.metrics_counts import Counts
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings, SettingsError, read_settings

GRACEFUL_SHUTDOWN_SECONDS = 20
BACKLOG = 2048


class DrainingServer(uvicorn.Server):
    """Told to stop, it waits for whoever balances gateways to turn away, then for handshakes to settle, then stops."""

    def __init__(self, config: uvicorn.Config, readiness: Readiness, listener: socket.socket, drain_delay: float) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._listener = listener
        self._drain_delay = drain_delay

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # All that is there by now stays: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        get_logger().info("listening", address="{}:{}".format(*self._listener.getsockname()[:2]))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._readiness.draining:
            super().handle_exit(sig, frame)
            return
        self._readiness.draining = True
        loop = asyncio.get_running_loop()
        loop.call_later(self._drain_delay, turn_away_new_connections, self._listener)
        loop.call_later(self._drain_delay + SETTLING_SECONDS, setattr, self, "should_exit", True)


def main() -> int:
    try:
        settings = read_settings()
        country_file(settings)
        asyncio.run(require_database(settings.database_url, keyring_of(settings)))
    except (SettingsError, DatabaseUnavailable, WrongRevision) as error:
        print(error, file=sys.stderr)
        return 1
    configure_logs(process="gateway", log_format=settings.log_format, level=settings.log_level)
    readiness = Readiness()
    config = _server_config(settings, readiness)
    try:
        listener = open_listener(settings.bind, settings.port)
    except OSError as error:
        get_logger().error("port_not_opened", address=settings.bind, port=settings.port, reason=error.strerror)
        return 1
    server = DrainingServer(config, readiness, listener, settings.drain_delay)
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _server_config(settings: Settings, readiness: Readiness) -> uvicorn.Config:
    counts = Counts.of_process(settings.data_dir, "gateway")
    app: ASGIApp = BoundedRequests(create_app(settings, readiness, counts=counts), settings.max_requests)
    if settings.access_log:
        app = AccessLog(app, SystemClock())
    config = uvicorn.Config(
        app,
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        # What it logs goes where all else goes, redacted.
        log_config=None,
        log_level="warning",
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )
    limits = ConnectionLimits(
        connections=connections_that_fit(settings.max_connections),
        connections_per_address=settings.max_connections_per_address,
        target_bytes=settings.max_url_bytes,
        body_bytes=settings.max_document_bytes,
    )
    behind_proxies = ProxyHeadersMiddleware(app, config.forwarded_allow_ips)  # type: ignore[arg-type]
    proxies = behind_proxies.trusted_hosts
    config.http = connections_within(limits, this_machine_and(proxies.__contains__))
    if settings.region_header:
        # uvicorn would put its own around ours, and the request would no longer show which proxy sent it.
        config.proxy_headers = False
        config.app = RegionHeader(behind_proxies, settings.region_header, proxies)  # type: ignore[arg-type]
    return config


if __name__ == "__main__":
    sys.exit(main())
