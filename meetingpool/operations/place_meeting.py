"""The life of one create: reserve, ask, confirm. Called by the gateway.

A short transaction decides which server has the meeting; with none open, that server is asked; its answer is written. A
connection that was refused moves the reservation on. A lost reply pins the meeting to its server: a repeat goes there and
nowhere else, until the server itself says that it has no such meeting, or is dead.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from meetingpool.bbb.answers import Answer
from meetingpool.bbb.client import Body, Client
from meetingpool.bbb.errors import NothingSent, OutcomeUnknown, RequestRejected, SecretRefused, ServerFailure
from meetingpool.bbb.meetings import GENERATION_METADATA
from meetingpool.clock import Clock
from meetingpool.database import meetings
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.meetings import Attempt, MeetingTaken, Unplaced
from meetingpool.database.servers import server_status
from meetingpool.domain.meetings import MeetingKey, MeetingState, host_id_of
from meetingpool.domain.placement import Choice, NoServerAvailable, TagRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.logs import get_logger
from meetingpool.operations.end_meeting import EndFailed, end_unused
from meetingpool.operations.record_polls import GRACE

# Losing a race costs one round trip; whoever loses this often takes the least loaded server as it is.
PLACEMENT_ROUNDS = 6
# A look at a server that may be gone waits no longer than this, in seconds.
PROBE_TIMEOUT = 2.0

log = get_logger()

Parameters = list[tuple[str, str]]
Place = Callable[..., Awaitable[Attempt]]


class CreateFailed(Exception):
    """Unable to create meeting on server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A verified create call. `parameters` as they go to the server, without what Meetingpool adds."""

    key: MeetingKey
    parameters: Parameters
    tags: TagRequest = field(default_factory=TagRequest)
    body: Body | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingPlacer:
    """Places meetings for one process. `expected_users`: counted on a server for a meeting that nobody has joined yet."""

    database: Database
    client: Client
    pool: Pool
    clock: Clock
    rng: random.Random
    response_timeout: float
    expected_users: float

    async def create(self, create: Create) -> Answer:
        """The answer of the server that has the meeting, or took it now.

        Raises NoServerAvailable or NoServerWithTag when no server can, CreateFailed when its own does not answer (the
        meeting stays with it), DatabaseUnavailable.
        """
        deadline = self.clock.monotonic() + self.response_timeout
        refused: set[ServerId] = set()
        attempt = await self._begin(create, refused)
        while True:
            if self.clock.monotonic() >= deadline:
                # By now a poll may take the meeting for gone: too late to send anything.
                await self._withdraw(attempt)
                raise CreateFailed
            try:
                answer = await self._ask(create, attempt, deadline)
            except (NothingSent, SecretRefused):
                refused.add(attempt.meeting.server_id)
                attempt = await self._move_on(create, attempt, refused)
            except RequestRejected as error:
                await self._withdraw(attempt)
                raise CreateFailed from error
            except OutcomeUnknown as error:
                await self._pin(attempt, error)
                raise CreateFailed from error
            else:
                return await self._settle(attempt, answer)

    async def _begin(self, create: Create, avoid: set[ServerId]) -> Attempt:
        """A committed attempt: the meeting's own server where it has one, else a new reservation."""
        for _ in range(PLACEMENT_ROUNDS):
            if create.key not in self.pool.meetings:
                with suppress(MeetingTaken):
                    return await self._place(create.tags, avoid, partial(meetings.reserve, key=create.key))
            async with self.database.transaction() as connection:
                attempt = await meetings.touch(connection, create.key)
            if attempt is None:
                self._forget(create.key)
                continue
            self.pool.put_meeting(attempt.meeting, host_id_of(create.key))
            try:
                return await self._leave_gone_server(create, attempt, avoid)
            except MeetingTaken:
                await self._refresh(attempt.meeting.server_id)
        raise CreateFailed

    async def _leave_gone_server(self, create: Create, attempt: Attempt, avoid: set[ServerId]) -> Attempt:
        """Moves a meeting off a server that takes no new ones, if there is positive evidence that it is not there.

        A disabled server is given up, or about to be: nothing is created there, not even again.
        """
        server = self._server_of(attempt)
        if server.takes_new_meetings:
            return attempt
        told = await self._says_not_found(server, attempt)
        if told or (told is None and server.health is Health.DEAD):
            moved = await self._place(
                create.tags, {*avoid, server.id}, partial(meetings.move_gone, attempt=attempt, told=bool(told))
            )
            log.info("meeting_reassigned", meeting=create.key.meeting_id, left=server.id, server=moved.meeting.server_id)
            return moved
        if server.admin_state is AdminState.DISABLED:
            await self._withdraw(attempt)
            raise CreateFailed
        return attempt

    async def _says_not_found(self, server: Server, attempt: Attempt) -> bool | None:
        """The server's own word, which counts once no earlier create can be on its way; None when it does not answer."""
        parameters = [("meetingID", host_id_of(attempt.meeting.key))]
        try:
            found = await self.client.call(server.url, server.secret, "getMeetingInfo", parameters, deadline=PROBE_TIMEOUT)
        except ServerFailure:
            return None
        return found.message_key == "notFound" and attempt.quiet_for > self.response_timeout + GRACE

    async def _move_on(self, create: Create, attempt: Attempt, refused: set[ServerId]) -> Attempt:
        """The next best server for a reservation whose server refused the connection.

        A meeting that is more than a reservation stays where it is, and so does one that another create may have brought to the
        server already: raises CreateFailed.
        """
        self.pool.server_refused(attempt.meeting.server_id)
        log.warning("server_refused_create", server=attempt.meeting.server_id)
        if attempt.meeting.state is not MeetingState.RESERVING:
            raise CreateFailed
        try:
            return await self._place(create.tags, refused, partial(meetings.move_refused, attempt=attempt))
        except MeetingTaken:
            await self._withdraw(attempt)
        except NoServerAvailable:
            await self._withdraw(attempt)
            raise
        current = await self._begin(create, refused)
        if current.meeting.server_id in refused:
            await self._withdraw(current)
            raise CreateFailed
        return current

    async def _place(self, tags: TagRequest, avoid: set[ServerId], place: Place) -> Attempt:
        """Chooses a server and lets `place` write it; chooses again when the choice is out of date by then."""
        for rounds_left in reversed(range(PLACEMENT_ROUNDS)):
            choice = self.pool.choose(tags, avoid=avoid, rng=self.rng)
            try:
                return await self._try_place(choice, place, float("inf") if not rounds_left else choice.ceiling)
            except Unplaced:
                await self._refresh(choice.server.id)
        raise NoServerAvailable

    async def _try_place(self, choice: Choice, place: Place, ceiling: float) -> Attempt:
        server = choice.server
        promised = self.expected_users * server.load_multiplier
        self.pool.promise(server.id, promised)
        try:
            async with self.database.transaction() as connection:
                attempt = await place(connection, server_id=server.id, ceiling=ceiling, expected=self.expected_users)
        finally:
            self.pool.promise(server.id, -promised)
        if attempt.server_load is not None:
            self.pool.set_load(server.id, attempt.server_load)
        self.pool.put_meeting(attempt.meeting, host_id_of(attempt.meeting.key))
        return attempt

    async def _refresh(self, server_id: ServerId) -> None:
        async with self.database.transaction() as connection:
            status = await server_status(connection, server_id)
        if status is None:
            self.pool.servers.pop(server_id, None)
            return
        load, health, admin_state = status
        self.pool.set_status(server_id, load=load, health=health, admin_state=admin_state)

    async def _ask(self, create: Create, attempt: Attempt, deadline: float) -> Answer:
        """Sends the create, with no transaction open. A connection that broke is tried once more on the same server."""
        try:
            return await self._send(create, attempt, deadline)
        except OutcomeUnknown:
            if deadline - self.clock.monotonic() < 0.1:
                raise
        # The first request may have been carried out: whatever turns the second away does not undo that.
        try:
            answer = await self._send(create, attempt, deadline)
        except (NothingSent, RequestRejected) as error:
            raise OutcomeUnknown(str(error)) from error
        if _is_refusal(answer):
            raise OutcomeUnknown(f"the repeated create was refused: {answer.message_key}")
        return answer

    async def _send(self, create: Create, attempt: Attempt, deadline: float) -> Answer:
        server = self._server_of(attempt)
        added = [(f"meta_{GENERATION_METADATA}", str(attempt.meeting.generation))]
        remaining = max(0.05, deadline - self.clock.monotonic())
        return await self.client.call(
            server.url, server.secret, "create", [*create.parameters, *added], deadline=remaining, body=create.body
        )

    async def _settle(self, attempt: Attempt, answer: Answer) -> Answer:
        """Writes what the server said. A refusal drops the reservation, unless another create of it is under way."""
        internal_id = answer.text("internalMeetingID")
        if _is_refusal(answer):
            await self._withdraw(attempt)
        elif internal_id:
            await self._confirm(attempt, answer, internal_id)
        return answer

    async def _confirm(self, attempt: Attempt, answer: Answer, internal_id: str) -> None:
        """Writes that the server has the meeting, known or new. Raises CreateFailed when it is no longer that server's."""
        try:
            async with self.database.transaction() as connection:
                meeting = await meetings.confirm(connection, attempt, internal_id)
                current = meeting or await meetings.find_meeting(connection, attempt.meeting.key)
        except DatabaseUnavailable:
            # The reservation is committed and names this server; the next poll finds the meeting there.
            log.warning("create_not_confirmed", meeting=attempt.meeting.key.meeting_id, server=attempt.meeting.server_id)
            return
        if meeting is None:
            # The server was given up while it was answering: the meeting is not ours to announce.
            log.warning("create_overtaken", meeting=attempt.meeting.key.meeting_id, server=attempt.meeting.server_id)
            is_new = answer.message_key != "duplicateWarning"
            if is_new and current is not None and current.server_id != attempt.meeting.server_id:
                await self._end_copy(attempt, internal_id)
            raise CreateFailed
        self.pool.put_meeting(meeting, host_id_of(meeting.key))

    async def _end_copy(self, attempt: Attempt, internal_id: str) -> None:
        """Ends what this create made on a server that is no longer the meeting's, unless somebody is in it already."""
        server = self._server_of(attempt)
        with suppress(EndFailed):
            await end_unused(self.client, server, attempt.meeting, internal_id, deadline=PROBE_TIMEOUT)

    async def _pin(self, attempt: Attempt, error: OutcomeUnknown) -> None:
        log.warning(
            "create_outcome_unknown",
            meeting=attempt.meeting.key.meeting_id,
            server=attempt.meeting.server_id,
            reason=str(error),
        )
        async with self.database.transaction() as connection:
            meeting = await meetings.set_state(
                connection, attempt.meeting, MeetingState.UNKNOWN, allowed=[MeetingState.RESERVING]
            )
        if meeting:
            self.pool.put_meeting(meeting, host_id_of(meeting.key))

    async def _withdraw(self, attempt: Attempt) -> None:
        """This create did not reach its server. Says so on the reservation, and drops it if nobody else is at it."""
        if attempt.meeting.state is not MeetingState.RESERVING:
            return
        async with self.database.transaction() as connection:
            dropped = await meetings.withdraw(connection, attempt)
        if dropped:
            self.pool.forget_meeting(attempt.meeting.key, attempt.meeting.generation, host_id_of(attempt.meeting.key))

    def _forget(self, key: MeetingKey) -> None:
        if known := self.pool.meetings.get(key):
            self.pool.forget_meeting(key, known.generation, host_id_of(key))

    def _server_of(self, attempt: Attempt) -> Server:
        server = self.pool.servers.get(attempt.meeting.server_id)
        if server is None:
            raise CreateFailed
        return server


def _is_refusal(answer: Answer) -> bool:
    """Whether the server did not take a create. `idNotUnique` says that it has the meeting, with other passwords."""
    return not answer.succeeded and answer.message_key != "idNotUnique"
