"""The addresses at which BBB's own hosts serve recordings, as they are in links: sent on to where the files are here.

A protected format's cookie goes to `/{format}/{record_id}` only, so every page that plays it is there too.
"""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway.playback_refusals import NothingToSee, playback
from gateway.state import Gateway
from meetingpool.domain.recordings import RECORD_ID

PLAYER = "/playback/presentation/2.3"


def sent_on(path: str, status: int = 307) -> Response:
    """A redirect to a path of this host. A link is for one browser: neither it nor its answer is for anybody else."""
    return Response(status_code=status, headers={"location": path, "cache-control": "no-store", "referrer-policy": "no-referrer"})


def player_path(prefix: str, record_id: str) -> str:
    """Where bbb-playback plays a presentation. It is told where files are, if that depends on the tenant (`p`)."""
    return f"{PLAYER}/{record_id}" + (f"?p=..{prefix}/presentation" if prefix else "")


@playback
async def old_player(request: Request, _gateway: Gateway) -> Response:
    """`/playback/presentation/2.0/playback.html?meetingId=…`, which has moved for good."""
    parameters = dict(request.query_params)
    record_id = parameters.pop("meetingId", "")
    if not RECORD_ID.fullmatch(record_id):
        raise NothingToSee
    path = player_path(_prefix(request), record_id)
    if parameters:
        path += ("&" if "?" in path else "?") + urlencode(parameters)
    return sent_on(path, 301)


@playback
async def tenants_player(request: Request, _gateway: Gateway) -> Response:
    """The player below a tenant's path: it knows its own address, and only one."""
    return sent_on(player_path(_prefix(request), request.path_params["record_id"]))


@playback
async def page_of_format(request: Request, _gateway: Gateway) -> Response:
    """`/playback/video/{record_id}/` and `/recording/screenshare/{record_id}/`, and what is below."""
    parameters = request.path_params
    format_name = parameters.get("format", "screenshare")
    raw: bytes = request.scope["raw_path"]
    rest = raw.partition(parameters["record_id"].encode())[2].decode("ascii", "replace")
    return sent_on(f"{_prefix(request)}/{format_name}/{parameters['record_id']}{rest or '/'}")


@playback
async def no_such_address(_request: Request, _gateway: Gateway) -> Response:
    raise NothingToSee


def _prefix(request: Request) -> str:
    tenant = request.path_params.get("tenant")
    return f"/t/{tenant}" if tenant else ""
