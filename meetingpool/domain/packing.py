"""How many servers a set of meetings needs. A meeting is on one server and cannot be divided, so people alone do not say it.

Best fit, the largest first: each meeting goes to the fullest server that has room for it, else to a new one. That mostly takes no
more servers than a perfect choice, and at most two ninths more and one. A meeting above what a server carries takes one alone.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from math import ceil


def servers_needed(sizes: Iterable[int], capacity: int) -> int:
    """Servers that each carry `capacity` people, for meetings with so many people."""
    free: list[int] = []
    for size in _largest_first(sizes, capacity):
        place = bisect_left(free, size)
        insort(free, (free.pop(place) if place < len(free) else capacity) - size)
    return len(free)


def without_room(sizes: Iterable[int], capacities: Iterable[int]) -> int:
    """People in those of the meetings for which there is no room on servers of these capacities."""
    free = sorted(capacities)
    left = 0
    for size in _largest_first(sizes, free[-1] if free else None):
        place = bisect_left(free, size)
        if place < len(free):
            insort(free, free.pop(place) - size)
        else:
            left += size
    return left


def servers_for(sizes: Sequence[int], people: float, capacity: int) -> int:
    """As `servers_needed`, when there are to be `people` in all: of those who are not there yet each finds room by himself."""
    packed = servers_needed(sizes, capacity)
    taken = sum(min(size, capacity) for size in sizes)
    more = people - sum(sizes) - (packed * capacity - taken)
    return packed + max(0, ceil(more / capacity))


def _largest_first(sizes: Iterable[int], most: int | None) -> list[int]:
    counted = (size if most is None else min(size, most) for size in sizes)
    return sorted((size for size in counted if size > 0), reverse=True)
