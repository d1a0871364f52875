"""What administrators are told: of which kinds, when something is so and when it is over, and how a message proves its origin.

What is so is decided anew from what the servers are, so that whoever missed a change finds it the next time. A server that comes
and goes is told of once, and once more when it has been well for a while.
"""

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from meetingpool.domain.servers import AdminState, Health, ServerId

# Seconds for which something must be over before that is told, and is news when it comes again.
STABLE_FOR = 300.0
# The same for what happens and does not last: it is told once, until nothing of the kind happened for so long.
QUIET_FOR = 3600.0
# What alerts about all servers together are about.
POOL = "pool"
SIGNATURE_HEADER = "Meetingpool-Signature"


class AlertKind(StrEnum):
    """What is told."""

    SERVER_OFFLINE = "server.offline"
    SERVER_ONLINE = "server.online"
    SERVER_SILENT = "server.silent"
    SERVER_RENEWED = "server.renewed"
    POOL_NEARLY_FULL = "pool.nearly_full"
    POOL_HAS_ROOM = "pool.has_room"
    POOL_UNAVAILABLE = "pool.unavailable"
    POOL_AVAILABLE = "pool.available"
    RECORDING_QUARANTINED = "recording.quarantined"
    CALLBACK_GIVEN_UP = "callback.given_up"
    TEST = "test"


# What lasts, and what is told when it is over.
ENDS: dict[AlertKind, AlertKind] = {
    AlertKind.SERVER_OFFLINE: AlertKind.SERVER_ONLINE,
    AlertKind.SERVER_SILENT: AlertKind.SERVER_RENEWED,
    AlertKind.POOL_NEARLY_FULL: AlertKind.POOL_HAS_ROOM,
    AlertKind.POOL_UNAVAILABLE: AlertKind.POOL_AVAILABLE,
}


class AlertKey(NamedTuple):
    """What is so of what: of one key administrators are told once."""

    kind: AlertKind
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message. Whoever gets it twice knows it by its `id`. `detail` holds what JSON can, and no secret."""

    id: str
    kind: AlertKind
    subject: str
    detail: Mapping[str, Any]

    def body(self, at: datetime) -> str:
        """The message as it is sent, and signed."""
        moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = {"id": self.id, "kind": self.kind, "at": moment, "subject": self.subject, "detail": dict(self.detail)}
        return json.dumps(said, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertHook:
    """An address that is told. `kinds`: only these; None: all."""

    id: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    kinds: tuple[AlertKind, ...] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AlertRules:
    """`full_at`: the pool is nearly full when every server that takes new meetings has this load; None: never."""

    full_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedServer:
    """What alerts need to know of a server. `error`: why its last poll failed.

    `silent_since`: until when its registration held, if it should have renewed that by now.
    """

    id: ServerId
    admin_state: AdminState
    health: Health
    failures: int
    load: float
    meetings: int
    users: int
    error: str | None
    silent_since: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.admin_state is AdminState.ENABLED and self.health in (Health.ONLINE, Health.SUSPECT)


@dataclass(frozen=True, slots=True)
class Standing:
    """What administrators were told is so. `over_for`: seconds since it is no longer; None while it is."""

    key: AlertKey
    over_for: float | None


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so. `is_news`: enough so to be told of; otherwise it only goes on, if it was told of before."""

    detail: Mapping[str, Any]
    is_news: bool = True


@dataclass(slots=True)
class Turns:
    """What has changed: what begins, what is so again before it was over, what ceases, what is over, what nobody need know."""

    begun: dict[AlertKey, Mapping[str, Any]] = field(default_factory=dict)
    again: list[AlertKey] = field(default_factory=list)
    ceasing: list[AlertKey] = field(default_factory=list)
    over: list[AlertKey] = field(default_factory=list)
    forgotten: list[AlertKey] = field(default_factory=list)


def turns(servers: Iterable[WatchedServer], standing: Iterable[Standing], rules: AlertRules) -> Turns:
    """What to tell of the servers as they are, when administrators were told what is `standing`."""
    # A server that is disabled or removed is not online again; it is nobody's concern any more. Nor is a pool of none but such.
    watched = [server for server in servers if server.admin_state is not AdminState.DISABLED]
    known = {server.id for server in watched} | ({POOL} if watched else set())
    so = conditions(watched, rules)
    result = Turns()
    for each in standing:
        _turn(each, result, is_so=each.key in so, is_known=each.key.subject in known)
    told = {each.key for each in standing}
    result.begun = {key: condition.detail for key, condition in so.items() if condition.is_news and key not in told}
    return result


def conditions(watched: Sequence[WatchedServer], rules: AlertRules) -> dict[AlertKey, Condition]:
    """All that is so of servers that are not disabled, and of the pool of them."""
    so = {
        AlertKey(AlertKind.SERVER_OFFLINE, server.id): Condition(
            {"health": server.health, "reason": server.error, "meetings": server.meetings, "people": server.users},
            # One that answers again and is held down has not gone offline now.
            is_news=server.failures > 0,
        )
        for server in watched
        if server.health in (Health.OFFLINE, Health.DEAD)
    }
    silent = {
        AlertKey(AlertKind.SERVER_SILENT, server.id): Condition({"since": server.silent_since.isoformat()})
        for server in watched
        if server.silent_since
    }
    return so | silent | _of_the_pool(watched, rules)


def signature(secret: str, body: bytes, now: float) -> str:
    """The value of SIGNATURE_HEADER. `now` in seconds since 1970: it is signed too, so that what is old can be told."""
    moment = str(int(now))
    digest = hmac.new(secret.encode(), moment.encode() + b"." + body, sha256).hexdigest()
    return f"t={moment},v1={digest}"


def _of_the_pool(servers: Sequence[WatchedServer], rules: AlertRules) -> dict[AlertKey, Condition]:
    loads = [server.load for server in servers if server.is_open]
    so: dict[AlertKey, Condition] = {}
    if servers and not loads:
        enabled = sum(server.admin_state is AdminState.ENABLED for server in servers)
        so[AlertKey(AlertKind.POOL_UNAVAILABLE, POOL)] = Condition({"servers": len(servers), "enabled": enabled})
    if servers and rules.full_at is not None and all(load >= rules.full_at for load in loads):
        detail = {"open_servers": len(loads), "least_load": round(min(loads, default=0.0), 1), "full_at": rules.full_at}
        # Without any open server the pool has no room either, but that is another alert.
        so[AlertKey(AlertKind.POOL_NEARLY_FULL, POOL)] = Condition(detail, is_news=bool(loads))
    return so


def _turn(each: Standing, result: Turns, *, is_so: bool, is_known: bool) -> None:
    key, over_for = each.key, each.over_for
    if key.kind not in ENDS:
        if _is_past(over_for, QUIET_FOR):
            result.forgotten.append(key)
    elif is_so:
        if over_for is not None:
            result.again.append(key)
    elif not is_known:
        result.forgotten.append(key)
    elif over_for is None:
        result.ceasing.append(key)
    elif _is_past(over_for, STABLE_FOR):
        result.over.append(key)


def _is_past(over_for: float | None, seconds: float) -> bool:
    # A clock that was set back must not keep an alert for as long.
    return over_for is not None and not 0 <= over_for < seconds
