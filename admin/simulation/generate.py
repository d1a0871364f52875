"""Makes up days of meetings as universities and companies have them.

Scheduled rooms meet every week, some every day, mostly on the hour; people come a few minutes before and after, some leave early,
lectures end late or do not take place. Between them people meet when they like. Sizes have a heavy tail. The same profile gives
the same trace.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, exp
from random import Random

from admin.simulation.rooms import AdHocRoom, ScheduledRoom, draw_size
from admin.simulation.stays import made_up_meeting
from admin.simulation.trace import TracedMeeting
from meetingpool.domain.timetable import DAY

HOUR = 3600.0
# How busy the hours of a working day are, the first being that from 8.
_HOURS = (0.7, 1.3, 1.5, 1.3, 0.8, 1.0, 1.3, 1.2, 0.9, 0.5)
_FIRST_HOUR = 8
_WORKDAYS = 5
# At weekends so large a part of what people do on other days.
_WEEKEND = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What days are to be like.

    `people_per_server`: at busy hours. `ad_hoc`: the part of people-hours in meetings that nobody scheduled; half of them have
    at most `ad_hoc_users`, and the larger `ad_hoc_tail`, the larger are the largest; so for scheduled rooms `users` and `tail`.
    `size_noise`: by how much two meetings of a room differ in size, as the standard deviation of the logarithms. `cancelled`: the
    part of scheduled meetings that do not take place; `changing`: the part of rooms that take on another size for good. On
    `exam_day`, the first day being 0, sizes have nothing to do with what they usually are.
    """

    servers: int
    days: int = 14
    seed: int = 1
    people_per_server: float = 45.0
    ad_hoc: float = 0.3
    ad_hoc_users: float = 4.0
    ad_hoc_tail: float = 0.9
    users: float = 14.0
    tail: float = 1.0
    largest: int = 300
    size_noise: float = 0.35
    cancelled: float = 0.15
    changing: float = 0.05
    early_leavers: float = 0.2
    exam_day: int | None = None
    tenants: int = 3


def generate(profile: Profile) -> list[TracedMeeting]:
    """The meetings in the order of their begins. No room meets twice at once."""
    meetings = sorted(_Days(profile).meetings(), key=lambda meeting: (meeting.start, meeting.room))
    over: dict[str, float] = {}
    found = []
    for meeting in meetings:
        if meeting.start > over.get(meeting.room, -1.0):
            over[meeting.room] = meeting.end
            found.append(meeting)
    return found


@dataclass(slots=True)
class _Days:
    profile: Profile
    _rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = Random(self.profile.seed)  # noqa: S311

    def meetings(self) -> Iterator[TracedMeeting]:
        for number, room in enumerate(self._scheduled_rooms()):
            yield from self._meetings_of(f"{self._tenant()}/room-{number}", room)
        yield from self._ad_hoc()

    def _people_seconds(self) -> float:
        """Of all people on a working day."""
        return self.profile.servers * self.profile.people_per_server * sum(_HOURS) / 1.3 * HOUR

    def _scheduled_rooms(self) -> Iterator[ScheduledRoom]:
        """Rooms until they fill the days of a week, with those that will be cancelled."""
        wanted = self._people_seconds() * _WORKDAYS * (1 - self.profile.ad_hoc)
        while wanted > 0:
            room = ScheduledRoom.draw(self._rng, self.profile, _HOURS)
            wanted -= room.size * room.lasts * len(room.hours) * (1 - self.profile.cancelled)
            yield room

    def _meetings_of(self, name: str, room: ScheduledRoom) -> Iterator[TracedMeeting]:
        rng, profile = self._rng, self.profile
        changes_on = rng.randrange(profile.days) if rng.random() < profile.changing else profile.days
        changed = draw_size(rng, profile.users, profile.tail, profile.largest)
        for day in range(profile.days):
            if day % 7 not in room.hours or rng.random() < room.cancelled:
                continue
            size = room.size if day < changes_on else changed
            if day == profile.exam_day:
                size = draw_size(rng, profile.users, profile.tail, profile.largest)
            due = day * DAY + (_FIRST_HOUR + room.hours[day % 7]) * HOUR + room.minute * 60
            people = max(1, round(size * rng.lognormvariate(0, profile.size_noise)))
            yield made_up_meeting(
                rng,
                name,
                due=due,
                start=due + 60 * (room.punctual + rng.gauss(0, 2)),
                seconds=room.lasts + rng.gauss(60, 180),
                people=min(people, profile.largest),
                early_leavers=profile.early_leavers,
            )

    def _ad_hoc(self) -> Iterator[TracedMeeting]:
        rng, profile = self._rng, self.profile
        mean = profile.ad_hoc_users * exp(profile.ad_hoc_tail**2 / 2)
        usual = self._people_seconds() * profile.ad_hoc / (mean * AdHocRoom.LASTS)
        rooms = [AdHocRoom.draw(rng, profile) for _ in range(max(10, ceil(usual * 2)))]
        names = [f"{self._tenant()}/ad-hoc-{number}" for number in range(len(rooms))]
        for day in range(profile.days):
            for _ in range(ceil(usual * (1 if day % 7 < _WORKDAYS else _WEEKEND))):
                # Some rooms are used far more than others.
                number = int(len(rooms) * rng.random() ** 2)
                hour = rng.choices(range(len(_HOURS)), _HOURS)[0]
                start = day * DAY + (_FIRST_HOUR + hour + rng.random()) * HOUR
                yield made_up_meeting(
                    rng,
                    names[number],
                    due=start + 60,
                    start=start,
                    seconds=300 + rng.expovariate(1 / (AdHocRoom.LASTS - 300)),
                    people=rooms[number].draw_people(rng),
                    early_leavers=profile.early_leavers,
                )

    def _tenant(self) -> str:
        return f"tenant-{self._rng.randrange(self.profile.tenants) + 1}"
