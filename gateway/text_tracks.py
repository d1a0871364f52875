"""Serves subtitles at the addresses that getRecordingTextTracks gives, once each."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.state import Gateway
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.text_tracks import find_text_tracks, text_track_document

# For which an address works, as BBB's do.
SECONDS = 60 * 60

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def reading(record_id: str, file_name: str) -> str:
    """What a token opens that is for a text track."""
    return f"track:{record_id}/{file_name}"


async def text_track(request: Request) -> Response:
    """The same answer whatever the reason for which there is nothing to be had."""
    gateway: Gateway = request.scope["state"]["gateway"]
    try:
        document = await _document(gateway, request)
    except DatabaseUnavailable:
        return PlainTextResponse("The service is busy; please try again in a moment.", 503, headers={"retry-after": "2"})
    if document is None:
        return PlainTextResponse("There is no such text track, or its address was used before.", 404, headers=_HEADERS)
    return Response(document, media_type="text/vtt", headers=_HEADERS)


async def _document(gateway: Gateway, request: Request) -> str | None:
    path, tenant = request.path_params, gateway.tenants.recognise(request)
    record_id, file_name = path["record_id"], path["file_name"]
    what = reading(record_id, file_name)
    if gateway.settings.recording_disabled or not gateway.links.opens(what, path["token"]):
        return None
    tracks = await find_text_tracks(gateway.database, tenant.id, record_id) or []
    track = next((track for track in tracks if track.file_name == file_name), None)
    # Whoever only asks whether it is there leaves it for the one who comes to get it.
    if track is None or (request.method == "GET" and not await gateway.links.use(gateway.database, what, path["token"])):
        return None
    return await text_track_document(gateway.database, record_id, track.kind, track.lang)
