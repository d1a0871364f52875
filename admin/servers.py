"""What `servers list` and `status` show."""

import time
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

import typer

from admin.commands.arguments import Format
from admin.connection import note_shown
from admin.output import Column, Listing, Record, ago, iso_time, show
from meetingpool.database.engine import Database
from meetingpool.database.installation import callback_key
from meetingpool.database.servers import all_servers
from meetingpool.domain.servers import Server, ServerId
from meetingpool.domain.uploads import upload_token
from meetingpool.operations.find_server import server_named
from meetingpool.operations.records import ServerRecord, names_of, server_record
from meetingpool.settings import Settings

NO_SERVERS = "No servers are configured; `meetingpool servers add` adds one"

_LIST_COLUMNS = [
    Column("ID", lambda server: server["id"]),
    Column("URL", lambda server: server["url"]),
    Column("STATE", lambda server: server["admin_state"]),
    Column("STATUS", lambda server: server["health"]),
    Column("LOAD", lambda server: f"{server['load']:.2f}", is_number=True),
    Column("MULTIPLIER", lambda server: f"{server['load_multiplier']:g}", is_number=True),
    Column("VERSION", lambda server: server["bbb_version"], can_be_spared=True),
    Column("TAG", lambda server: server["tags"], can_be_spared=True),
    Column("REGION", lambda server: server["region"], can_be_spared=True),
    Column("LIMITS", lambda server: _limits(server), can_be_spared=True),
    Column("REGISTERED", lambda server: _registered(server), can_be_spared=True),
]
_SECRET_COLUMN = Column("SECRET", lambda server: server["secret"])


async def show_servers(database: Database, style: Format, every: float | None, *, show_secrets: bool) -> None:
    """Prints all servers; again each `every` seconds, if that is given."""
    if show_secrets:
        await note_shown(database, "servers.show_secret", "all")
    await show(lambda: list_servers(database, show_secrets=show_secrets), style, every)


async def list_servers(database: Database, *, show_secrets: bool = False) -> Listing:
    """All servers by their ids."""
    async with database.transaction() as connection:
        servers = await all_servers(connection)
    return Listing(
        names=names_of(ServerRecord) + ("secret",) * show_secrets,
        records=[server_record(server, show_secret=show_secrets) for server in servers],
        columns=_LIST_COLUMNS + [_SECRET_COLUMN] * show_secrets,
        when_empty=NO_SERVERS,
    )


async def status(database: Database) -> Listing:
    """All servers by their host names, and what they carry together."""
    async with database.transaction() as connection:
        servers = await all_servers(connection)
    servers.sort(key=lambda server: (server.host_name, server.url))
    hosts = host_names_of(servers)
    return Listing(
        names=names_of(ServerRecord),
        records=[server_record(server) for server in servers],
        columns=_status_columns(hosts, time.time()),
        when_empty=NO_SERVERS,
        summary=summary_of(servers),
    )


def host_names_of(servers: Sequence[Server]) -> dict[ServerId, str]:
    """The host names, with the port where several servers share a host."""
    shared = Counter(server.host_name for server in servers)
    return {server.id: urlsplit(server.url).netloc if shared[server.host_name] > 1 else server.host_name for server in servers}


def summary_of(servers: Sequence[Server]) -> str:
    open_servers = sum(server.takes_new_meetings for server in servers)
    meetings, users = sum(server.meetings for server in servers), sum(server.users for server in servers)
    videos = sum(server.videos for server in servers)
    return f"{open_servers} of {len(servers)} servers take new meetings; {meetings} meetings, {users} users, {videos} videos"


def _registered(server: Record) -> str | None:
    """By which token the server registered itself, and until when."""
    if server["registered_by"] is None:
        return None
    return f"{server['registered_by']}, {server['registration']} until {iso_time(server['registered_until'])}"


def _limits(server: Record) -> str | None:
    """The server's own, as `150/200 users`: a soft one and a hard one."""
    limits = {what: (server[f"soft_{what}"], server[f"max_{what}"]) for what in ("meetings", "users")}
    return ", ".join(f"{soft or '-'}/{hard or '-'} {what}" for what, (soft, hard) in limits.items() if soft or hard) or None


def _status_columns(hosts: dict[ServerId, str], now: float) -> list[Column]:
    def host(server: Record) -> str:
        return hosts[server["id"]]

    return [
        Column("HOSTNAME", host),
        Column("STATE", lambda server: server["admin_state"]),
        Column("STATUS", lambda server: server["health"]),
        Column("MEETINGS", lambda server: server["meetings"], is_number=True),
        Column("USERS", lambda server: server["users"], is_number=True),
        Column("LARGEST", lambda server: server["largest_meeting"], is_number=True, can_be_spared=True),
        Column("VIDEOS", lambda server: server["videos"], is_number=True, can_be_spared=True),
        Column("LOAD", lambda server: f"{server['load']:.2f}", is_number=True),
        Column("VERSION", lambda server: server["bbb_version"], can_be_spared=True),
        Column("TAG", lambda server: server["tags"], can_be_spared=True),
        Column("LAST POLL", lambda server: ago(server["last_poll"], now), is_number=True),
        Column("REGION", lambda server: server["region"], can_be_spared=True),
    ]


async def show_upload_token(database: Database, settings: Settings, name: str) -> None:
    """Prints the lines that a server's settings need to upload recordings. Raises NoSuchServer."""
    async with database.transaction() as connection:
        server = await server_named(connection, name)
        key = await callback_key(connection)
    typer.echo(f"upload_url: {settings.base_url or 'https://THIS-HOST'}/bigbluebutton/uploads/{server.id}")
    typer.echo(f"upload_token: {upload_token(key, server)}")
