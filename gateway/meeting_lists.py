"""The meetings of each server as bytes, for getMeetings.

All servers are asked at once, each with its own deadline. One that does not answer in time is represented by its last good
answer, and is left alone for a while, so that it costs the waiting once.
"""

import asyncio
from dataclasses import dataclass

from meetingpool.bbb import xml
from meetingpool.bbb.answers import read_answer, without_own_metadata
from meetingpool.bbb.client import Client, signed_url
from meetingpool.bbb.errors import ServerFailure
from meetingpool.bbb.meetings import meeting_elements
from meetingpool.clock import Clock
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

DEADLINE = 3.0
REST_AFTER_FAILURE = 10.0


@dataclass(frozen=True, slots=True)
class ListedMeeting:
    """One `<meeting>`. `parent` is the internal id of the parent of a breakout room."""

    host_id: str
    internal_id: str
    parent: str | None
    document: bytes


class MeetingLists:
    """Asks for and keeps the meetings of servers. One per process."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._last_good: dict[ServerId, list[ListedMeeting]] = {}
        self._rests_until: dict[ServerId, float] = {}

    async def documents(self, pool: Pool) -> list[bytes]:
        """The `<meeting>` documents of all meetings that the pool maps to the server that lists them, breakout rooms included."""
        servers = [server for server in pool.servers.values() if server.admin_state is not AdminState.DISABLED]
        lists = await asyncio.gather(*(self._list(server) for server in servers))
        self._last_good = dict(zip((server.id for server in servers), lists, strict=True))
        return [
            document
            for server, listed in zip(servers, lists, strict=True)
            for document in _mapped_documents(pool, server.id, listed)
        ]

    async def _list(self, server: Server) -> list[ListedMeeting]:
        if server.health in (Health.ONLINE, Health.SUSPECT) and self._clock.monotonic() >= self._rests_until.get(server.id, 0.0):
            try:
                return await self._ask(server)
            except ServerFailure:
                self._rests_until[server.id] = self._clock.monotonic() + REST_AFTER_FAILURE
        return self._last_good.get(server.id, [])

    async def _ask(self, server: Server) -> list[ListedMeeting]:
        url = signed_url(server.url, server.secret, "getMeetings", ())
        document = await self._client.fetch(url, deadline=DEADLINE)
        return [_listed(element) for element in meeting_elements(read_answer(document))]


def _listed(element: xml.Element) -> ListedMeeting:
    return ListedMeeting(
        host_id=element.findtext("meetingID") or "",
        internal_id=element.findtext("internalMeetingID") or "",
        parent=element.findtext("parentMeetingID"),
        document=without_own_metadata(xml.serialise(element)),
    )


def _mapped_documents(pool: Pool, server_id: ServerId, listed: list[ListedMeeting]) -> list[bytes]:
    mapped = [meeting for meeting in listed if pool.meeting_on(server_id, meeting.host_id)]
    parents = {meeting.internal_id for meeting in mapped}
    breakouts = [meeting for meeting in listed if meeting.parent in parents]
    return [meeting.document for meeting in (*mapped, *breakouts)]
