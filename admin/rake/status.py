"""The tasks `status`, `poll:…`, `recordings:update` and `liveness`."""

import typer

from admin.commands.arguments import Format
from admin.fsck import FsckOptions, fsck
from admin.poll import poll_servers
from admin.rake.calls import Call
from admin.rake.servers import load_of, online_of
from meetingpool.database.servers import all_servers
from meetingpool.domain.library_faults import Fault
from meetingpool.domain.servers import Server
from meetingpool.operations.server_lists import tag_of

_HEADINGS = ("HOSTNAME", "STATE", "STATUS", "MEETINGS", "USERS", "LARGEST MEETING", "VIDEOS", "LOAD", "BBB VERSION", "TAG")
_NUMBERS = ("MEETINGS", "USERS", "LARGEST MEETING", "VIDEOS", "LOAD")


async def status(call: Call) -> None:
    """What the last polls saw; the servers are not asked."""
    async with call.database.transaction() as connection:
        servers = await all_servers(connection)
    rows = [_row(server) for server in sorted(servers, key=lambda server: server.host_name)]
    print(f"\n{_table(rows)}" if rows else "")


async def poll(call: Call) -> None:
    """One round: servers, meetings and versions are one poll here."""
    for server in (await poll_servers(call.database, call.settings, ())).servers.values():
        load = load_of(server)
        print(f"Server id={server.id} {online_of(server)} load: {'unavailable' if load is None else load}")


async def put_recordings_in_place(call: Call) -> None:
    options = FsckOptions(faults=(Fault.WRONG_PLACE, Fault.UNSETTLED), repair=True)
    if not await fsck(call.database, call.settings, options, Format.TABLE):
        raise typer.Exit(1)


async def is_alive(_call: Call) -> None:
    """The database answers, or this would not have been called."""
    print("success")


def _row(server: Server) -> tuple[str, ...]:
    load = load_of(server)
    counts = (server.meetings, server.users, server.largest_meeting, server.videos)
    return (
        server.host_name,
        server.admin_state.value,
        online_of(server),
        *(str(count) if server.last_poll else "" for count in counts),
        "" if load is None else str(load),
        server.bbb_version or "",
        tag_of(server.tags) or "",
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    """Without lines, a blank at each side of a cell."""
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    head = "".join(f" {heading:^{width}} " for heading, width in zip(_HEADINGS, widths, strict=True))
    lines = [
        "".join(
            f" {cell:{'>' if heading in _NUMBERS else '<'}{width}} "
            for heading, cell, width in zip(_HEADINGS, row, widths, strict=True)
        )
        for row in rows
    ]
    return "\n".join([head, *lines])
