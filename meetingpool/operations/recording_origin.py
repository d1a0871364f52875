"""Whose a recording is: by the meeting that was created here, not by what its metadata claims.

A server delivers what it wants to. What it cannot make up is the address that it was given to call when the recording is ready,
for that proves itself (meetingpool.domain.callbacks). Without one, the meeting's id on the server tells: a tenant's is a digest
that no other tenant's meeting has, and BBB makes the recording's id from it. Of a breakout room, its meeting tells.
"""

import hashlib
import re
from dataclasses import dataclass

from meetingpool.bbb.recording_metadata import own_callback_address, stated_generation
from meetingpool.database.engine import Connection
from meetingpool.database.placements import find_placement, last_placement_of
from meetingpool.database.recordings import tenant_of_recording
from meetingpool.domain.callbacks import PATH, CallbackKind, proved_mark
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey, Placement
from meetingpool.domain.recordings import Description, RecordId

_OWN_ADDRESS = re.compile(rf"https?://[^/?#]+(?:/[^?#]*)?{PATH}/([1-9][0-9]{{0,18}})/{CallbackKind.RECORDING_READY}/([0-9a-f]+)")


class UnknownTenant(Exception):
    """Nothing proves which tenant the recording is of; name it: recordings quarantine retry ID --tenant NAME."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The meeting that a recording is of, and the placement if it was created here. With a `mark` its front end may be told."""

    key: MeetingKey
    generation: int | None = None
    mark: str | None = None


async def find_origin(
    connection: Connection, description: Description, *, callback_key: bytes, are_many: bool, tenant: str | None
) -> Origin:
    """`are_many`: there are tenants; `tenant`: the id of the one that an administrator named. Raises UnknownTenant."""
    placement, mark = await _placement(connection, description, callback_key)
    if placement is not None and tenant in (None, placement.key.tenant):
        return Origin(key=placement.key, generation=placement.generation, mark=mark)
    if tenant is not None:
        return Origin(key=MeetingKey(tenant, description.meeting_id))
    if not are_many:
        return Origin(key=MeetingKey(DEFAULT_TENANT, description.meeting_id))
    if owner := await _tenant_of_parent(connection, description):
        return Origin(key=MeetingKey(owner, description.meeting_id))
    raise UnknownTenant(UnknownTenant.__doc__)


async def _placement(
    connection: Connection, description: Description, callback_key: bytes
) -> tuple[Placement | None, str | None]:
    """The placement that the recording is of, and which of the meetings made under it, if both are proved."""
    address = _OWN_ADDRESS.fullmatch(own_callback_address(description.metadata) or "")
    if address:
        generation = int(address[1])
        mark = proved_mark(callback_key, generation, CallbackKind.RECORDING_READY, address[2])
        placement = await find_placement(connection, generation, mark) if mark else None
        if placement and mark and placement.host_id == description.meeting_id:
            return placement, mark
    if not _is_made_from(description.record_id, description.meeting_id):
        return None, None
    if generation_said := stated_generation(description.metadata):
        placement = await find_placement(connection, generation_said, "")
        if placement and placement.host_id == description.meeting_id:
            return placement, None
    return await last_placement_of(connection, description.meeting_id), None


async def _tenant_of_parent(connection: Connection, description: Description) -> str | None:
    """Of a breakout room. BBB gives it the metadata of its meeting, whose own recording comes later, or never."""
    if description.breakout is None:
        return None
    parent_id = RecordId(description.breakout.parent_id)
    if owner := await tenant_of_recording(connection, parent_id):
        return owner
    generation = stated_generation(description.metadata)
    placement = await find_placement(connection, generation, "") if generation else None
    return placement.key.tenant if placement and _is_made_from(parent_id, placement.host_id) else None


def _is_made_from(record_id: RecordId, host_id: str) -> bool:
    """BBB makes the internal id of a meeting, which is its recording's, from the digest of its id."""
    return record_id.startswith(hashlib.sha1(host_id.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest())
