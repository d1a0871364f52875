"""Meetingpool itself: the pool, its choice and its foresight as gateways and pollers have them, without a database between them.

What production spreads over processes happens here in turn: a gateway looks up what to expect of a room, chooses, and reserves;
joins count as they pass; each poll sets the loads; and every half minute the poller that leads learns from meetings that are
over, and tells which it expects soon (poller/foreseeing.py, gateway/outlook_view.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from meetingpool.domain.foresight import Foresight, Hints
from meetingpool.domain.load import Expectation, meeting_load
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.outlook import Outlook
from meetingpool.domain.past_meetings import MINUTE, PastMeeting
from meetingpool.domain.placement import PlacementRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.rooms import Room
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

# As the settings have it: 15 users, fading within 15 minutes.
PRIOR = Expectation(users=15.0, fades_after=900.0)
# Seconds between two rounds of the leading poller, and between two plans of a gateway.
TOLD_EVERY = 30.0
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
        self._leader = _Leader()
        self._carried: dict[int, _Carried] = {}
        self._joined: dict[ServerId, float] = {}
        self._told = self._planned = float("-inf")

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:
        self._hear(now)
        self._plan(now)
        expected = self._expected(key)
        server = self.pool.choose(PlacementRequest(key=key, users=expected.users), avoid=()).server
        self.pool.set_load(server.id, server.load + expected.users * server.load_multiplier)
        placed = Meeting(
            key=key,
            server_id=server.id,
            generation=meeting + 1,
            state=MeetingState.LIVE,
            expected_users=expected.users,
        )
        self.pool.put_meeting(placed, key.meeting_id)
        self._carried[meeting] = _Carried(meeting=placed, since=now, expected=expected)
        return int(server.id)

    def joined(self, now: float, meeting: int) -> None:  # noqa: ARG002
        placed = self._carried[meeting].meeting
        self._joined[placed.server_id] = self._joined.get(placed.server_id, 0.0) + self.pool.note_join(placed)

    def polled(self, now: float, changed: Mapping[int, int], ended: Sequence[int]) -> None:
        self._hear(now)
        for meeting in ended:
            self._end(self._carried.pop(meeting), now)
        for meeting, people in changed.items():
            self._carried[meeting].note(now, people)
        for server_id, load in self._joined.items():
            self.pool.promise(server_id, -load)
        self._joined.clear()
        self._set_loads(now)

    def _expected(self, key: MeetingKey) -> Expectation:
        """By what the room's meetings were like as the leader wrote it down, else by what is typical as it told."""
        own = self._leader.written.get(key)
        return Hints().apply(own or self.pool.outlook.typical_of(key.tenant, PRIOR), is_of_room=own is not None)

    def _set_loads(self, now: float) -> None:
        loads = dict.fromkeys(self.pool.servers, 0.0)
        for carried in self._carried.values():
            loads[carried.meeting.server_id] += carried.load(now)
        for server_id, load in loads.items():
            if self.pool.servers[server_id].load != load:
                self.pool.set_load(server_id, load)

    def _end(self, carried: _Carried, now: float) -> None:
        self._leader.over.append(carried.over(now))
        self.pool.forget_meeting(carried.meeting.key, carried.meeting.generation, carried.meeting.key.meeting_id)

    def _hear(self, now: float) -> None:
        """What the leading poller told last. Nothing that matters to it has happened since then."""
        told = now // TOLD_EVERY * TOLD_EVERY
        if told > self._told:
            self._told = self._planned = told
            running = {carried.meeting.key: _moment(carried.since) for carried in self._carried.values()}
            self.pool.foresee(self._leader.tell(_moment(told).timestamp(), running))

    def _plan(self, now: float) -> None:
        if now - self._planned >= PLANS_EVERY and self.pool.kept.upcoming:
            self._planned = now
            self.pool.plan()


class _Leader:
    """The poller that leads: what it does in each of its rounds, with `written` for the table of rooms, and `over` for that of
    meetings that nobody has learnt from."""

    def __init__(self) -> None:
        self.over: list[PastMeeting] = []
        self.written: dict[MeetingKey, Expectation] = {}
        self._foresight = Foresight(PRIOR)
        self._rooms: dict[MeetingKey, Room] = {}
        self._running: dict[MeetingKey, datetime] = {}

    def tell(self, now: float, running: dict[MeetingKey, datetime]) -> Outlook:
        """Learns from what is over, and tells what is upcoming at `now`."""
        foresight, used = self._foresight, {meeting.key for meeting in self.over}
        put_away = [(key, self._rooms[key]) for key in sorted(used - foresight.rooms.known.keys()) if key in self._rooms]
        foresight.remember(put_away, now)
        self._follow(running)
        for key in sorted(used):
            self._rooms[key], self.written[key] = foresight.of_room(key)
        upcoming = foresight.upcoming(now, running)
        foresight.forget_idle(now)
        return Outlook(upcoming=tuple(upcoming), typical=foresight.rooms.typical_users(), knows_rooms=bool(self._rooms))

    def _follow(self, running: dict[MeetingKey, datetime]) -> None:
        for meeting in self.over:
            if self._running.get(meeting.key) != meeting.began_at:
                self._foresight.began(meeting.key, meeting.began_at.timestamp())
            self._foresight.ended(meeting)
        for key, began_at in running.items():
            if self._running.get(key) != began_at:
                self._foresight.began(key, began_at.timestamp())
        self._running, self.over = running, []


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
