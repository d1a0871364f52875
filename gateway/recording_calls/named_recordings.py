"""What the calls have in common that change recordings: whom they are about, and what they say when there is nobody."""

from collections.abc import Sequence

from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb.errors import MissingRecordID, RecordingsNotFound
from meetingpool.domain.recordings import RecordId
from meetingpool.operations.change_recordings import Edit, change_recordings


def listed(call: Call, name: str) -> tuple[str, ...]:
    """The items of a parameter that is a list with commas, each once.

    BBB decodes such lists a second time, so that ids with a percent or plus sign are never found. Here they are what the signed
    query says, as everywhere else.
    """
    items = (item.strip() for item in (call.text(name) or "").split(","))
    return tuple(dict.fromkeys(filter(None, items)))


def named_recordings(call: Call) -> Sequence[str]:
    """The ids of the recordings that a change is about. Raises MissingRecordID."""
    record_ids = listed(call, "recordID")
    if not record_ids:
        raise MissingRecordID
    return record_ids


async def change_named(gateway: Gateway, call: Call, record_ids: Sequence[str], change: Edit) -> list[RecordId]:
    """Changes those recordings that the tenant has, of which there must be one. Raises RecordingsNotFound."""
    if gateway.settings.recording_disabled:
        raise RecordingsNotFound
    changed = await change_recordings(gateway.database, record_ids, change, tenant=call.tenant.id)
    if not changed:
        raise RecordingsNotFound
    return changed
