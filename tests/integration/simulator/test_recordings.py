"""Recordings as they arrive in a spool directory."""

import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from meetingpool.bbb.client import Client
from meetingpool.bbb.recording_metadata import read_metadata
from simulator.fleet import Fleet
from simulator.front_end import FrontEnd
from simulator.outward_calls import OutwardCall, OutwardKind
from simulator.scenario import Scenario, Wave
from simulator.server import SimulatedServer
from tests.integration.simulator.receiving import eventually
from tests.unit.simulator.asking import SECRET, create

QUICK = ["notes", "podcast", "presentation"]
ALL = [*QUICK, "video"]
RECORDED = {"record": "true", "autoStartRecording": "true"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SimulatedServer]:
    """One that delivers to the test's directory in no time."""
    async with Fleet.running(servers=1, secret=SECRET, spool=tmp_path, recording_delay=0.01) as fleet:
        yield fleet.servers[0]


def end_recorded(server: SimulatedServer, meeting_id: str = "room", **parameters: str) -> str:
    """The id of the recording of a new meeting."""
    internal_id = create(server, meeting_id, **RECORDED, **parameters).text("internalMeetingID")
    server.end(server.meetings[meeting_id])
    return internal_id


def formats_in(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return sorted(Path(name).parts[0] for name in opened.getnames() if name.endswith("/metadata.xml"))


async def test_video_comes_later_in_an_archive_with_everything(server: SimulatedServer, tmp_path: Path) -> None:
    told: list[list[str]] = []

    def look(call: OutwardCall) -> None:
        if call.kind is OutwardKind.RECORDING_READY:
            (archive,) = tmp_path.iterdir()
            told.append(formats_in(archive))

    server.on_outward_call = look
    internal_id = end_recorded(server, **{"meta_bbb-recording-ready-url": "https://front.example/ready"})

    await eventually(lambda: len(told) == 4)
    assert told == [QUICK, QUICK, QUICK, ALL]
    assert [path.name for path in tmp_path.iterdir()] == [f"{internal_id}.tar"]


async def test_recording_carries_the_metadata_of_the_create(server: SimulatedServer, tmp_path: Path) -> None:
    internal_id = end_recorded(server, **{"meta_GL-Listed": "true", "meta_meetingpool-generation": "7"})
    archive = tmp_path / f"{internal_id}.tar"
    await eventually(archive.exists)
    with tarfile.open(archive) as opened:
        file = opened.extractfile(f"podcast/{internal_id}/metadata.xml")
        assert file
        delivered = read_metadata(file.read())
    assert delivered.description.metadata == {
        "isBreakout": "false",
        "meetingId": "room",
        "meetingName": "A room",
        "gl-listed": "true",
        "meetingpool-generation": "7",
    }


async def test_nothing_comes_of_a_meeting_in_which_nobody_recorded(server: SimulatedServer, tmp_path: Path) -> None:
    create(server, record="true")
    server.end(server.meetings["room"])
    internal_id = end_recorded(server, "another")
    await eventually(lambda: list(tmp_path.glob("*.tar")))
    assert [path.name for path in tmp_path.glob("*.tar")] == [f"{internal_id}.tar"]


async def test_scenario_says_which_meetings_are_recorded(server: SimulatedServer, tmp_path: Path) -> None:
    wave = Wave(at=0, classes=1, people=(2, 2), stay=(1, 1), end_when_empty=True)
    recorded = replace(wave, prefix="recorded", is_recorded=True)
    async with Client() as client:
        scenario = Scenario(wave=(wave, recorded))
        await FrontEnd(client, endpoint=server.url, secret=SECRET, scenario=scenario, speed=100).play()
    await eventually(lambda: list(tmp_path.glob("*.tar")))
    past = {meeting.internal_id: meeting.meeting_id for meeting in server.past_meetings.values()}
    assert [past[path.stem] for path in tmp_path.glob("*.tar")] == ["recorded-1"]


async def test_missing_spool_is_told_and_does_not_keep_the_server_from_going_on(
    server: SimulatedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.rmdir()
    end_recorded(server)
    failure = "recording_not_delivered server=server-1 error=No such file or directory"
    await eventually(lambda: caplog.text.count(failure) == 2)

    tmp_path.mkdir()
    internal_id = end_recorded(server, "another")
    await eventually((tmp_path / f"{internal_id}.tar").exists)
