"""The script by which a BBB host registers itself, run as systemd runs it, against a gateway in a process of its own."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from meetingpool.database.engine import Database
from meetingpool.database.servers import find_server
from meetingpool.domain.access import Role
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.servers import AdminState, Server, Standing
from meetingpool.operations.api_tokens import create_token
from meetingpool.operations.changes import changing
from simulator.fleet import Fleet
from tests.actors import SOMEBODY
from tests.bbb_hosts import SCRIPTS
from tests.end_to_end.processes import gateway_process

SECRET = "canary/secret=of: the $host"
UNITS = sorted([*SCRIPTS.glob("*.service"), *SCRIPTS.glob("*.timer")])
PROGRAM = "/usr/local/bin/meetingpool_register"
analyze = shutil.which("systemd-analyze")


@dataclass
class Host:
    """A BBB host with its files, and the pool's database."""

    root: Path
    url: str
    database: Database
    is_stopping: bool = False

    def configure(self, **settings: Any) -> None:
        (self.root / "meetingpool-register.yml").write_text(yaml.safe_dump(settings))

    async def call(self, *arguments: str, exit_code: int = 0) -> str:
        """What it prints; of what it does not do, why."""
        called = await asyncio.to_thread(self._run, *arguments)
        assert called.returncode == exit_code, called.stderr
        assert not re.search(r"canary|mp_\w{20}", called.stdout + called.stderr)
        return called.stdout if exit_code == 0 else called.stderr

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        systemctl = self.root / "systemctl"
        systemctl.write_text(f"#!/bin/sh\necho {'stopping' if self.is_stopping else 'running'}\n")
        systemctl.chmod(0o755)
        own = {"BBB_ETC_DIR": str(self.root), "BBB_WEB_DIR": str(self.root), "PATH": f"{self.root}:{os.environ['PATH']}"}
        command = ["ruby", str(SCRIPTS / "meetingpool_register"), *arguments]
        return subprocess.run(command, env=os.environ | own, capture_output=True, text=True, timeout=60, check=False)

    async def server(self, name: str = "127.0.0.1") -> Server | None:
        async with self.database.transaction() as connection:
            return await find_server(connection, name)


@pytest.fixture
def lonely(tmp_path: Path, database: Database) -> Host:
    """One whose pool nobody answers for."""
    if not shutil.which("ruby"):
        pytest.skip("The scripts for BBB hosts need ruby; on Debian: apt install ruby")
    _as_bbb(tmp_path, "http://127.0.0.1:8")
    host = Host(tmp_path, "http://127.0.0.1:8/bigbluebutton/api/", database)
    host.configure(pool_url="http://127.0.0.1:9", token="mp_" + "x" * 43)
    return host


@pytest.fixture
async def host(lonely: Host, database: Database, database_url: str) -> AsyncIterator[Host]:
    """One whose token lets it in, enabled."""
    async with changing(database, SOMEBODY) as change:
        rules = RegistrationRules(enters=AdminState.ENABLED, hosts=("127.0.0.1",))
        token = (await create_token(change, "hosts", Role.SERVER, registers=rules)).plain
    async with gateway_process(database_url) as gateway, Fleet.running(servers=1) as fleet:
        origin = fleet.servers[0].url.partition("/bigbluebutton")[0]
        _as_bbb(lonely.root, origin)
        (lonely.root / "token").write_text(f"{token}\n")
        host = Host(lonely.root, f"{origin}/bigbluebutton/api/", database)
        host.configure(pool_url=gateway.origin, token_file=str(lonely.root / "token"))
        yield host


def _as_bbb(directory: Path, origin: str) -> None:
    """The files in which BBB keeps its secret: what the package brings, and what is set on top of it."""
    brought = "# comment\nsecuritySalt=of-the-package\nbigbluebutton.web.serverURL=http://localhost\n\ndefaultMaxUsers=0\n"
    (directory / "bigbluebutton.properties").write_text(brought)
    (directory / "bbb-web.properties").write_text(f"securitySalt = {SECRET}\nbigbluebutton.web.serverURL={origin}\n")


async def test_a_host_registers_renews_and_leaves(host: Host) -> None:
    assert re.match(r"server 127\.0\.0\.1 is registered until .*, and enabled\n", await host.call())
    first = await host.server()
    assert first is not None
    assert first.registration is not None
    assert (first.url, first.secret, first.registration.token) == (host.url, SECRET, "hosts")
    await host.call()
    assert "has left, and is cordoned" in await host.call("leave")
    await host.call()
    again = await host.server()
    assert again is not None
    assert (again.admin_state, again.registration and again.registration.standing) == (AdminState.ENABLED, Standing.HELD)


async def test_a_host_that_stops_leaves_with_its_meetings(host: Host) -> None:
    await host.call()
    host.is_stopping = True
    assert "has left, and is disabled" in await host.call("leave")
    host.is_stopping = False
    await host.call()
    assert "has left, and is disabled" in await host.call("leave", "--now")


async def test_what_is_set_is_what_the_host_says(host: Host) -> None:
    settings = yaml.safe_load((host.root / "meetingpool-register.yml").read_text())
    said = {"id": "one", "load_multiplier": 2, "tags": ["hd", "gpu"], "region": "eu", "max_users": 300, "secret": "canary"}
    host.configure(**settings, **said, url=host.url)
    await host.call()
    server = await host.server("one")
    assert server is not None
    assert (server.id, server.load_multiplier, server.tags, server.region) == ("one", 2.0, frozenset({"hd", "gpu"}), "eu")
    assert (server.max_users, server.secret) == (300, "canary")
    assert "server one has left" in await host.call("leave")


async def test_what_the_pool_refuses_is_said(host: Host) -> None:
    settings = yaml.safe_load((host.root / "meetingpool-register.yml").read_text())
    host.configure(**settings, url="http://elsewhere.example/")
    assert "registers servers on 127.0.0.1" in await host.call(exit_code=1)
    host.configure(**{**settings, "token_file": None, "token": "mp_" + "x" * 43})
    assert "This token does not count" in await host.call(exit_code=1)
    host.configure(**settings)
    assert "has registered with the token hosts" in await host.call("leave", exit_code=1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"pool_url": "http://pool.example.org"}, "pool_url must be"),
        ({"pool_url": "not an address"}, "pool_url is not an address"),
        ({"pool_url": None}, "pool_url must be"),
        ({"token_file": "/nowhere"}, "cannot be read"),
        ({"token": "canary"}, "a token that begins with mp_"),
    ],
)
async def test_settings_that_cannot_be_used_are_named(lonely: Host, wrong: dict[str, Any], sentence: str) -> None:
    settings = yaml.safe_load((lonely.root / "meetingpool-register.yml").read_text())
    lonely.configure(**settings | wrong)
    assert sentence in await lonely.call(exit_code=2)


async def test_a_pool_that_is_away_is_named(lonely: Host) -> None:
    assert "127.0.0.1 cannot be reached" in await lonely.call(exit_code=1)


@pytest.mark.parametrize("arguments", [("--now",), ("stay",), ("leave", "now"), ("--what",)])
async def test_wrong_usage_is_said_and_does_nothing(lonely: Host, arguments: tuple[str, ...]) -> None:
    assert "meetingpool_register: " in await lonely.call(*arguments, exit_code=2)


@pytest.mark.skipif(analyze is None, reason="needs systemd-analyze; on Debian: apt install systemd")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    installed = sorted(tmp_path.iterdir())
    assert len(installed) == 3
    done = subprocess.run([str(analyze), "verify", "--man=no", *map(str, installed)], capture_output=True, text=True, check=False)
    about_ours = [line for line in (done.stdout + done.stderr).splitlines() if "meetingpool" in line]
    assert (done.returncode, about_ours) == (0, [])
    for service in tmp_path.glob("*.service"):
        judged = subprocess.run(
            [str(analyze), "security", "--offline=yes", "--threshold=25", "--no-pager", str(service)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert judged.returncode == 0, judged.stdout


def test_the_units_call_the_script() -> None:
    commands = {line for unit in UNITS for line in re.findall(r"^Exec\w+=-?(.+)$", unit.read_text(), re.MULTILINE)}
    assert commands == {PROGRAM, f"{PROGRAM} leave"}
