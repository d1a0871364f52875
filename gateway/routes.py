"""The whole URL map."""

from starlette.routing import Route

from gateway.bbb_api import bbb_api
from gateway.health import health_check, livez, readyz
from gateway.meeting_calls.index import index

# BBB routes by path and answers unknown methods in its own format, so these routes take any method.
ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

routes = [
    Route("/bigbluebutton", index),
    Route("/bigbluebutton/", index),
    Route("/bigbluebutton/api", index, methods=["GET", "HEAD", "POST"]),
    Route("/bigbluebutton/api/", index, methods=["GET", "HEAD", "POST"]),
    Route("/bigbluebutton/api/{call:path}", bbb_api, methods=ANY_METHOD),
    Route("/livez", livez),
    Route("/readyz", readyz),
    Route("/health_check", health_check),
]
