"""What is known of each room from its meetings that are over, and what is to be expected of its next one.

A room is a tenant's meetingID, whose meetings come and go. The poller that leads learns from each meeting once and keeps what it
learnt in the database; `meetingpool simulate` learns in memory.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import exp, log
from typing import Any

from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.past_meetings import MINUTE, PastMeeting

# Stands for all tenants.
ALL = ""
# What an older meeting counts beside the next one of its room.
FADING = 0.6
# Of a room's begins so many are remembered: they say when the next may be.
STARTS_KEPT = 8
# A meeting has filled when so much of its largest number of people is there.
FULL = 0.9
# Seconds that a meeting takes to fill at the least and at the most, whatever its room's history says.
FILLS_WITHIN = (300.0, 1800.0)
# What many meetings have in common is that of the last few hundred or thousand.
_TYPICAL_FADING, _SPREAD_FADING = 0.995, 0.98
# For so many meetings counts what was assumed before any was seen.
_ASSUMED_MEETINGS, _ASSUMED_SPREADS = 20.0, 5.0
# The variance of the logarithms of sizes, between rooms and between two meetings of one, before anything is known.
_BETWEEN, _WITHIN = 0.8, 0.1
_LEAST_BETWEEN = 0.2
# One tenant's rooms whose sizes jump are no reason to believe nothing of others', nor to keep half of a pool free for them: of a
# change no more is believed than that to the 2.7-fold, and of what may come no more than about 1.6 times the usual is expected.
_MOST_WITHIN, _MOST_VARIANCE = 0.5, 1.0
# A meeting of the room's own counts at least so much more than what is usual, however much the sizes of others change.
_OWN = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the meetings of a room were like, as sums in which recent meetings count more. `weight`: that of all of them.

    `log_users`: of the logarithms of the most people; `fills`, `lasts`: of the seconds until the meeting had filled, and until it
    was over; `last_log_users`: of the last one alone. `starts`: when the last ones began, in seconds since 1970; `server_id`:
    where the last one was.
    """

    weight: float = 0.0
    log_users: float = 0.0
    fills: float = 0.0
    lasts: float = 0.0
    last_log_users: float = 0.0
    starts: tuple[float, ...] = ()
    server_id: str = ""

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Room":
        """As it was kept, perhaps by a newer version that keeps more."""
        known = {each.name: kept[each.name] for each in fields(cls)}
        return cls(**known | {"starts": tuple(known["starts"])})

    def after(self, meeting: PastMeeting) -> "Room":
        """The room with one meeting more."""
        log_users = log(max(1, meeting.peak))
        return Room(
            weight=FADING * self.weight + 1,
            log_users=FADING * self.log_users + log_users,
            fills=FADING * self.fills + fills_within(meeting),
            lasts=FADING * self.lasts + meeting.seconds,
            last_log_users=log_users,
            starts=(*self.starts, meeting.began_at.timestamp())[-STARTS_KEPT:],
            server_id=meeting.server_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A mean and a variance of many values, the recent ones counting more."""

    weight: float
    total: float
    squares: float

    @classmethod
    def assumed(cls, mean: float, variance: float, weight: float) -> "Spread":
        return cls(weight=weight, total=mean * weight, squares=(variance + mean * mean) * weight)

    @classmethod
    def read(cls, kept: Mapping[str, float]) -> "Spread":
        """As it was kept, perhaps by a newer version that keeps more."""
        return cls(weight=kept["weight"], total=kept["total"], squares=kept["squares"])

    def after(self, value: float, fading: float) -> "Spread":
        return Spread(
            weight=self.weight * fading + 1, total=self.total * fading + value, squares=self.squares * fading + value * value
        )

    @property
    def mean(self) -> float:
        return self.total / self.weight

    @property
    def variance(self) -> float:
        return max(0.0, self.squares / self.weight - self.mean**2)


@dataclass(slots=True)
class Rooms:
    """All rooms, and what is typical of one that nobody knows. `prior`: what is expected of a meeting before anything is known.

    `first_users`: how many people came to the first meetings of rooms, by tenant and in all (None); `between`: the logarithms of
    these; `within`: half the squares by which logarithms changed from one meeting of a room to its next.
    """

    prior: Expectation
    known: dict[MeetingKey, Room] = field(default_factory=dict)
    first_users: dict[str | None, Spread] = field(default_factory=dict)
    between: Spread = field(init=False)
    within: Spread = field(default_factory=lambda: Spread.assumed(_WITHIN, 0.0, _ASSUMED_SPREADS))

    def __post_init__(self) -> None:
        self.between = Spread.assumed(log(max(1.0, self.prior.users)), _BETWEEN, _ASSUMED_SPREADS)

    def learn(self, meeting: PastMeeting) -> Room:
        """Takes in a meeting that is over. Returns its room as it is known now."""
        room = self.known.get(meeting.key)
        log_users = log(max(1, meeting.peak))
        if room is None:
            self.between = self.between.after(log_users, _SPREAD_FADING)
            for whose in (None, meeting.key.tenant):
                self.first_users[whose] = self._first_users_of(whose).after(meeting.peak, _TYPICAL_FADING)
        else:
            change = (log_users - room.last_log_users) ** 2 / 2
            self.within = self.within.after(min(_MOST_WITHIN, change), _SPREAD_FADING)
        self.known[meeting.key] = room = (room or Room()).after(meeting)
        return room

    def expected(self, key: MeetingKey) -> Expectation | None:
        """What the next meeting of a room will be like; None of a room that is not known.

        The size lies between that of the room's own meetings and what is usual, the nearer to its own the more there were of them
        and the less they differ; of what it may be, the mean.
        """
        room = self.known.get(key)
        if room is None:
            return None
        within, between = self.within.mean, max(_LEAST_BETWEEN, self.between.variance)
        shrunk = min(within / room.weight / (within / room.weight + between), 1 / (1 + _OWN * room.weight))
        log_users = (1 - shrunk) * room.log_users / room.weight + shrunk * self.between.mean
        variance = min(_MOST_VARIANCE, within * (1 + 1 / room.weight) * (1 - shrunk))
        least, most = FILLS_WITHIN
        # Nobody is expected any more when a meeting of the room is usually over.
        fills = min(most, max(least, room.fills / room.weight), room.lasts / room.weight)
        return replace(self.prior, users=exp(log_users + variance / 2), holds_for=fills)

    def typical_users(self) -> dict[str, float]:
        """The people in first meetings, by tenant, and for all of them under ALL; nothing as long as there were none."""
        return {ALL if tenant is None else tenant: users.mean for tenant, users in self.first_users.items()}

    def state(self) -> dict[str, Any]:
        """Everything but the rooms themselves, as JSON can hold it."""
        first_users = [[tenant, asdict(users)] for tenant, users in self.first_users.items()]
        return {"first_users": first_users, "between": asdict(self.between), "within": asdict(self.within)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The opposite of `state`."""
        self.first_users = {tenant: Spread.read(users) for tenant, users in state["first_users"]}
        self.between, self.within = Spread.read(state["between"]), Spread.read(state["within"])

    def _first_users_of(self, tenant: str | None) -> Spread:
        """A tenant's, for which that of all counts at first, for which the prior counts at first."""
        known = self.first_users.get(tenant)
        if known is None:
            users = self.prior.users if tenant is None else self._first_users_of(None).mean
            known = Spread.assumed(users, 0.0, _ASSUMED_MEETINGS)
        return known


def fills_within(meeting: PastMeeting) -> float:
    """Seconds until most of a meeting's people were there."""
    full = FULL * meeting.peak
    minutes = next((minute for minute, people in enumerate(meeting.curve) if people is not None and people >= full), 0)
    return (minutes + 1) * MINUTE
