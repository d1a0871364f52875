"""Meetingpool itself: the pool, its choice and its foresight as gateways and pollers have them, without a database between them.

What production spreads over processes happens here in turn: a gateway asks what to expect of a room, chooses, and reserves; joins
count as they pass; each poll sets the loads; and every half minute the poller that leads says which meetings it expects soon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from meetingpool.domain.foresight import Foresight, Hints
from meetingpool.domain.load import Expectation, meeting_load
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.past_meetings import MINUTE, PastMeeting
from meetingpool.domain.placement import PlacementRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

# As the settings have it: 15 users, fading within 15 minutes.
PRIOR = Expectation(users=15.0, fades_after=900.0)
# Seconds between two looks of the leading poller at what is upcoming, and between two plans of a gateway.
LOOKS_AHEAD_EVERY = 30.0
PLANS_EVERY = 1.0
# A Monday: what the trace's beginning is taken for.
_BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class _Carried:
    """A meeting that is not known to be over. `people` and `curve` as polled."""

    meeting: Meeting
    since: float
    expected: Expectation
    people: int = 0
    curve: list[int | None] = field(default_factory=lambda: [0])

    def note(self, now: float, people: int) -> None:
        self.people = people
        minute = int((now - self.since) // MINUTE)
        self.curve.extend([None] * (minute + 1 - len(self.curve)))
        self.curve[minute] = people

    def load(self, now: float) -> float:
        return meeting_load(self.people, now - self.since, self.expected)

    def over(self, now: float) -> PastMeeting:
        return PastMeeting(
            key=self.meeting.key,
            server_id=self.meeting.server_id,
            began_at=_moment(self.since),
            ended_at=_moment(now),
            curve=tuple(self.curve),
        )


class Production:
    """`servers` of the same kind, without limits, tags and regions; Meetingpool as it is without settings."""

    def __init__(self, servers: int, rng: Random) -> None:
        self.pool = Pool(rng)
        self.pool.replace_servers(map(_server, range(servers)))
        self.foresight = Foresight(PRIOR)
        self._carried: dict[int, _Carried] = {}
        self._joined: dict[ServerId, float] = {}
        self._looked_ahead = self._planned = float("-inf")

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:
        self._look_ahead(now)
        self._plan(now)
        expected = self.foresight.expected(key, Hints())
        server = self.pool.choose(PlacementRequest(users=expected.users), avoid=()).server
        self.pool.set_load(server.id, server.load + expected.users * server.load_multiplier)
        placed = Meeting(
            key=key,
            server_id=server.id,
            generation=meeting + 1,
            state=MeetingState.LIVE,
            expected_users=expected.users,
        )
        self.pool.put_meeting(placed, key.meeting_id)
        self.foresight.began(key, _moment(now).timestamp())
        self._carried[meeting] = _Carried(meeting=placed, since=now, expected=expected)
        return int(server.id)

    def joined(self, now: float, meeting: int) -> None:  # noqa: ARG002
        placed = self._carried[meeting].meeting
        self._joined[placed.server_id] = self._joined.get(placed.server_id, 0.0) + self.pool.note_join(placed)

    def polled(self, now: float, changed: Mapping[int, int], ended: Sequence[int]) -> None:
        self._look_ahead(now)
        for meeting in ended:
            self._end(self._carried.pop(meeting), now)
        for meeting, people in changed.items():
            self._carried[meeting].note(now, people)
        for server_id, load in self._joined.items():
            self.pool.promise(server_id, -load)
        self._joined.clear()
        self._set_loads(now)

    def _set_loads(self, now: float) -> None:
        loads = dict.fromkeys(self.pool.servers, 0.0)
        for carried in self._carried.values():
            loads[carried.meeting.server_id] += carried.load(now)
        for server_id, load in loads.items():
            if self.pool.servers[server_id].load != load:
                self.pool.set_load(server_id, load)

    def _end(self, carried: _Carried, now: float) -> None:
        self.foresight.ended(carried.over(now))
        self.pool.forget_meeting(carried.meeting.key, carried.meeting.generation, carried.meeting.key.meeting_id)

    def _look_ahead(self, now: float) -> None:
        """What the leading poller saw when it last looked."""
        looked = now // LOOKS_AHEAD_EVERY * LOOKS_AHEAD_EVERY
        if looked > self._looked_ahead:
            self._looked_ahead = looked
            self.pool.kept.expect(self.foresight.upcoming(_moment(looked).timestamp(), self.pool.meetings.keys()))
            self._planned = float("-inf")

    def _plan(self, now: float) -> None:
        if now - self._planned >= PLANS_EVERY and (self.pool.kept.upcoming or self.pool.kept):
            self._planned = now
            self.pool.plan()


def _moment(at: float) -> datetime:
    return _BEGINNING + timedelta(seconds=at)


def _server(number: int) -> Server:
    return Server(
        id=ServerId(str(number)),
        url=f"https://{number}.example/",
        secret="none",  # noqa: S106
        admin_state=AdminState.ENABLED,
        health=Health.ONLINE,
    )
