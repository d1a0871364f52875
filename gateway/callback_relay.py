"""What servers announce: proved, kept in the outbox, and only then acknowledged. The poller delivers what was kept.

The address that a server calls names a placement and proves that it was made here (meetingpool.domain.callbacks). A recording or
a report also carries a token, made with a server's secret. A recording that is made is on its way, and not announced yet.
Whatever cannot be kept now is answered with an error: BBB tells of an end again then, and of the rest its log says that nobody
was told.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import BodyTooLong, read_body
from gateway.state import Gateway
from meetingpool.bbb.callbacks import (
    MAX_ANALYTICS_BYTES,
    MAX_RECORDING_READY_BYTES,
    CallbackRefused,
    Reason,
    verify_analytics,
    verify_recording_ready,
)
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.outbox import announce
from meetingpool.database.placements import find_placement
from meetingpool.domain import announcements
from meetingpool.domain.announcements import Announcement
from meetingpool.domain.callbacks import CallbackKind, proved_mark
from meetingpool.domain.meetings import Placement
from meetingpool.logs import get_logger

RETRY_AFTER = "30"

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
# Generations are numbers of the database: positive, and of 64 bits.
_MAX_GENERATION_DIGITS = 19
_STATUS_OF = {
    Reason.NO_PROOF: 401,
    Reason.WRONG_PROOF: 401,
    Reason.NOT_VALID_NOW: 401,
    Reason.TOO_LARGE: 413,
    Reason.UNREADABLE: 400,
}

log = get_logger()


class Refused(Exception):
    """Ends a call with a status and an empty body."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A call about `placement`; `mark` tells which of the meetings that were made under it."""

    request: Request
    placement: Placement
    mark: str


async def callback_relay(request: Request) -> Response:
    """Answers a server's call. Nothing is looked up, read or done before the address has proved itself."""
    gateway: Gateway = request.state.gateway
    try:
        kind, generation, mark = _proved_address(request, gateway.placer.callback_key)
        method, handle = HANDLERS[kind]
        if request.method != method:
            return Response(status_code=405, headers={"allow": method})
        placement = await _placement(gateway, generation, mark)
        return await handle(gateway, Told(request=request, placement=placement, mark=mark))
    except CallbackRefused as error:
        log.warning("callback_refused", kind=kind, generation=generation, reason=str(error))
        return Response(status_code=_STATUS_OF[error.reason])
    except Refused as refused:
        return Response(status_code=refused.status)
    except BodyTooLong:
        return Response(status_code=413)
    except DatabaseUnavailable:
        return Response(status_code=503, headers={"retry-after": RETRY_AFTER})


def _proved_address(request: Request, key: bytes) -> tuple[CallbackKind, int, str]:
    """What the address is about. Raises Refused for one that was not made here."""
    generation, kind, proof = (request.path_params[name] for name in ("generation", "kind", "proof"))
    if kind not in HANDLERS or not _is_number(generation):
        raise Refused(401)
    mark = proved_mark(key, int(generation), CallbackKind(kind), proof)
    if mark is None:
        raise Refused(401)
    return CallbackKind(kind), int(generation), mark


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_GENERATION_DIGITS and text[0] != "0"


async def _placement(gateway: Gateway, generation: int, mark: str) -> Placement:
    async with gateway.database.transaction() as connection:
        placement = await find_placement(connection, generation, mark)
    if placement is None:
        raise Refused(404)
    return placement


async def _meeting_ended(gateway: Gateway, told: Told) -> Response:
    await _keep(gateway, announcements.meeting_ended(told.placement, told.mark))
    gateway.reads.drop(told.placement.key)
    return Response(background=BackgroundTask(_look_whether_gone, gateway, told.placement))


async def _end_callback(gateway: Gateway, told: Told) -> Response:
    has_marks = told.request.query_params.get("recordingmarks", "").lower() == "true"
    await _keep(gateway, announcements.end_callback(told.placement, told.mark, has_recording_marks=has_marks))
    return Response()


async def _recording_ready(gateway: Gateway, told: Told) -> Response:
    """Nothing is kept: the front end is told when the recording can be played here, by whoever put it into the library."""
    body = await _body(told.request, (_FORM, _JSON), MAX_RECORDING_READY_BYTES)
    servers = gateway.view.pool.servers
    # Recordings may be made on another host than the meeting's, which signs with a secret of its own.
    hosts = sorted(servers.values(), key=lambda server: server.id != told.placement.server_id)
    ready = verify_recording_ready(body, [server.secret for server in hosts], now=gateway.clock.epoch())
    _require_own_meeting(told, ready.meeting_id)
    tenant, meeting_id = told.placement.key
    log.info("recording_on_its_way", recording=ready.record_id, tenant=tenant, meeting=meeting_id)
    return Response()


async def _analytics(gateway: Gateway, told: Told) -> Response:
    authorization = told.request.headers.get("authorization")
    if authorization is None:
        raise Refused(401)
    body = await _body(told.request, (_JSON,), MAX_ANALYTICS_BYTES)
    server = gateway.view.pool.servers.get(told.placement.server_id)
    report = verify_analytics(authorization, body, [server.secret] if server else [], now=gateway.clock.epoch())
    _require_own_meeting(told, report.meeting_id)
    try:
        announcement = announcements.analytics(told.placement, report.internal_meeting_id, report.document)
    except ValueError:
        raise Refused(400) from None
    await _keep(gateway, announcement)
    return Response(status_code=204)


def _require_own_meeting(told: Told, host_id: str) -> None:
    """A server has other meetings too, but this address is not theirs."""
    if host_id != told.placement.host_id:
        raise CallbackRefused(Reason.WRONG_PROOF, "it is about another meeting than its address")


async def _body(request: Request, media_types: tuple[str, ...], limit: int) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types or "content-encoding" in request.headers:
        raise Refused(415)
    return await read_body(request, limit)


async def _keep(gateway: Gateway, announcement: Announcement | None) -> None:
    """Puts it into the outbox, once. Nothing, where the front end does not want to be told. Raises DatabaseUnavailable."""
    if announcement is None:
        return
    async with gateway.database.transaction() as connection:
        is_new = await announce(connection, announcement)
    if is_new:
        log.info("announced", kind=announcement.kind, tenant=announcement.tenant, meeting=announcement.meeting_id)


async def _look_whether_gone(gateway: Gateway, placement: Placement) -> None:
    """The server's own word decides: a call that comes late must not take a meeting away that was created anew."""
    with suppress(DatabaseUnavailable):
        meeting = await gateway.view.find(placement.key)
        if meeting and meeting.generation == placement.generation:
            await gateway.forget_if_over(meeting)


Handler = Callable[[Gateway, Told], Awaitable[Response]]

HANDLERS: dict[CallbackKind, tuple[str, Handler]] = {
    CallbackKind.MEETING_ENDED: ("GET", _meeting_ended),
    CallbackKind.END_CALLBACK: ("GET", _end_callback),
    CallbackKind.RECORDING_READY: ("POST", _recording_ready),
    CallbackKind.ANALYTICS: ("POST", _analytics),
}
