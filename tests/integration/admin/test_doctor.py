"""`meetingpool doctor`: what really goes wrong is found, and whoever reads it is told what to do."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from admin.app import app
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.servers import update_server
from meetingpool.domain.servers import ServerId
from meetingpool.library.storage import MARK
from meetingpool.operations.diagnose_database import diagnose_database
from meetingpool.operations.diagnose_directories import diagnose_directories
from meetingpool.operations.diagnosis import Severity
from meetingpool.settings import Settings
from simulator.faults import Faults
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine
from tests.library import Library, made_library

CANARY = "canary-5d1f0b"


class Doctor(Protocol):
    """What it finds that is not fine, whoever runs it; `exit_code` is what it must end with."""

    async def __call__(self, *, exit_code: int = 0) -> dict[str, Any]: ...


@pytest.fixture
async def library(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """What the settings name, which are good ones."""
    monkeypatch.setenv("MEETINGPOOL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MEETINGPOOL_PUBLIC_URL", "https://pool.example.org")
    monkeypatch.setenv("LOADBALANCER_SECRET", CANARY * 2)
    monkeypatch.setenv("CONNECT_TIMEOUT", "2")
    return await made_library(database, tmp_path)


@pytest.fixture
def doctor(library: Library, meetingpool: CommandLine) -> Doctor:
    async def run(*, exit_code: int = 0) -> dict[str, Any]:
        told = await meetingpool("doctor", "--format", "json", exit_code=exit_code)
        assert CANARY not in told.output
        found = json.loads(told.stdout)
        assert all(list(finding) == ["severity", "area", "subject", "detail", "advice"] for finding in found)
        assert all(finding["advice"] for finding in found if finding["severity"] != "ok")
        return {finding["subject"]: finding for finding in found if finding["severity"] != "ok" and finding["subject"] != "user"}

    return run


async def test_healthy_installation_has_nothing_to_tell(doctor: Doctor, pool: Fleet, meetingpool: CommandLine) -> None:
    assert await doctor() == {}
    told = (await meetingpool("doctor", "--verbose")).stdout
    assert "ok      servers, a: it accepts our secret\n" in told
    assert "ok      servers, b: BigBlueButton 3.0.19\n" in told
    assert "ok      directories, mark: the directories are those of this database\n" in told
    assert (await meetingpool("doctor")).stdout.splitlines()[-1].startswith("0 problems, ")


async def test_doctor_leaves_no_file_behind(doctor: Doctor, pool: Fleet, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    await doctor()
    assert sorted(tmp_path.rglob("*")) == before


async def test_wrong_secret_is_told_without_the_secret(doctor: Doctor, pool: Fleet, meetingpool: CommandLine) -> None:
    await meetingpool("servers", "set", "a", "--secret", CANARY)
    found = await doctor(exit_code=1)
    assert list(found) == ["a"]
    assert found["a"]["detail"] == "it refuses our secret (checksumError)"
    assert "`bbb-conf --secret`" in found["a"]["advice"]


@pytest.mark.parametrize(
    ("faults", "detail"),
    [
        (Faults(refuse=True), "no connection to port "),
        (Faults(drop_before=True), "it takes connections, and does not answer ("),
        (Faults(body="html"), "what answers is not BigBlueButton: "),
    ],
)
async def test_server_that_does_not_answer_as_it_should_is_told(doctor: Doctor, pool: Fleet, faults: Faults, detail: str) -> None:
    await pool.set_faults(pool.servers[1], faults)
    found = await doctor(exit_code=1)
    assert list(found) == ["b"]
    assert found["b"]["detail"].startswith(detail)


async def test_address_without_a_host_is_told(doctor: Doctor, pool: Fleet, database: Database) -> None:
    async with database.transaction() as connection:
        await update_server(connection, ServerId("b"), {"url": "https://nothing.invalid/bigbluebutton/api/"})
    found = await doctor(exit_code=1)
    assert found["b"]["detail"].startswith("its name nothing.invalid has no address (")
    assert "`getent hosts nothing.invalid`" in found["b"]["advice"]


async def test_server_that_is_out_of_use_is_but_noted(doctor: Doctor, pool: Fleet, meetingpool: CommandLine) -> None:
    await meetingpool("servers", "disable", "b")
    await pool.set_faults(pool.servers[1], Faults(refuse=True))
    found = await doctor()
    assert (found["b"]["severity"], found["b"]["detail"].endswith("; it is disabled")) == ("note", True)


async def test_multitenancy_and_tenants_go_together(
    doctor: Doctor, pool: Fleet, meetingpool: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTITENANCY_ENABLED", "true")
    monkeypatch.setenv("URL_HOST", "pool.example.org")
    assert list(await doctor(exit_code=1)) == ["MULTITENANCY_ENABLED"]
    await meetingpool("tenants", "add", "school")
    assert await doctor() == {}
    monkeypatch.setenv("MULTITENANCY_ENABLED", "false")
    assert (await doctor())["MULTITENANCY_ENABLED"]["severity"] == "note"


async def test_variable_that_is_misspelt_is_told(doctor: Doctor, pool: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGPOOL_LOG_FORMATT", CANARY)
    assert (await doctor(exit_code=1))["MEETINGPOOL_LOG_FORMATT"]["advice"] == "did you mean MEETINGPOOL_LOG_FORMAT?"


async def test_settings_that_cannot_be_read_are_told(meetingpool: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    told = (await meetingpool("doctor", exit_code=1)).stdout
    assert "problem settings, environment: Settings cannot be used: MEETINGPOOL_PORT: must be a whole number" in told


def test_without_its_database_it_looks_at_the_rest(library: Library, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "recordings" / "spool")
    url = f"postgresql://nobody:{CANARY}@127.0.0.1:1/none"
    result = CliRunner(env={"MEETINGPOOL_DATABASE_URL": url}).invoke(app, ["doctor", "--format", "json"])
    assert result.exit_code == 1
    assert CANARY not in result.output
    found = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert found["connection"]["detail"] == "the database does not answer (ConnectionRefusedError)"
    assert found["pool"]["severity"] == "note"
    assert f"spool 1 {tmp_path}/recordings/spool" in found


async def test_database_of_another_revision_is_told(doctor: Doctor, pool: Fleet, database: Database) -> None:
    await database.statement("UPDATE alembic_version SET version_num = '0004'")
    found = await doctor(exit_code=1)
    assert "0004" in found["schema"]["detail"]
    assert found["schema"]["advice"] == "run `meetingpool db upgrade`"


class WrongClock(SystemClock):
    def epoch(self) -> float:
        return super().epoch() + 60


async def test_clocks_that_do_not_agree_are_told(database: Database) -> None:
    found, is_usable = await diagnose_database(database, WrongClock())
    (clock,) = (finding for finding in found if finding.subject == "clock")
    assert (clock.severity, is_usable) == (Severity.PROBLEM, True)
    assert clock.detail == "its clock and ours are 60.0 s apart"


async def test_storage_that_is_not_mounted_is_told(doctor: Doctor, pool: Fleet, library: Library) -> None:
    (library.storage.publish_dir / MARK).unlink()
    found = await doctor(exit_code=1)
    assert list(found) == ["mark"]
    assert found["mark"]["advice"].startswith("check that it is mounted")


@pytest.fixture
def shared() -> Iterator[Settings]:
    """Directories that any user can get to."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    settings = Settings(data_dir=directory)
    for each in (settings.publish_dir, settings.unpublish_dir, settings.work_dir, *settings.spool_dirs):
        each.mkdir(parents=True)
    yield settings
    shutil.rmtree(directory)


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root, who may do everything, is nobody for as long as the block lasts; others are what they are."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def problems_of(settings: Settings) -> dict[str, tuple[str, str]]:
    found = await diagnose_directories(settings, None, is_known=False)
    return {each.subject: (each.detail, each.advice) for each in found if each.severity is Severity.PROBLEM}


async def test_directory_that_we_may_not_write_to_is_told_with_the_numbers(shared: Settings) -> None:
    for each in (shared.publish_dir, shared.unpublish_dir, shared.work_dir):
        each.chmod(0o777)
    (spool,) = shared.spool_dirs
    spool.chmod(0o555)
    with somebody_else():
        found = await problems_of(shared)
        us = os.geteuid()
    assert list(found) == [f"spool 1 {spool}"]
    detail, advice = found[f"spool 1 {spool}"]
    assert detail.startswith("cannot create a file in it (Permission denied, EACCES); it has uid ")
    assert f"mode 0555, and we are uid {us} with the groups " in detail
    assert "docs/nfs.md" in advice


async def test_sticky_spool_is_told(shared: Settings) -> None:
    for each in (shared.publish_dir, shared.unpublish_dir, shared.work_dir):
        each.chmod(0o777)
    (spool,) = shared.spool_dirs
    spool.chmod(0o1777)
    if os.geteuid():
        pytest.skip("only root can look at it as somebody else: run the tests as root")
    with somebody_else():
        found = await problems_of(shared)
    assert found[f"spool 1 {spool}"][1] == "take the sticky bit away on the file server: `chmod -t`"


async def test_file_where_a_directory_should_be_is_told(shared: Settings) -> None:
    shared.work_dir.rmdir()
    shared.work_dir.touch()
    found = await problems_of(shared)
    detail, advice = found[f"work {shared.work_dir}"]
    assert detail.startswith("cannot look into it (Not a directory, ENOTDIR)")
    assert advice == "put a directory there, or set another one"


async def test_directories_on_two_file_systems_are_told(shared: Settings, tmp_path: Path) -> None:
    other = Path("/dev/shm")  # noqa: S108
    if not os.access(other, os.W_OK) or other.stat().st_dev == shared.work_dir.stat().st_dev:
        pytest.skip("there is one file system only: mount a tmpfs at /dev/shm")
    published = Path(tempfile.mkdtemp(dir=other))
    try:
        settings = Settings(data_dir=shared.data_dir, recording_publish_dir=published)
        found = await problems_of(settings)
    finally:
        published.rmdir()
    detail, advice = found[f"{shared.work_dir} to {published}"]
    assert "EXDEV" in detail
    assert advice.startswith("put work, published and unpublished on one mount")
