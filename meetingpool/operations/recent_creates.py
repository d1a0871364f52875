"""The creates that this process wrote down a moment ago, so that a burst of repeats writes once. Used by place_meeting."""

from meetingpool.database.creates import Attempt
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.operations.record_polls import TOUCH_LASTS

# More in a minute is a rush, in which older ones are written down again when they are repeated.
MAX_KEPT = 1_000


class RecentCreates:
    """Attempts by their meetings, each with the time from which it counts."""

    def __init__(self) -> None:
        self._begun: dict[MeetingKey, tuple[float, Attempt]] = {}

    def __len__(self) -> int:
        return len(self._begun)

    def find(self, key: MeetingKey, now: float) -> Attempt | None:
        """The attempt for a meeting, unless it was written down too long ago to speak for a create that is sent now."""
        begun = self._begun.get(key)
        return begun[1] if begun and now - begun[0] < TOUCH_LASTS else None

    def note(self, attempt: Attempt, began: float) -> None:
        """`attempt` was written down at `began` or later, on the monotonic clock."""
        key = attempt.meeting.key
        self._begun.pop(key, None)
        self._begun[key] = (began, attempt)
        # They stand in the order in which they began, so what is too old is in front.
        while (oldest := next(iter(self._begun.items())))[1][0] < began - TOUCH_LASTS or len(self._begun) > MAX_KEPT:
            del self._begun[oldest[0]]

    def update(self, attempt: Attempt) -> None:
        """What is known of an attempt by now; it counts from when it was written down."""
        if begun := self._begun.get(attempt.meeting.key):
            self._begun[attempt.meeting.key] = (begun[0], attempt)


def unwritten_for(meeting: Meeting) -> float:
    """For how many seconds creates of a meeting may have gone unwritten after the last one that was written down."""
    return 0.0 if meeting.state in (MeetingState.RESERVING, MeetingState.UNKNOWN) else TOUCH_LASTS
