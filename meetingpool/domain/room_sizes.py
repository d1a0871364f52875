"""How large the meetings of a server are: how many have how many people, listeners, voices and cameras.

Every poll writes this beside the sums (servers.rooms), as counts by size, which is short whatever the sizes are; histograms are
made of it when somebody asks for them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from meetingpool.domain.meetings import ReportedMeeting

# How many meetings have which size. JSON has no numbers as names, so the sizes are text where they were written down.
Sizes = Mapping[str, int]

_COUNTED = {name: ReportedMeeting._fields.index(name) for name in ("users", "listeners", "voices", "videos")}
_NO_COLUMNS: tuple[tuple[Any, ...], ...] = ((),) * len(ReportedMeeting._fields)


def room_sizes(meetings: Sequence[ReportedMeeting], callers: int | None = None) -> dict[str, Any]:
    """The sizes of all meetings that a server lists, breakout rooms included, by what was counted.

    `callers`: how many people of all meetings are in by telephone, if they were counted.
    """
    columns = tuple(zip(*meetings, strict=True)) or _NO_COLUMNS
    rooms: dict[str, Any] = {name: Counter(columns[place]) for name, place in _COUNTED.items()}
    if callers is not None:
        rooms["callers"] = callers
    return rooms


def total(sizes: Sizes) -> int:
    """The people, or cameras, of all meetings together."""
    return sum(int(size) * meetings for size, meetings in sizes.items())


def histogram(sizes: Sizes, bounds: Sequence[float]) -> list[float]:
    """How many meetings are in each bucket, the last being the infinite one, and then their sum."""
    cells = [0.0] * (len(bounds) + 1)
    for size, meetings in sizes.items():
        cells[bisect_left(bounds, int(size))] += meetings
    return [*cells, float(total(sizes))]
