"""Makes the recordings of one server's meetings, and brings them to a spool directory. The host of the server hands it meetings.

As with BBB, what is quick comes first, and the video later, in an archive of the same name that holds everything once more.
Whoever asked for it is told of each format once it has been delivered.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from simulator.archives import deliver, recording_archive
from simulator.meetings import PastMeeting
from simulator.server import SimulatedServer

QUICK_FORMATS = ("presentation", "podcast", "notes")
SLOW_FORMATS = ("video",)
# How many times as long as the quick formats the slow ones take.
SLOWNESS = 3

_log = logging.getLogger(__name__)


class Publishing:
    def __init__(self, server: SimulatedServer, spool: Path, delay: float) -> None:
        """`delay`: seconds from the end of a meeting to its quick formats."""
        self._server = server
        self._spool = spool
        self._delay = delay
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self, meeting: PastMeeting) -> None:
        """Returns at once."""
        task = asyncio.get_running_loop().create_task(self._publish(meeting))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def give_up(self) -> None:
        """Forgets every recording that is not delivered yet."""
        given_up = list(self._under_way)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)

    async def _publish(self, meeting: PastMeeting) -> None:
        await asyncio.sleep(self._delay)
        await self._deliver(meeting, QUICK_FORMATS, new=QUICK_FORMATS)
        await asyncio.sleep(self._delay * (SLOWNESS - 1))
        await self._deliver(meeting, (*QUICK_FORMATS, *SLOW_FORMATS), new=SLOW_FORMATS)

    async def _deliver(self, meeting: PastMeeting, formats: Sequence[str], *, new: Sequence[str]) -> None:
        archive = recording_archive(meeting, formats, origin=self._server.origin)
        try:
            await asyncio.to_thread(deliver, archive, meeting.internal_id, self._spool)
        except OSError as error:
            _log.warning("recording_not_delivered server=%s error=%s", self._server.name, error.strerror)
        for name in new:
            self._server.publish_recording(meeting.internal_id, name)
