"""Everything at once, drawn by a seed: servers, database and gateways go wrong in every way while meetings come and go.

No meeting is ever on two servers, none that runs is without its mapping, and in the end all is well.
"""

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.meetings import all_meetings
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.servers import AdminState
from simulator.faults import NO_FAULTS, Faults
from simulator.server import SimulatedServer
from tests.pool import FrontEnd, RunningPool, running_pool, succeeded

SECONDS = 6.0
RESPONSE_TIMEOUT = 0.6
# So that meetings are forgotten within the time of a test; the longest latency of a create is well below.
GRACE = 0.6
TOUCH_LASTS = 0.3
ROOMS = 24
GATEWAYS = 3
CLIENTS = 12
PASSWORD = "moderator"

CREATE = frozenset({"create"})
FAULTS = (
    Faults(drop_after=True, calls=CREATE, probability=0.5),
    Faults(drop_before=True, calls=CREATE, probability=0.5),
    Faults(http_status=502, calls=CREATE, probability=0.5),
    Faults(http_status=404, calls=CREATE, probability=0.5),
    Faults(body="truncated", calls=CREATE, probability=0.5),
    Faults(body="failed", calls=CREATE, probability=0.5),
    Faults(hang=True, calls=CREATE, probability=0.3),
    Faults(latency=0.2, probability=0.5),
    Faults(reply_delay=0.3, calls=CREATE),
    Faults(body="garbage", calls=frozenset({"getMeetings"})),
    Faults(hang_mid_body=True, calls=frozenset({"getMeetings", "getMeetingInfo"}), probability=0.5),
    Faults(reply_delay=0.4, calls=frozenset({"getMeetings", "getMeetingInfo", "end"})),
    Faults(drop_after=True, calls=frozenset({"end"}), probability=0.5),
    Faults(refuse=True),
)


@dataclass
class Nemesis:
    pool: RunningPool
    front_ends: list[FrontEnd]
    rng: random.Random
    done: bool = False
    seen: list[str] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        parts: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._client_forever,
            self._spoil,
            self._restart,
            self._poll,
            self._cordon,
            self._cut_connections,
            self._watch,
        ]
        async with asyncio.TaskGroup() as tasks:
            for part in parts:
                for _ in range(CLIENTS if part == self._client_forever else 1):
                    tasks.create_task(part())
            await asyncio.sleep(seconds)
            self.done = True

    async def _client_forever(self) -> None:
        while not self.done:
            call = asyncio.create_task(self._call(self.rng.choice(self.front_ends), f"room-{self.rng.randrange(ROOMS)}"))
            if self.rng.random() < 0.1:
                # As a gateway that is stopped in the middle: the call is over, whatever it was at.
                await asyncio.sleep(self.rng.uniform(0, 0.1))
                call.cancel()
            with suppress(asyncio.CancelledError):
                await call

    async def _call(self, front_end: FrontEnd, room: str) -> None:
        draw = self.rng.random()
        if draw < 0.7:
            answer = await front_end.create(room, moderatorPW=PASSWORD, attendeePW="attendee")
            if succeeded(answer):
                await self._require_mapped(room, answer.findtext("internalMeetingID") or "")
        elif draw < 0.9:
            await front_end.ask("getMeetingInfo", meetingID=room)
        else:
            await front_end.ask("end", meetingID=room, password=PASSWORD)

    async def _require_mapped(self, room: str, internal_id: str) -> None:
        """A create said SUCCESS: as long as that very meeting runs, it is mapped to the server that has it."""
        if not self._runs_on(room, internal_id):
            return
        rows = await self._rows()
        if (server := self._runs_on(room, internal_id)) and rows is not None and rows.get(room) != server.name:
            self.seen.append(f"{room} runs on {server.name} and is mapped to {rows.get(room)}")

    def _runs_on(self, room: str, internal_id: str) -> SimulatedServer | None:
        holders = self.pool.holders(room)
        return next((server for server in holders if server.meetings[room].internal_id == internal_id), None)

    async def _rows(self) -> dict[str, str] | None:
        try:
            async with self.pool.database.transaction() as connection:
                return {meeting.key.meeting_id: meeting.server_id for meeting in await all_meetings(connection)}
        except DatabaseUnavailable:
            return None

    async def _spoil(self) -> None:
        while not self.done:
            server = self.rng.choice(self.pool.fleet.servers)
            await self.pool.fleet.set_faults(server, self.rng.choice(FAULTS))
            await asyncio.sleep(self.rng.uniform(0, 0.4))
            if self.rng.random() < 0.7:
                await self.pool.fleet.set_faults(server, NO_FAULTS)

    async def _restart(self) -> None:
        while not self.done:
            await asyncio.sleep(self.rng.uniform(0.2, 1.5))
            await self.pool.fleet.restart(self.rng.choice(self.pool.fleet.servers), keep_state=self.rng.random() < 0.6)

    async def _poll(self) -> None:
        while not self.done:
            with suppress(DatabaseUnavailable):
                await self.pool.poll([self.rng.choice(self.pool.fleet.servers)])
            await asyncio.sleep(self.rng.uniform(0, 0.05))

    async def _cordon(self) -> None:
        while not self.done:
            await asyncio.sleep(self.rng.uniform(0.3, 1.0))
            server = self.rng.choice(self.pool.fleet.servers)
            for state in (AdminState.CORDONED, AdminState.ENABLED):
                with suppress(DatabaseUnavailable):
                    await self.pool.change_server(server, admin_state=state)
                await asyncio.sleep(self.rng.uniform(0.1, 1.0))

    async def _cut_connections(self) -> None:
        while not self.done:
            await asyncio.sleep(self.rng.uniform(0.5, 2.0))
            with suppress(DatabaseUnavailable):
                async with self.pool.database.transaction() as connection:
                    await connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                        " AND application_name LIKE 'meetingpool gateway%' AND random() < 0.5"
                    )

    async def _watch(self) -> None:
        while not self.done:
            for number in range(ROOMS):
                holders = self.pool.holders(f"room-{number}")
                if len(holders) > 1:
                    self.seen.append(f"room-{number} is on {', '.join(server.name for server in holders)}")
            await asyncio.sleep(0.02)

    async def require_all_well(self) -> None:
        """With nothing wrong any more, every room that runs is mapped, and every gateway finds and creates each of them."""
        for server in self.pool.fleet.servers:
            await self.pool.fleet.set_faults(server, NO_FAULTS)
            await self.pool.change_server(server, admin_state=AdminState.ENABLED)
        await asyncio.sleep(RESPONSE_TIMEOUT + GRACE + TOUCH_LASTS + 0.3)
        # Twice: the first poll brings a server back, and what it does not list is given up.
        await self.pool.poll()
        await self.pool.poll()
        await asyncio.sleep(0.8)
        for front_end in self.front_ends:
            # A connection to the database that was cut while idle costs one answer.
            await front_end.ask("getMeetingInfo", meetingID="nobody")
        rows = await self._rows() or {}
        running = {room: server.name for server in self.pool.fleet.servers for room in server.meetings}
        assert {room: rows.get(room) for room in running} == running
        for number in range(ROOMS):
            room = f"room-{number}"
            answers = [await front_end.create(room, moderatorPW=PASSWORD, attendeePW="attendee") for front_end in self.front_ends]
            assert [answer.findtext("message") for answer in answers if not succeeded(answer)] == []
            assert len({answer.findtext("internalMeetingID") for answer in answers}) == 1
            assert len(self.pool.holders(room)) == 1
        await asyncio.sleep(0.2)
        rows = await self._rows() or {}
        for front_end in self.front_ends:
            view = front_end.gateway.view.pool
            assert {key.meeting_id: meeting.server_id for key, meeting in view.meetings.items()} == rows
            for number in range(ROOMS):
                (holder,) = self.pool.holders(f"room-{number}")
                known = view.meetings[MeetingKey(DEFAULT_TENANT, f"room-{number}")]
                assert known.internal_id == holder.meetings[f"room-{number}"].internal_id


def shorten_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every module that goes by it."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("meetingpool.", "gateway.", "poller.")):
            for constant, shortened in (("GRACE", GRACE), ("TOUCH_LASTS", TOUCH_LASTS)):
                if hasattr(module, constant):
                    monkeypatch.setattr(module, constant, shortened)


async def everything_at_once(database_url: str, seed: int, seconds: float) -> None:
    async with running_pool(database_url, servers=4, response_timeout=RESPONSE_TIMEOUT, connect_timeout=0.4) as pool:
        front_ends = [await pool.front_end() for _ in range(GATEWAYS)]
        nemesis = Nemesis(pool, front_ends, random.Random(seed))
        await nemesis.run(seconds)
        assert nemesis.seen == []
        await nemesis.require_all_well()


@pytest.mark.parametrize("seed", [1])
async def test_everything_at_once_splits_and_loses_no_meeting(
    database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_grace(monkeypatch)
    await everything_at_once(database_url, seed, SECONDS)
