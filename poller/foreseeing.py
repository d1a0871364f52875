"""The leader's foresight: learns from meetings that are over, and tells gateways what is upcoming. Started by Watch.

What was learnt lies in the database, and each round is one transaction under the leader's fence: whoever leads next goes on from
there. A round that fails has taught nothing, so what is in memory is read anew after it. In memory are only the rooms that may be
upcoming: rooms that are used once have no end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.foresight import (
    common_state,
    database_time,
    rooms_of,
    rooms_used_lately,
    running_meetings,
    save_rooms,
    take_unlearnt,
    tell,
)
from meetingpool.database.leases import StaleEpoch
from meetingpool.domain.foresight import Foresight
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.logs import get_logger

EVERY = 30.0
# So many meetings are learnt from in one transaction.
LEARN_AT_ONCE = 2000
# Days for which a room may be upcoming after a meeting, with one to spare: the longest period, and a meeting that is late.
LATELY = 8

log = get_logger()


class Foreseeing:
    """`prior`: what is expected as long as nothing is known; `fence` raises StaleEpoch when another process leads."""

    def __init__(
        self, database: Database, prior: Expectation, fence: Callable[[Connection], Awaitable[None]], *, every: float = EVERY
    ) -> None:
        self._database = database
        self._prior = prior
        self._fence = fence
        self._every = every
        self._foresight: Foresight | None = None
        self._running: dict[MeetingKey, datetime] = {}

    async def run(self) -> None:
        """Until another process leads."""
        while True:
            try:
                while await self.round() == LEARN_AT_ONCE:
                    pass
            except StaleEpoch:
                return
            except DatabaseUnavailable:
                self._foresight = None
                log.warning("nothing_foreseen")
            except Exception:
                # Servers are polled and meetings placed without foresight too: that must not end with it.
                self._foresight = None
                log.exception("foresight_broke")
            await asyncio.sleep(self._every)

    async def round(self) -> int:
        """Learns from what is over by now, and tells what is upcoming. Returns from how many meetings it learnt."""
        foresight = self._foresight or await self._restored()
        self._foresight = None
        async with self._database.transaction() as connection:
            await self._fence(connection)
            now = await database_time(connection)
            over = await take_unlearnt(connection, LEARN_AT_ONCE)
            used = {meeting.key for meeting in over}
            foresight.remember(await rooms_of(connection, used - foresight.rooms.known.keys()), now)
            running = await running_meetings(connection)
            self._follow(foresight, over, running)
            await save_rooms(connection, {key: foresight.of_room(key) for key in used})
            upcoming = foresight.upcoming(now, running)
            await tell(connection, upcoming, foresight.rooms.typical_users(), foresight.state())
        foresight.forget_idle(now)
        self._foresight = foresight
        return len(over)

    async def _restored(self) -> Foresight:
        """What was learnt so far. Only the leader writes it, so it is read without the fence, under which no lease is renewed."""
        foresight = Foresight(self._prior)
        async with self._database.transaction() as connection:
            now = await database_time(connection)
            if state := await common_state(connection):
                foresight.restore(state)
        async for rooms in rooms_used_lately(self._database, LATELY):
            foresight.remember(rooms, now)
        self._running = {}
        return foresight

    def _follow(self, foresight: Foresight, over: list[PastMeeting], running: dict[MeetingKey, datetime]) -> None:
        """What began and ended since the last round. A meeting may have done both."""
        for meeting in over:
            if self._running.get(meeting.key) != meeting.began_at:
                foresight.began(meeting.key, meeting.began_at.timestamp())
            foresight.ended(meeting)
        for key, began_at in running.items():
            if self._running.get(key) != began_at:
                foresight.began(key, began_at.timestamp())
        self._running = running
