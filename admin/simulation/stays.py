"""Who comes when to a meeting that is made up, and how long they stay."""

from random import Random

from admin.simulation.trace import Stay, TracedMeeting

_SHORTEST = 300.0
# The part of people who come at any time in the first half, and seconds by which the others differ.
_LATE, _SPREAD, _DELAY = 0.1, 150.0, 120.0
# Seconds within which people leave at the end.
_LEAVING = 90.0


def made_up_meeting(
    rng: Random, room: str, *, due: float, start: float, seconds: float, people: int, early_leavers: float
) -> TracedMeeting:
    """A meeting of at least five minutes that opens at `start` and is over `seconds` after it was `due`.

    Who opens it is the first; most others come around the time when it is due, and leave at its end.
    """
    end = max(start + _SHORTEST, due + seconds)
    first = start + rng.uniform(0, 20)
    joins = [first, *(min(_join(rng, due, start, end), end - 30) for _ in range(people - 1))]
    stays = sorted(_stay(rng, join, end, early_leavers) for join in joins)
    return TracedMeeting(room=room, start=round(start, 1), end=round(end, 1), people=tuple(stays))


def _join(rng: Random, due: float, start: float, end: float) -> float:
    if rng.random() < _LATE:
        return rng.uniform(start, start + (end - start) * 0.5)
    return max(start, due + rng.gauss(0, _SPREAD) + rng.expovariate(1 / _DELAY))


def _stay(rng: Random, join: float, end: float, early_leavers: float) -> Stay:
    leaves_early = rng.random() < early_leavers
    leave = rng.uniform(join + 20, end) if leaves_early else end - rng.expovariate(1 / _LEAVING)
    return round(join, 1), round(min(end, max(leave, join + 10)), 1)
