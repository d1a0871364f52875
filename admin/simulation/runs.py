"""What a pool sees of a trace: meetings that begin, people who come and go, meetings that end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from admin.simulation.trace import Stay, TracedMeeting
from meetingpool.domain.meetings import MeetingKey


@dataclass(slots=True, kw_only=True)
class Run:
    """A meeting as a server has it, from the create that made it to its end."""

    key: MeetingKey
    start: float
    end: float
    people: list[Stay] = field(default_factory=list)


class Kind(IntEnum):
    """What happens at the same moment happens in this order; a meeting that ends as it begins ends after that."""

    LEAVE = 0
    END = 1
    CREATE = 2
    JOIN = 3
    END_AT_ONCE = 4


# When, what, and to which run. Tuples, since there are a million of them.
Event = tuple[float, int, int]


def runs_of(trace: Iterable[TracedMeeting]) -> tuple[list[Run], list[int]]:
    """The runs in the order of their begins, and for each line of the trace the number of its run.

    A room that begins while it is running is not another meeting: as on a real server, the second create finds the first one's
    meeting, and people join it. It then ends when the last of them does.
    """
    runs: list[Run] = []
    run_of_line: list[int] = []
    latest: dict[MeetingKey, int] = {}
    for meeting in trace:
        number = latest.get(meeting.key)
        if number is None or runs[number].end <= meeting.start:
            number = latest[meeting.key] = len(runs)
            runs.append(Run(key=meeting.key, start=meeting.start, end=meeting.end))
        run = runs[number]
        run.end = max(run.end, meeting.end)
        # Who leaves as they join was never there.
        run.people.extend(stay for stay in meeting.people if stay[0] < stay[1])
        run_of_line.append(number)
    return runs, run_of_line


def events_of(runs: Sequence[Run]) -> list[Event]:
    """All that happens, in order."""
    events: list[Event] = []
    for number, run in enumerate(runs):
        events.append((run.start, int(Kind.CREATE), number))
        events.append((run.end, int(Kind.END if run.end > run.start else Kind.END_AT_ONCE), number))
        for join, leave in run.people:
            events.append((join, int(Kind.JOIN), number))
            events.append((leave, int(Kind.LEAVE), number))
    events.sort()
    return events
