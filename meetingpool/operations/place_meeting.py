"""The life of one create: reserve, ask, confirm. Called by the gateway.

One statement decides which server has the meeting; with no transaction open, that server is asked; its answer is written. A
connection that was refused moves the reservation on. A lost reply pins the meeting to its server: a repeat goes there and
nowhere else, until the server itself says that it has no such meeting, or is dead.

A repeat for a meeting that is live, and was written down by this process a moment ago, writes nothing: what its server answers is
compared with what is known, and only what is news goes to the database.
"""

import random
import string
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from meetingpool.bbb.answers import Answer
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import NothingSent, OutcomeUnknown, RequestRejected, SecretRefused, ServerFailure
from meetingpool.bbb.meetings import MAX_ID_LENGTH
from meetingpool.clock import Clock
from meetingpool.database import creates, meetings, several_creates
from meetingpool.database.creates import Attempt, Confirmation, MeetingTaken, Reservation, Said, Wish
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.domain.callbacks import MARK_BITS
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState, host_id_of
from meetingpool.domain.placement import NoServerAvailable
from meetingpool.domain.pool import Pool
from meetingpool.domain.reasons import Cause, Move
from meetingpool.domain.repeats import PASSWORDS, first_said, said_again, said_anew, says_other, to_remember
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.domain.voice_bridges import new_voice_bridge
from meetingpool.logs import get_logger
from meetingpool.metrics import PLACEMENT_SECONDS
from meetingpool.metrics_counts import Counts, Histogram
from meetingpool.operations.callback_addresses import callable_addresses
from meetingpool.operations.choose_place import PLACEMENT_ROUNDS, PlaceChooser
from meetingpool.operations.end_meeting import EndFailed, end_unused
from meetingpool.operations.expectations import Expectations
from meetingpool.operations.news import News
from meetingpool.operations.recent_creates import RecentCreates, unwritten_for
from meetingpool.operations.record_polls import GRACE
from meetingpool.operations.send_create import Create, CreateSender, Parameters, is_refusal
from meetingpool.operations.together import Together
from meetingpool.outward.targets import NOTHING_ALLOWED, AllowList

# A look at a server that may be gone waits no longer than this, in seconds.
PROBE_TIMEOUT = 2.0
# As BBB makes up passwords that a create lacks.
_PASSWORD_LETTERS = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 8

log = get_logger()


class CreateFailed(Exception):
    """Unable to create meeting on server."""


@dataclass(slots=True, kw_only=True)
class MeetingPlacer:
    """Places meetings for one process. `prior`: what is expected of a meeting as long as nothing is known of any.

    `callback_key` signs the addresses that servers call back; `callback_allow`: where front ends' addresses may lead although it
    is not out in the world; `news` tells other processes of what was placed; `secrets_rng` makes up what nobody may guess.
    """

    database: Database
    client: Client
    pool: Pool
    clock: Clock
    response_timeout: float
    prior: Expectation
    callback_key: bytes
    callback_allow: AllowList = NOTHING_ALLOWED
    voice_bridge_length: int = 9
    secrets_rng: random.Random = field(default_factory=random.SystemRandom)
    recent: RecentCreates = field(default_factory=RecentCreates)
    news: News
    seconds: Histogram = field(default_factory=lambda: Counts.alone().histogram(PLACEMENT_SECONDS))
    expectations: Expectations = field(init=False)
    places: PlaceChooser = field(init=False)
    reservations: Together[ServerId, Wish, Attempt] = field(init=False)
    touches: Together[MeetingKey, MeetingKey, Attempt | None] = field(init=False)
    confirmations: Together[MeetingKey, Confirmation, Meeting | None] = field(init=False)
    sender: CreateSender = field(init=False)

    def __post_init__(self) -> None:
        database = self.database
        self.sender = CreateSender(self.client, self.clock, self.callback_key)
        self.expectations = Expectations(database, self.pool, self.prior)
        self.places = PlaceChooser(
            database=database, pool=self.pool, clock=self.clock, recent=self.recent, expectations=self.expectations
        )
        self.reservations = Together(partial(several_creates.reserve_all, database), partial(creates.reserve, database))
        self.touches = Together(partial(several_creates.touch_all, database), partial(creates.touch, database))
        self.confirmations = Together(partial(several_creates.confirm_all, database), partial(creates.confirm, database))

    @property
    def callers(self) -> int:
        """Creates that wait for the database together with others, beside those that `Database.callers` counts."""
        return self.expectations.callers + self.reservations.callers + self.touches.callers + self.confirmations.callers

    async def create(self, create: Create) -> Answer:
        """The answer of the server that has the meeting, or took it now.

        Raises NoServerAvailable or NoServerWithTag when no server can, TenantFull when the tenant may have no more, CreateFailed
        when the meeting's own server does not answer (the meeting stays with it), DatabaseUnavailable.
        """
        deadline = self.clock.monotonic() + self.response_timeout
        refused: set[ServerId] = set()
        attempt = self._recently_begun(create) or await self._begin(create, refused)
        while True:
            if self.clock.monotonic() >= deadline:
                # By now a poll may take the meeting for gone: too late to send anything.
                await self._withdraw(attempt)
                raise CreateFailed
            try:
                attempt, sent = await self._described(create, attempt)
                answer = await self.sender.send(create, attempt, sent, self._server_of(attempt), deadline)
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
                return await self._settle(attempt, sent, answer)

    def _recently_begun(self, create: Create) -> Attempt | None:
        """The attempt that this process wrote down a moment ago, if the meeting is still as it was then, and healthy."""
        attempt = self.recent.find(create.key, self.clock.monotonic())
        if attempt is None or not self._is_unchanged(attempt) or says_other(create.parameters, attempt.parameters):
            return None
        server = self.pool.servers.get(attempt.meeting.server_id)
        return attempt if server and server.takes_new_meetings else None

    def _is_unchanged(self, attempt: Attempt) -> bool:
        """Whether the meeting is live and, by all that this process is told, the same on the same server as at `attempt`."""
        known = self.pool.meetings.get(attempt.meeting.key)
        return (
            self.pool.is_current
            and known is not None
            and known.state is MeetingState.LIVE
            and (known.generation, known.internal_id) == (attempt.meeting.generation, attempt.meeting.internal_id)
        )

    async def _begin(self, create: Create, avoid: set[ServerId]) -> Attempt:
        """A committed attempt: the meeting's own server where it has one, else a new reservation."""
        bridge = create.voice_bridge
        for _ in range(PLACEMENT_ROUNDS):
            if create.key not in self.pool.meetings:
                with suppress(MeetingTaken):
                    return await self._reserve(create, avoid, bridge)
                # It may have been taken by another meeting.
                bridge = None
            began, known = self.clock.monotonic(), self.pool.meetings.get(create.key)
            attempt = await self.touches.ask(create.key, create.key)
            if attempt is None:
                if known:
                    self.pool.forget_meeting(create.key, known.generation, host_id_of(create.key))
                continue
            self.pool.put_meeting(attempt.meeting, host_id_of(create.key))
            try:
                stays = await self._leave_gone_server(create, attempt, avoid)
            except MeetingTaken:
                await self.places.refresh(attempt.meeting.server_id)
                continue
            if stays is attempt:
                self.recent.note(attempt, began)
            return stays
        raise CreateFailed

    async def _reserve(self, create: Create, avoid: set[ServerId], bridge: str | None) -> Attempt:
        parameters = first_said(
            create.parameters,
            voice_bridge=bridge or new_voice_bridge(self.secrets_rng, self.voice_bridge_length),
            mark=self._new_mark(),
            new_password=self._new_password,
        )
        said = Said(parameters=parameters, callbacks=self._callbacks(create.key, create.parameters))
        began = self.clock.monotonic()
        attempt = await self.places.place(create, avoid, partial(self._take_place, create, said))
        self.seconds.observe(self.clock.monotonic() - began)
        self.news.add(create.key)
        return attempt

    async def _take_place(self, create: Create, said: Said, database: Database, wanted: Reservation) -> Attempt:
        wish = Wish(key=create.key, wanted=wanted, said=said)
        if create.tenant.max_meetings is not None:
            return await creates.reserve_within(database, wish, create.tenant.max_meetings)
        if create.voice_bridge:
            # Others may want the same number at this moment, and another order of the two meetings.
            return await creates.reserve(database, wish)
        return await self.reservations.ask(wanted.server_id, wish)

    def _callbacks(self, key: MeetingKey, parameters: Parameters) -> dict[str, str]:
        return callable_addresses(key, parameters, self.callback_allow)

    def _new_mark(self) -> str:
        return f"{self.secrets_rng.getrandbits(MARK_BITS):0{MARK_BITS // 4}x}"

    def _new_password(self) -> str:
        return "".join(self.secrets_rng.choices(_PASSWORD_LETTERS, k=_PASSWORD_LENGTH))

    async def _leave_gone_server(self, create: Create, attempt: Attempt, avoid: set[ServerId]) -> Attempt:
        """Moves a meeting off a server that takes no new ones, if there is positive evidence that it is not there.

        A disabled server is given up, or about to be: nothing is created there, not even again.
        """
        server = self._server_of(attempt)
        if server.takes_new_meetings:
            return attempt
        told = await self._says_not_found(server, attempt)
        is_gone = told and attempt.quiet_for > self.response_timeout + GRACE + unwritten_for(attempt.meeting)
        if is_gone or (told is None and server.health is Health.DEAD):
            move = partial(creates.move_gone, attempt=attempt, said=Said(), told=bool(is_gone))
            left = Move(server.id, Cause.GONE if is_gone else Cause.DEAD)
            moved = await self.places.place(create, {*avoid, server.id}, move, left)
            log.info("meeting_reassigned", meeting=create.key.meeting_id, left=server.id, server=moved.meeting.server_id)
            return replace(moved, is_anew=True)
        if server.admin_state is AdminState.DISABLED:
            await self._withdraw(attempt)
            await creates.untouch(self.database, attempt)
            raise CreateFailed
        return attempt

    async def _says_not_found(self, server: Server, attempt: Attempt) -> bool | None:
        """The server's own word; None when it does not answer. An earlier create may still be on its way to it."""
        parameters = [("meetingID", host_id_of(attempt.meeting.key))]
        try:
            found = await self.client.call(server.url, server.secret, "getMeetingInfo", parameters, deadline=PROBE_TIMEOUT)
        except ServerFailure:
            return None
        return found.message_key == "notFound"

    async def _described(self, create: Create, attempt: Attempt) -> tuple[Attempt, Parameters]:
        """What this create says: as the first one did, unless that meeting is over and its server is to make a new one.

        A new description is written before it is sent, for the reply may be lost.
        """
        if not attempt.parameters:
            # Written by a version that did not keep them.
            return attempt, create.parameters
        is_ending = attempt.meeting.state is MeetingState.ENDING
        if not (attempt.is_anew or is_ending or await self._is_over(create, attempt)):
            return attempt, said_again(create.parameters, attempt.parameters)
        sent = said_anew(create.parameters, attempt.parameters, mark=self._new_mark())
        said = Said(parameters=to_remember(sent), callbacks=self._callbacks(create.key, sent))
        await creates.describe(self.database, attempt, said)
        return replace(attempt, parameters=said.parameters, is_anew=False), sent

    async def _is_over(self, create: Create, attempt: Attempt) -> bool:
        """Whether a live meeting that the caller describes in another way has ended, and nobody knows of it yet."""
        if attempt.meeting.state is not MeetingState.LIVE or not says_other(create.parameters, attempt.parameters):
            return False
        return bool(await self._says_not_found(self._server_of(attempt), attempt))

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
            sent = said_again(create.parameters, attempt.parameters)
            said = Said(parameters=attempt.parameters, callbacks=self._callbacks(create.key, sent))
            move = partial(creates.move_refused, attempt=attempt, said=said)
            return await self.places.place(create, refused, move, Move(attempt.meeting.server_id, Cause.REFUSED))
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

    async def _settle(self, attempt: Attempt, sent: Parameters, answer: Answer) -> Answer:
        """Writes what the server said. A refusal drops the reservation, unless another create of it is under way."""
        internal_id = answer.text("internalMeetingID")
        if is_refusal(answer):
            await self._withdraw(attempt)
        elif internal_id and len(internal_id) > MAX_ID_LENGTH:
            await self._pin(attempt, OutcomeUnknown("the internal id of the meeting is too long"))
            raise CreateFailed
        elif internal_id:
            # The server made up what nobody gave.
            said = to_remember(sent) | {name: given for name in PASSWORDS if (given := answer.text(name))}
            learnt = said if said != attempt.parameters else None
            if learnt or internal_id != attempt.meeting.internal_id or not self._is_unchanged(attempt):
                await self._confirm(attempt, answer, internal_id, learnt)
        return answer

    async def _confirm(self, attempt: Attempt, answer: Answer, internal_id: str, learnt: Parameters | None) -> None:
        """Writes that the server has the meeting, known or new. Raises CreateFailed when it is no longer that server's."""
        try:
            meeting = await self._confirmed(Confirmation(attempt=attempt, internal_id=internal_id, learnt=learnt))
        except DatabaseUnavailable:
            # The reservation is committed and names this server; the next poll finds the meeting there.
            log.warning("create_not_confirmed", meeting=attempt.meeting.key.meeting_id, server=attempt.meeting.server_id)
            return
        if meeting is None:
            await self._give_up_overtaken(attempt, answer, internal_id)
            raise CreateFailed
        if attempt.meeting.state is MeetingState.RESERVING:
            self.news.add(meeting.key)
        self.pool.put_meeting(meeting, host_id_of(meeting.key))
        self.recent.update(replace(attempt, meeting=meeting, parameters=learnt or attempt.parameters))

    async def _confirmed(self, confirmation: Confirmation) -> Meeting | None:
        if confirmation.is_plain:
            return await self.confirmations.ask(confirmation.attempt.meeting.key, confirmation)
        return await creates.confirm(self.database, confirmation)

    async def _give_up_overtaken(self, attempt: Attempt, answer: Answer, internal_id: str) -> None:
        """The server was given up while it was answering: the meeting is not ours to announce."""
        log.warning("create_overtaken", meeting=attempt.meeting.key.meeting_id, server=attempt.meeting.server_id)
        with suppress(DatabaseUnavailable):
            async with self.database.transaction() as connection:
                current = await meetings.find_meeting(connection, attempt.meeting.key)
            is_new = answer.message_key != "duplicateWarning"
            if is_new and current is not None and current.server_id != attempt.meeting.server_id:
                await self._end_copy(attempt, internal_id)

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
        dropped = await creates.withdraw(self.database, attempt)
        if dropped:
            self.pool.forget_meeting(attempt.meeting.key, attempt.meeting.generation, host_id_of(attempt.meeting.key))

    def _server_of(self, attempt: Attempt) -> Server:
        server = self.pool.servers.get(attempt.meeting.server_id)
        if server is None:
            raise CreateFailed
        return server
