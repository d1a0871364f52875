"""What makes the pool what a list of servers says: pure decisions. Carried out by `operations/sync_servers.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from meetingpool.domain.servers import AdminState, Server, ServerId


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedServer:
    """A server of a list. `values`: its columns, checked; what the list does not say of it and has no default is not there."""

    id: ServerId
    values: Mapping[str, Any] = field(repr=False)
    is_enabled: bool


class Mode(StrEnum):
    """What becomes of servers that the list does not name: they stay; go when empty and are cordoned until then; go now."""

    KEEP = "keep"
    CORDON = "cordon"
    FORCE = "force"


class Action(StrEnum):
    """`end`: its meetings are ended, and then it is removed."""

    ADD = "add"
    CHANGE = "change"
    CORDON = "cordon"
    REMOVE = "remove"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done to one server. `before` and `after`: its columns that change, the secret among them.

    `meetings`: how many run on a server that the list does not name.
    """

    action: Action
    server_id: ServerId
    before: Mapping[str, Any] = field(default_factory=dict, repr=False)
    after: Mapping[str, Any] = field(default_factory=dict, repr=False)
    meetings: int = 0

    @property
    def takes_away(self) -> bool:
        return self.action in (Action.CORDON, Action.REMOVE, Action.END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What makes the pool what the list says. `kept`: servers that it does not name, and that stay as they are."""

    steps: tuple[Step, ...]
    kept: tuple[ServerId, ...] = ()

    @property
    def taken_away(self) -> frozenset[tuple[ServerId, Action]]:
        return frozenset((step.server_id, step.action) for step in self.steps if step.takes_away)


def planned(servers: Sequence[Server], running: Mapping[ServerId, int], wanted: Sequence[WantedServer], mode: Mode) -> Plan:
    """The plan for a pool of `servers`. `running`: how many meetings run on those that the list does not name."""
    known, names = {server.id: server for server in servers}, {each.id for each in wanted}
    listed = [_step_to(known.get(each.id), each) for each in wanted]
    others = [server for server in servers if server.id not in names]
    taken = [_step_away(server, running[server.id], mode) for server in others if mode is not Mode.KEEP]
    return Plan(
        steps=tuple(step for step in (*listed, *taken) if step is not None),
        kept=tuple(server.id for server in others) if mode is Mode.KEEP else (),
    )


def _step_to(server: Server | None, wanted: WantedServer) -> Step | None:
    """What makes `server` the wanted one; None when it is that."""
    if server is None:
        state = AdminState.ENABLED if wanted.is_enabled else AdminState.DISABLED
        return Step(action=Action.ADD, server_id=wanted.id, after={**wanted.values, "admin_state": state})
    after = {name: value for name, value in wanted.values.items() if getattr(server, name) != value}
    # What is cordoned or disabled takes no new meetings already.
    if wanted.is_enabled != (server.admin_state is AdminState.ENABLED):
        after["admin_state"] = AdminState.ENABLED if wanted.is_enabled else AdminState.CORDONED
    before = {name: getattr(server, name) for name in after}
    return Step(action=Action.CHANGE, server_id=server.id, before=before, after=after) if after else None


def _step_away(server: Server, running: int, mode: Mode) -> Step | None:
    """What is done to a server that the list does not name; None while it is cordoned until it is empty."""
    before = {"url": server.url, "admin_state": server.admin_state}
    if not running:
        return Step(action=Action.REMOVE, server_id=server.id, before=before)
    if mode is Mode.FORCE:
        return Step(action=Action.END, server_id=server.id, before=before, meetings=running)
    if server.admin_state is not AdminState.ENABLED:
        return None
    after = {"admin_state": AdminState.CORDONED}
    return Step(
        action=Action.CORDON,
        server_id=server.id,
        before={"admin_state": server.admin_state},
        after=after,
        meetings=running,
    )
