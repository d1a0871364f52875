"""How much a meeting and a server carry, in users.

A meeting counts for what it is and for what it is about to become: the larger of the people in it and the people
expected, the expectation fading with the meeting's age.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Expectation:
    """How large a meeting is expected to become: `users` for the first `holds_for` seconds, then fading over `fades_after`.

    `besides`: so many are expected besides those who are there. That is so where the number is that of any meeting: of whom came
    first it cannot be told whether they are among these.
    """

    users: float
    fades_after: float
    holds_for: float = 0.0
    besides: bool = False

    def at_age(self, age: float) -> float:
        """Users still expected `age` seconds after the meeting was created."""
        if age < self.holds_for:
            return self.users
        if self.fades_after <= 0:
            return 0.0
        return self.users * min(1.0, max(0.0, 1.0 - (age - self.holds_for) / self.fades_after))

    def of(self, users: float) -> "Expectation":
        """The same of another size."""
        return replace(self, users=users)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a person costs a server, beside one who speaks by computer or telephone, and one who shows a camera."""

    user: float = 1.0
    voice: float = 0.0
    video: float = 0.0

    def streams(self, voices: int, videos: int) -> float:
        """As how many people more the streams of a meeting count."""
        return (voices * self.voice + videos * self.video) / self.user


def meeting_load(users: int, age: float, expectation: Expectation) -> float:
    """The load of a meeting of `users` people, created `age` seconds ago; streams come on top of it."""
    expected = expectation.at_age(age)
    return users + expected if expectation.besides else max(float(users), expected)


def age_of(created_ms: int | None, now: float, longest: float) -> float:
    """Seconds since `created_ms` on a clock that may be wrong: between 0 and `longest`, 0 when there is no number."""
    if created_ms is None:
        return 0.0
    return min(max(0.0, now - created_ms / 1000), longest)
