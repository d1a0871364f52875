"""What is expected of a meeting that is about to be created. Used by place_meeting.

By what its room's meetings were like, if there were any, else by what the front end says, else by what is typical of the tenant.
What is upcoming is known here; a room that is not due is looked up, together with others that are asked for at the same moment.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from meetingpool.database.engine import Database
from meetingpool.database.foresight import Known, find_room, find_rooms
from meetingpool.domain.foresight import Hints
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.pool import Pool
from meetingpool.domain.reasons import Source
from meetingpool.operations.together import Together


class Expectations:
    """`prior`: what is expected as long as nothing is known."""

    def __init__(self, database: Database, pool: Pool, prior: Expectation) -> None:
        self._pool = pool
        self.prior = prior
        self._rooms: Together[MeetingKey, MeetingKey, Known] = Together(
            partial(find_rooms, database), partial(find_room, database)
        )

    @property
    def callers(self) -> int:
        """Who waits for the database together with others."""
        return self._rooms.callers

    async def of_next(self, key: MeetingKey, parameters: Mapping[str, str]) -> tuple[Expectation, Source]:
        """What the create with these `parameters` will become, and how that is known. Raises DatabaseUnavailable."""
        hints = Hints.read(parameters)
        own = await self._of_room(key)
        if own is not None:
            return hints.apply(own, is_of_room=True), Source.ROOM
        usual = self._pool.outlook.typical_of(key.tenant, self.prior)
        return hints.apply(usual, is_of_room=False), Source.TYPICAL if hints.expects is None else Source.HINT

    async def _of_room(self, key: MeetingKey) -> Expectation | None:
        if upcoming := self._pool.kept.upcoming.get(key):
            return replace(self.prior, users=upcoming.users, holds_for=upcoming.holds_for)
        if not self._pool.outlook.knows_rooms:
            return None
        known = await self._rooms.ask(key, key)
        return replace(self.prior, users=known[0], holds_for=known[1]) if known else None
