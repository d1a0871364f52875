"""Lists of servers in YAML, of the shape that Scalelite's `servers:sync` reads and its `servers:yaml` writes.

Called by `servers sync` and `servers export`. A server there has one tag, here it may have several: they are written with `;`
between them, as front ends ask for several.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import yaml

from meetingpool.domain.server_limits import LIMITS, limits_of
from meetingpool.domain.server_sync import WantedServer
from meetingpool.domain.servers import AdminState, Health, Server
from meetingpool.operations.add_server import new_server
from meetingpool.operations.change_server import InvalidServer

_KEYS = ("url", "secret", "load_multiplier", "tag", "region", *LIMITS, "enabled")
# What an export with all details holds, and nobody can wish for.
_IGNORED = ("load", "state", "bbb_version", "online")
_NO_LIMIT = "none"
_ANSWERING = (Health.ONLINE, Health.SUSPECT)


def read_servers(text: str) -> list[WantedServer]:
    """The servers of a list, in its order. Raises InvalidServer for the first that cannot be."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506  # a safe one
    except yaml.YAMLError as error:
        raise InvalidServer(f"The list of servers is not YAML: {_place_of(error)}") from None
    servers = document.get("servers") if isinstance(document, dict) else None
    if not isinstance(servers, dict):
        raise InvalidServer("The list must hold `servers:`, and below it each server by its id, as `meetingpool servers export`")
    return [_read_server(server_id, given) for server_id, given in servers.items()]


def written_servers(servers: Iterable[Server], *, show_secrets: bool, verbose: bool = False) -> str:
    """The list of `servers`. Without secrets it shows what there is and cannot be synced; `verbose`: with what polling saw."""
    listed = {str(server.id): _described(server, show_secret=show_secrets, verbose=verbose) for server in servers}
    return yaml.safe_dump({"servers": listed}, sort_keys=False, allow_unicode=True)


def tag_of(tags: Iterable[str]) -> str | None:
    """The tags as Scalelite's one."""
    return ";".join(sorted(tags)) or None


def tags_of(tag: str) -> list[str]:
    """Scalelite's one tag as tags."""
    return [each.strip() for each in tag.split(";") if each.strip()]


def _described(server: Server, *, show_secret: bool, verbose: bool) -> dict[str, Any]:
    listed: dict[str, Any] = {"url": server.url}
    if show_secret:
        listed["secret"] = server.secret
    listed |= {"load_multiplier": server.load_multiplier, "tag": tag_of(server.tags)}
    if server.region:
        listed["region"] = server.region
    listed |= {name: limit for name, limit in limits_of(server).items() if limit is not None}
    listed["enabled"] = server.admin_state is AdminState.ENABLED
    if verbose:
        is_online = server.health in _ANSWERING
        listed["state"] = server.admin_state.value
        listed["load"] = server.load if is_online and server.last_poll else -1.0
        listed["bbb_version"] = server.bbb_version
        listed["online"] = is_online
    return listed


def _read_server(server_id: object, given: object) -> WantedServer:
    try:
        return _wanted(_id(server_id), _fields(given))
    except InvalidServer as error:
        raise InvalidServer(f"Server {server_id} of the list: {error}") from None


def _id(given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise InvalidServer("its id must be text")
    return str(given)


def _fields(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidServer("what is known of it must be names and values, at least its secret")
    if unknown := [str(key) for key in given if key not in (*_KEYS, *_IGNORED)]:
        raise InvalidServer(f"{', '.join(unknown)} cannot be said of it, only {', '.join(_KEYS)}")
    return {key: value for key, value in given.items() if value is not None and key in _KEYS}


def _wanted(server_id: str, given: Mapping[str, Any]) -> WantedServer:
    if not given.get("secret"):
        raise InvalidServer("it has no secret; `meetingpool servers export --show-secrets` writes them too")
    is_enabled = given.get("enabled", True)
    if not isinstance(is_enabled, bool):
        raise InvalidServer("enabled must be true or false")
    limits = {name: _limit(given[name], name) for name in LIMITS if name in given}
    server = new_server(
        _text(given, "url", f"https://{server_id}/bigbluebutton/api"),
        _text(given, "secret"),
        server_id=server_id,
        load_multiplier=_number(given.get("load_multiplier", 1.0)),
        tags=tags_of(_text(given, "tag")),
        region=_text(given, "region"),
        limits=limits,
    )
    columns = ("url", "secret", "load_multiplier", "tags", *(["region"] if "region" in given else []), *limits)
    return WantedServer(id=server.id, values={name: getattr(server, name) for name in columns}, is_enabled=is_enabled)


def _text(given: Mapping[str, Any], name: str, default: str = "") -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise InvalidServer(f"its {name} must be text: write it in quotes")
    return value


def _number(value: object) -> float:
    try:
        return float(value if isinstance(value, str | int | float) and not isinstance(value, bool) else "")
    except ValueError:
        raise InvalidServer("its load_multiplier must be a number greater than 0") from None


def _limit(value: object, name: str) -> int | None:
    """None for `none`, which takes the limit away; a list that does not name it leaves it."""
    if value == _NO_LIMIT:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidServer(f"its {name} must be a whole number from 1, or {_NO_LIMIT}")
    return value


def _place_of(error: yaml.YAMLError) -> str:
    """Where it is wrong, without what stands there, which may be a secret."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "it cannot be read"
    return f"{problem} in line {mark.line + 1}" if mark else str(problem)


class _Loader(yaml.SafeLoader):
    """Plain YAML, in which nothing is said twice: of two servers with one id the first would go without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable) and name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name} is there twice", problem_mark=key.start_mark)
            seen |= {name} if isinstance(name, Hashable) else set()
        return super().construct_mapping(node, deep)
