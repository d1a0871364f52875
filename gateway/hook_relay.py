"""What servers bring to our webhooks on them: proved, kept for those who asked for it, and only then acknowledged.

The address names the server and proves that it was made here; a checksum over address and body, or the secret itself as a bearer
token, proves that the server speaks. What cannot be kept now is answered with an error, and brought again. A server takes 401
for a success: it does not bring again what we do not believe.
"""

from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import BodyTooLong, read_body
from gateway.state import Gateway
from meetingpool.bbb.callbacks import MAX_HOOK_BYTES, CallbackRefused, Reason, verify_hook
from meetingpool.bbb.webhooks import read_hook_post
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.hook_events import Brought, HookEvent, read_event
from meetingpool.domain.hooks import HookForm, hook_path, proved_form
from meetingpool.domain.meetings import Meeting
from meetingpool.domain.servers import Server, ServerId
from meetingpool.logs import get_logger

RETRY_AFTER = "5"

_FORM = "application/x-www-form-urlencoded"
_STATUS_OF = {Reason.TOO_LARGE: 413, Reason.UNREADABLE: 400}

log = get_logger()


async def hook_relay(request: Request) -> Response:
    """Answers a server's post. Nothing is looked up, read or done before the address has proved itself."""
    gateway: Gateway = request.state.gateway
    server_id = ServerId(request.path_params["server"])
    form = proved_form(gateway.placer.callback_key, server_id, request.path_params["proof"])
    if form is None:
        return Response(status_code=401)
    if request.method != "POST":
        return Response(status_code=405, headers={"allow": "POST"})
    server = gateway.view.pool.servers.get(server_id)
    if server is None:
        return Response(status_code=404)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM or "content-encoding" in request.headers:
        return Response(status_code=415)
    try:
        return await _take(gateway, request, server, form)
    except CallbackRefused as error:
        log.warning("hook_event_refused", server=server.id, reason=str(error))
        return Response(status_code=_STATUS_OF.get(error.reason, 401))
    except BodyTooLong:
        return Response(status_code=413)
    except DatabaseUnavailable:
        return Response(status_code=503, headers={"retry-after": RETRY_AFTER})


async def _take(gateway: Gateway, request: Request, server: Server, form: HookForm) -> Response:
    body = await read_body(request, MAX_HOOK_BYTES)
    _verify(gateway, request, server, form, body)
    post = read_hook_post(body)
    events = [event for document in post.events if (event := read_event(document, form))]
    domain = urlsplit(gateway.tenants.base_url(request)).hostname or ""
    ended = _ended(gateway, server, events)
    await gateway.hook_announcer.announce(Brought(server_id=server.id, events=events, domain=domain, timestamp=post.timestamp))
    return Response(background=BackgroundTask(_look_whether_gone, gateway, ended) if ended else None)


def _verify(gateway: Gateway, request: Request, server: Server, form: HookForm, body: bytes) -> None:
    """Raises CallbackRefused unless the server made this call to an address that we may have registered there.

    It was configured, or was seen when a front end registered its own. Either may have changed since, and a proxy may have
    changed what is seen here; so the server's word is taken for each of them.
    """
    checksums = request.query_params.getlist("checksum")
    if len(checksums) > 1:
        raise CallbackRefused(Reason.WRONG_PROOF, "there is more than one checksum")
    refused: CallbackRefused | None = None
    for base_url in _base_urls(gateway, request):
        url = base_url + hook_path(gateway.placer.callback_key, server.id, form)
        try:
            return verify_hook(
                url,
                body,
                [server.secret],
                checksum=checksums[0] if checksums else None,
                authorization=request.headers.get("authorization"),
            )
        except CallbackRefused as error:
            refused = error
    raise refused or CallbackRefused(Reason.WRONG_PROOF, "there is no address")


def _base_urls(gateway: Gateway, request: Request) -> list[str]:
    host = request.headers.get("host", "")
    return list(dict.fromkeys((gateway.tenants.base_url(request), f"https://{host}", f"http://{host}")))


def _ended(gateway: Gateway, server: Server, events: Sequence[HookEvent]) -> list[Meeting]:
    """The meetings that are said to have ended, as far as they are known to run on this server."""
    host_ids = dict.fromkeys(event.host_id for event in events if event.ends_meeting and event.host_id)
    meetings = [gateway.view.pool.meeting_on(server.id, host_id) for host_id in host_ids]
    return [meeting for meeting in meetings if meeting]


async def _look_whether_gone(gateway: Gateway, ended: Sequence[Meeting]) -> None:
    """The server's own word decides, as it does when it calls back at a meeting's end."""
    for meeting in ended:
        gateway.reads.drop(meeting.key)
        with suppress(DatabaseUnavailable):
            await gateway.forget_if_over(meeting)
