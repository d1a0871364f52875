"""getRecordingTextTracks: the subtitles of a recording, each at an address that works once."""

from typing import Any

from starlette.responses import Response

from gateway.answers import json_answer
from gateway.authentication import Call
from gateway.state import Gateway
from gateway.text_tracks import SECONDS, reading
from meetingpool.bbb.errors import MissingTrackParameter, NoCaptionsFound, NoRecordingFound
from meetingpool.database.text_tracks import find_text_tracks
from meetingpool.domain.text_tracks import TextTrack


async def get_recording_text_tracks(gateway: Gateway, call: Call) -> Response:
    record_id = call.text("recordID")
    if record_id is None:
        raise MissingTrackParameter("recordID")
    tracks = None if gateway.settings.recording_disabled else await find_text_tracks(gateway.database, call.tenant.id, record_id)
    if tracks is None:
        raise NoRecordingFound
    if not tracks:
        raise NoCaptionsFound
    base_url = gateway.tenants.public_url(call.tenant, call.request)
    listed = [_described(track, _address(gateway, base_url, record_id, track)) for track in tracks]
    return json_answer({"returncode": "SUCCESS", "tracks": listed})


def _address(gateway: Gateway, base_url: str, record_id: str, track: TextTrack) -> str:
    token = gateway.links.token_for(reading(record_id, track.file_name), SECONDS)
    return f"{base_url}/bigbluebutton/textTrack/{token}/{record_id}/{track.file_name}"


def _described(track: TextTrack, href: str) -> dict[str, Any]:
    return {"href": href, "kind": track.kind, "label": track.label, "lang": track.lang, "source": track.source}
