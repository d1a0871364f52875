"""/servers: the media hosts of the pool."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import Page
from meetingpool.database.engine import Connection
from meetingpool.database.meetings import meetings_on
from meetingpool.database.servers import all_servers
from meetingpool.domain.access import Permission
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.server_limits import LIMITS
from meetingpool.domain.servers import AdminState, Health
from meetingpool.domain.usage import Span
from meetingpool.operations import add_server as adding
from meetingpool.operations import change_server as changing_server
from meetingpool.operations import change_server_state, usage
from meetingpool.operations import panic_server as panicking
from meetingpool.operations.find_server import server_named
from meetingpool.operations.poll_now import PollRecord, poll_now, poll_record
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.operations.record_polls import record_polls
from meetingpool.operations.records import ServerRecord, server_record, tenant_names

Url = Annotated[str, Meta(max_length=2000, examples=["https://bbb1.example.org/bigbluebutton/api"])]
Secret = Annotated[str, Meta(max_length=1000)]
Tags = Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=100)]
Region = Annotated[str, Meta(max_length=100)]
Limit = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class NewServer(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A server to add. Without `id` it gets one. With `enable` it is polled, and enabled if it answers."""

    url: Url
    secret: Secret
    id: str | None = None
    load_multiplier: float = 1.0
    tags: Tags = []
    region: Region | None = None
    max_meetings: Limit | None = None
    max_users: Limit | None = None
    soft_meetings: Limit | None = None
    soft_users: Limit | None = None
    enable: bool = False


class ServerChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be different of a server. `url` and `secret` need the permission add_and_remove_servers; null: no such limit."""

    url: Url | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET
    load_multiplier: float | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    region: Region | UnsetType | None = UNSET
    max_meetings: Limit | UnsetType | None = UNSET
    max_users: Limit | UnsetType | None = UNSET
    soft_meetings: Limit | UnsetType | None = UNSET
    soft_users: Limit | UnsetType | None = UNSET


class PanicOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """With `keep_state` the server is what it was afterwards, else disabled; `skip_end_calls`: nothing is ended there."""

    keep_state: bool = False
    skip_end_calls: bool = False


class SamplesQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`span`: the last 24 hours, or 7 days."""

    span: Span = Span.DAY


class AddedServer(ServerRecord):
    """A server that was added. `poll`: what was seen of it, if it was to be enabled."""

    poll: PollRecord | None


class ServerSecret(TypedDict):
    id: str
    secret: str


class NotEnded(TypedDict):
    """A meeting that was not ended on its server, and why."""

    id: str
    tenant: str
    reason: str


class PanickedServer(TypedDict):
    """What became of a server and its meetings. Those that were `not_ended` are forgotten like the others, and may run on."""

    server: ServerRecord
    forgotten: int
    not_ended: list[NotEnded]


class Samples(TypedDict):
    """How a server was, at even distances; null where nothing was seen. `step` in seconds, `at` in seconds since 1970."""

    step: float
    at: list[int]
    health: list[Health | None]
    load: list[float | None]
    meetings: list[int | None]
    users: list[int | None]


async def list_servers(asked: Asked) -> Page[ServerRecord]:
    """All servers, by their ids."""
    async with asked.reading() as connection:
        return {"items": [server_record(server) for server in await all_servers(connection)], "next": None}


async def show_server(asked: Asked, server: str) -> ServerRecord:
    """A server, by its id or host name."""
    async with asked.reading() as connection:
        return server_record(await server_named(connection, server))


async def add_server(asked: Asked, body: NewServer) -> AddedServer:
    """Add a server, which is disabled until it is enabled."""
    gateway, settings = asked.gateway, asked.gateway.settings
    server = adding.new_server(
        body.url,
        body.secret,
        server_id=body.id,
        id_is_host_name=settings.server_id_is_hostname,
        load_multiplier=body.load_multiplier,
        tags=body.tags,
        region=body.region,
        limits={name: getattr(body, name) for name in LIMITS},
    )
    async with asked.changing() as change:
        await adding.add_server(change, server)
    if not body.enable:
        return {**server_record(server), "poll": None}
    poll = (await poll_now(gateway.client, gateway.clock, settings, [server]))[server.id]
    if not asked.dry_run:
        async with asked.changing() as change:
            await adding.enable_reached(change, server, poll, poll_rules(settings), gateway.clock)
            server = await server_named(change.connection, server.id)
    elif poll.meetings is not None:
        server = replace(server, admin_state=AdminState.ENABLED)
    return {**server_record(server), "poll": poll_record(server, poll)}


async def change_server(asked: Asked, server: str, body: ServerChange) -> ServerRecord:
    """Change what is said of a server: its address, secret, multiplier, tags, region, limits."""
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    if not given:
        raise Invalid("Say what to change: url, secret, load_multiplier, tags, region or a limit as max_users")
    if given.keys() & {"url", "secret"}:
        # It would be another server then.
        asked.require(Permission.ADD_AND_REMOVE_SERVERS)
    if given.get("region", "") is None:
        given["region"] = ""
    limits = {name: given.pop(name) for name in LIMITS if name in given}
    values = changing_server.checked_values(**given, limits=limits)
    async with asked.changing() as change:
        changed = await changing_server.change_server(change, server, values)
        return await _record_of(change.connection, changed.id)


async def remove_server(asked: Asked, server: str) -> ServerRecord:
    """Take a server out of the pool; refused while meetings run there."""
    async with asked.changing() as change:
        return server_record(await change_server_state.remove_server(change, server))


async def enable_server(asked: Asked, server: str) -> ServerRecord:
    """Let a server have new meetings."""
    return await _set_state(asked, server, AdminState.ENABLED)


async def cordon_server(asked: Asked, server: str) -> ServerRecord:
    """Give a server no new meetings, and let those that run there go on."""
    return await _set_state(asked, server, AdminState.CORDONED)


async def disable_server(asked: Asked, server: str) -> ServerRecord:
    """Take a server out of use; refused while meetings run there."""
    return await _set_state(asked, server, AdminState.DISABLED)


async def panic_server(asked: Asked, server: str, body: PanicOptions) -> PanickedServer:
    """Give a server up: it is disabled, its meetings are ended as far as it answers, and forgotten."""
    gateway = asked.gateway
    if asked.dry_run:
        async with asked.reading() as connection:
            known = await server_named(connection, server)
            meetings = await meetings_on(connection, known.id)
        state = known.admin_state if body.keep_state else AdminState.DISABLED
        return {"server": server_record(replace(known, admin_state=state)), "forgotten": len(meetings), "not_ended": []}
    panicked = await panicking.panic_server(
        asked.database,
        gateway.client,
        gateway.clock,
        asked.actor,
        server,
        keep_state=body.keep_state,
        skip_end_calls=body.skip_end_calls,
    )
    async with asked.reading() as connection:
        record, tenants = await _record_of(connection, panicked.server.id), await tenant_names(connection)
    not_ended = [
        NotEnded(id=key.meeting_id, tenant=tenants.get(key.tenant, key.tenant), reason=reason)
        for key, reason in panicked.not_ended.items()
    ]
    return {"server": record, "forgotten": panicked.forgotten, "not_ended": not_ended}


async def poll_server(asked: Asked, server: str) -> PollRecord:
    """Poll a server now, and keep what was seen."""
    gateway = asked.gateway
    async with asked.reading() as connection:
        known = await server_named(connection, server)
    polls = await poll_now(gateway.client, gateway.clock, gateway.settings, [known])
    async with asked.changing() as change:
        await record_polls(change.connection, polls, poll_rules(gateway.settings), gateway.clock, panic=False)
        return poll_record(await server_named(change.connection, known.id), polls[known.id])


async def show_samples(asked: Asked, server: str, query: SamplesQuery) -> Samples:
    """How a server was over the last day or week."""
    now = datetime.fromtimestamp(asked.gateway.clock.epoch(), UTC)
    async with asked.reading() as connection:
        known = await server_named(connection, server)
        seen = await usage.curve(connection, query.span, now, known.id)
    return {
        "step": seen.step,
        "at": seen.at,
        "health": seen.health,
        "load": seen.load,
        "meetings": seen.meetings,
        "users": seen.users,
    }


async def show_server_secret(asked: Asked, server: str) -> ServerSecret:
    """The secret of a server. That it was shown is kept in the audit."""
    async with asked.changing() as change:
        known = await server_named(change.connection, server)
        await change.note("servers.show_secret", known.id)
    return {"id": known.id, "secret": known.secret}


async def _set_state(asked: Asked, server: str, state: AdminState) -> ServerRecord:
    async with asked.changing() as change:
        changed = await change_server_state.change_state(change, server, state)
        return await _record_of(change.connection, changed.id)


async def _record_of(connection: Connection, server_id: str) -> ServerRecord:
    return server_record(await server_named(connection, server_id))
