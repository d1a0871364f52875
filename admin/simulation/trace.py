"""Traces: files with a line of JSON for each meeting, in the order in which they begin.

`{"room": "tenant/meetingID", "start": s, "end": s, "people": [[join, leave], ...]}`, times in seconds from the trace's beginning.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn, TextIO

from admin.refusals import Refused
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.refusals import Invalid

# Who rounds times may round a join to before the begin, or a leave to after the end: so many seconds are forgiven.
ROUNDED = 1.0
# More than three thousand years: no number of seconds that anybody means.
_LONGEST = 1e11

Stay = tuple[float, float]


class InvalidTrace(Invalid):
    """A trace that cannot be played. Says which line, and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedMeeting:
    """One meeting, as a line has it. `people`: when each came and went."""

    room: str
    start: float
    end: float
    people: tuple[Stay, ...]

    @property
    def key(self) -> MeetingKey:
        """A room without a tenant is of the one that there is without tenants."""
        tenant, slash, meeting_id = self.room.partition("/")
        return MeetingKey(tenant, meeting_id) if slash else MeetingKey(DEFAULT_TENANT, self.room)


def read_trace(path: Path) -> list[TracedMeeting]:
    """The meetings of a file. Raises InvalidTrace, or Refused when the file cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            trace = list(parse_trace(file))
    except UnicodeDecodeError:
        raise InvalidTrace(f"{path} is no trace: it is not UTF-8") from None
    except OSError as error:
        raise Refused(f"The trace cannot be read from {path}: {error.strerror}") from error
    if not trace:
        raise InvalidTrace(f"{path} holds no meeting: `meetingpool simulate generate` makes up a trace")
    return trace


def parse_trace(lines: Iterable[str]) -> Iterator[TracedMeeting]:
    """A meeting for each line that is not empty, one by one. Raises InvalidTrace."""
    before = -_LONGEST
    for number, line in enumerate(lines, 1):
        if line.strip():
            meeting = _Line(number).read(line)
            if meeting.start < before:
                _Line(number).refuse("begins before the line above it: sort the lines by start")
            before = meeting.start
            yield meeting


def write_trace(trace: Iterable[TracedMeeting], file: TextIO) -> None:
    for meeting in trace:
        line = {"room": meeting.room, "start": meeting.start, "end": meeting.end, "people": meeting.people}
        file.write(json.dumps(line) + "\n")


@dataclass(frozen=True, slots=True)
class _Line:
    """Reads one line. `number`: which it is, for those who must find it."""

    number: int

    def refuse(self, what: str) -> NoReturn:
        raise InvalidTrace(f"Line {self.number} of the trace {what}")

    def read(self, line: str) -> TracedMeeting:
        try:
            known = json.loads(line)
        except (ValueError, RecursionError):
            self.refuse("is not JSON")
        if not isinstance(known, dict):
            self.refuse("is not an object: give room, start, end and people")
        for name in ("room", "start", "end", "people"):
            if name not in known:
                self.refuse(f"lacks {name}")
        start, end = self._time(known["start"], "start"), self._time(known["end"], "end")
        if end < start:
            self.refuse("ends before it begins")
        people = self._people(known["people"], start, end)
        return TracedMeeting(room=self._room(known["room"]), start=start, end=end, people=people)

    def _room(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            self.refuse("has a room that is no text: give tenant/meetingID")
        return value

    def _time(self, value: Any, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or abs(value) > _LONGEST:
            self.refuse(f"has {'an' if name == 'end' else 'a'} {name} that is no number of seconds")
        return float(value)

    def _people(self, value: Any, start: float, end: float) -> tuple[Stay, ...]:
        if not isinstance(value, list):
            self.refuse("has people that are no list: give [[join, leave], ...]")
        return tuple(self._stay(pair, start, end) for pair in value)

    def _stay(self, value: Any, start: float, end: float) -> Stay:
        if not isinstance(value, list) or len(value) != 2:
            self.refuse("has somebody who is not [join, leave]")
        join, leave = self._time(value[0], "join"), self._time(value[1], "leave")
        if leave < join:
            self.refuse("has somebody who leaves before joining")
        if join < start - ROUNDED or leave > end + ROUNDED:
            self.refuse("has somebody who is there before it begins or after it ends")
        return max(start, min(join, end)), min(end, max(leave, start))
