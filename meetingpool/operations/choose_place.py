"""Choosing a server for a meeting, and writing it down before somebody else's choice makes it wrong. Used by place_meeting."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from meetingpool.clock import Clock
from meetingpool.database.creates import Attempt, Reservation, Unplaced
from meetingpool.database.engine import Database
from meetingpool.database.servers import server_status
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import host_id_of
from meetingpool.domain.placement import Choice, NoServerAvailable, PlacementRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.reasons import Move, reason_of
from meetingpool.domain.servers import ServerId
from meetingpool.operations.expectations import Expectations
from meetingpool.operations.recent_creates import RecentCreates
from meetingpool.operations.send_create import Create

# Losing a race costs one round trip; whoever loses this often takes the least loaded server as it is.
PLACEMENT_ROUNDS = 6

TakePlace = Callable[[Database, Reservation], Awaitable[Attempt]]


@dataclass(slots=True, kw_only=True)
class PlaceChooser:
    """Chooses for one process. `recent` is told of what was written."""

    database: Database
    pool: Pool
    clock: Clock
    recent: RecentCreates
    expectations: Expectations

    async def place(self, create: Create, avoid: Collection[ServerId], take: TakePlace, left: Move | None = None) -> Attempt:
        """Chooses a server and lets `take` write it; chooses again when the choice is out of date by then.

        Others may have filled the server with meetings that nobody has told of yet: it is not asked again. `left`: from where
        the meeting is moved. Raises NoServerAvailable, NoServerWithTag, DatabaseUnavailable, and what `take` raises.
        """
        expected, source = await self.expectations.of_next(create.key, create.parameters)
        at_least = self.expectations.prior.users
        request = PlacementRequest(
            key=create.key, tags=create.tags, users=expected.users, at_least=at_least, regions=create.regions
        )
        full: set[ServerId] = set()
        rounds_left = PLACEMENT_ROUNDS
        while rounds_left:
            choice = self.pool.choose(request, avoid={*avoid, *full})
            wanted = _wanted(choice, expected, reason_of(choice, request, source, self.pool.size, left), is_last=rounds_left == 1)
            try:
                return await self._try_place(choice, take, wanted)
            except Unplaced:
                meetings = await self.refresh(choice.server.id)
            if choice.server.max_meetings is not None and meetings >= choice.server.max_meetings:
                full.add(choice.server.id)
            else:
                rounds_left -= 1
        raise NoServerAvailable

    async def refresh(self, server_id: ServerId) -> int:
        """Reads how the server is now. Returns how many meetings it carries."""
        async with self.database.transaction() as connection:
            status = await server_status(connection, server_id)
        if status is None:
            self.pool.drop_server(server_id)
            return 0
        load, health, admin_state, meetings = status
        self.pool.set_status(server_id, load=load, health=health, admin_state=admin_state)
        return meetings

    async def _try_place(self, choice: Choice, take: TakePlace, wanted: Reservation) -> Attempt:
        server = choice.server
        promised, began = wanted.expected * server.load_multiplier, self.clock.monotonic()
        self.pool.promise(server.id, promised, meetings=1)
        try:
            attempt = await take(self.database, wanted)
        finally:
            self.pool.promise(server.id, -promised, meetings=-1)
        if attempt.server_load is not None:
            self.pool.set_load(server.id, attempt.server_load)
        self.pool.put_meeting(attempt.meeting, host_id_of(attempt.meeting.key))
        self.recent.note(attempt, began)
        return attempt


def _wanted(choice: Choice, expected: Expectation, reason: dict[str, Any], *, is_last: bool) -> Reservation:
    """Of the chosen server, as long as it is the right one; at the last try as long as it may have the meeting."""
    return Reservation(
        server_id=choice.server.id,
        ceiling=choice.limit if is_last else choice.ceiling,
        expected=expected.users,
        expected_for=expected.holds_for,
        expected_besides=expected.besides,
        max_meetings=choice.server.max_meetings,
        reason=reason,
    )
