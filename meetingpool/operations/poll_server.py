"""Asks one server how it is. Called by the poller, by `meetingpool poll once` and by `servers add --enable`."""

from collections.abc import Sequence

from meetingpool.bbb.answers import read_answer
from meetingpool.bbb.client import Client, signed_url
from meetingpool.bbb.errors import ServerFailure
from meetingpool.bbb.meetings import count_callers, read_poll
from meetingpool.clock import Clock
from meetingpool.domain.load import age_of
from meetingpool.domain.meetings import ReportedMeeting
from meetingpool.domain.servers import Server, ServerId
from meetingpool.operations.record_polls import Poll

VERSION_EVERY = 600.0
CALLERS_EVERY = 60.0
# A meeting seen for the first time is believed to be no older than this, whatever the server's clock says, in seconds.
OLDEST_AT_FIRST_SIGHT = 86_400.0


class ServerPoller:
    """Polls servers and remembers between polls what the server's clock should not decide: since when a meeting is there."""

    def __init__(self, client: Client, clock: Clock, *, deadline: float) -> None:
        """`deadline`: seconds for each request of a poll, body included."""
        self._client = client
        self._clock = clock
        self._deadline = deadline
        self._created: dict[ServerId, dict[str, float]] = {}
        self._version_read: dict[ServerId, float] = {}
        self._callers_counted: dict[ServerId, float] = {}

    async def poll(self, server: Server) -> Poll:
        """The poll of `server`, failed or not. Never raises for what the server does."""
        began = self._clock.monotonic()
        try:
            document = await self._client.fetch(signed_url(server.url, server.secret, "getMeetings", ()), deadline=self._deadline)
            meetings = tuple(read_poll(document))
            version = await self._version(server)
        except ServerFailure as error:
            self._version_read.pop(server.id, None)
            return Poll(server_id=server.id, began=began, meetings=None, error=str(error))
        return Poll(
            server_id=server.id,
            began=began,
            meetings=meetings,
            begun=self._begun(server.id, meetings),
            ages=self._ages(server.id, meetings),
            callers=self._callers(server.id, document),
            bbb_version=version,
        )

    def forget(self, server_id: ServerId) -> None:
        """The server left the pool."""
        self._created.pop(server_id, None)
        self._version_read.pop(server_id, None)
        self._callers_counted.pop(server_id, None)

    async def _version(self, server: Server) -> str | None:
        """The BBB version, when it is time to ask again; None when it is not, or the server does not tell."""
        now = self._clock.monotonic()
        if now - self._version_read.get(server.id, float("-inf")) < VERSION_EVERY:
            return None
        self._version_read[server.id] = now
        try:
            answer = read_answer(await self._client.fetch(server.url, deadline=self._deadline))
        except ServerFailure:
            # The meetings were listed, so the server works.
            return None
        return answer.text("bbbVersion") or None

    def _callers(self, server_id: ServerId, document: bytes) -> int | None:
        """How many people are in by telephone; None when it is not yet time to count them again."""
        now = self._clock.monotonic()
        if now - self._callers_counted.get(server_id, float("-inf")) < CALLERS_EVERY:
            return None
        self._callers_counted[server_id] = now
        return count_callers(document)

    def _begun(self, server_id: ServerId, meetings: Sequence[ReportedMeeting]) -> int:
        """How many meetings, without breakout rooms, were not there at the poll before. Nobody knows at the first one."""
        before = self._created.get(server_id)
        if before is None:
            return 0
        return sum(meeting.internal_id not in before and not meeting.is_breakout for meeting in meetings)

    def _ages(self, server_id: ServerId, meetings: Sequence[ReportedMeeting]) -> tuple[float, ...]:
        now, before = self._clock.monotonic(), self._created.get(server_id, {})
        created = {
            meeting.internal_id: before[meeting.internal_id]
            if meeting.internal_id in before
            else now - age_of(meeting.created_ms, self._clock.epoch(), OLDEST_AT_FIRST_SIGHT)
            for meeting in meetings
        }
        self._created[server_id] = created
        return tuple(now - created[meeting.internal_id] for meeting in meetings)
