"""Changes what the administrator says of a server: its address, secret, multiplier, tags, region and limits.

Called by `servers set`; the checks of the values also by `servers add`, that of tags also by `tenants`.
"""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from meetingpool.database.servers import update_server
from meetingpool.domain.regions import checked_region
from meetingpool.domain.server_limits import checked_limits, limits_of, require_soft_below_hard
from meetingpool.domain.servers import InvalidServer as InvalidServer
from meetingpool.domain.servers import Server, normal_url
from meetingpool.operations.changes import HIDDEN, Change
from meetingpool.operations.find_server import server_named

# More would only make sums of loads inexact.
MAX_LOAD_MULTIPLIER = 1000.0
UNCHANGED: Mapping[str, int | None] = MappingProxyType({})
_TAG = re.compile(r"[^\s,!]+")


def checked_values(
    *,
    url: str | None = None,
    secret: str | None = None,
    load_multiplier: float | None = None,
    tags: Collection[str] | None = None,
    region: str | None = None,
    limits: Mapping[str, int | None] = UNCHANGED,
) -> dict[str, Any]:
    """The given values by their column, None left out; an empty region is none, and a limit of None.

    Raises InvalidServer or InvalidRegion with what is allowed.
    """
    values: dict[str, Any] = checked_limits(limits)
    if url is not None:
        values["url"] = _checked_url(url)
    if secret is not None:
        if not secret.strip():
            raise InvalidServer("The secret must not be empty; `bbb-conf --secret` on the server shows it")
        values["secret"] = secret.strip()
    if load_multiplier is not None:
        if not 0 < load_multiplier <= MAX_LOAD_MULTIPLIER:
            raise InvalidServer(
                f"The load multiplier must be a number greater than 0, and {MAX_LOAD_MULTIPLIER:g} at most; "
                "2 makes each meeting count twice"
            )
        values["load_multiplier"] = load_multiplier
    if tags is not None:
        values["tags"] = checked_tags(tags)
    if region is not None:
        values["region"] = checked_region(region)
    return values


async def change_server(change: Change, name: str, values: dict[str, Any]) -> Server:
    """Gives a server the checked `values`. Returns it as it was. Raises NoSuchServer, ServerExists, or InvalidServer.

    The last when a soft limit would be above the hard one, which may be there already.
    """
    server = await server_named(change.connection, name)
    await change_known_server(change, server, values)
    return server


async def change_known_server(change: Change, server: Server, values: dict[str, Any]) -> None:
    """The same to a server that was looked up in this transaction."""
    try:
        require_soft_below_hard({**limits_of(server), **values})
    except InvalidServer as error:
        raise InvalidServer(f"Server {server.id} is not changed: {error}") from None
    await update_server(change.connection, server.id, values)
    before = {column: getattr(server, column) for column in values}
    await change.note("servers.set", server.id, before=described(before), after=described(values))


def described(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit keeps of a server's columns: all but the secret."""
    plain = {column: sorted(value) if isinstance(value, frozenset) else value for column, value in values.items()}
    return plain | ({"secret": HIDDEN} if "secret" in plain else {})


def checked_tags(tags: Collection[str]) -> list[str]:
    """Sorted, and none twice. Raises InvalidServer."""
    if wrong := [tag for tag in tags if not _TAG.fullmatch(tag)]:
        raise InvalidServer(f"A tag must be a word without spaces, commas and exclamation marks, unlike {wrong[0]!r}")
    return sorted(set(tags))


def _checked_url(url: str) -> str:
    try:
        return normal_url(url)
    except ValueError as error:
        raise InvalidServer(str(error)) from None
