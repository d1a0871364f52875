"""/registrations: servers that register themselves, by tokens of the role server."""

from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import Changing
from gateway.management_api.servers import Limit, Region, Secret, Tags, Url
from meetingpool.domain.server_limits import LIMITS
from meetingpool.domain.servers import AdminState, Health, Server
from meetingpool.operations.records import Moment
from meetingpool.operations.register_server import deregister_server, register_server


class NewRegistration(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a server says of itself, each time. Without `id` it is called by its host name; what is not said stays as it is."""

    url: Url
    secret: Secret
    id: Annotated[str, Meta(max_length=128)] | None = None
    load_multiplier: float | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    region: Region | UnsetType | None = UNSET
    max_meetings: Limit | UnsetType | None = UNSET
    max_users: Limit | UnsetType | None = UNSET
    soft_meetings: Limit | UnsetType | None = UNSET
    soft_users: Limit | UnsetType | None = UNSET


class Leaving(Changing):
    """With `now`, the server goes down at once, and its meetings with it; without, it is cordoned until it is empty."""

    now: bool = False


class RegisteredServer(TypedDict):
    """A server that registered itself, until when that holds, and whether it is new."""

    id: str
    url: str
    admin_state: AdminState
    health: Health
    registered_until: Moment | None
    is_new: bool


async def register(asked: Asked, body: NewRegistration) -> RegisteredServer:
    """Register the server that calls, or renew that.

    Status 201 when it is new, else 200. To be called again well before `registered_until`.
    """
    lasts = asked.gateway.settings.registration_lifetime
    async with asked.changing() as change:
        server, is_new = await register_server(change, asked.token, body.id, _given(body), lasts=lasts)
    return _record(server, is_new=is_new)


async def deregister(asked: Asked, server: str, query: Leaving) -> RegisteredServer:
    """Let a server go that registered with this token."""
    async with asked.changing() as change:
        left = await deregister_server(change, asked.token, server, now=query.now)
    return _record(left, is_new=False)


def _given(body: NewRegistration) -> dict[str, Any]:
    """What the operation takes; None of a region takes it away."""
    said = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET and name != "id"}
    limits = {name: said.pop(name) for name in LIMITS if name in said}
    if said.get("region", "") is None:
        said["region"] = ""
    return {**said, **({"limits": limits} if limits else {})}


def _record(server: Server, *, is_new: bool) -> RegisteredServer:
    return {
        "id": server.id,
        "url": server.url,
        "admin_state": server.admin_state,
        "health": server.health,
        "registered_until": server.registration.until if server.registration else None,
        "is_new": is_new,
    }
