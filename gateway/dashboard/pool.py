"""The first page: what the pool carries now, and each server in a line."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from gateway.dashboard.answers import View
from gateway.dashboard.history import PoolHistory, pool_history
from gateway.dashboard.visits import Visit, filters_of
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.overviews import Waiting, what_waits
from meetingpool.database.servers import all_servers
from meetingpool.domain.servers import Health, Server

_SORTED: dict[str, Callable[[Server], Any]] = {
    "name": lambda server: (server.host_name, server.url),
    "state": lambda server: (server.admin_state, server.health),
    "load": lambda server: -server.load,
    "people": lambda server: -server.users,
    "meetings": lambda server: -server.meetings,
    "largest": lambda server: -server.largest_meeting,
    "cameras": lambda server: -server.videos,
    "version": lambda server: server.bbb_version or "",
    "poll": lambda server: server.last_poll or datetime.min.replace(tzinfo=UTC),
}


async def show_pool(visit: Visit) -> View:
    """All servers; as this process knows them while the database is away."""
    history: PoolHistory | None
    try:
        async with visit.database.transaction() as connection:
            servers, waiting = await all_servers(connection), await what_waits(connection)
            history = await pool_history(visit, connection)
    except DatabaseUnavailable:
        servers, waiting, history = list(visit.gateway.view.pool.servers.values()), None, visit.gateway.door.history
    return View(template="pool.html", title="Pool", values=_values(visit, servers, waiting) | {"history": history})


def _values(visit: Visit, servers: Sequence[Server], waiting: Waiting | None) -> dict[str, Any]:
    asked = filters_of(visit, "q", "show", "sort")
    return {
        "servers": _sorted([server for server in servers if _is_wanted(server, asked)], asked["sort"]),
        "names": names_of(servers),
        "totals": totals(servers),
        "waiting": waiting,
        "highest_load": max((server.load for server in servers), default=0.0),
        "asked": asked,
    }


def names_of(servers: Sequence[Server]) -> dict[str, str]:
    """By their ids, the host names of servers, with the port where several share a host."""
    shared = Counter(server.host_name for server in servers)
    return {server.id: urlsplit(server.url).netloc if shared[server.host_name] > 1 else server.host_name for server in servers}


def totals(servers: Sequence[Server]) -> dict[str, Any]:
    """What the servers carry together."""
    unreached = [server for server in servers if server.health in (Health.OFFLINE, Health.DEAD)]
    return {
        "servers": len(servers),
        "open": sum(server.takes_new_meetings for server in servers),
        "unreached": [server for server in unreached if server.admin_state != "disabled"],
        "meetings": sum(server.meetings for server in servers),
        "people": sum(server.users for server in servers),
        "cameras": sum(server.videos for server in servers),
        "load": sum(server.load for server in servers),
    }


def _sorted(servers: Sequence[Server], by: str) -> list[Server]:
    by_name = sorted(servers, key=_SORTED["name"])
    return sorted(by_name, key=_SORTED[by]) if by in _SORTED else by_name


def _is_wanted(server: Server, asked: Mapping[str, str]) -> bool:
    text, show = asked["q"].lower(), asked["show"]
    words = (server.id, server.host_name, server.region or "", server.bbb_version or "", *server.tags)
    is_shown = not show or show in (server.admin_state, server.health) or (show == "open" and server.takes_new_meetings)
    return is_shown and (not text or any(text in word.lower() for word in words))
