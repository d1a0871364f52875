"""The newcomer's minute: `meetingpool demo` runs everything on one machine, with simulated servers and people, to look at.

It lives in a directory of its own under the data directory, so that it never touches an installation beside it.
"""

import asyncio
import fcntl
import json
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from admin.connection import changing, database_url, end_by_sigterm, upgrade_schema
from admin.output import until_interrupted
from admin.refusals import Refused
from admin.server_changes import poll_server
from admin.status_view import keep_showing
from admin.supervisor import Program, Supervisor, stop_signal, supervised
from admin.up import api_url, environment_of, everything, require_free_port
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ServerFailure
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.meetings import forget_all_on
from meetingpool.database.servers import all_servers, delete_server
from meetingpool.domain.access import Role
from meetingpool.logs import configure_logs
from meetingpool.operations.add_server import add_server, enable_reached, new_server, require_reached
from meetingpool.operations.api_tokens import create_token
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings, read_settings, with_secret

SERVERS = 3
POLL_INTERVAL = 2.0
LOOK_EVERY = 0.1
# Seconds from the end of a meeting to its recording; on real servers it takes minutes.
RECORDING_DELAY = 10.0
LOOPBACK = ("127.0.0.0/8", "::1", "localhost")
START_TIMEOUT = 60.0
TOKEN_LASTS = timedelta(days=1)


def run_demo() -> None:
    """Runs until stopped. Raises Refused when it cannot start."""
    settings = demo_settings(read_settings())
    require_free_port(settings)
    logs = settings.data_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    end_by_sigterm()
    with until_interrupted(), _alone_in(settings.data_dir), _own_logs(settings, logs), database_url(settings) as url:
        asyncio.run(upgrade_schema(url, settings))
        asyncio.run(Demo(settings, url, logs).run())


def demo_settings(settings: Settings) -> Settings:
    """The settings of the demo: a data directory of its own, the embedded database, quick polls."""
    return with_secret(
        msgspec.structs.replace(
            settings,
            data_dir=settings.data_dir / "demo",
            database_url=None,
            poll_interval=POLL_INTERVAL,
            web_concurrency=1,
            recording_spool_dir=(),
            recording_work_dir=None,
            recording_publish_dir=None,
            recording_unpublish_dir=None,
        )
    )


class Demo:
    """One run of the demo on the database at `url`. The children write to files in `logs`."""

    def __init__(self, settings: Settings, url: str, logs: Path) -> None:
        self._settings = settings
        self._url = url
        self._logs = logs

    async def run(self) -> None:
        stop = stop_signal()
        database = Database(self._url, name="demo", pool_size=2, keyring=keyring_of(self._settings))
        try:
            await forget_everything(database)
            async with supervised() as supervisor:
                begun = asyncio.create_task(self._begin(supervisor, database))
                try:
                    await _first_of(begun, stop)
                    if begun.done():
                        await begun
                        token = await token_of_today(database)
                        print(introduction(self._settings, self._logs, token), flush=True)
                        await keep_showing(database, stop)
                finally:
                    begun.cancel()
        finally:
            await database.close()

    async def _begin(self, supervisor: Supervisor, database: Database) -> None:
        """Starts everything, and returns when the pool takes meetings and people are on their way."""
        servers = ["--servers", str(SERVERS), "--first-port", str(free_ports(SERVERS)), *self._deliveries()]
        supervisor.start(self._program("servers", "simulator", *servers))
        for program in everything(self._settings, self._url):
            supervisor.start(self._program(program.name, program.module))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                for line in await self._lines_of_servers():
                    await self._enable(database, line)
                await self._until_ready()
        except TimeoutError:
            raise Refused(f"The demo was not ready after {START_TIMEOUT:g} s: look into {self._logs}") from None
        endpoint = ["--endpoint", self._endpoint, "--endpoint-secret", self._settings.secrets[0]]
        supervisor.start(self._program("people", "simulator", "--servers", "0", "--scenario", "demo", *endpoint))

    def _deliveries(self) -> list[str]:
        """Where the servers deliver recordings, and how soon."""
        if self._settings.recording_disabled:
            return []
        [spool] = self._settings.spool_dirs
        spool.mkdir(parents=True, exist_ok=True)
        return ["--spool", str(spool), "--recording-delay", str(RECORDING_DELAY)]

    def _program(self, name: str, module: str, *arguments: str) -> Program:
        output = self._logs / f"{name}.log"
        output.write_text("")
        environment = environment_of(self._settings, self._url) | {
            "MEETINGPOOL_DATA_DIR": str(self._settings.data_dir),
            "MEETINGPOOL_POLL_INTERVAL": str(POLL_INTERVAL),
            "MEETINGPOOL_RECORDING_SPOOL_DIR": ":".join(map(str, self._settings.spool_dirs)),
            "MEETINGPOOL_RECORDING_WORK_DIR": str(self._settings.work_dir),
            "MEETINGPOOL_RECORDING_PUBLISH_DIR": str(self._settings.publish_dir),
            "MEETINGPOOL_RECORDING_UNPUBLISH_DIR": str(self._settings.unpublish_dir),
            "MEETINGPOOL_RECORDING_IMPORT_POLL_INTERVAL": str(POLL_INTERVAL),
            "MEETINGPOOL_RECORDING_SETTLE_TIME": "1",
            # The first minutes are what somebody looks at.
            "MEETINGPOOL_SERVER_HISTORY_INTERVAL": "10",
            # A front end that is tried out on this machine too.
            "MEETINGPOOL_CALLBACK_ALLOW": ",".join([*self._settings.callback_allow, *LOOPBACK]),
        }
        return Program(name=name, module=module, arguments=arguments, environment=environment, output=output)

    async def _lines_of_servers(self) -> list[dict[str, Any]]:
        """What the simulator prints of each server once it runs."""
        while True:
            lines = (self._logs / "servers.log").read_text().splitlines()
            servers = [json.loads(line) for line in lines if line.startswith("{")]
            if len(servers) >= SERVERS:
                return servers[:SERVERS]
            await asyncio.sleep(LOOK_EVERY)

    async def _enable(self, database: Database, line: dict[str, Any]) -> None:
        server = new_server(line["url"], line["secret"], server_id=line["name"])
        async with changing(database, dry_run=False) as change:
            await add_server(change, server)
        poll = await poll_server(self._settings, server)
        require_reached(server, poll)
        async with changing(database, dry_run=False) as change:
            await enable_reached(change, server, poll, poll_rules(self._settings), SystemClock())

    async def _until_ready(self) -> None:
        async with Client() as client:
            while True:
                try:
                    await client.fetch(self._endpoint.removesuffix("/bigbluebutton/api") + "/readyz", deadline=5.0)
                except ServerFailure:
                    await asyncio.sleep(LOOK_EVERY)
                else:
                    return

    @property
    def _endpoint(self) -> str:
        """The API as it is reached from this machine."""
        loopback = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104
        return api_url(self._settings, loopback.get(self._settings.bind, self._settings.bind))


async def token_of_today(database: Database) -> str:
    """A token to sign in to the dashboard with, until tomorrow."""
    now = datetime.now(UTC)
    name = f"demo {now:%Y-%m-%d %H:%M:%S}"
    async with changing(database, dry_run=False) as change:
        return (await create_token(change, name, Role.ADMIN, expires_at=now + TOKEN_LASTS)).plain


def introduction(settings: Settings, logs: Path, token: str) -> str:
    """What a newcomer is told."""
    url, secret = api_url(settings), settings.secrets[0]
    dashboard = url.removesuffix("/bigbluebutton/api") + "/dashboard"
    return "\n".join(
        [
            "",
            "Meetingpool runs, with three simulated servers and people who come and go.",
            "",
            f"  API        {url}",
            f"  secret     {secret}",
            f"  dashboard  {dashboard}",
            "",
            "Open the dashboard, signed in, by this link:",
            "",
            # Behind the # it stays in the browser, which signs in with it.
            f"  {dashboard}#{token}",
            "",
            "Greenlight finds it with these two lines:",
            "",
            f"  BIGBLUEBUTTON_ENDPOINT={url}/",
            f"  BIGBLUEBUTTON_SECRET={secret}",
            "",
            "Look at it, and at the recordings of what has ended, from another terminal:",
            "",
            f"  {command_line(settings, 'status --watch')}",
            f"  {command_line(settings, 'recordings list')}",
            "",
            f"Logs are in {logs}. Ctrl-C stops everything.",
            "",
        ]
    )


def command_line(settings: Settings, command: str) -> str:
    """How to call `meetingpool` with this command on the demo's database."""
    called = "meetingpool" if shutil.which("meetingpool") else sys.argv[0]
    unset = "env -u MEETINGPOOL_DATABASE_URL " if os.environ.get("MEETINGPOOL_DATABASE_URL") else ""
    return f"{unset}MEETINGPOOL_DATA_DIR={shlex.quote(str(settings.data_dir))} {shlex.quote(called)} {command}"


def free_ports(number: int) -> int:
    """The first of so many free ports that follow each other. Raises Refused when there are none."""
    for first in range(18_000, 30_000, number):
        if all(_is_free(port) for port in range(first, first + number)):
            return first
    raise Refused("No free ports are left for the simulated servers: stop some programs that listen")


async def forget_everything(database: Database) -> None:
    """The demo begins with an empty pool each time."""
    async with database.transaction() as connection:
        for server in await all_servers(connection):
            await forget_all_on(connection, server.id)
            await delete_server(connection, server.id)


async def _first_of(begun: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([begun, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Raises Refused when another demo uses the directory."""
    with (directory / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"A demo runs in {directory} already: stop it, or set MEETINGPOOL_DATA_DIR elsewhere") from None
        yield


@contextmanager
def _own_logs(settings: Settings, logs: Path) -> Iterator[None]:
    """Our own log lines go to a file too: the screen belongs to the view."""
    with (logs / "supervisor.log").open("w") as file:
        with redirect_stderr(file):
            configure_logs(process="supervisor", log_format=settings.log_format, level=settings.log_level)
        yield
