"""Sending a create to the server that was chosen for it. Called by place_meeting, with no transaction open."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from meetingpool.bbb.answers import Answer
from meetingpool.bbb.client import Body, Client
from meetingpool.bbb.errors import NothingSent, OutcomeUnknown, RequestRejected
from meetingpool.bbb.lrs import lrs_payload
from meetingpool.bbb.meetings import GENERATION_METADATA
from meetingpool.clock import Clock
from meetingpool.database.creates import Attempt
from meetingpool.domain.callbacks import CallbackKind, callback_path, with_own_addresses
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey, host_id_of
from meetingpool.domain.placement import TagRequest
from meetingpool.domain.repeats import MARK
from meetingpool.domain.servers import Server
from meetingpool.domain.tenants import Tenant

SERVER_TAG = "meta_server-tag"
LRS_METADATA = "secret-lrs-payload"

Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A verified create call. `parameters` as the tenant's rules leave them, without what Meetingpool adds.

    `voice_bridge`: the one that is to be tried first; `base_url`: where servers reach this installation; `lrs`: what the server
    needs to send learning records, as JSON; `regions`: where the meeting is best, the nearest first.
    """

    key: MeetingKey
    parameters: Parameters
    tenant: Tenant
    base_url: str
    tags: TagRequest = field(default_factory=TagRequest)
    regions: tuple[str, ...] = ()
    body: Body | None = None
    voice_bridge: str | None = None
    lrs: str | None = None


@dataclass(frozen=True, slots=True)
class CreateSender:
    """Sends creates. `callback_key` signs the addresses that servers call back."""

    client: Client
    clock: Clock
    callback_key: bytes

    async def send(self, create: Create, attempt: Attempt, sent: Parameters, server: Server, deadline: float) -> Answer:
        """The server's answer to the create. A connection that broke is tried once more on the same server.

        `sent`: the parameters as the first create said them; `deadline` by the clock's monotonic seconds. Raises ServerFailure,
        as the client's calls do; OutcomeUnknown also when the second try says nothing of what became of the first.
        """
        try:
            return await self._send(create, attempt, sent, server, deadline)
        except OutcomeUnknown:
            if deadline - self.clock.monotonic() < 0.1:
                raise
        # The first request may have been carried out: whatever turns the second away does not undo that.
        try:
            answer = await self._send(create, attempt, sent, server, deadline)
        except (NothingSent, RequestRejected) as error:
            raise OutcomeUnknown(str(error)) from error
        if is_refusal(answer):
            raise OutcomeUnknown("the repeated create was refused")
        return answer

    async def _send(self, create: Create, attempt: Attempt, sent: Parameters, server: Server, deadline: float) -> Answer:
        parameters = self._with_own(create, attempt, sent, server)
        if create.lrs:
            parameters[f"meta_{LRS_METADATA}"] = await _encrypted(create.lrs, server.secret)
        remaining = max(0.05, deadline - self.clock.monotonic())
        return await self.client.call(
            server.url, server.secret, "create", parameters.items(), deadline=remaining, body=create.body
        )

    def _with_own(self, create: Create, attempt: Attempt, sent: Parameters, server: Server) -> dict[str, str]:
        """The parameters as the server gets them: its own id of the meeting, our addresses, and metadata of ours."""
        # Meetings of an earlier version have no mark.
        generation, mark = attempt.meeting.generation, int(sent.get(MARK, "0"), 16)

        def address_of(kind: CallbackKind) -> str:
            return create.base_url + callback_path(self.callback_key, generation, kind, mark)

        parameters = with_own_addresses(sent, address_of)
        parameters["meetingID"] = host_id_of(create.key)
        if parent := parameters.get("parentMeetingID"):
            parameters["parentMeetingID"] = host_id_of(MeetingKey(create.key.tenant, parent))
        parameters[f"meta_{GENERATION_METADATA}"] = str(generation)
        if parameters.pop(SERVER_TAG, None) is not None and (tag := create.tags.tag_of(server)):
            parameters[SERVER_TAG] = tag
        if create.key.tenant != DEFAULT_TENANT:
            parameters |= {"meta_tenant-id": create.tenant.id, "meta_tenant-name": create.tenant.name}
        return parameters


async def _encrypted(lrs: str, secret: str) -> str:
    # Slow on purpose, as derivations of keys are: not on the event loop.
    return await asyncio.to_thread(lrs_payload, lrs, secret)


def is_refusal(answer: Answer) -> bool:
    """Whether the server did not take a create. `idNotUnique` says that it has the meeting, with other passwords."""
    return not answer.succeeded and answer.message_key != "idNotUnique"
