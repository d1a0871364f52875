"""The whole URL map."""

from starlette.routing import Route

from gateway.bbb_api import BbbApi
from gateway.callback_relay import callback_relay
from gateway.fsapi import fsapi
from gateway.health import health_check, livez, readyz
from gateway.hook_relay import hook_relay
from gateway.meeting_calls.hooks import ping_hooks
from gateway.meeting_calls.index import index

# BBB routes by path and answers unknown methods in its own format, so these routes take any method; /fsapi does the same.
ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

routes = [
    Route("/bigbluebutton", index),
    Route("/bigbluebutton/", index),
    Route("/bigbluebutton/api", index, methods=["GET", "HEAD", "POST"]),
    Route("/bigbluebutton/api/", index, methods=["GET", "HEAD", "POST"]),
    Route("/bigbluebutton/api/hooks/ping", ping_hooks),
    Route("/bigbluebutton/api/{call:path}", BbbApi()),
    Route("/bigbluebutton/callbacks/hooks/{server}/{proof}", hook_relay, methods=ANY_METHOD),
    Route("/bigbluebutton/callbacks/{generation}/{kind}/{proof}", callback_relay, methods=ANY_METHOD),
    Route("/t/{tenant}/bigbluebutton", index),
    Route("/t/{tenant}/bigbluebutton/", index),
    Route("/t/{tenant}/bigbluebutton/api", index, methods=["GET", "HEAD", "POST"]),
    Route("/t/{tenant}/bigbluebutton/api/", index, methods=["GET", "HEAD", "POST"]),
    Route("/t/{tenant}/bigbluebutton/api/hooks/ping", ping_hooks),
    Route("/t/{tenant}/bigbluebutton/api/{call:path}", BbbApi()),
    Route("/fsapi", fsapi, methods=ANY_METHOD),
    Route("/livez", livez),
    Route("/readyz", readyz),
    Route("/health_check", health_check),
]
