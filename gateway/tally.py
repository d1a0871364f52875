"""Counts what strangers can make happen very often, so that the log gets one line per source and minute of it."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Count:
    since: float
    number: int = 0


class Tally:
    """Counts by source. Of more than `capacity` sources within `every` seconds, the further ones are not counted."""

    def __init__(self, *, every: float = 60.0, capacity: int = 1000) -> None:
        self._every = every
        self._capacity = capacity
        # The one that was logged longest ago comes first.
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def note(self, source: str, now: float) -> int:
        """Counts one more. Returns how many there were since the last time that this was not 0, which it is once in `every`."""
        known = self._counts.get(source)
        if known is not None and now - known.since < self._every:
            known.number += 1
            return 0
        if known is None and not self._has_room(now):
            return 0
        self._counts[source] = _Count(now)
        self._counts.move_to_end(source)
        return 1 + (known.number if known else 0)

    def _has_room(self, now: float) -> bool:
        if len(self._counts) < self._capacity:
            return True
        oldest, count = next(iter(self._counts.items()))
        if now - count.since < self._every:
            return False
        del self._counts[oldest]
        return True
