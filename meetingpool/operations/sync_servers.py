"""Makes the pool what a list of servers says. Called by `servers sync` and by Scalelite's task of that name.

Several at a time do not mix, and a list that is synced twice changes nothing the second time. What can be done at once is one
transaction; the servers whose meetings must be ended first are removed in a second one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meetingpool.bbb.client import Client
from meetingpool.clock import Clock
from meetingpool.database.engine import Connection, Database
from meetingpool.database.locks import one_at_a_time
from meetingpool.database.meetings import meetings_on
from meetingpool.database.servers import all_servers
from meetingpool.domain.audit import Actor
from meetingpool.domain.refusals import Conflict, Refusal
from meetingpool.domain.server_sync import Action, Mode, Plan, Step, WantedServer, planned
from meetingpool.domain.servers import AdminState, Server, ServerId
from meetingpool.operations.add_server import add_server
from meetingpool.operations.change_server import change_known_server
from meetingpool.operations.change_server_state import RUNNING, change_known_state, remove_known_server
from meetingpool.operations.changes import Change, changing
from meetingpool.operations.find_server import server_named
from meetingpool.operations.panic_server import panic_server

_SYNC = "servers sync"


class PlanChanged(Conflict):
    """Others changed servers since the plan was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What was done. `not_removed`: servers that were to go after their meetings, and why they are still there."""

    plan: Plan
    not_removed: Mapping[ServerId, str] = field(default_factory=dict)


async def sync_servers(
    database: Database,
    client: Client,
    clock: Clock,
    actor: Actor,
    wanted: Sequence[WantedServer],
    mode: Mode,
    *,
    agreed: Plan | None = None,
) -> Synced:
    """Does what the list says. Raises ServerExists for an address that is another server's.

    With an `agreed` plan nothing else may be taken away than it says: raises PlanChanged.
    """
    async with changing(database, actor) as change:
        plan = await _sync_at_once(change, wanted, mode, agreed)
    not_removed: dict[ServerId, str] = {}
    for step in plan.steps:
        if step.action is Action.END:
            await panic_server(database, client, clock, actor, step.server_id)
            if reason := await _remove_emptied(database, actor, step.server_id):
                not_removed[step.server_id] = reason
    return Synced(plan=plan, not_removed=not_removed)


async def plan_sync(database: Database, actor: Actor, wanted: Sequence[WantedServer], mode: Mode) -> Plan:
    """What `sync_servers` would do now; raises what it would."""
    async with changing(database, actor, dry_run=True) as change:
        return await _sync_at_once(change, wanted, mode, None)


async def _sync_at_once(change: Change, wanted: Sequence[WantedServer], mode: Mode, agreed: Plan | None) -> Plan:
    await one_at_a_time(change.connection, _SYNC)
    servers = await all_servers(change.connection)
    names = {each.id for each in wanted}
    running = {
        server.id: await _running_on(change.connection, server.id)
        for server in servers
        if server.id not in names and mode is not Mode.KEEP
    }
    plan = planned(servers, running, wanted, mode)
    if agreed is not None and plan.taken_away != agreed.taken_away:
        raise PlanChanged(
            "Nothing is changed, since the servers or their meetings are others now than in the plan: call it again"
        )
    known = {server.id: server for server in servers}
    for step in _in_order(plan.steps):
        await _take(change, step, known.get(step.server_id))
    return plan


def _in_order(steps: Iterable[Step]) -> list[Step]:
    """Servers go before others come, which may have their addresses; else in the order in which everybody locks them."""
    return sorted(steps, key=lambda step: (step.action is not Action.REMOVE, step.server_id))


async def _take(change: Change, step: Step, server: Server | None) -> None:
    """`server`: as it is before the step, if there is one."""
    columns = {name: value for name, value in step.after.items() if name != "admin_state"}
    state = step.after.get("admin_state")
    if server is None:
        server = Server(id=step.server_id, **columns)
        await add_server(change, server)
        # Which it is as it comes.
        state = None if state is AdminState.DISABLED else state
    elif step.action is Action.REMOVE:
        await remove_known_server(change, server)
    elif columns:
        await change_known_server(change, server, _as_rows(columns))
    if state is not None:
        await change_known_state(change, server, state)


def _as_rows(values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "tags": sorted(values["tags"])} if "tags" in values else dict(values)


async def _remove_emptied(database: Database, actor: Actor, server_id: ServerId) -> str | None:
    """Removes a server whose meetings were ended, unless somebody put it to use again. Why not, if it is not removed."""
    try:
        async with changing(database, actor) as change:
            await one_at_a_time(change.connection, _SYNC)
            server = await server_named(change.connection, server_id)
            if server.admin_state is not AdminState.DISABLED:
                return f"Server {server_id} is not removed, because somebody put it to use again meanwhile"
            await remove_known_server(change, server)
    except Refusal as error:
        return str(error)
    return None


async def _running_on(connection: Connection, server_id: ServerId) -> int:
    return sum(meeting.state in RUNNING for meeting in await meetings_on(connection, server_id))
