"""Health by status code: /livez for the process, /readyz and /health_check for whether requests should come here."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.state import Gateway


async def livez(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """503 while the pool is not loaded or the process drains. Without the database, known meetings still work: 200, degraded."""
    gateway: Gateway = request.state.gateway
    if gateway.readiness.draining:
        return JSONResponse({"status": "draining"}, status_code=503)
    if not gateway.view.loaded.is_set():
        return JSONResponse({"status": "starting"}, status_code=503)
    return JSONResponse({"status": "ready" if gateway.view.pool.is_current else "degraded"})


async def health_check(request: Request) -> Response:
    """Scalelite's URL: `success`, with a status that probes can use."""
    gateway: Gateway = request.state.gateway
    healthy = gateway.view.pool.is_current and not gateway.readiness.draining
    return PlainTextResponse("success" if healthy else "not ready", status_code=200 if healthy else 503)
