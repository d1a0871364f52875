"""Health by status code: a URL for each question, of which 200 means yes and 503 no.

/livez: does the process answer? /readyz and /health_check: should requests come here? /leader: does a poller lead?
"""

from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.metrics_access import may_watch
from gateway.state import Gateway
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.database.figures import Leader, read_leader

_NOT_KEPT = {"cache-control": "no-store"}


async def livez(_request: Request) -> Response:
    return PlainTextResponse("ok", headers=_NOT_KEPT)


async def readyz(request: Request) -> Response:
    """503 while the pool is not loaded or the process drains. Without the database, known meetings still work: 200, degraded."""
    gateway: Gateway = request.state.gateway
    if gateway.readiness.draining:
        return _answer({"status": "draining"}, is_so=False)
    if not gateway.view.loaded.is_set():
        return _answer({"status": "starting"}, is_so=False)
    return _answer({"status": "ready" if gateway.view.pool.is_current else "degraded"}, is_so=True)


async def health_check(request: Request) -> Response:
    """Scalelite's URL: `success`, with a status that probes can use."""
    gateway: Gateway = request.state.gateway
    healthy = gateway.view.pool.is_current and not gateway.readiness.draining
    return PlainTextResponse("success" if healthy else "not ready", status_code=200 if healthy else 503, headers=_NOT_KEPT)


async def leader(request: Request) -> Response:
    """Whether a poller leads, and for those who may watch which one; `?host=` asks whether one on that host does."""
    gateway: Gateway = request.state.gateway
    found: Leader | None = None
    with suppress(DatabaseUnavailable):
        found = await gateway.reads.read(("/leader",), None, lambda: read_leader(gateway.management_database))
    leads, host = found is not None and found.leads, request.query_params.get("host")
    if not leads or found is None or not await may_watch(request, gateway):
        return _answer({"status": "led" if leads else "no leader"}, is_so=leads and host is None)
    is_so = host in (None, found.holder.rpartition(":")[0])
    shown = {"status": "led", "leader": found.holder, "epoch": found.epoch, "lease_ends_in": round(found.ends_in, 1)}
    return _answer(shown, is_so=is_so)


def _answer(fields: dict[str, Any], *, is_so: bool) -> Response:
    return JSONResponse(fields, status_code=200 if is_so else 503, headers=_NOT_KEPT)
