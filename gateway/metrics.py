"""/metrics: what there is to know of the pool and of this machine's processes, as Prometheus reads it.

What is the pool's comes from the database, so every gateway answers the same. What processes count is added up from their files,
so every process of a machine answers the same. When the database is away, the latter is still shown.
"""

import platform
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.metrics_access import may_watch, refusal
from gateway.state import Gateway
from meetingpool import metrics as m
from meetingpool.bbb.calls import CALLS
from meetingpool.database.capacity import CapacityFigures
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.figures import Figures, read_figures
from meetingpool.domain import room_sizes
from meetingpool.domain.capacity import CapacityRules
from meetingpool.domain.meetings import MeetingState
from meetingpool.domain.placement import UNTAGGED
from meetingpool.domain.servers import AdminState, Health
from meetingpool.metrics import CATALOGUE, Metric
from meetingpool.metrics_counts import Totals
from meetingpool.metrics_text import CONTENT_TYPE, family
from meetingpool.operations.capacity import capacity_rules, pool_capacity, region_capacities

Values = dict[tuple[str, ...], list[float]]
Shown = dict[Metric, Values]

_ROOMS = {
    m.ROOM_PARTICIPANTS: "users",
    m.ROOM_LISTENERS: "listeners",
    m.ROOM_VOICES: "voices",
    m.ROOM_VIDEOS: "videos",
}
_AVAILABLE = {(AdminState.ENABLED, Health.ONLINE), (AdminState.ENABLED, Health.SUSPECT)}
_INDEX, _OTHER = "index", "other"
_CALLS = {*CALLS, _INDEX}


async def metrics(request: Request) -> Response:
    """Only for those who may watch. Nothing here names a meeting or a person."""
    gateway: Gateway = request.state.gateway
    if not await may_watch(request, gateway):
        return refusal()
    figures = None
    with suppress(DatabaseUnavailable):
        figures = await read_figures(gateway.management_database)
    shown = _shown(gateway, figures)
    text = "".join(family(metric, shown.get(metric, {})) for metric in CATALOGUE)
    return Response(text, media_type=CONTENT_TYPE, headers={"cache-control": "no-store"})


def _shown(gateway: Gateway, figures: Figures | None) -> Shown:
    shown: Shown = {m.DATABASE_UP: _one(figures is not None), m.BUILD_INFO: {(_version(), platform.python_version()): [1.0]}}
    if figures:
        shown |= _of_servers(figures) | _of_rooms(figures) | _of_meetings(figures) | _of_work(figures) | _of_leader(figures)
        shown |= _of_capacity(figures.capacity, capacity_rules(gateway.settings))
    shown[m.POLL_INTERVAL] = _one(gateway.settings.poll_interval)
    servers = {server.url.rstrip("/"): server.id for server in gateway.view.pool.servers.values()}
    shown |= _counted(gateway.counts.totals(), servers)
    shown[m.PROCESSES] = {(process,): [float(number)] for process, number in gateway.counts.processes().items()}
    return shown


def _of_servers(figures: Figures) -> Shown:
    states = Counter((server["admin_state"], server["health"]) for server in figures.servers)
    available = {server["id"]: (server["admin_state"], server["health"]) in _AVAILABLE for server in figures.servers}

    def each(column: str) -> Values:
        return {(server["id"],): [float(server[column])] for server in figures.servers}

    return {
        m.API_UP: {(server["id"],): [float(server["failures"] == 0)] for server in figures.servers},
        m.VERSION: {(server["id"], server["bbb_version"]): [1.0] for server in figures.servers if server["bbb_version"]},
        m.MEETINGS: each("meetings"),
        m.PARTICIPANTS: each("users"),
        m.PARTICIPANTS_MAX: each("largest_meeting"),
        m.VIDEOS: each("videos"),
        m.SERVERS: {(admin, health): [float(states[admin, health])] for admin in AdminState for health in Health},
        m.SERVERS_AVAILABLE: _one(sum(available.values())),
        m.SERVER_AVAILABLE: {(server_id,): [float(is_so)] for server_id, is_so in available.items()},
        m.SERVER_ENABLED: {(server["id"],): [float(server["admin_state"] == AdminState.ENABLED)] for server in figures.servers},
        m.SERVER_LOAD: each("load"),
        m.POLL_AGE: each("poll_age"),
    }


def _of_capacity(figures: CapacityFigures, rules: CapacityRules) -> Shown:
    pool = pool_capacity(figures, rules)
    regions = {(region or UNTAGGED,): of for region, of in region_capacities(figures, rules).items()}
    return {
        m.CAPACITY_PEOPLE: _one(pool.capacity),
        m.CAPACITY_HEADROOM: _one(pool.headroom),
        m.CAPACITY_FITTING: _one(pool.largest_fitting),
        m.CAPACITY_FORESEEN: _one(pool.foreseen_people),
        m.CAPACITY_ADVISED: _one(pool.advised_servers),
        m.REGION_PEOPLE: {region: [float(of.capacity)] for region, of in regions.items()},
        m.REGION_HEADROOM: {region: [float(of.headroom)] for region, of in regions.items()},
        m.REGION_ADVISED: {region: [float(of.advised_servers)] for region, of in regions.items()},
        m.REGION_OPEN: {region: [float(of.open_servers)] for region, of in regions.items()},
    }


def _of_rooms(figures: Figures) -> Shown:
    """How large meetings are. A server that was never polled, or last by an older version, has none."""
    rooms: dict[str, Mapping[str, Any]] = {server["id"]: server["rooms"] for server in figures.servers}
    known = {server_id: of for server_id, of in rooms.items() if "users" in of}
    shown: Shown = {
        metric: {(server_id,): room_sizes.histogram(of[kind], metric.bounds) for server_id, of in known.items()}
        for metric, kind in _ROOMS.items()
    }
    for metric, kind in ((m.LISTENERS, "listeners"), (m.VOICES, "voices")):
        shown[metric] = {(server_id,): [float(room_sizes.total(of[kind]))] for server_id, of in known.items()}
    shown[m.UNIQUE_MEETINGS] = {(server_id,): [float(of.get("begun", 0))] for server_id, of in known.items()}
    shown[m.CLIENTS] = {}
    for server_id, of in known.items():
        callers, people = of.get("callers", 0), room_sizes.total(of["users"])
        shown[m.CLIENTS][server_id, "html5"] = [float(max(0, people - callers))]
        shown[m.CLIENTS][server_id, "dial-in"] = [float(callers)]
    return shown


def _of_meetings(figures: Figures) -> Shown:
    meetings, people, states = Counter[str](), Counter[str](), Counter[str]()
    for row in figures.meetings:
        meetings[row["tenant"]] += row["meetings"]
        people[row["tenant"]] += row["users"]
        states[row["state"]] += row["meetings"]
    return {
        m.TENANT_MEETINGS: {(tenant,): [float(number)] for tenant, number in meetings.items()},
        m.TENANT_PEOPLE: {(tenant,): [float(number)] for tenant, number in people.items()},
        m.MEETING_STATES: {(state,): [float(states[state])] for state in MeetingState},
    }


def _of_work(figures: Figures) -> Shown:
    callbacks, imports, spools = figures.callbacks, figures.imports, figures.spools
    files = {"unclaimed": spools["unclaimed"] or 0, "waiting": imports["waiting"], "working": imports["working"]}
    bounds = (*m.IMPORT_SECONDS.bounds, float("inf"))
    done = [figures.import_seconds.get(bound, (0, 0.0)) for bound in bounds]
    shown: Shown = {
        m.CALLBACKS_PENDING: _one(callbacks["pending"]),
        m.CALLBACKS_AGE: _one(callbacks["oldest"]),
        m.CALLBACKS_GIVEN_UP: _one(callbacks["given_up"]),
        m.SPOOL_FILES: {(state,): [float(number)] for state, number in files.items()},
        m.SPOOL_AGE: _one(imports["oldest"]),
        m.QUARANTINE_FILES: _one(imports["quarantined"]),
        m.IMPORT_SECONDS: {(): [*(float(number) for number, _ in done), sum(seconds for _, seconds in done)]},
    }
    if spools["look_age"] is not None:
        shown[m.SPOOL_LOOK_AGE] = _one(spools["look_age"])
    return shown


def _of_leader(figures: Figures) -> Shown:
    leader = figures.leader
    if leader is None:
        return {m.LEADER_CHANGES: _one(0)}
    return {m.IS_LEADER: {(leader.holder,): [float(leader.leads)]}, m.LEADER_CHANGES: _one(leader.epoch)}


def _counted(totals: Totals, servers: Mapping[str, str]) -> Shown:
    """What processes counted, of servers that are still there. `servers`: their ids by their URLs, without a slash at the end."""
    by_key = {metric.key: metric for metric in CATALOGUE}
    shown: Shown = {}
    for (key, *labels), numbers in totals.items():
        metric = by_key.get(key)
        if metric is None:
            continue
        if metric in (m.UPSTREAM_SECONDS, m.UPSTREAM_FAILURES):
            labels = _call_and_server(labels[0], servers)
        if len(labels) == len(metric.labels):
            known = shown.setdefault(metric, {}).setdefault(tuple(labels), [0.0] * metric.cells)
            known[:] = [one + other for one, other in zip(known, numbers, strict=True)]
    return shown


def _call_and_server(place: str, servers: Mapping[str, str]) -> list[str]:
    """What was asked at a URL, and of which server; nothing, if that server is no longer there."""
    # Some calls are of two words, as hooks/create.
    for base, *words in (place.rsplit("/", 1), place.rsplit("/", 2)):
        if server := servers.get(base):
            call = "/".join(words) or _INDEX
            return [call if call in _CALLS else _OTHER, server]
    return []


def _one(value: float) -> Values:
    return {(): [float(value)]}


def _version() -> str:
    # Loaded when it is asked for: the gateway needs none of it otherwise.
    from importlib.metadata import version

    return version("meetingpool")
