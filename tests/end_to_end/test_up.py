"""`meetingpool up` as an administrator starts it, in front of simulated servers that run as a process too."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from meetingpool.bbb.client import signed_url
from tests.end_to_end.commands import Started, are_gone, command, free_port, started, until

SECRET = "the-secret-of-the-front-end"


@dataclass(frozen=True)
class Installation:
    """Meetingpool with two servers. `environment` is what its commands need."""

    port: int
    servers: list[dict[str, Any]]
    environment: dict[str, str]
    up: Started

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, call: str, **parameters: str) -> str:
        url = signed_url(f"{self.origin}/bigbluebutton/api", SECRET, call, parameters.items())
        return httpx.get(url, trust_env=False, timeout=10).text


@pytest.fixture(scope="module")
def servers() -> Iterator[list[dict[str, Any]]]:
    simulator = [sys.executable, "-m", "simulator", "--servers", "2"]
    with subprocess.Popen(simulator, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [json.loads(process.stdout.readline()) for _ in range(2)]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def installation(servers: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    port = free_port()
    environment = {
        "MEETINGPOOL_DATA_DIR": str(tmp_path_factory.mktemp("up")),
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
        "LOADBALANCER_SECRET": SECRET,
        "POLL_INTERVAL": "1",
    }
    with started("up", environment=environment) as up:
        installation = Installation(port, servers, environment, up)
        until(lambda: is_ready(installation), 30)
        with ThreadPoolExecutor() as administrators:
            list(administrators.map(lambda server: add(server, environment), servers))
        yield installation


def add(server: dict[str, Any], environment: dict[str, str]) -> None:
    options = ("--secret", server["secret"], "--id", server["name"], "--enable")
    command("servers", "add", server["url"], *options, environment=environment)


@pytest.fixture(scope="module")
def library() -> Any:
    """The package bigbluebutton-api-python, whose source today's Python warns about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("bigbluebutton_api_python")


def is_ready(installation: Installation) -> bool:
    try:
        return httpx.get(f"{installation.origin}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_up_says_where_front_ends_find_it(installation: Installation) -> None:
    assert f"Meetingpool's API for front ends: {installation.origin}/bigbluebutton/api" in installation.up.lines
    assert SECRET not in "\n".join(installation.up.lines)


def test_meetings_are_created_through_it(installation: Installation) -> None:
    answers = [installation.call("create", meetingID=f"class-{number}", name=f"Class {number}") for number in range(4)]

    assert all("<returncode>SUCCESS</returncode>" in answer for answer in answers)
    listed = json.loads(command("meetings", "list", "--format", "json", environment=installation.environment))
    on_servers = [meeting["server"] for meeting in listed if meeting["id"].startswith("class-")]
    assert sorted(on_servers) == ["server-1", "server-1", "server-2", "server-2"]


def test_poller_counts_what_the_servers_carry(installation: Installation) -> None:
    installation.call("create", meetingID="counted", name="Counted")

    def counted() -> bool:
        seen = json.loads(command("status", "--format", "json", environment=installation.environment))
        return any(server["meetings"] for server in seen)

    until(counted, 10)


def test_client_library_of_a_front_end_works_with_it(installation: Installation, library: Any) -> None:
    client = library.BigBlueButton(f"{installation.origin}/bigbluebutton/api/", SECRET)

    for meeting_id in ("library", "reading-room"):
        created = client.create_meeting(meeting_id, params={"name": "Library", "attendeePW": "a", "moderatorPW": "m"})
        assert created.get_meetingid() == meeting_id
    url = client.get_join_meeting_url("Ada", "library", "m", params={})
    joined = httpx.get(url, trust_env=False, follow_redirects=True)
    assert joined.status_code == 200
    assert any(str(joined.url).startswith(server["url"].partition("/bigbluebutton")[0]) for server in installation.servers)
    until(lambda: client.is_meeting_running("library").is_meeting_running(), 5)
    assert client.get_meeting_info("library").get_meetinginfo().get_meetingname() == "Library"
    listed = {meeting.get_meetingid() for meeting in client.get_meetings().get_meetings()}
    assert {"library", "reading-room"} <= listed
    client.end_meeting("library", "m")
    with pytest.raises(library.exception.BBBException):
        until(lambda: client.get_meeting_info("library") is None, 5)


def test_crashed_gateway_and_poller_are_started_again(installation: Installation) -> None:
    before = {module: installation.up.family(module) for module in ("gateway", "poller")}
    assert [len(pids) for pids in before.values()] == [2, 1]

    for pid in before["gateway"] | before["poller"]:
        os.kill(pid, signal.SIGKILL)

    def are_back() -> bool:
        return all(len(installation.up.family(module) - pids) == len(pids) for module, pids in before.items())

    until(are_back, 10)
    until(lambda: is_ready(installation), 20)


def test_second_gateway_on_the_same_port_is_refused(installation: Installation, tmp_path: Path) -> None:
    environment = {"MEETINGPOOL_DATA_DIR": str(tmp_path), "PORT": str(installation.port)}

    told = command("up", environment=environment, exit_code=1)

    where = f"port {installation.port} of 127.0.0.1"
    assert told == f"Somebody listens on {where} already: stop that program, or set PORT to another port\n"


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {"MEETINGPOOL_DATABASE_URL": database_url, "MEETINGPOOL_DATA_DIR": str(tmp_path), "PORT": str(free_port())}


def test_sigterm_stops_all_of_it(environment: dict[str, str], tmp_path: Path) -> None:
    with started("up", environment=environment) as up:
        until(lambda: is_ready(Installation(int(environment["PORT"]), [], environment, up)), 30)
        family = up.family()

        code = up.stop(signal.SIGTERM, 30)

    assert code == 0
    assert len(family) == 4
    assert are_gone(family)
    assert f"The secret for front ends is in {tmp_path / 'loadbalancer_secret'}" in up.lines
    assert any(f"The key for the secrets in the database is in {tmp_path / 'secret_key'}: " in line for line in up.lines)
    assert "Traceback" not in "\n".join(up.lines)


def test_children_go_when_the_supervisor_is_killed(environment: dict[str, str]) -> None:
    with started("up", environment=environment) as up:
        until(lambda: is_ready(Installation(int(environment["PORT"]), [], environment, up)), 30)
        family = up.family()

        up.process.kill()
        until(lambda: are_gone(family), 20)


def test_gateway_on_the_port_of_another_program_is_refused(environment: dict[str, str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(environment["PORT"])))
        other.listen()
        told = command("gateway", environment=environment, exit_code=1)

    assert told.startswith(f"Somebody listens on port {environment['PORT']} of 127.0.0.1 already: ")


@pytest.mark.parametrize("name", ["gateway", "poller"])
def test_gateway_and_poller_alone_refuse_a_database_without_the_schema(
    name: str, template_url: str, environment: dict[str, str]
) -> None:
    url = template_url.replace("/meetingpool?", "/postgres?")

    told = command(name, environment=environment | {"MEETINGPOOL_DATABASE_URL": url}, exit_code=1)

    assert "run `meetingpool db upgrade`" in told
    assert told.splitlines()[-1] == f"The {name} did not start (exit code 1): it said why above"
