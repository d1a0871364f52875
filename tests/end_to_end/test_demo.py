"""`meetingpool demo`, the newcomer's minute."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.commands import Started, are_gone, command, free_port, processes_in, started, until


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Started, int]]:
    monkeypatch.chdir(tmp_path)
    port = free_port()
    with started("demo", environment={"PORT": str(port)}) as running:
        yield running, port


def test_demo_shows_life_within_a_minute_and_stops_without_a_trace(demo: tuple[Started, int], tmp_path: Path) -> None:
    running, port = demo
    endpoint = f"http://127.0.0.1:{port}/bigbluebutton/api"
    running.wait_for_line("Ctrl-C stops everything", 60)
    secret = running.wait_for_line("secret", 1).split()[-1]

    assert [line for line in running.lines if line.endswith("/bigbluebutton/api")] == [f"  API        {endpoint}"]
    assert f"  BIGBLUEBUTTON_ENDPOINT={endpoint}/" in running.lines
    assert f"  BIGBLUEBUTTON_SECRET={secret}" in running.lines
    assert "MEETINGPOOL_DATA_DIR=var/demo" in running.wait_for_line("status --watch", 1)
    assert httpx.get(endpoint, trust_env=False).status_code == 200
    assert f"  dashboard  http://127.0.0.1:{port}/dashboard" in running.lines
    sign_in, _, token = running.wait_for_line("/dashboard#", 1).strip().replace("#", "/sign-in#").partition("#")
    own = {"origin": f"http://127.0.0.1:{port}"}
    signed_in = httpx.post(sign_in, data={"token": token}, headers=own, follow_redirects=True, trust_env=False)
    assert "<h1>Pool</h1>" in signed_in.text

    def is_alive() -> bool:
        servers = json.loads(command("status", "--format", "json", environment={"MEETINGPOOL_DATA_DIR": "var/demo"}))
        assert len(servers) == 3
        return any(server["meetings"] for server in servers)

    until(is_alive, 45)
    running.wait_for_line("3 of 3 servers take new meetings; ", 5)
    second = command("demo", environment={"PORT": str(free_port())}, exit_code=1)
    assert second == "A demo runs in var/demo already: stop it, or set MEETINGPOOL_DATA_DIR elsewhere\n"
    family = running.family()

    assert running.stop(signal.SIGINT, 30) == 0
    assert are_gone(family)
    assert processes_in(tmp_path) == []
    assert "Traceback" not in "\n".join(running.lines)


def test_demo_stops_at_once_while_it_starts(demo: tuple[Started, int], tmp_path: Path) -> None:
    running, _ = demo
    until(lambda: (tmp_path / "var/demo/demo.lock").exists(), 20)

    assert running.stop(signal.SIGTERM, 30) == 0
    assert running.lines == []
    assert processes_in(tmp_path) == []
