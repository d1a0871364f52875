"""Every request to the management API passes here: let in, found in the table, allowed, read, carried out, answered.

Loaded by `entrance.py` when the first one comes.
"""

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.limits import BUSY, RETRY_AFTER
from gateway.management_api.addresses import find, no_such_method, nothing_here, parts_of
from gateway.management_api.asked import Asked
from gateway.management_api.callers import address_of, caller_of
from gateway.management_api.openapi import document
from gateway.management_api.problems import EXPECTED, HEADERS, Problem, forbidden, problem_of, unexpected
from gateway.management_api.reading import is_dry_run, read_body_of, read_query
from gateway.state import Gateway
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.logs import get_logger
from meetingpool.operations.records import plain
from meetingpool.request_ids import id_of

DOCUMENT = ("openapi.json",)
_JSON = {"content-type": "application/json", **HEADERS}

log = get_logger()


async def answer(request: Request) -> Response:
    """Raises nothing, unless there is nobody to answer."""
    gateway: Gateway = request.state.gateway
    try:
        response = await _admitted(request, gateway)
    except Problem as problem:
        response = problem.response()
    except ClientDisconnect:  # there is nobody to answer
        raise
    except EXPECTED as error:
        response = problem_of(error).response()
    except Exception:  # the outermost frame of a request: what went wrong is for the log
        log.exception("unexpected_error", path=request.url.path)
        response = unexpected().response()
    response.headers["x-request-id"] = id_of(request.scope)
    return response


async def _admitted(request: Request, gateway: Gateway) -> Response:
    if not gateway.settings.management_api:
        raise nothing_here()
    if not gateway.admission.networks.admit(address_of(request)):
        raise Problem(403, "address_refused", "Clients at this address may not come in (MEETINGPOOL_MANAGEMENT_NETWORKS)")
    if not gateway.admission.enter():
        raise Problem(503, "busy", BUSY, headers={"retry-after": str(RETRY_AFTER)})
    try:
        return await _carry_out(request, gateway)
    finally:
        gateway.admission.leave()


async def _carry_out(request: Request, gateway: Gateway) -> Response:
    parts = parts_of(request.scope["raw_path"])
    if parts == DOCUMENT:
        return _document(request)
    endpoint, arguments = find(request.method, parts)
    token = await caller_of(request, gateway)
    if endpoint.permission and not token.may(endpoint.permission):
        raise forbidden(token, endpoint.permission)
    query = read_query(endpoint, request.scope["query_string"])
    body = await read_body_of(endpoint, request) if endpoint.changes else None
    if endpoint.has_query:
        arguments["query"] = query
    if endpoint.body:
        arguments["body"] = body
    actor = Actor(kind=ActorKind.TOKEN, name=token.name, address=address_of(request), request_id=id_of(request.scope))
    asked = Asked(gateway=gateway, token=token, actor=actor, dry_run=is_dry_run(query))
    answered = await endpoint.handler(asked, **arguments)
    if isinstance(answered, Response):
        return answered
    # What was not made has no address.
    status = 200 if asked.dry_run else endpoint.status_of(answered)
    return Response(msgspec.json.encode(plain(answered)), status, _JSON)


def _document(request: Request) -> Response:
    """For everybody who may come in at all: it holds nothing that is not in the source."""
    if request.method != "GET":
        raise no_such_method(["GET"])
    return Response(document(), headers=_JSON)
