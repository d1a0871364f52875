"""What plugins of Nagios, Icinga and their kin say: a level, a sentence and figures on one line, and the level as exit code.

After the Monitoring Plugins Development Guidelines, whose ranges the thresholds are.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(?P<inside>@)?(?:(?P<begin>{_NUMBER}|~)?:)?(?P<end>{_NUMBER})?")


class Level(IntEnum):
    """The exit codes."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


# What is told of several: a thing that is broken before one that is not known.
_WORSE = (Level.OK, Level.WARNING, Level.UNKNOWN, Level.CRITICAL)


@dataclass(frozen=True, slots=True)
class Range:
    """What a figure may be: `10` for 0 to 10, `10:` for at least 10, `~:10` for at most 10; with @ the other way round."""

    text: str
    begin: float
    end: float
    is_inside: bool

    def alerts(self, value: float) -> bool:
        return (self.begin <= value <= self.end) is self.is_inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of the last part of the line. `unit`: s for seconds, nothing for a count."""

    name: str
    value: float
    unit: str = ""
    warning: Range | None = None
    critical: Range | None = None

    @property
    def level(self) -> Level:
        if self.critical and self.critical.alerts(self.value):
            return Level.CRITICAL
        return Level.WARNING if self.warning and self.warning.alerts(self.value) else Level.OK

    def __str__(self) -> str:
        limits = [limit.text if limit else "" for limit in (self.warning, self.critical)]
        return ";".join([f"{self.name}={self.value:g}{self.unit}", *limits, "0"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a check."""

    level: Level
    sentence: str
    figures: Sequence[Figure] = field(default=())

    def __str__(self) -> str:
        said = f"{self.level.name} - {' '.join(self.sentence.split()).replace('|', '/')}"
        return f"{said}|{' '.join(map(str, self.figures))}" if self.figures else said


def read_range(text: str) -> Range:
    """Raises ValueError with what is allowed."""
    found = _RANGE.fullmatch(text)
    begin = float("-inf") if found and found["begin"] == "~" else float(found["begin"] or 0) if found else 0.0
    end = float(found["end"]) if found and found["end"] else float("inf")
    if not found or not text.strip("@:") or begin > end:
        raise ValueError(f"{text!r} is no threshold: write 10 for more than 10, 10: for less than 10, 5:10 for outside of that")
    return Range(text, begin, end, is_inside=bool(found["inside"]))


def worst(levels: Iterable[Level]) -> Level:
    return max(levels, key=_WORSE.index, default=Level.OK)
