"""Tells other processes of the meetings that this one placed, after the creates that placed them. Used by place_meeting.

A create does not wait for it, and many are told of at once. If this process dies before it has told, others find the meeting in
the database when they are asked for it, and the next poll of its server tells them.
"""

import asyncio

from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.several_creates import tell_placed
from meetingpool.domain.meetings import MeetingKey
from meetingpool.logs import get_logger

log = get_logger()

# Seconds between two tellings: what is placed meanwhile goes together.
PAUSE = 0.01
# Seconds after which a database that was away is tried again.
RETRY = 0.5


class News:
    """Meetings that others are to be told of. `run` is the task that tells."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: set[MeetingKey] = set()
        self._woken = asyncio.Event()

    def add(self, key: MeetingKey) -> None:
        self._waiting.add(key)
        self._woken.set()

    async def run(self) -> None:
        """Tells until it is cancelled, and then of what was left."""
        try:
            while True:
                await self._woken.wait()
                await asyncio.sleep(PAUSE if await self._tell() else RETRY)
        except asyncio.CancelledError:
            await self._tell()
            raise

    async def _tell(self) -> bool:
        """Whether all that could be told was; what could not be told waits on."""
        keys, self._waiting = self._waiting, set()
        self._woken.clear()
        left = keys
        try:
            left = await tell_placed(self._database, keys) if keys else set()
        except DatabaseUnavailable:
            return False
        except Exception:
            # The next polls tell of them.
            log.exception("news_not_told", meetings=len(keys))
            left = set()
        finally:
            for key in left:
                self.add(key)
        return True
