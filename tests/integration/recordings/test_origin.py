"""Whose recordings are that nothing but their meeting tells of."""

from pathlib import Path

import msgspec
import pytest

from meetingpool.bbb.meetings import GENERATION_METADATA
from meetingpool.database.engine import Database
from meetingpool.database.imports import ImportState
from tests.archives import archive, deliver, metadata_xml, record_id_of
from tests.library import Library, made_library

PARENT_HOST_ID, ROOM_HOST_ID = "digest-of-the-meeting", "breakout-of-the-meeting"
PARENT_ID, ROOM_ID = record_id_of(PARENT_HOST_ID), record_id_of(ROOM_HOST_ID)
GENERATION = 7
_PLACE = "INSERT INTO placements (generation, tenant, meeting_id, host_id, server_id, callbacks) VALUES ($1, $2, $3, $4, $5, $6)"


@pytest.fixture
async def library(database: Database, tmp_path: Path) -> Library:
    """Of several tenants."""
    async with database.transaction() as connection:
        await connection.execute(_PLACE, GENERATION, "tenant-a", "room", PARENT_HOST_ID, "server", {})
        await connection.execute(_PLACE, GENERATION + 1, "tenant-b", "room", "digest-of-another", "server", {})
    return await made_library(database, tmp_path, lambda settings: msgspec.structs.replace(settings, multitenancy_enabled=True))


async def test_a_breakout_room_is_of_its_meetings_tenant_before_that_has_a_recording(library: Library) -> None:
    deliver(library.spool.directory, ROOM_ID, _of_breakout_room(GENERATION))

    [done] = await library.take_in()

    assert done.state is ImportState.DONE
    recording = (await library.entry(ROOM_ID)).recording
    assert (recording.tenant, recording.meeting_id) == ("tenant-a", ROOM_HOST_ID)


async def test_a_breakout_room_that_names_another_meeting_than_its_own_is_nobodys(library: Library) -> None:
    deliver(library.spool.directory, ROOM_ID, _of_breakout_room(GENERATION + 1))

    [refused] = await library.take_in()

    assert (refused.state, refused.reason) == (ImportState.QUARANTINED, "unknown_tenant")


def _of_breakout_room(generation: int) -> bytes:
    """As BBB delivers it: with the metadata of its meeting, and that one's internal id."""
    metadata = {GENERATION_METADATA: str(generation)}
    described = metadata_xml(ROOM_ID, "presentation", meeting_id=ROOM_HOST_ID, metadata=metadata)
    breakout = f'<breakout parentMeetingId="{PARENT_ID}" sequence="1" freeJoin="false"/><meta>'.encode()
    return archive({f"presentation/{ROOM_ID}/metadata.xml": described.replace(b"<meta>", breakout)})
