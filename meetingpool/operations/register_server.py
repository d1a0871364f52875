"""Servers that register themselves, renew that, and go. Called by the management API for tokens of the role server.

The rules are in `domain/registrations.py`. Nobody is asked whether the server is there: it comes in offline, and the poller
finds out within seconds. So no transaction waits for a server, and no gateway calls an address at somebody's word.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from meetingpool.database.locks import one_at_a_time
from meetingpool.database.registrations import ids_like, is_refused, renew_registration, write_death, write_registration
from meetingpool.database.servers import find_server, insert_server, lock_known
from meetingpool.domain.access import ApiToken
from meetingpool.domain.refusals import Invalid, NotFound
from meetingpool.domain.registrations import (
    RegistrationRefused,
    RegistrationRules,
    came,
    ended,
    registered_as,
    renewed,
)
from meetingpool.domain.server_limits import LIMITS
from meetingpool.domain.servers import Server
from meetingpool.operations.add_server import new_server
from meetingpool.operations.change_server import change_known_server, checked_values, described
from meetingpool.operations.changes import Change

_REGISTERING = "registrations of servers"
_FIXED_BY_TOKENS = ("tags", "region", "load_multiplier")


class InvalidRegistration(Invalid):
    """What a server says of itself that its token does not leave to it."""


class NoSuchRegistration(NotFound):
    """No server has registered so with this token."""


async def register_server(
    change: Change, token: ApiToken, server_id: str | None, given: Mapping[str, Any], *, lasts: float
) -> tuple[Server, bool]:
    """The server, which is registered for `lasts` seconds, and whether it is new.

    `given`: what the server says of itself: `url`, `secret`, and what else `checked_values` takes. What it does not say stays as
    it is. Raises InvalidServer, InvalidRegistration, HostNotAllowed or RegistrationRefused.
    """
    rules = _rules_of(token)
    offered = _offered(server_id, given)
    rules.require_host(offered.url)
    _require_free(rules, given)
    await one_at_a_time(change.connection, _REGISTERING)
    found = await lock_known(change.connection, await ids_like(change.connection, offered.id, offered.url))
    known = registered_as(found, offered.id, offered.url, _tokens_of(token, rules))
    if known is None:
        await _add(change, token, rules, offered, lasts)
    else:
        await _renew(change, token, known, _free(rules, given), lasts)
    return (await lock_known(change.connection, [offered.id]))[0], known is None


async def deregister_server(change: Change, token: ApiToken, name: str, *, now: bool) -> Server:
    """Lets a server go that registered with the token: when it is empty, or `now` with its meetings.

    Raises NoSuchRegistration.
    """
    tokens = _tokens_of(token, _rules_of(token))
    named = await find_server(change.connection, name)
    for server in await lock_known(change.connection, [named.id] if named else []):
        if server.registration and server.registration.token in tokens:
            return await _end(change, server, now=now)
    raise NoSuchRegistration(f"No server with the id or host name {name} has registered with the token {token.name}")


async def _end(change: Change, server: Server, *, now: bool) -> Server:
    left = ended(server, now=now)
    if left != server:
        await write_registration(change.connection, left, lasts=0.0)
        if now:
            await write_death(change.connection, server.id)
        await _note(change, "servers.deregister", server, left)
    return left


async def _add(change: Change, token: ApiToken, rules: RegistrationRules, offered: Server, lasts: float) -> None:
    if await is_refused(change.connection, _tokens_of(token, rules), offered.id, offered.url):
        raise RegistrationRefused(
            f"An administrator removed the server {offered.id}: for it to come back, make another token with "
            "`meetingpool tokens create NAME --role server`, and give it to the server"
        )
    server = came(_with_fixed(offered, rules), token.name, rules)
    await insert_server(change.connection, server)
    await write_registration(change.connection, server, lasts=lasts)
    columns = ("url", "admin_state", "load_multiplier", "tags", "region", *LIMITS)
    said = {column: value for column in columns if (value := getattr(server, column)) is not None}
    await change.note("servers.register", server.id, after=described(said))


async def _renew(change: Change, token: ApiToken, server: Server, given: Mapping[str, Any], lasts: float) -> None:
    """Most often there is nothing to be said of it."""
    values = checked_values(**given)
    if changed := {column: value for column, value in values.items() if _differs(getattr(server, column), value)}:
        await change_known_server(change, server, changed)
    held = renewed(server, token.name)
    if held == server:
        await renew_registration(change.connection, server.id, lasts=lasts)
        return
    await write_registration(change.connection, held, lasts=lasts)
    await _note(change, "servers.renew", server, held)


async def _note(change: Change, action: str, before: Server, after: Server) -> None:
    await change.note(action, before.id, before=_shown(before), after=_shown(after))


def _shown(server: Server) -> dict[str, Any]:
    registration = server.registration
    shown = {"admin_state": server.admin_state, "registration": registration and registration.standing}
    return shown | {"registered_by": registration and registration.token}


def _rules_of(token: ApiToken) -> RegistrationRules:
    if token.registers is None:
        raise RegistrationRefused(f"The token {token.name} does not say what it may register: make one of the role server")
    return token.registers


def _tokens_of(token: ApiToken, rules: RegistrationRules) -> tuple[str, ...]:
    return token.name, *rules.replaces


def _offered(server_id: str | None, given: Mapping[str, Any]) -> Server:
    """The server as it would come in, but for what its token says."""
    said = {name: value for name, value in given.items() if value is not None}
    return new_server(**said, server_id=server_id, id_is_host_name=True)


def _require_free(rules: RegistrationRules, given: Mapping[str, Any]) -> None:
    """Raises InvalidRegistration for what differs from what the token fixes."""
    fixed = {name: getattr(rules, name) for name in _FIXED_BY_TOKENS if getattr(rules, name) is not None and name in given}
    values = checked_values(**{name: given[name] for name in fixed})
    for name, value in fixed.items():
        if _differs(value, values[name]):
            raise InvalidRegistration(f"The token says which {name} its servers have: leave {name} out")


def _free(rules: RegistrationRules, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a renewal can change. What the token fixes may have been changed by an administrator since."""
    fixed = {name for name in _FIXED_BY_TOKENS if getattr(rules, name) is not None}
    return {name: value for name, value in given.items() if name not in {"url", *fixed}}


def _with_fixed(server: Server, rules: RegistrationRules) -> Server:
    fixed = {name: getattr(rules, name) for name in _FIXED_BY_TOKENS if getattr(rules, name) is not None}
    return replace(server, **fixed | ({"tags": frozenset(fixed["tags"])} if "tags" in fixed else {}))


def _differs(known: Any, value: Any) -> bool:
    return sorted(known) != sorted(value) if isinstance(value, list) else bool(known != value)
