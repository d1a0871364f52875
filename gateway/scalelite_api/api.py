"""Every call of Scalelite's management API passes here: found by its name, verified, answered, and refused as Scalelite does.

What is wrong with the request itself is told as the BBB API tells it, as XML with status 200; everything else as JSON.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.answers import refusal
from gateway.bodies import BodyTooLong
from gateway.limits import BUSY, RETRY_AFTER
from gateway.scalelite_api import servers, tenants
from gateway.scalelite_api.calls import ManagementCall, read_call
from gateway.scalelite_api.servers import Answer
from gateway.state import Gateway
from meetingpool.bbb.errors import ApiError, ChecksumError, UnsupportedRequest
from meetingpool.bbb.strict_json import NotJson
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.refusals import NotFound, Refusal
from meetingpool.logs import get_logger

log = get_logger()

_GET = ("GET", "HEAD")
_POST = ("POST",)
_ADDRESS_REFUSED = "Clients at this address may not come in (MEETINGPOOL_MANAGEMENT_NETWORKS)"
_HEADERS = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Noun:
    """What calls are about: as Scalelite calls it, and the status of what is refused."""

    name: str
    refused: int


_SERVER = Noun("server", 400)
_TENANT = Noun("Tenant", 422)


@dataclass(frozen=True, slots=True)
class Action:
    """A call of the API."""

    methods: tuple[str, ...]
    noun: Noun
    handle: Callable[[ManagementCall], Awaitable[Answer]]


ACTIONS = {
    "getServers": Action(_GET, _SERVER, servers.get_servers),
    "getServerInfo": Action(_GET, _SERVER, servers.get_server_info),
    "addServer": Action(_POST, _SERVER, servers.add_server),
    "updateServer": Action(_POST, _SERVER, servers.update_server),
    "deleteServer": Action(_POST, _SERVER, servers.delete_server),
    "panicServer": Action(_POST, _SERVER, servers.panic_server),
    "getTenants": Action(_GET, _TENANT, tenants.get_tenants),
    "getTenantInfo": Action(_GET, _TENANT, tenants.get_tenant_info),
    "addTenant": Action(_POST, _TENANT, tenants.add_tenant),
    "updateTenant": Action(_POST, _TENANT, tenants.update_tenant),
    "deleteTenant": Action(_POST, _TENANT, tenants.delete_tenant),
}


async def answer(request: Request) -> Response:
    """Answers a call. A trailing or doubled slash is tolerated, as in the BBB API."""
    gateway: Gateway = request.state.gateway
    name = request.path_params["call"].strip("/")
    action = ACTIONS.get(name)
    if action is None or not gateway.settings.scalelite_api:
        return refusal(UnsupportedRequest())
    host = request.client.host if request.client else ""
    if not gateway.admission.networks.admit(host):
        return _as_json(403, {"error": _ADDRESS_REFUSED})
    try:
        call = await read_call(request, gateway, name, action.methods)
        return _as_json(*await _carry_out(action, call))
    except ChecksumError as error:
        return gateway.failed_checksums.refuse(error, host, gateway.clock.monotonic())
    except ApiError as error:
        return refusal(error)
    except NotJson:
        return Response(status_code=400)
    except BodyTooLong:
        return Response(status_code=413)
    except DatabaseUnavailable:
        return _as_json(503, {"error": BUSY}, {"retry-after": str(RETRY_AFTER)})
    except ClientDisconnect:  # there is nobody to answer
        raise
    except Exception:  # the outermost frame of a call: what went wrong is for the log
        log.exception("unexpected_error", call=name)
        return _as_json(500, {"error": "Internal Server Error"})


async def _carry_out(action: Action, call: ManagementCall) -> Answer:
    if action.noun is _TENANT and not call.gateway.tenants.are_many:
        return 412, {"message": "Multitenancy is disabled"}
    try:
        return await action.handle(call)
    except NotFound:
        return 404, {"error": f"Couldn't find {action.noun.name} with id={call.id}"}
    except Refusal as error:
        return action.noun.refused, {"error": str(error)}


def _as_json(status: int, document: object, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(document), status, {**_HEADERS, **(headers or {})})
