"""The meetings of each server as bytes, for getMeetings.

All servers are asked at once, each with its own deadline. One that does not answer in time is represented by its last good
answer, and is left alone for a while, so that it costs the waiting once. A list is cut into its meetings as bytes; only meetings
that are not, byte for byte, in the server's previous list are parsed.
"""

import asyncio
import re
from dataclasses import dataclass

from gateway.shared_reads import SharedReads
from meetingpool.bbb import xml
from meetingpool.bbb.answers import as_given, read_answer, with_client_id
from meetingpool.bbb.client import Client, signed_url
from meetingpool.bbb.errors import ServerFailure, UnusableAnswer
from meetingpool.bbb.meetings import meeting_elements
from meetingpool.clock import Clock
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

DEADLINE = 3.0
REST_AFTER_FAILURE = 10.0

# What stands before the first meeting of a list and behind the last, as BBB writes it.
_HEAD = re.compile(rb"\s*<response>\s*<returncode>SUCCESS</returncode>\s*<meetings>\s*\Z")
_TAIL = re.compile(rb"\s*</meetings>\s*</response>\s*\Z")
_OPEN, _CLOSE = b"<meeting>", b"</meeting>"


@dataclass(frozen=True, slots=True)
class ListedMeeting:
    """One `<meeting>`, as clients may see it. `parent` is the internal id of the parent of a breakout room."""

    host_id: str
    internal_id: str
    parent: str | None
    document: bytes


# The meetings of a server by the bytes they were listed as.
ServerList = dict[bytes, ListedMeeting]


class MeetingLists:
    """Asks for and keeps the meetings of servers. One per process."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._reads = SharedReads()
        self._last_good: dict[ServerId, ServerList] = {}
        self._rests_until: dict[ServerId, float] = {}

    async def documents(self, pool: Pool, tenant_id: str) -> list[bytes]:
        """The `<meeting>` documents of a tenant's meetings, breakout rooms included.

        Those of its meetings that the pool maps to the server that lists them, under the ids that the tenant knows.
        """
        servers = [server for server in pool.servers.values() if server.admin_state is not AdminState.DISABLED]
        lists = await asyncio.gather(*(self._list(server, pool.changes_on(server.id)) for server in servers))
        self._forget_all_but(pool)
        return [
            document
            for server, listed in zip(servers, lists, strict=True)
            for document in _mapped_documents(pool, server.id, listed, tenant_id)
        ]

    async def _list(self, server: Server, changes: int) -> ServerList:
        rests = self._clock.monotonic() < self._rests_until.get(server.id, 0.0)
        if server.health in (Health.ONLINE, Health.SUSPECT) and not rests:
            try:
                return await self._reads.read(server.id, changes, lambda: self._ask(server))
            except ServerFailure:
                self._rests_until[server.id] = self._clock.monotonic() + REST_AFTER_FAILURE
        return self._last_good.get(server.id, {})

    async def _ask(self, server: Server) -> ServerList:
        url = signed_url(server.url, server.secret, "getMeetings", ())
        document = await self._client.fetch(url, deadline=DEADLINE)
        known = self._last_good.get(server.id, {})
        try:
            listed = {piece: known.get(piece) or read_piece(piece) for piece in cut_list(document)}
        except UnusableAnswer:
            # What a person or a front end brings along may look like the markup that lists are cut at.
            listed = {piece: read_piece(piece) for piece in parse_list(document)}
        self._last_good[server.id] = listed
        return listed

    def _forget_all_but(self, pool: Pool) -> None:
        for gone in self._last_good.keys() - pool.servers.keys():
            del self._last_good[gone]
            self._rests_until.pop(gone, None)


def cut_list(document: bytes) -> list[bytes]:
    """The `<meeting>` elements of a list as they stand in it. Raises UnusableAnswer for what is not a complete SUCCESS."""
    first, last = document.find(_OPEN), document.rfind(_CLOSE)
    as_bbb_writes = b"!" not in document and first >= 0 and last >= 0
    if not as_bbb_writes or not _HEAD.match(document[:first]) or not _TAIL.match(document[last + len(_CLOSE) :]):
        return parse_list(document)
    inner = document[first + len(_OPEN) : last]
    return [_OPEN + piece.rstrip().removesuffix(_CLOSE).rstrip() + _CLOSE for piece in inner.split(_OPEN)]


def parse_list(document: bytes) -> list[bytes]:
    """The same of a list that may be written in any way. Raises UnusableAnswer."""
    return [xml.serialise(element) for element in meeting_elements(read_answer(document))]


def read_piece(piece: bytes) -> ListedMeeting:
    try:
        element = xml.parse(piece)
    except xml.NotXml as error:
        raise UnusableAnswer(f"a meeting is not XML: {error}") from error
    return ListedMeeting(
        host_id=(element.findtext("meetingID") or "").strip(),
        internal_id=(element.findtext("internalMeetingID") or "").strip(),
        parent=element.findtext("parentMeetingID"),
        document=as_given(piece),
    )


def _mapped_documents(pool: Pool, server_id: ServerId, listed: ServerList, tenant_id: str) -> list[bytes]:
    documents: list[bytes] = []
    parents: set[str] = set()
    for meeting in listed.values():
        mapped = pool.meeting_on(server_id, meeting.host_id)
        if mapped and mapped.key.tenant == tenant_id:
            parents.add(meeting.internal_id)
            documents.append(with_client_id(meeting.document, meeting.host_id, mapped.key.meeting_id))
    return documents + [
        meeting.document
        for meeting in listed.values()
        # Breakout rooms are of their server's making. What somebody else created is not theirs, whatever it says of its parent.
        if meeting.parent in parents and not pool.meeting_on(server_id, meeting.host_id)
    ]
