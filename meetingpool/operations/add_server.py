"""Adds servers, disabled, and enables one that a poll just reached. Called by `servers add` and the demo."""

import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace

from meetingpool.clock import Clock
from meetingpool.database.servers import insert_server
from meetingpool.domain.refusals import Conflict
from meetingpool.domain.server_limits import limits_of, require_soft_below_hard
from meetingpool.domain.servers import AdminState, Server, ServerId
from meetingpool.operations.change_server import UNCHANGED, InvalidServer, checked_values, described
from meetingpool.operations.change_server_state import change_state
from meetingpool.operations.changes import Change
from meetingpool.operations.record_polls import Poll, PollRules, record_polls

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class ServerNotReached(Conflict):
    """A poll of the server failed, so it was not enabled."""


def new_server(
    url: str,
    secret: str,
    *,
    server_id: str | None = None,
    id_is_host_name: bool = False,
    load_multiplier: float = 1.0,
    tags: Collection[str] = (),
    region: str | None = None,
    limits: Mapping[str, int | None] = UNCHANGED,
) -> Server:
    """A disabled server. Without `server_id` it gets a random one, or its host name. Raises InvalidServer."""
    if server_id is not None and not _ID.fullmatch(server_id):
        raise InvalidServer("A server's id must be made of letters, digits, dots, hyphens and underscores")
    values = checked_values(url=url, secret=secret, load_multiplier=load_multiplier, tags=tags, region=region, limits=limits)
    require_soft_below_hard(limits)
    server = Server(**values | {"id": ServerId(server_id or str(uuid.uuid4())), "tags": frozenset(values["tags"])})
    return replace(server, id=ServerId(server.host_name)) if id_is_host_name and not server_id else server


async def add_server(change: Change, server: Server) -> None:
    """Raises ServerExists."""
    await insert_server(change.connection, server)
    columns = ("url", "load_multiplier", "tags", "region")
    limits = {name: limit for name, limit in limits_of(server).items() if limit is not None}
    after = described({column: getattr(server, column) for column in columns} | limits)
    await change.note("servers.add", server.id, after=after)


async def enable_reached(change: Change, server: Server, poll: Poll, rules: PollRules, clock: Clock) -> None:
    """Writes the `poll` of a server, and enables it if the poll succeeded."""
    await record_polls(change.connection, {server.id: poll}, rules, clock, panic=False)
    if poll.meetings is not None:
        await change_state(change, server.id, AdminState.ENABLED)


def require_reached(server: Server, poll: Poll) -> None:
    """Raises ServerNotReached with what to do, unless `poll` succeeded."""
    if poll.meetings is not None:
        return
    again = f"then `meetingpool servers enable {server.id}`"
    if "checksumError" in poll.error:
        sentence = f"refuses the secret (checksumError): `meetingpool servers set {server.id} --secret -`, {again}"
    elif poll.error.startswith("no connection"):
        sentence = f"cannot be reached ({poll.error}): check its address {server.url} and the firewall, {again}"
    elif poll.error.startswith("no complete answer"):
        sentence = f"is too slow ({poll.error}): check that BigBlueButton runs there, {again}"
    else:
        sentence = f"does not answer as a BigBlueButton server does ({poll.error}): check its address {server.url}, {again}"
    raise ServerNotReached(f"Server {server.id} is disabled, because it {sentence}")
