"""What the leading poller foresees, as gateways know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meetingpool.domain.load import Expectation
from meetingpool.domain.rooms import ALL
from meetingpool.domain.timetable import Upcoming

# Seconds after which nothing is upcoming any more, if the poller has told nothing since.
STALE_AFTER = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`upcoming`: the largest first; `typical`: the people in a room's first meeting, by tenant and for ALL.

    `knows_rooms`: whether there is any room to be looked up; `age`: seconds since it was told.
    """

    upcoming: tuple[Upcoming, ...] = ()
    typical: Mapping[str, float] = field(default_factory=dict)
    knows_rooms: bool = False
    age: float = 0.0

    def typical_of(self, tenant: str, prior: Expectation) -> Expectation:
        """What is expected of a tenant's meeting whose room is not known; the `prior` as long as nothing is known of any."""
        users = self.typical.get(tenant, self.typical.get(ALL))
        return prior if users is None else replace(prior, users=users, besides=True)
