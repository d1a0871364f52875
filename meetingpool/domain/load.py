"""How much a meeting and a server carry, in users.

A meeting counts for what it is and for what it is about to become: the larger of the people in it and the people
expected, the expectation fading with the meeting's age.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expectation:
    """How large a meeting is expected to become: `users` at first, fading to none over `fades_after` seconds."""

    users: float
    fades_after: float

    def at_age(self, age: float) -> float:
        """Users still expected `age` seconds after the meeting was created."""
        if self.fades_after <= 0:
            return 0.0
        return self.users * min(1.0, max(0.0, 1.0 - age / self.fades_after))


def meeting_load(users: int, age: float, expectation: Expectation) -> float:
    """The load of a meeting of `users` people, created `age` seconds ago."""
    return max(float(users), expectation.at_age(age))


def server_load(meetings: Iterable[tuple[int, float]], expectation: Expectation, multiplier: float) -> float:
    """The load of a server with `meetings` of (users, age in seconds)."""
    return multiplier * sum(meeting_load(users, age, expectation) for users, age in meetings)


def age_of(created_ms: int | None, now: float, longest: float) -> float:
    """Seconds since `created_ms` on a clock that may be wrong: between 0 and `longest`, 0 when there is no number."""
    if created_ms is None:
        return 0.0
    return min(max(0.0, now - created_ms / 1000), longest)
