"""`python -m simulator` as a process."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest


@contextmanager
def simulator(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "simulator", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_servers_run_until_a_signal_and_end_quietly(number: signal.Signals) -> None:
    with simulator("--servers", "2", "--secret", "shared") as process:
        assert process.stdout is not None
        servers = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert httpx.get(servers[1]["url"], trust_env=False).status_code == 200

        process.send_signal(number)
        _, errors = process.communicate(timeout=5)

    assert [server["name"] for server in servers] == ["server-1", "server-2"]
    assert {server["secret"] for server in servers} == {"shared"}
    assert (process.returncode, errors) == (0, "")


def test_scenario_is_stopped_in_the_middle_without_a_word() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}/bigbluebutton/api"
    with simulator(
        *("--servers", "1", "--first-port", str(port), "--secret", "s", "--scenario", "demo", "--speed", "20"),
        *("--endpoint", endpoint, "--endpoint-secret", "s"),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        people = 0
        for _ in range(200):
            people = httpx.get(f"http://127.0.0.1:{port}/simulator/state", trust_env=False).json()["people"]
            if people:
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=5)

    assert people > 0
    assert (process.returncode, errors) == (0, "")


def test_servers_can_be_without_webhooks_and_impatient() -> None:
    with simulator("--servers", "1", "--no-webhooks", "--retry-factor", "0.5") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        state = httpx.get(url.replace("/bigbluebutton/api/", "/simulator/state"), trust_env=False).json()

    assert (state["has_webhooks"], state["retry_factor"]) == (False, 0.5)


def test_help_tells_of_the_calls_to_others_and_of_the_control() -> None:
    with simulator("--help") as process:
        told, _ = process.communicate(timeout=5)

    assert process.returncode == 0
    for word in ("meetingEndedURL", "hooks/create", "PUT outward-faults", "POST recordings", "POST events"):
        assert word in told


def test_taken_port_is_told_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with simulator("--servers", "1", "--first-port", str(taken.getsockname()[1])) as process:
            _, errors = process.communicate(timeout=5)

    assert process.returncode == 1
    assert errors.startswith("The servers cannot listen: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--scenario", "demo"], "--scenario needs --endpoint and --endpoint-secret"),
        (["--scenario", "x", "--endpoint", "http://x/api", "--endpoint-secret", "s"], "There is no scenario 'x'"),
        (["--speed", "0"], "must be more than 0"),
    ],
)
def test_wrong_command_line_is_told_in_a_sentence(arguments: list[str], sentence: str) -> None:
    with simulator(*arguments) as process:
        _, errors = process.communicate(timeout=5)

    assert process.returncode == 2
    assert sentence in errors
