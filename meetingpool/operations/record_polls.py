"""Turns polls into health, load and forgotten meetings, and writes them. Called by the poller and by `meetingpool poll once`.

A meeting is forgotten on positive evidence only: its server gave a valid list that began long enough after the last create,
and the meeting is not in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from meetingpool.clock import Clock
from meetingpool.database import polls
from meetingpool.database.engine import Connection
from meetingpool.database.polls import LockedServer, Reported, ServerStatus
from meetingpool.domain.alerts import AlertRules
from meetingpool.domain.health import Thresholds, after_failure, after_success
from meetingpool.domain.load import Expectation, Weights, meeting_load
from meetingpool.domain.meetings import MeetingKey, ReportedMeeting
from meetingpool.domain.room_sizes import room_sizes
from meetingpool.domain.rooms import FILLS_WITHIN
from meetingpool.domain.servers import AdminState, Health, ServerId
from meetingpool.domain.slow_start import SLOW_START, handicap
from meetingpool.operations.alerts import check_pool

# Creates of a live meeting within this many seconds of one that was written down need not be written down again: whoever forgets
# a meeting that was live waits as much longer.
TOUCH_LASTS = 60.0
# A create may be on its way for the whole response timeout; this much more is left for what clocks and queues add.
GRACE = 5.0
# A cordoned server is retired when this many polls in a row found it empty.
EMPTY_POLLS_TO_RETIRE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One poll of a server. `meetings` is None when it failed, `error` then says why.

    `began`: on the monotonic clock; `ages`: seconds since each meeting was created, in the order of `meetings`; `begun`: how many
    began since the poll before; `callers`: how many people are in by telephone, None when they were not counted this time.
    """

    server_id: ServerId
    began: float
    meetings: tuple[ReportedMeeting, ...] | None
    ages: tuple[float, ...] = ()
    begun: int = 0
    callers: int | None = None
    bbb_version: str | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRules:
    """The settings that decide what a poll means."""

    thresholds: Thresholds
    prior: Expectation
    response_timeout: float
    alerts: AlertRules = field(default_factory=AlertRules)
    weights: Weights = field(default_factory=Weights)

    @property
    def quiet_for(self) -> float:
        """Seconds without a create, before the begin of a poll, after which an absent meeting is gone.

        For one that was live, after the last create that was written down and TOUCH_LASTS.
        """
        return self.response_timeout + GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A server whose health or admin state a poll changed."""

    server_id: ServerId
    before: tuple[Health, AdminState]
    after: tuple[Health, AdminState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What recording a batch of polls changed. `orphans`: (server, host id, internal id, mapped to)."""

    changes: Sequence[Change]
    gone: Sequence[MeetingKey]
    orphans: Sequence[tuple[ServerId, str, str, ServerId]]


async def record_polls(
    connection: Connection, batch: Mapping[ServerId, Poll], rules: PollRules, clock: Clock, *, panic: bool
) -> Recorded:
    """Writes a batch of polls. `panic`: more than half of the pool fails, so no health gets worse and nothing is released."""
    locked = await polls.lock_servers(connection, sorted(batch))
    reported = Reported()
    elapsed: dict[ServerId, float] = {}
    for server in locked:
        poll = batch[server.id]
        if poll.meetings is not None:
            reported.add(server.id, poll.meetings)
            elapsed[server.id] = clock.monotonic() - poll.began
    meetings = await polls.record_meetings(connection, elapsed, reported, quiet_for=rules.quiet_for, touch_lasts=TOUCH_LASTS)
    reserved = _by_server(meetings.reserved, rules.prior)
    expected = await polls.expected_on(connection, list(elapsed), rules.prior, younger_than=FILLS_WITHIN[1])
    statuses = [
        _status(server, batch[server.id], reserved.get(server.id, []), expected.get(server.id, {}), rules, panic=panic)
        for server in locked
    ]
    statuses = await _starting_slowly(connection, locked, statuses)
    await polls.write_statuses(connection, statuses)
    changes = [change for pair in zip(locked, statuses, strict=True) if (change := _change(*pair))]
    if changes:
        await check_pool(connection, rules.alerts)
    return Recorded(
        changes=changes,
        gone=meetings.gone,
        orphans=meetings.orphans,
    )


async def _starting_slowly(
    connection: Connection, locked: Sequence[LockedServer], statuses: Sequence[ServerStatus]
) -> list[ServerStatus]:
    """The statuses with the handicaps of servers that came online lately, which are told before the statuses are."""
    ages = {server.id: _online_for(server, status) for server, status in zip(locked, statuses, strict=True)}
    usual = await polls.usual_load(connection, SLOW_START) if min(ages.values(), default=inf) < SLOW_START else None
    handicaps: dict[ServerId, float] = {}
    for server, status in zip(locked, statuses, strict=True):
        if status.load is not None:
            now = 0.0 if usual is None else handicap(status.load, usual * server.load_multiplier, ages[server.id])
            if now != server.handicap:
                handicaps[server.id] = now
    await polls.tell_handicaps(connection, handicaps)
    return [replace(status, handicap=handicaps.get(status.id)) for status in statuses]


def _online_for(server: LockedServer, status: ServerStatus) -> float:
    comes = status.record.health is Health.ONLINE and server.record.health in (Health.OFFLINE, Health.DEAD)
    return 0.0 if comes else server.online_for


def _by_server(reserved: Sequence[tuple[ServerId, float, float, float]], prior: Expectation) -> dict[ServerId, list[float]]:
    """What is expected by now of meetings that are only reserved, by their servers."""
    grouped: dict[ServerId, list[float]] = {}
    for server_id, users, holds_for, age in reserved:
        grouped.setdefault(server_id, []).append(replace(prior, users=users, holds_for=holds_for).at_age(age))
    return grouped


def _status(
    server: LockedServer,
    poll: Poll,
    reserved: Sequence[float],
    expected: Mapping[str, Expectation],
    rules: PollRules,
    *,
    panic: bool,
) -> ServerStatus:
    if poll.meetings is None:
        return _failed_status(server, poll, rules, panic=panic)
    status = ServerStatus(
        id=server.id,
        admin_state=server.admin_state,
        record=after_success(server.record, rules.thresholds),
        load=(_load(poll, expected, rules) + sum(reserved)) * server.load_multiplier,
        meetings=len(poll.meetings),
        users=sum(meeting.users for meeting in poll.meetings),
        largest_meeting=max((meeting.users for meeting in poll.meetings), default=0),
        videos=sum(meeting.videos for meeting in poll.meetings),
        rooms=room_sizes(poll.meetings, poll.callers),
        begun=poll.begun,
        bbb_version=poll.bbb_version,
    )
    return _retired_when_empty(server, status, empty=not poll.meetings and not reserved)


def _load(poll: Poll, expected: Mapping[str, Expectation], rules: PollRules) -> float:
    """What a server with a load multiplier of 1 carries. Of meetings that are not ours nothing is known but the prior."""
    # Breakout rooms hold people of their parent, who counts them already.
    return sum(
        meeting_load(meeting.users, age, expected.get(meeting.meeting_id, rules.prior))
        + rules.weights.streams(meeting.voices, meeting.videos)
        for meeting, age in zip(poll.meetings or (), poll.ages, strict=True)
        if not meeting.is_breakout
    )


def _failed_status(server: LockedServer, poll: Poll, rules: PollRules, *, panic: bool) -> ServerStatus:
    record = after_failure(server.record, rules.thresholds, panic=panic)
    return ServerStatus(id=server.id, admin_state=server.admin_state, record=record, error=poll.error)


def _retired_when_empty(server: LockedServer, status: ServerStatus, *, empty: bool) -> ServerStatus:
    empty_polls = server.empty_polls + 1 if empty else 0
    is_leaving = server.admin_state is AdminState.CORDONED and not server.is_newcomer
    retire = is_leaving and empty_polls >= EMPTY_POLLS_TO_RETIRE
    admin_state = AdminState.DISABLED if retire else server.admin_state
    return replace(status, empty_polls=empty_polls, admin_state=admin_state)


def _change(server: LockedServer, status: ServerStatus) -> Change | None:
    before = (server.record.health, server.admin_state)
    after = (status.record.health, status.admin_state)
    return Change(server_id=server.id, before=before, after=after) if before != after else None
