"""The whole URL map."""

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.routing import Route

from gateway.bbb_api import BbbApi
from gateway.callback_relay import callback_relay
from gateway.dashboard.entrance import Dashboard
from gateway.fsapi import fsapi
from gateway.health import health_check, leader, livez, readyz
from gateway.hook_relay import hook_relay
from gateway.management_api.entrance import ManagementApi
from gateway.meeting_calls.hooks import ping_hooks
from gateway.meeting_calls.index import index
from gateway.metrics import metrics
from gateway.playback import open_recording, recording_file
from gateway.playback_addresses import PLAYER, no_such_address, old_player, page_of_format, tenants_player
from gateway.playback_player import player
from gateway.recording_uploads import recording_upload
from gateway.scalelite_api.route import scalelite_api
from gateway.text_tracks import text_track
from meetingpool.domain.recordings import FORMAT_NAME, RECORD_ID

# BBB routes by path and answers unknown methods in its own format, so these routes take any method; /fsapi does the same, and
# Scalelite's API.
ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class _RecordId(StringConvertor):
    regex = RECORD_ID.pattern


class _Format(StringConvertor):
    regex = FORMAT_NAME.pattern


class _TenantName(StringConvertor):
    regex = "[A-Za-z0-9_-]{1,63}"


class _Anything(StringConvertor):
    # Line breaks as well.
    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())
register_url_convertor("record_id", _RecordId())
register_url_convertor("format", _Format())
register_url_convertor("tenant", _TenantName())


def _playing(tenant: str) -> list[Route]:
    """Where recordings are played. `tenant`: what a path begins with that names one."""
    recording = "{format:format}/{record_id:record_id}"
    # The player is everybody's.
    players = [Route(PLAYER, player), Route(f"{PLAYER}/{{rest:path}}", player)]
    if tenant:
        players = [Route(f"{tenant}{PLAYER}/{{record_id:record_id}}", tenants_player)]
    return [
        Route(f"{tenant}/recording/screenshare/{{record_id:record_id}}", page_of_format),
        Route(f"{tenant}/recording/screenshare/{{record_id:record_id}}/{{rest:path}}", page_of_format),
        Route(f"{tenant}/recording/{{record_id:record_id}}/{{format:format}}", open_recording),
        Route(f"{tenant}/recording/{{rest:path}}", no_such_address),
        Route(f"{tenant}/playback/presentation/playback.html", old_player),
        Route(f"{tenant}/playback/presentation/{{version}}/playback.html", old_player),
        *players,
        Route(f"{tenant}/playback/{recording}", page_of_format),
        Route(f"{tenant}/playback/{recording}/{{rest:path}}", page_of_format),
        Route(f"{tenant}/playback/{{rest:path}}", no_such_address),
        Route(f"{tenant}/{recording}", recording_file),
        Route(f"{tenant}/{recording}/{{rest:path}}", recording_file),
    ]


routes = [
    Route("/bigbluebutton", index),
    Route("/bigbluebutton/", index),
    Route("/bigbluebutton/api", index, methods=["GET", "HEAD", "POST"]),
    Route("/bigbluebutton/api/", index, methods=["GET", "HEAD", "POST"]),
    Route("/bigbluebutton/api/hooks/ping", ping_hooks),
    Route("/bigbluebutton/api/{call:path}", BbbApi()),
    Route("/bigbluebutton/callbacks/hooks/{server}/{proof}", hook_relay, methods=ANY_METHOD),
    Route("/bigbluebutton/callbacks/{generation}/{kind}/{proof}", callback_relay, methods=ANY_METHOD),
    Route("/bigbluebutton/uploads/{server}/{record_id}/{digest}", recording_upload, methods=["HEAD", "PATCH"]),
    Route("/bigbluebutton/textTrack/{token}/{record_id}/{file_name}", text_track),
    Route("/t/{tenant}/bigbluebutton", index),
    Route("/t/{tenant}/bigbluebutton/", index),
    Route("/t/{tenant}/bigbluebutton/api", index, methods=["GET", "HEAD", "POST"]),
    Route("/t/{tenant}/bigbluebutton/api/", index, methods=["GET", "HEAD", "POST"]),
    Route("/t/{tenant}/bigbluebutton/api/hooks/ping", ping_hooks),
    Route("/t/{tenant}/bigbluebutton/api/{call:path}", BbbApi()),
    Route("/t/{tenant}/bigbluebutton/textTrack/{token}/{record_id}/{file_name}", text_track),
    Route("/api/v1{path:anything}", ManagementApi()),
    Route("/scalelite/api/{call:path}", scalelite_api, methods=ANY_METHOD),
    Route("/dashboard", Dashboard()),
    Route("/dashboard/{rest:path}", Dashboard()),
    Route("/fsapi", fsapi, methods=ANY_METHOD),
    Route("/livez", livez),
    Route("/readyz", readyz),
    Route("/health_check", health_check),
    Route("/leader", leader),
    Route("/metrics", metrics),
    *_playing(""),
    *_playing("/t/{tenant:tenant}"),
]
