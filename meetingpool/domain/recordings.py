"""A recording: what a server says of it, what front ends make of it, and where its files are.

Servers deliver it in playback formats, each on its own, in any order, some hours later, some twice. What a front end has decided
(published, protected, edited metadata, deleted) outlives every delivery.

`state` is what front ends see; `wanted` is what was last asked for. They differ while files are being moved: what is to vanish
is invisible at once, what is to appear is visible last.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

RecordId = NewType("RecordId", str)

# The digest of the meeting's id on its server, the time of its begin, and for a part of a meeting the time of the break.
RECORD_ID = re.compile(r"[0-9a-f]{40,64}-[0-9]{13}(-[0-9]{13})?")
FORMAT_NAME = re.compile(r"[a-z0-9_-]{1,32}")


class RecordingState(StrEnum):
    """BBB's words. `processing`: none of its formats is in the library yet."""

    PROCESSING = "processing"
    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    DELETED = "deleted"


class Location(StrEnum):
    """Where the files of a format are. `trash` keeps those of deleted recordings for a while."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    TRASH = "trash"


# Where the files of a recording belong by what is wanted of it.
LOCATION_OF = {
    RecordingState.PUBLISHED: Location.PUBLISHED,
    RecordingState.UNPUBLISHED: Location.UNPUBLISHED,
    RecordingState.DELETED: Location.TRASH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A small picture of a slide. `path`: absolute, on whatever host is asked; sizes in pixels as BBB wrote them."""

    path: str
    alt: str = ""
    width: str = ""
    height: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFormat:
    """One way to play a recording. `link`: path and query, on whatever host is asked.

    `duration_ms` of recorded time; `size` in bytes as the server counted; None for what it did not say. `extensions`: what stands
    in BBB's `<extensions>`, as bytes of XML elements, without the previews.
    """

    name: str
    link: str
    duration_ms: int = 0
    processing_ms: int | None = None
    size: int | None = None
    previews: tuple[Preview, ...] = ()
    extensions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakout:
    """What a breakout room's recording says of its meeting. `parent_id`: the internal id of the parent."""

    parent_id: str
    sequence: int = 0
    is_free_join: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What servers say of a recording, whichever format it came with. Times in milliseconds since 1970.

    `meeting_id`: on the server, as its metadata has it; `metadata` as it came, with what we added to the create. None, or empty,
    for what was not said: not every format says everything.
    """

    record_id: RecordId
    meeting_id: str
    internal_id: str | None = None
    name: str = ""
    is_breakout: bool = False
    is_published: bool = True
    start_ms: int = 0
    end_ms: int = 0
    participants: int | None = None
    raw_size: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    breakout: Breakout | None = None
    breakout_rooms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One metadata.xml: a recording, and the format that it came in."""

    description: Description
    format: PlaybackFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording of the library, as front ends see it. `meeting_id` and `metadata` are theirs: nothing of ours is among them."""

    record_id: RecordId
    tenant: str
    meeting_id: str
    state: RecordingState
    internal_id: str | None = None
    name: str = ""
    is_breakout: bool = False
    is_protected: bool = False
    start_ms: int = 0
    end_ms: int = 0
    participants: int | None = None
    raw_size: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    breakout: Breakout | None = None
    breakout_rooms: tuple[str, ...] = ()
    formats: tuple[PlaybackFormat, ...] = ()

    @property
    def is_published(self) -> bool:
        return self.state is RecordingState.PUBLISHED


def with_edits(delivered: Mapping[str, str], edits: Mapping[str, str | None]) -> dict[str, str]:
    """Metadata as front ends see it: what was delivered, changed by what they edited. An edit to None takes a name away."""
    return {name: value for name, value in {**delivered, **edits}.items() if value is not None}
