"""Keeps this process's picture of the pool current.

It listens for what other processes commit, loads everything anew whenever it may have missed something, and writes the joins
that this process redirected once a second. While the database is away the picture stays as it was, and known meetings work on.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from gateway.broadcast import RELOADED, Broadcast
from gateway.outlook_view import OutlookView
from gateway.tenants import Tenants
from meetingpool.clock import Clock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.foresight import NOTIFICATION as FORESIGHT
from meetingpool.database.meetings import all_meetings, find_meeting
from meetingpool.database.notifications import listening
from meetingpool.database.polls import add_joins, add_loads
from meetingpool.database.sealed_secrets import SecretsUnreadable
from meetingpool.database.servers import all_servers
from meetingpool.database.tenants import all_tenants, people_of
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState, host_id_of
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, ServerId
from meetingpool.domain.tenants import Tenant
from meetingpool.logs import get_logger

RECONNECT_PAUSE = 0.5
# Until it is tried again to read secrets that there is no key for.
UNREADABLE_PAUSE = 5.0
FLUSH_INTERVAL = 1.0

log = get_logger()


class PoolView:
    """One process's pool and what keeps it current. `run` never returns; cancel it to stop."""

    def __init__(self, database: Database, pool: Pool, tenants: Tenants, clock: Clock) -> None:
        self.pool = pool
        self.loaded = asyncio.Event()
        # Whatever is heard is told on.
        self.broadcast = Broadcast()
        self._database = database
        self._tenants = tenants
        self._outlook = OutlookView(database, pool, clock)
        self._held_back: list[dict[str, Any]] | None = None
        self._told = 0
        self._changed = asyncio.Event()
        self._joining: Counter[MeetingKey] = Counter()
        self._people: dict[str, int] = {}
        self._unwritten: dict[ServerId, float] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._reload())
            tasks.create_task(self._write_joins())
            tasks.create_task(self._outlook.run())

    async def find(self, key: MeetingKey) -> Meeting | None:
        """The meeting as known here, else as the database has it. Raises DatabaseUnavailable."""
        if known := self.pool.meetings.get(key):
            return known
        told = self._told
        async with self._database.transaction() as connection:
            meeting = await find_meeting(connection, key)
        # What was told meanwhile may be newer than what was read; then this answer is not kept.
        if meeting and told == self._told:
            self.pool.put_meeting(meeting, host_id_of(key))
        return meeting

    def note_join(self, meeting: Meeting) -> None:
        """Someone was sent to the meeting. Beyond the people expected there, each counts as load until a poll sees them."""
        if promised := self.pool.note_join(meeting):
            self._unwritten[meeting.server_id] = self._unwritten.get(meeting.server_id, 0.0) + promised
        tenant = self._tenants.of(meeting.key.tenant)
        if tenant and tenant.max_users is not None:
            self._joining[meeting.key] += 1

    def people_of(self, tenant: Tenant) -> int:
        """How many people are in the tenant's meetings, or on their way there from here; a second old at most."""
        on_their_way = sum(joining for key, joining in self._joining.items() if key.tenant == tenant.id)
        return self._people.get(tenant.id, 0) + on_their_way

    async def _follow(self) -> None:
        while True:
            pause = RECONNECT_PAUSE
            try:
                async with listening(self._database.url, self._database.name, self._receive) as until_lost:
                    await self._load()
                    await until_lost()
            except SecretsUnreadable as error:
                log.critical("secrets_unreadable", reason=str(error))
                pause = UNREADABLE_PAUSE
            except DatabaseUnavailable:
                log.warning("database_unreachable")
            self.pool.is_current = False
            await asyncio.sleep(pause)

    async def _load(self) -> None:
        """Reads everything, holding back what is told meanwhile: it may be newer than what is read."""
        self._held_back = []
        async with self._database.transaction() as connection:
            servers = await all_servers(connection)
            meetings = await all_meetings(connection)
            self._tenants.replace(await all_tenants(connection))
            self.pool.replace_servers(servers)
            self.pool.replace_meetings((meeting, host_id_of(meeting.key)) for meeting in meetings)
            await self._outlook.load(connection)
        held_back, self._held_back = self._held_back, None
        for message in held_back:
            self._apply(message)
        self.pool.is_current = True
        self.loaded.set()
        self.broadcast.tell(RELOADED)

    def _receive(self, message: dict[str, Any]) -> None:
        self._told += 1
        if self._held_back is not None:
            self._held_back.append(message)
        else:
            self._apply(message)
        self.broadcast.tell(message)

    def _apply(self, message: dict[str, Any]) -> None:
        if apply := self._appliers.get(message["kind"]):
            for item in message["items"]:
                apply(self, item)

    def _meeting_changed(self, item: list[Any]) -> None:
        tenant, meeting_id, server_id, generation, state, internal_id, voice_bridge, *more = item
        key = MeetingKey(tenant, meeting_id)
        known = self.pool.meetings.get(key)
        if known and item[2:7] == [known.server_id, known.generation, known.state, known.internal_id, known.voice_bridge]:
            # Told of what it wrote itself, a process knows more: when the meeting began, and who is there.
            return
        meeting = Meeting(
            key=known.key if known else key,
            server_id=ServerId(server_id),
            generation=generation,
            state=MeetingState(state),
            internal_id=internal_id,
            voice_bridge=voice_bridge,
            # An older process does not tell.
            expected_users=more[0] if more else known.expected_users if known else 0.0,
        )
        self.pool.put_meeting(meeting, host_id_of(key))

    def _meeting_placed(self, item: list[Any]) -> None:
        *meeting, load = item
        self._meeting_changed(meeting)
        self.pool.set_load(ServerId(meeting[2]), load)

    def _meeting_gone(self, item: list[Any]) -> None:
        tenant, meeting_id, generation = item
        key = MeetingKey(tenant, meeting_id)
        self.pool.forget_meeting(key, generation, host_id_of(key))

    def _load_changed(self, item: list[Any]) -> None:
        self.pool.set_load(ServerId(item[0]), item[1])

    def _status_changed(self, item: list[Any]) -> None:
        server_id, load, health, admin_state, reached = item
        self.pool.set_status(ServerId(server_id), load=load, health=Health(health), admin_state=AdminState(admin_state))
        if reached:
            self.pool.poll_reached(ServerId(server_id))

    def _handicap_changed(self, item: list[Any]) -> None:
        self.pool.set_handicap(ServerId(item[0]), item[1])

    def _foresight_changed(self, _upcoming: int) -> None:
        self._outlook.hear()

    def _something_changed(self, _item: str) -> None:
        self._changed.set()

    _appliers: ClassVar[dict[str, Callable[["PoolView", Any], None]]] = {
        "meetings": _meeting_changed,
        "placed": _meeting_placed,
        "gone": _meeting_gone,
        "load": _load_changed,
        "status": _status_changed,
        "handicap": _handicap_changed,
        FORESIGHT: _foresight_changed,
        "servers": _something_changed,
        "tenants": _something_changed,
    }

    async def _reload(self) -> None:
        """Reads what changes seldom: the servers as the administrator describes them, and the tenants."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                async with self._database.transaction() as connection:
                    self.pool.replace_servers(await all_servers(connection))
                    self._tenants.replace(await all_tenants(connection))
            except SecretsUnreadable as error:
                log.critical("secrets_unreadable", reason=str(error))
                asyncio.get_running_loop().call_later(UNREADABLE_PAUSE, self._changed.set)
            except DatabaseUnavailable:
                self._changed.set()
                await asyncio.sleep(RECONNECT_PAUSE)

    async def _write_joins(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            with suppress(DatabaseUnavailable):
                await self._count_people()
            if not self._unwritten:
                continue
            loads, self._unwritten = self._unwritten, {}
            with suppress(DatabaseUnavailable):
                async with self._database.transaction() as connection:
                    written = await add_loads(connection, loads)
                for server_id, load in written.items():
                    self.pool.set_load(server_id, load)
            for server_id, load in loads.items():
                self.pool.promise(server_id, -load)

    async def _count_people(self) -> None:
        """Writes who was sent where, and reads how many are there by now; for the tenants that may only have so many."""
        limited = [tenant.id for tenant in self._tenants.limited()]
        if not limited:
            self._joining.clear()
            return
        joining = self._joining.copy()
        async with self._database.transaction() as connection:
            written = await add_joins(connection, joining) if joining else set()
            self._people = await people_of(connection, limited)
        left = {key for key in joining.keys() - written if key in self.pool.meetings}
        self._joining -= Counter({key: joined for key, joined in joining.items() if key not in left})
