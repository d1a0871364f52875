"""What a front end is to be told of a meeting, and when to try again. Made by the gateway, told by the poller."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from meetingpool.domain.callbacks import GIVEN_PREFIX, CallbackKind
from meetingpool.domain.meetings import Placement
from meetingpool.domain.parameters import is_own_parameter

# Seconds before each further attempt: a day in all. After the last one nobody tries again.
PAUSES = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, *(24 * [3600.0]))
# The same for an event of a webhook, the last pause again and again: an hour in all, counted from when the event came, so that
# what waits behind it does not wait an hour for each.
EVENT_PAUSES = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
EVENT_IS_TRIED_FOR = 3600.0
# A pause grows by up to this part of itself, so that what failed together is not tried together for ever.
JITTER = 0.2

# Encrypted for the server, and of use to nobody else.
_FOR_SERVERS = ("secret-lrs-payload",)


class AnnouncementState(StrEnum):
    """`refused`: the front end answered that it wants none of it; `given_up`: it could not be told."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One thing to tell the front end at `url`. `subject`: what makes it the same as another one about the meeting.

    `hook_id`: the webhook that it is for, if it is an event.
    """

    kind: CallbackKind
    tenant: str
    meeting_id: str
    url: str
    payload: Mapping[str, Any]
    subject: tuple[str, ...]
    hook_id: str | None = None

    @property
    def identity(self) -> str:
        """Two announcements with one identity are the same, and told once."""
        return json.dumps([self.kind, self.tenant, self.meeting_id, *self.subject], ensure_ascii=False, separators=(",", ":"))


def meeting_ended(placement: Placement, mark: str) -> Announcement | None:
    """`mark` tells the meetings of one placement apart. None where the front end did not ask, as with the others."""
    return _announcement(placement, CallbackKind.MEETING_ENDED, {}, str(placement.generation), mark)


def end_callback(placement: Placement, mark: str, *, has_recording_marks: bool) -> Announcement | None:
    payload = {"has_recording_marks": has_recording_marks}
    return _announcement(placement, CallbackKind.END_CALLBACK, payload, str(placement.generation), mark)


def recording_ready(placement: Placement, record_id: str, formats: str) -> Announcement | None:
    """Told once for each set of `formats` that can be played: a format that is made hours later is news."""
    return _announcement(placement, CallbackKind.RECORDING_READY, {"record_id": record_id}, record_id, formats)


def analytics(placement: Placement, internal_id: str, document: Mapping[str, Any]) -> Announcement | None:
    """`document`: what the server says of the meeting, under its own id of it. Raises ValueError for what JSON cannot hold."""
    text = json.dumps(_as_given(document, placement), separators=(",", ":"), allow_nan=False)
    digest = sha256(text.encode()).hexdigest()
    # As text: it reaches the front end in the order in which the server wrote it.
    return _announcement(placement, CallbackKind.ANALYTICS, {"document": text}, internal_id, digest)


def pause_after(attempts: int, rng: random.Random) -> float | None:
    """Seconds until the next attempt after so many failed; None when that was the last."""
    if attempts > len(PAUSES):
        return None
    return PAUSES[max(attempts, 1) - 1] * rng.uniform(1.0, 1.0 + JITTER)


def event_pause_after(attempts: int, age: float, rng: random.Random) -> float | None:
    """The same for an event of a webhook that came `age` seconds ago."""
    if age >= EVENT_IS_TRIED_FOR:
        return None
    return EVENT_PAUSES[min(max(attempts, 1), len(EVENT_PAUSES)) - 1] * rng.uniform(1.0, 1.0 + JITTER)


def metadata_as_given(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a meeting as its front end gave it: with its own addresses, and without what we added."""
    given = {_plain(name).removeprefix(GIVEN_PREFIX): value for name, value in metadata.items() if _is_given(_plain(name))}
    return {name: given.get(_plain(name), value) for name, value in metadata.items() if not _is_own(_plain(name))}


def _announcement(placement: Placement, kind: CallbackKind, payload: Mapping[str, Any], *subject: str) -> Announcement | None:
    url = placement.callbacks.get(kind)
    if not url:
        return None
    tenant, meeting_id = placement.key
    return Announcement(kind=kind, tenant=tenant, meeting_id=meeting_id, url=url, payload=payload, subject=subject)


def _as_given(document: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
    """The document about the meeting that the front end knows: its own meetingID, and the metadata that it gave."""
    result = {**document, "meeting_id": placement.key.meeting_id}
    data = document.get("data")
    if isinstance(data, dict) and isinstance(metadata := data.get("metadata"), dict):
        result["data"] = {**data, "metadata": _metadata_as_given(metadata, placement)}
    return result


def _metadata_as_given(metadata: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
    meeting_id = placement.key.meeting_id
    return {name: meeting_id if value == placement.host_id else value for name, value in metadata_as_given(metadata).items()}


def _plain(name: str) -> str:
    """A name of metadata as it was in the create; documents write it with underscores."""
    return name.lower().replace("_", "-")


def _is_given(name: str) -> bool:
    return name.startswith(GIVEN_PREFIX)


def _is_own(name: str) -> bool:
    return is_own_parameter(f"meta_{name}") or name in _FOR_SERVERS
