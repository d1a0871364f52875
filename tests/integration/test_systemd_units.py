"""The units for systemd: it reads them, they shut their services in, and start commands that there are."""

import getpass
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
PROGRAM = "/opt/meetingpool/bin/meetingpool"
# Of 100, by systemd's own measure. 0 is out of reach of what talks to networks.
MAX_EXPOSURE = 20

analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(analyze is None, reason="needs systemd-analyze; on Debian: apt install systemd")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is installed here."""
    for unit in [*SERVICES, FOLDER / "meetingpool.target"]:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    return tmp_path


def analyzed(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(analyze), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_them(units: Path) -> None:
    done = analyzed("verify", "--man=no", *sorted(units.iterdir()))
    about_ours = [line for line in (done.stdout + done.stderr).splitlines() if "meetingpool" in line]
    assert (done.returncode, about_ours) == (0, [])


@needs_systemd
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.stem)
def test_a_service_is_shut_in(units: Path, service: Path) -> None:
    done = analyzed("security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", "--no-pager", units / service.name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.stem)
def test_a_service_starts_a_command_that_there_is(service: Path) -> None:
    (command,) = re.findall(rf"^ExecStart={PROGRAM} (.+)$", service.read_text(), re.MULTILINE)
    helped = subprocess.run(
        [sys.executable, "-m", "admin", *command.split(), "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert helped.returncode == 0, helped.stderr
    assert f" {command} [OPTIONS]" in helped.stdout


def test_what_the_services_of_a_machine_share_is_the_same_in_all() -> None:
    shared = [
        {
            line
            for line in service.read_text().splitlines()
            if line.startswith(("User=", "Environment", "State", "Working", "Protect"))
        }
        for service in SERVICES
    ]
    assert len(SERVICES) == 4
    assert all(lines == shared[0] for lines in shared)


@pytest.mark.parametrize(("sudo", "caller"), [({"SUDO_USER": "ada"}, "ada"), ({}, getpass.getuser())])
def test_commands_run_with_the_settings_of_the_services(tmp_path: Path, sudo: dict[str, str], caller: str) -> None:
    settings = tmp_path / "settings"
    settings.write_text("LOADBALANCER_SECRET='it $has \"odd\" `things` #in it'\nPOLL_INTERVAL='7'\n")
    shows = tmp_path / "shows"
    names = ("LOADBALANCER_SECRET", "POLL_INTERVAL", "MEETINGPOOL_DATA_DIR", "SUDO_USER")
    shows.write_text("\n".join(["#!/bin/sh", *(f'echo "${name}"' for name in names), 'printf "%s|" "$@"']))
    shows.chmod(0o755)
    script = (FOLDER / "meetingpool").read_text()
    replaced = {"/etc/default/meetingpool": str(settings), "runuser -u meetingpool -- ": "", PROGRAM: str(shows)}
    for there, here in replaced.items():
        assert there in script
        script = script.replace(there, here)
    environment = {name: value for name, value in os.environ.items() if name not in names} | sudo
    command = ["sh", "-c", script, "meetingpool", "servers", "a b"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ['it $has "odd" `things` #in it', "7", "/var/lib/meetingpool", caller, "servers|a b|"]
