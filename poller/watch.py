"""The leader's work: one scheduled job per server polls it, one task writes all that has come in since the last write.

So a server that hangs delays nobody, and a round over hundreds of servers is a handful of transactions. Started by Leadership.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from meetingpool.bbb.client import Client
from meetingpool.clock import Clock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.hooks import NOTIFICATION as HOOKS_CHANGED
from meetingpool.database.leases import StaleEpoch, fence
from meetingpool.database.notifications import listening
from meetingpool.database.sealed_secrets import SecretsUnreadable
from meetingpool.database.servers import all_servers
from meetingpool.domain.health import half_of_the_pool_fails
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.logs import get_logger
from meetingpool.metrics_counts import Counts
from meetingpool.operations.poll_server import ServerPoller
from meetingpool.operations.record_polls import Poll, PollRules, Recorded, record_polls
from poller.foreseeing import Foreseeing
from poller.history import History, HistorySettings
from poller.hook_registration import HookRegistration
from poller.registrations import Registrations

LEASE = "poller"
# Polls that come in within this part of the interval, and within this many seconds, are written together.
GATHER_OF_INTERVAL = 0.025
GATHER_AT_MOST = 0.5
RETRY = 1.0
READ_SERVERS_EVERY = 30.0
# A poll's deadline as a part of the interval, so that one is over before the next begins.
DEADLINE_OF_INTERVAL = 0.8

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """`interval`: seconds between two polls of a server. `base_url`: where servers reach us, if somebody has said so.

    `counts`: where it is counted how long servers took. `registration_lifetime`: seconds for which a registration holds.
    """

    interval: float
    connect_timeout: float
    response_timeout: float
    rules: PollRules
    base_url: str | None = None
    counts: Counts | None = None
    history: HistorySettings = field(default_factory=HistorySettings)
    registration_lifetime: float = 300.0


class Watch:
    """Polls all servers while open. `ended` turns true when another process leads by now, or this one cannot go on."""

    def __init__(self, database: Database, settings: WatchSettings, clock: Clock, epoch: int) -> None:
        self.ended = False
        self._database = database
        self._settings = settings
        self._clock = clock
        self._epoch = epoch
        self._servers: dict[ServerId, Server] = {}
        self._reached: dict[ServerId, bool] = {}
        self._waiting: dict[ServerId, Poll] = {}
        self._has_waiting = asyncio.Event()
        self._known_orphans: set[tuple[ServerId, str]] = set()
        self._panic = False
        self._gather = min(GATHER_AT_MOST, settings.interval * GATHER_OF_INTERVAL)
        self._servers_changed = asyncio.Event()
        self._client = Client(connect_timeout=settings.connect_timeout, counts=settings.counts)
        fenced = partial(fence, name=LEASE, epoch=epoch)
        self._foreseeing = Foreseeing(database, settings.rules.prior, fenced)
        self._history = History(database, settings.history, settings.rules.alerts, clock, fenced)
        self._registrations = Registrations(database, fenced, settings.registration_lifetime)
        self._hooks = HookRegistration(database, self._client, clock, base_url=settings.base_url)
        self._scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})

    async def __aenter__(self) -> Self:
        deadline = min(self._settings.response_timeout, self._settings.interval * DEADLINE_OF_INTERVAL)
        self._poller = ServerPoller(await self._client.__aenter__(), self._clock, deadline=deadline)
        works = (
            self._write,
            self._listen,
            self._follow_servers,
            self._hooks.run,
            self._history.run,
            self._registrations.run,
            self._foreseeing.run,
        )
        self._tasks = [asyncio.create_task(work()) for work in works]
        for task in self._tasks:
            task.add_done_callback(self._end_if_broken)
        self._scheduler.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._scheduler.shutdown(wait=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.__aexit__(kind, error, trace)

    async def _listen(self) -> None:
        """Hears of servers that administrators changed. Whatever was missed is found by the next reading."""
        while True:
            try:
                async with listening(self._database.url, self._database.name, self._hear) as until_lost:
                    self._servers_changed.set()
                    await until_lost()
            except DatabaseUnavailable:
                log.warning("database_unreachable")
            await asyncio.sleep(RETRY)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["kind"] == "servers":
            self._servers_changed.set()
        if message["kind"] in ("servers", HOOKS_CHANGED):
            self._hooks.wake()

    async def _follow_servers(self) -> None:
        while True:
            self._servers_changed.clear()
            try:
                await self._read_servers()
            except SecretsUnreadable as error:
                log.critical("secrets_unreadable", reason=str(error))
            except DatabaseUnavailable:
                log.warning("database_unreachable")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._servers_changed.wait(), READ_SERVERS_EVERY)

    async def _read_servers(self) -> None:
        """Reads which servers there are, and gives each a job. Raises DatabaseUnavailable."""
        async with self._database.transaction() as connection:
            servers = {server.id: server for server in await all_servers(connection)}
        for gone in self._servers.keys() - servers.keys():
            self._scheduler.remove_job(gone)
            self._reached.pop(gone, None)
            self._poller.forget(gone)
        new = servers.keys() - self._servers.keys()
        self._servers = servers
        for server_id in new:
            self._schedule(server_id)

    def _end_if_broken(self, task: "asyncio.Task[None]") -> None:
        """A leader that can no longer do a part of its work gives up all of it, so that it is begun anew, here or elsewhere."""
        if not task.cancelled() and (error := task.exception()):
            log.critical("watch_broke", exc_info=error)
            self.ended = True

    def reschedule(self) -> None:
        """Begins the intervals of all servers anew."""
        for server_id in self._servers:
            self._schedule(server_id)

    def _schedule(self, server_id: ServerId) -> None:
        # Spread over the interval from the start, so that the pool is not polled in one burst for ever.
        first = datetime.now().astimezone() + timedelta(seconds=random.uniform(0, min(1.0, self._settings.interval)))  # noqa: S311
        self._scheduler.add_job(
            self._poll,
            IntervalTrigger(seconds=self._settings.interval, jitter=self._settings.interval * 0.05),
            args=[server_id],
            id=server_id,
            next_run_time=first,
            replace_existing=True,
        )

    async def _poll(self, server_id: ServerId) -> None:
        server = self._servers.get(server_id)
        if server is None:
            return
        poll = await self._poller.poll(server)
        self._reached[server_id] = poll.meetings is not None
        self._waiting[server_id] = poll
        self._has_waiting.set()

    async def _write(self) -> None:
        while not self.ended:
            await self._has_waiting.wait()
            await asyncio.sleep(self._gather)
            batch, self._waiting = self._waiting, {}
            self._has_waiting.clear()
            try:
                await self._record(batch)
            except StaleEpoch:
                log.warning("overtaken", epoch=self._epoch)
                self.ended = True
            except DatabaseUnavailable:
                log.warning("polls_not_written", servers=len(batch))
                self._waiting = {**batch, **self._waiting}
                await asyncio.sleep(RETRY)
                self._has_waiting.set()

    async def _record(self, batch: dict[ServerId, Poll]) -> None:
        panic = self._pool_fails()
        async with self._database.transaction() as connection:
            await fence(connection, LEASE, self._epoch)
            recorded = await record_polls(connection, batch, self._settings.rules, self._clock, panic=panic)
        self._log(batch, recorded)

    def _pool_fails(self) -> bool:
        watched = [server for server in self._servers.values() if server.admin_state is not AdminState.DISABLED]
        panic = half_of_the_pool_fails(self._reached.get(server.id, True) for server in watched)
        if panic != self._panic:
            self._panic = panic
            log.error("more_than_half_of_the_pool_fails") if panic else log.info("pool_answers_again")
        return panic

    def _log(self, batch: dict[ServerId, Poll], recorded: Recorded) -> None:
        for change in recorded.changes:
            (health_before, admin_before), (health, admin) = change.before, change.after
            if health is not health_before:
                reason = batch[change.server_id].error
                tell = log.info if health is Health.ONLINE else log.warning
                tell("server_health", server=change.server_id, health=health, was=health_before, reason=reason)
            if admin is not admin_before:
                log.info("server_retired", server=change.server_id, was=admin_before)
        for key in recorded.gone:
            log.info("meeting_over", tenant=key.tenant, meeting=key.meeting_id)
        listed = {(server_id, internal_id) for server_id, _, internal_id, _ in recorded.orphans}
        self._known_orphans -= {orphan for orphan in self._known_orphans if orphan[0] in batch and orphan not in listed}
        for server_id, host_id, internal_id, mapped_to in recorded.orphans:
            if (server_id, internal_id) not in self._known_orphans:
                self._known_orphans.add((server_id, internal_id))
                log.error("orphaned_copy", server=server_id, meeting=host_id, internal_id=internal_id, belongs_to=mapped_to)
