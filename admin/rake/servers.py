"""The tasks `servers…`: what they change and list."""

from collections.abc import Sequence

from admin.connection import changing, note_shown, this_account
from admin.rake.calls import Call, fail, ids_of, number_of, somebody_says_yes, warn
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ServerFailure
from meetingpool.clock import SystemClock
from meetingpool.database.meetings import meetings_on
from meetingpool.database.servers import all_servers
from meetingpool.domain.meetings import Meeting
from meetingpool.domain.servers import AdminState, Health, Server
from meetingpool.operations import add_server as adding
from meetingpool.operations import change_server as changing_server
from meetingpool.operations.change_server_state import RUNNING, change_state, remove_server
from meetingpool.operations.find_server import NoSuchServer, server_named
from meetingpool.operations.panic_server import Panicked, panic_server
from meetingpool.operations.server_lists import tag_of, tags_of

_ANSWERING = (Health.ONLINE, Health.SUSPECT)
NO_SERVERS = "No servers are configured"
UNREADABLE_MULTIPLIER = "WARNING! Load-multiplier was not readable or 0, so it is now 1"


async def list_servers(call: Call) -> None:
    """Shows the secrets, as it always did; the audit keeps that."""
    await note_shown(call.database, "servers.show_secret", "all")
    servers = await _all(call)
    if not servers:
        warn(NO_SERVERS)
    for server in servers:
        print(f"id: {server.id}")
        for line in _lines_of(server):
            print(f"\t{line}")


async def add(call: Call) -> None:
    url, secret = call.said("url"), call.said("secret")
    if url is None or secret is None:
        fail("Error: Please input at least a URL and a secret!")
    if not url.startswith(("http://", "https://")):
        fail("Error: Server URL must start with http:// or https://")
    server = adding.new_server(
        url,
        secret,
        id_is_host_name=call.settings.server_id_is_hostname,
        load_multiplier=_multiplier(call) or 1.0,
        tags=tags_of(call.required("tag")),
    )
    async with changing(call.database, dry_run=False) as change:
        await adding.add_server(change, server)
    print(f"OK\nid: {server.id}")


async def update(call: Call) -> None:
    """An empty tag takes all tags away, one that is left out leaves them."""
    print(f"Updating server {call.required('id')}...")
    await _change(
        call,
        secret=call.said("secret"),
        load_multiplier=_multiplier(call),
        tags=tags_of(call.arguments["tag"]) if "tag" in call.arguments else None,
    )


async def set_multiplier(call: Call) -> None:
    await _change(call, load_multiplier=_multiplier(call) or 1.0)


async def set_tag(call: Call) -> None:
    await _change(call, tags=tags_of(call.required("tag")))


async def remove(call: Call) -> None:
    """Unlike in Scalelite, not while meetings run on the server."""
    print(f"Removing server {call.required('id')}...", flush=True)
    server = await _named(call)
    async with changing(call.database, dry_run=False) as change:
        await remove_server(change, server.id)
    print("OK")


async def enable(call: Call) -> None:
    await _set_state(call, "Enabling", AdminState.ENABLED)


async def cordon(call: Call) -> None:
    await _set_state(call, "Cordoning", AdminState.CORDONED)


async def disable(call: Call) -> None:
    """Asks when meetings run there, and ends them when the answer is yes; else the server stays what it is."""
    print(f"Disabling server {call.required('id')}...")
    server = await _named(call)
    running = [meeting for meeting in await _meetings(call, server) if meeting.state in RUNNING]
    if not (running or server.load > 0.0):
        async with changing(call.database, dry_run=False) as change:
            await change_state(change, server.id, AdminState.DISABLED)
    elif _is_to_be_cleared():
        await _clear(call, server)
    print("OK")


async def panic(call: Call) -> None:
    """Whatever stands in the place of a yes is one, be it `false`."""
    print(f"Panicking server {call.required('id')}...")
    keep_state, skip_end_calls = call.said("keep_state") is not None, call.said("skip_end_calls") is not None
    await _clear(call, await _named(call), keep_state=keep_state, skip_end_calls=skip_end_calls)
    print("OK")


async def list_meetings(call: Call) -> None:
    """The names of the meetings that the servers have now, whoever made them."""
    ids = ids_of(call.said("server_ids"))
    servers = [await _named(call, server_id) for server_id in ids] if ids else await _all(call)
    async with Client(connect_timeout=call.settings.connect_timeout) as client:
        for server in servers:
            print(f"\nServer ID: {server.id}\nServer Url: {server.url}")
            try:
                names = await _names_of_meetings(client, server, call.settings.response_timeout)
            except ServerFailure as error:
                print(f"\nFailed to get server id={server.id} status: {error}")
                continue
            listed = "\n\t".join(names)
            print(f"MeetingIDs: \n\t{listed}" if names else "MeetingIDs: \n\t\n\tNo meetings to display")


def load_of(server: Server) -> float | None:
    """The load as Scalelite has one: of servers that are in use and answer."""
    has_load = server.admin_state is not AdminState.DISABLED and server.health in _ANSWERING and server.last_poll
    return server.load if has_load else None


def online_of(server: Server) -> str:
    return "online" if server.health in _ANSWERING else "offline"


def _lines_of(server: Server) -> list[str]:
    load = load_of(server)
    return [
        f"url: {server.url}",
        f"secret: {server.secret}",
        server.admin_state.value,
        f"load: {'unavailable' if load is None else load}",
        f"load multiplier: {server.load_multiplier}",
        f"bbb version: {server.bbb_version or ''}",
        f"tag: {tag_of(server.tags) or ''}",
        online_of(server),
    ]


async def _change(
    call: Call, *, secret: str | None = None, load_multiplier: float | None = None, tags: Sequence[str] | None = None
) -> None:
    server = await _named(call)
    values = changing_server.checked_values(secret=secret, load_multiplier=load_multiplier, tags=tags)
    if values:
        async with changing(call.database, dry_run=False) as change:
            await changing_server.change_server(change, server.id, values)
    print("OK")


async def _set_state(call: Call, doing: str, state: AdminState) -> None:
    print(f"{doing} server {call.required('id')}...")
    server = await _named(call)
    async with changing(call.database, dry_run=False) as change:
        await change_state(change, server.id, state)
    print("OK")


def _is_to_be_cleared() -> bool:
    print(
        "WARNING: You are trying to disable a server with active load. You should use the cordon option if\n"
        "          you do not want to clear all the meetings"
    )
    print("If you still wish to continue please enter `yes`")
    return somebody_says_yes()


async def _clear(call: Call, server: Server, *, keep_state: bool = False, skip_end_calls: bool = False) -> None:
    for meeting in await _meetings(call, server):
        print(f"Clearing Meeting id={meeting.key.meeting_id}", flush=True)
    async with Client(connect_timeout=call.settings.connect_timeout) as client:
        panicked: Panicked = await panic_server(
            call.database,
            client,
            SystemClock(),
            this_account(),
            server.id,
            keep_state=keep_state,
            skip_end_calls=skip_end_calls,
        )
    for key, reason in panicked.not_ended.items():
        print(f"WARNING: Could not end meeting id={key.meeting_id}: {reason}")


async def _names_of_meetings(client: Client, server: Server, deadline: float) -> list[str]:
    answer = await client.call(server.url, server.secret, "getMeetings", deadline=deadline)
    return [meeting.findtext("meetingName") or "" for meeting in answer.root.iterfind("meetings/meeting")]


async def _named(call: Call, name: str | None = None) -> Server:
    wanted = call.required("id") if name is None else name
    try:
        async with call.database.transaction() as connection:
            return await server_named(connection, wanted)
    except NoSuchServer:
        fail(f"ERROR: No server found with id: {wanted}")


async def _all(call: Call) -> list[Server]:
    async with call.database.transaction() as connection:
        return await all_servers(connection)


async def _meetings(call: Call, server: Server) -> list[Meeting]:
    async with call.database.transaction() as connection:
        return await meetings_on(connection, server.id)


def _multiplier(call: Call) -> float | None:
    given = call.said("load_multiplier")
    if given is None:
        return None
    if number := number_of(given):
        return number
    print(UNREADABLE_MULTIPLIER)
    return 1.0
