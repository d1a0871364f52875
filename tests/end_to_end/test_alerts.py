"""An administrator's receiver, the one of the documentation, as a process: it hears of an outage, and believes only us."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.commands import Started, clean_environment, command, free_port, started, until

SECRET = "canary-of-the-address"
SECRET_OF_FRONT_END = "canary-of-the-front-end"
PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[int, Started]]:
    """Its port, and the process, whose lines are the alerts that it believes."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "receiver.py").write_text(program)
    port = free_port()
    with subprocess.Popen(
        [sys.executable, tmp_path / "receiver.py", str(port), SECRET],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            until(lambda: status_of(port), 10)
            yield port, Started(process)
        finally:
            process.terminate()


def status_of(port: int, **headers: str) -> int:
    """Of an alert that somebody else makes up; 0 when nobody listens."""
    try:
        return httpx.post(f"http://127.0.0.1:{port}/", content=b"{}", headers=headers, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def test_an_outage_is_told_to_a_receiver_that_verifies_it(receiver: tuple[int, Started], tmp_path: Path) -> None:
    port, listening = receiver
    environment = {
        "MEETINGPOOL_DATA_DIR": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "LOADBALANCER_SECRET": SECRET_OF_FRONT_END,
        "POLL_INTERVAL": "1",
        "MEETINGPOOL_CALLBACK_ALLOW": "127.0.0.0/8",
        "MEETINGPOOL_LOG_LEVEL": "debug",
    }
    simulator = [sys.executable, "-m", "simulator", "--servers", "1"]
    with (
        subprocess.Popen(simulator, stdout=subprocess.PIPE, text=True) as servers,
        started("up", environment=environment) as up,
    ):
        try:
            assert servers.stdout is not None
            server = json.loads(servers.stdout.readline())
            up.wait_for_line("leads", 30)
            options = ("--secret", server["secret"], "--id", "s1", "--enable")
            command("servers", "add", server["url"], *options, environment=environment)
            added = command("alerts", "add", f"http://127.0.0.1:{port}/hook", "--secret", SECRET, environment=environment)
            (hook,) = json.loads(command("alerts", "list", "--format", "json", environment=environment))
            assert "took the test" in command("alerts", "test", hook["id"], environment=environment)
            assert alerts_in(listening)[0]["kind"] == "test"
        finally:
            servers.terminate()
        until(lambda: len(listening.lines) == 3, 30, lambda: str(listening.lines))
        kinds = {(alert["kind"], alert["subject"]) for alert in alerts_in(listening)[1:]}
        assert kinds == {("server.offline", "s1"), ("pool.unavailable", "pool")}
        usage = json.loads(command("usage", "--by", "hour", "--format", "json", environment=environment))
        assert usage[-1]["peak_meetings"] == 0
    for forged in ({}, {"Meetingpool-Signature": "t=1,v1=0"}, {"Meetingpool-Signature": "nonsense"}):
        assert status_of(port, **forged) == 403
    said = "\n".join([*up.lines, *listening.lines, added])
    assert SECRET not in said
    assert SECRET_OF_FRONT_END not in said


def alerts_in(listening: Started) -> list[dict[str, Any]]:
    return [json.loads(line) for line in listening.lines]
