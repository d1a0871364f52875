"""Which endpoint a request names, by its method and path. Its parts are decoded one by one: an id may hold a slash."""

from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.management_api.endpoint import Endpoint
from gateway.management_api.endpoints import ENDPOINTS
from gateway.management_api.problems import Problem

ROOT = b"/api/v1/"

Parts = tuple[str, ...]


def parts_of(raw_path: bytes) -> Parts:
    """The parts of a path below ROOT. Raises Problem for one that is not UTF-8, or that nothing could be called."""
    if not raw_path.startswith(ROOT):
        raise nothing_here()
    try:
        parts = tuple(unquote_to_bytes(part).decode() for part in raw_path.removeprefix(ROOT).split(b"/"))
    except ValueError:
        raise nothing_here() from None
    if not all(parts) or any("\0" in part for part in parts):
        raise nothing_here()
    return parts


def find(method: str, parts: Parts) -> tuple[Endpoint, dict[str, Any]]:
    """The endpoint, and its arguments that are parts of the path. Raises Problem."""
    allowed: list[str] = []
    for endpoint in _ENDPOINTS.get(len(parts), ()):
        if (arguments := _arguments(endpoint, parts)) is not None:
            if endpoint.method == method:
                return endpoint, arguments
            allowed.append(endpoint.method)
    if not allowed:
        raise nothing_here()
    raise no_such_method(allowed)


def nothing_here() -> Problem:
    return Problem(404, "not_found", "There is nothing at this address")


def no_such_method(allowed: list[str]) -> Problem:
    methods = ", ".join(sorted(set(allowed)))
    return Problem(405, "method_not_allowed", f"This address takes {methods}", headers={"allow": methods})


def _arguments(endpoint: Endpoint, parts: Parts) -> dict[str, Any] | None:
    """None when the path is another one: what cannot be an id is none."""
    named = list(zip(_parts(endpoint), parts, strict=True))
    if any(wanted != given for wanted, given in named if not wanted.startswith("{")):
        return None
    given = {wanted[1:-1]: part for wanted, part in named if wanted.startswith("{")}
    try:
        return {name: msgspec.convert(given[name], kind, strict=False) for name, kind in endpoint.parts.items()}
    except msgspec.ValidationError:
        return None


def _parts(endpoint: Endpoint) -> Parts:
    return tuple(endpoint.path.split("/")[1:])


def _by_length() -> dict[int, list[Endpoint]]:
    """Those with as many parts; paths without parts that differ come first."""
    found: dict[int, list[Endpoint]] = {}
    for endpoint in sorted(ENDPOINTS, key=lambda endpoint: endpoint.path.count("{")):
        found.setdefault(len(_parts(endpoint)), []).append(endpoint)
    return found


_ENDPOINTS = _by_length()
