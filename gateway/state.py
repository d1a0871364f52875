"""What every handler of one gateway process works with. Opened by the lifespan, closed by it."""

from dataclasses import dataclass, field

from gateway.authentication import Call, Keys
from gateway.meeting_lists import MeetingLists
from gateway.pool_view import PoolView
from gateway.shared_reads import SharedReads
from meetingpool.bbb.answers import Answer
from meetingpool.bbb.calls import CALLS
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ConnectionLost
from meetingpool.clock import Clock
from meetingpool.database.engine import Database
from meetingpool.domain.meetings import Meeting, host_id_of
from meetingpool.domain.parameters import CallRules
from meetingpool.domain.servers import Server
from meetingpool.operations.forget_meeting import forget_if_gone
from meetingpool.operations.place_meeting import MeetingPlacer
from meetingpool.operations.record_polls import GRACE
from meetingpool.settings import Settings


@dataclass(slots=True)
class Readiness:
    """Whether new requests should come here. `draining` is set when the process is told to stop."""

    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    settings: Settings
    keys: Keys
    rules: CallRules
    clock: Clock
    database: Database
    client: Client
    view: PoolView
    placer: MeetingPlacer
    lists: MeetingLists
    readiness: Readiness = field(default_factory=Readiness)
    reads: SharedReads = field(default_factory=SharedReads)

    def server_of(self, meeting: Meeting) -> Server | None:
        return self.view.pool.servers.get(meeting.server_id)

    async def relay(self, call: Call, meeting: Meeting, server: Server) -> Answer:
        """The answer of the meeting's server to a call about it. Raises ServerFailure.

        Calls that only read share one request while it is under way, and are repeated once when a connection that was kept from
        earlier turns out to be closed just when it is used. A meeting that its server no longer has is forgotten.
        """
        timeout = self.settings.response_timeout
        asked = self.clock.monotonic()
        answer = await self._relay(call, meeting, server, asked + timeout)
        # A shared request may have been under way already, and a create as long again before it.
        quiet_for = 2 * timeout + GRACE + self.clock.monotonic() - asked
        await forget_if_gone(self.database, self.view.pool, meeting, answer, quiet_for=quiet_for)
        return answer

    async def _relay(self, call: Call, meeting: Meeting, server: Server, deadline: float) -> Answer:
        if not CALLS[call.name].is_read:
            return await self._send(call, meeting, server, deadline)
        # The whole meeting is part of the key: what was asked before it was created anew or ended is not its answer.
        key = (meeting, call.name, *call.parameters.items())
        return await self.reads.read(key, lambda: self._read(call, meeting, server, deadline))

    async def _read(self, call: Call, meeting: Meeting, server: Server, deadline: float) -> Answer:
        try:
            return await self._send(call, meeting, server, deadline)
        except ConnectionLost:
            return await self._send(call, meeting, server, deadline)

    async def _send(self, call: Call, meeting: Meeting, server: Server, deadline: float) -> Answer:
        remaining = max(0.05, deadline - self.clock.monotonic())
        parameters = {**call.parameters, "meetingID": host_id_of(meeting.key)}
        return await self.client.call(
            server.url, server.secret, call.name, parameters.items(), deadline=remaining, body=call.body
        )
