"""What every handler of one gateway process works with. Opened by the lifespan, closed by it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.authentication import Call, Keys
from gateway.dashboard.door import Door
from gateway.dial_in import DialIn
from gateway.failed_checksums import FailedChecksums
from gateway.learning_records import LearningRecords
from gateway.management_api.admission import Admission
from gateway.meeting_lists import MeetingLists
from gateway.metrics_requests import RequestCounts
from gateway.playback_files import PlaybackFiles
from gateway.playback_links import PlaybackLinks
from gateway.playback_passes import PlaybackPasses
from gateway.pool_view import PoolView
from gateway.recording_uploads import Uploads
from gateway.regions import Regions
from gateway.scalelite_api.shown import Shown
from gateway.shared_reads import SharedReads
from gateway.tenant_shares import TenantShares
from gateway.tenants import Tenants
from meetingpool.bbb.answers import Answer
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ConnectionLost, MaxConcurrent, ServerFailure
from meetingpool.clock import Clock
from meetingpool.database.engine import Database
from meetingpool.domain.meetings import Meeting, host_id_of
from meetingpool.domain.parameters import CallRules
from meetingpool.domain.servers import Server
from meetingpool.domain.tenants import Tenant
from meetingpool.metrics_counts import Counts
from meetingpool.operations.announce_hook_events import HookAnnouncer
from meetingpool.operations.forget_meeting import forget_if_gone
from meetingpool.operations.place_meeting import MeetingPlacer
from meetingpool.operations.record_polls import GRACE
from meetingpool.settings import Settings

# A list that somebody takes slowly holds one piece of it.
MAX_LISTS = 32
# Uploads of subtitles that wait hold their bodies.
MAX_SUBTITLES = 8


@dataclass(slots=True)
class Readiness:
    """Whether new requests should come here. `draining` is set when the process is told to stop."""

    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    settings: Settings
    tenants: Tenants
    keys: Keys
    rules: CallRules
    clock: Clock
    database: Database
    client: Client
    view: PoolView
    placer: MeetingPlacer
    lists: MeetingLists
    dial_in: DialIn
    learning_records: LearningRecords
    regions: Regions
    failed_checksums: FailedChecksums
    tenant_shares: TenantShares
    hook_announcer: HookAnnouncer
    links: PlaybackLinks
    passes: PlaybackPasses
    files: PlaybackFiles
    recording_uploads: Uploads
    # Requests for recordings that are decided now: anybody may send them, and calls need the rest of the places and the database.
    playback_places: TenantShares
    # Lists of recordings that each tenant has under way, beyond what is answered in one piece.
    list_shares: TenantShares = field(default_factory=lambda: TenantShares(MAX_LISTS))
    # Who comes in to the management API, and the few connections that it has to itself: it must keep no calls waiting.
    admission: Admission
    management_database: Database
    # Whom Scalelite's management API showed secrets.
    secrets_shown: Shown = field(default_factory=Shown)
    # Held while subtitles are made into WebVTT, which takes long where they are many.
    subtitles: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Those that each tenant may have waiting for it.
    subtitle_shares: TenantShares = field(default_factory=lambda: TenantShares(MAX_SUBTITLES))
    door: Door = field(default_factory=Door)
    readiness: Readiness = field(default_factory=Readiness)
    # What processes of this machine count, and what became of the calls that this one answered.
    counts: Counts
    requests: RequestCounts
    reads: SharedReads = field(default_factory=SharedReads)

    def server_of(self, meeting: Meeting) -> Server | None:
        return self.view.pool.servers.get(meeting.server_id)

    def require_room_for_people(self, tenant: Tenant) -> None:
        """Raises MaxConcurrent when as many people are in the tenant's meetings as may be."""
        if tenant.max_users is not None and self.view.people_of(tenant) >= tenant.max_users:
            raise MaxConcurrent("The number of people who may be in meetings at the same time has been reached.")

    async def relay(self, call: Call, meeting: Meeting, server: Server) -> Answer:
        """The answer of the meeting's server to a call that changes something there. Raises ServerFailure.

        A meeting that its server no longer has is forgotten.
        """
        asked = self.clock.monotonic()
        answer = await self._send(call, meeting, server, asked + self.settings.response_timeout)
        await self._forget_if_gone(meeting, answer, asked)
        return answer

    async def read(self, call: Call, meeting: Meeting, server: Server) -> bytes:
        """The document that answers a call that only reads. Raises ServerFailure.

        Identical calls share one request while it is under way and its answer is fresh. It is repeated once when a connection
        that was kept from earlier turns out to be closed just when it is used.
        """
        # What was asked before the meeting was created anew or ended is not its answer.
        key = (call.name, meeting.generation, meeting.state, meeting.internal_id, *call.parameters.items())
        return await self.reads.read(meeting.key, key, lambda: self._read(call, meeting, server))

    async def _read(self, call: Call, meeting: Meeting, server: Server) -> bytes:
        asked = self.clock.monotonic()
        deadline = asked + self.settings.response_timeout
        try:
            answer = await self._send(call, meeting, server, deadline)
        except ConnectionLost:
            answer = await self._send(call, meeting, server, deadline)
        await self._forget_if_gone(meeting, answer, asked)
        return self.document_for_client(answer, meeting)

    def document_for_client(self, answer: Answer, meeting: Meeting) -> bytes:
        return answer.for_clients(host_id_of(meeting.key), meeting.key.meeting_id)

    async def forget_if_over(self, meeting: Meeting) -> None:
        """Asks the server of a meeting that is said to have ended, once, and forgets the meeting if it is gone there."""
        server, asked = self.server_of(meeting), self.clock.monotonic()
        if server is None:
            return
        host_id = [("meetingID", host_id_of(meeting.key))]
        with suppress(ServerFailure):
            deadline = self.settings.response_timeout
            answer = await self.client.call(server.url, server.secret, "getMeetingInfo", host_id, deadline=deadline)
            await self._forget_if_gone(meeting, answer, asked)

    async def _forget_if_gone(self, meeting: Meeting, answer: Answer, asked: float) -> None:
        # A create may be on its way to the server as long as this call, and as long again.
        quiet_for = 2 * self.settings.response_timeout + GRACE + self.clock.monotonic() - asked
        await forget_if_gone(self.database, self.view.pool, meeting, answer, quiet_for=quiet_for)

    async def _send(self, call: Call, meeting: Meeting, server: Server, deadline: float) -> Answer:
        remaining = max(0.05, deadline - self.clock.monotonic())
        parameters = {**call.parameters, "meetingID": host_id_of(meeting.key)}
        return await self.client.call(
            server.url, server.secret, call.name, parameters.items(), deadline=remaining, body=call.body
        )
