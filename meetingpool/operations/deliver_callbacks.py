"""Delivers what the outbox holds, until somebody took it or a day has passed. Started by every poller, leading or not.

Rows are taken under a lease, so any number of deliverers share the work, and one that dies loses nothing: what it held is due
again when the lease is over. No transaction is open while a front end is called.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from meetingpool.bbb.checksum import Algorithm
from meetingpool.clock import Clock
from meetingpool.database import hook_events, outbox
from meetingpool.database.alerts import find_hooks
from meetingpool.database.audit import purge_audit
from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.notifications import listening
from meetingpool.database.outbox import Due
from meetingpool.database.placements import purge_placements
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.alerts import AlertHook
from meetingpool.domain.announcements import EVENT_PAUSES, AnnouncementState, event_pause_after, pause_after
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.tenants import Tenant
from meetingpool.logs import get_logger
from meetingpool.operations.alerts import callback_given_up
from meetingpool.operations.send_callback import REQUESTS, Outcome, Signing, send_callback
from meetingpool.outward.client import Outward

AT_ONCE = 16
# A front end that is slow must not take all places.
AT_ONCE_PER_HOST = 2
# Retries become due without anybody saying so.
LOOK_EVERY = 5.0
RETRY = 1.0
PURGE_EVERY = 3600.0
PURGE_AT_ONCE = 1000
# Between the signal to stop and giving up what is still under way, in seconds.
FINISH_WITHIN = 12.0

KINDS = (*REQUESTS, CallbackKind.ALERT)

Recipient = Tenant | AlertHook
Purge = Callable[[Connection, int], Awaitable[int]]

log = get_logger()


class Deliverer:
    """One process's share of the deliveries. `secrets`: those of the front end that is no tenant.

    What is old is dropped on the way, and entries of the audit after `audit_days`.
    """

    def __init__(
        self,
        database: Database,
        outward: Outward,
        secrets: tuple[str, ...],
        clock: Clock,
        rng: random.Random,
        *,
        hook_algorithm: Algorithm = Algorithm.SHA1,
        audit_days: int = 400,
    ) -> None:
        self._database = database
        self._outward = outward
        self._installation = Tenant(id=DEFAULT_TENANT, name=DEFAULT_TENANT, secrets=secrets)
        self._clock = clock
        self._rng = rng
        self._hook_algorithm = hook_algorithm
        self._purges: tuple[Purge, ...] = (outbox.purge_outbox, purge_placements, partial(purge_audit, days=audit_days))
        self._under_way: dict[asyncio.Task[None], Due] = {}
        self._woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop` is set, and then finishes what is under way."""
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(work) for work in (self._listen(), self._purge(), self._wake_at(stop))]
            try:
                while not stop.is_set():
                    self._woken.clear()
                    await self._begin_due()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), LOOK_EVERY)
            finally:
                for task in beside:
                    task.cancel()
                await self._finish()

    async def _begin_due(self) -> None:
        """Takes as much of what is due as there are places, and begins with it."""
        places = AT_ONCE - len(self._under_way)
        if not places:
            return
        under_way = Counter(due.host for due in self._under_way.values())
        try:
            async with self._database.transaction() as connection:
                taken = await outbox.claim_due(connection, KINDS, limit=places, per_host=AT_ONCE_PER_HOST, under_way=under_way)
                recipients = await self._recipients(connection, taken) if taken else {}
        except DatabaseUnavailable:
            log.warning("database_unreachable")
            return
        for due in taken:
            task = asyncio.create_task(self._deliver(due, recipients.get(due.id)))
            self._under_way[task] = due
            task.add_done_callback(self._end)

    async def _recipients(self, connection: Connection, taken: Sequence[Due]) -> dict[int, Recipient | None]:
        """Who is told each of those that were taken. Read for every batch: a secret may have been changed a moment ago."""
        tenants = {tenant.id: tenant for tenant in (*await all_tenants(connection), self._installation)}
        wanted = {due.payload["hook"] for due in taken if due.kind is CallbackKind.ALERT}
        hooks = await find_hooks(connection, wanted) if wanted else {}
        return {
            due.id: hooks.get(due.payload["hook"]) if due.kind is CallbackKind.ALERT else tenants.get(due.tenant) for due in taken
        }

    def _end(self, task: "asyncio.Task[None]") -> None:
        due = self._under_way.pop(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()):
            # It is due again when the lease is over.
            log.error("callback_not_written", id=due.id, kind=due.kind, exc_info=error)

    async def _deliver(self, due: Due, recipient: Recipient | None) -> None:
        outcome = await self._attempt(due, recipient)
        pause = self._pause_after(due)
        if outcome.state is AnnouncementState.PENDING and pause is None:
            outcome = Outcome(AnnouncementState.GIVEN_UP, outcome.reason)
        _tell(due, outcome)
        while True:
            try:
                return await self._write_down(due, outcome, pause or EVENT_PAUSES[-1])
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY)

    async def _write_down(self, due: Due, outcome: Outcome, pause: float) -> None:
        write_down = _write_down_event if due.hook_id else _write_down
        async with self._database.transaction() as connection:
            await write_down(connection, due, outcome, pause)
        if outcome.state is AnnouncementState.PENDING and pause < LOOK_EVERY:
            asyncio.get_running_loop().call_later(pause, self._woken.set)

    def _pause_after(self, due: Due) -> float | None:
        if due.hook_id:
            return event_pause_after(due.attempts, due.age, self._rng)
        return pause_after(due.attempts, self._rng)

    async def _attempt(self, due: Due, recipient: Recipient | None) -> Outcome:
        if recipient is None:
            gone = "address" if due.kind is CallbackKind.ALERT else "tenant"
            return Outcome(AnnouncementState.GIVEN_UP, f"there is no such {gone} any more")
        try:
            signing = Signing(now=self._clock.epoch(), hook_algorithm=self._hook_algorithm)
            return await send_callback(self._outward, due, recipient, signing)
        except Exception:  # the outermost frame of a delivery: one that cannot be made must not stop the others
            log.exception("callback_broke", id=due.id, kind=due.kind)
            return Outcome(AnnouncementState.PENDING, "an error in Meetingpool, which its log explains")

    async def _finish(self) -> None:
        """Waits for what is under way; what takes too long is left to the next deliverer."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(list(self._under_way), timeout=FINISH_WITHIN)
        left = [self._under_way[task] for task in late]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        with suppress(DatabaseUnavailable):
            async with self._database.transaction() as connection:
                for due in left:
                    await outbox.release(connection, due)

    async def _listen(self) -> None:
        """Hears of what is new. Whatever was missed is found by the next look."""
        while True:
            try:
                async with listening(self._database.url, self._database.name, self._hear) as until_lost:
                    self._woken.set()
                    await until_lost()
            except DatabaseUnavailable:
                log.warning("database_unreachable")
            await asyncio.sleep(RETRY)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["kind"] == outbox.NOTIFICATION:
            self._woken.set()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._woken.set()

    async def _purge(self) -> None:
        while True:
            for purge in self._purges:
                with suppress(DatabaseUnavailable):
                    while await self._drop_some(purge) == PURGE_AT_ONCE:
                        pass
            await asyncio.sleep(PURGE_EVERY)

    async def _drop_some(self, purge: Purge) -> int:
        async with self._database.transaction() as connection:
            return await purge(connection, PURGE_AT_ONCE)


async def _write_down(connection: Connection, due: Due, outcome: Outcome, pause: float) -> None:
    match outcome.state:
        case AnnouncementState.DELIVERED:
            await outbox.mark_delivered(connection, due)
        case AnnouncementState.PENDING:
            await outbox.postpone(connection, due, pause, outcome.reason)
        case settled:
            is_settled = await outbox.settle(connection, due, settled, outcome.reason)
            # That an alert could not be told cannot be told either.
            if is_settled and settled is AnnouncementState.GIVEN_UP and due.kind is not CallbackKind.ALERT:
                await callback_given_up(connection, due, outcome.reason)


async def _write_down_event(connection: Connection, due: Due, outcome: Outcome, pause: float) -> None:
    """The same for an event of a webhook. What waits behind one that is given up waits `pause` too."""
    match outcome.state:
        case AnnouncementState.DELIVERED:
            await hook_events.mark_told(connection, due)
        case AnnouncementState.PENDING:
            await hook_events.tell_later(connection, due, pause, outcome.reason)
        case _:
            if await hook_events.give_up(connection, due, pause, outcome.reason):
                log.error("hook_removed", hook=due.hook_id, tenant=due.tenant, host=due.host, reason=outcome.reason)
            await callback_given_up(connection, due, outcome.reason)


def _tell(due: Due, outcome: Outcome) -> None:
    """One line for each attempt. Of the address the host only: the rest may be a secret."""
    fields = {"id": due.id, "kind": due.kind, "tenant": due.tenant, "meeting": due.meeting_id, "host": due.host}
    match outcome.state:
        case AnnouncementState.DELIVERED:
            tell = log.debug if due.hook_id else log.info
            tell("callback_delivered", **fields, attempts=due.attempts)
        case AnnouncementState.PENDING:
            log.warning("callback_failed", **fields, attempts=due.attempts, reason=outcome.reason)
        case AnnouncementState.REFUSED:
            log.info("callback_not_wanted", **fields, attempts=due.attempts, reason=outcome.reason)
        case AnnouncementState.GIVEN_UP:
            log.error("callback_given_up", **fields, attempts=due.attempts, reason=outcome.reason)
