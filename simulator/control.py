"""The HTTP control of a simulated server, on its own port below `/simulator/`: for demonstrations and tests in other processes.

`GET state`, `PUT faults`, `PUT clock`, `POST restart`.
"""

from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from simulator.faults import InvalidFaults, as_json, read_faults
from simulator.host import Host


class InvalidControl(ValueError):
    """A sentence that says what the control request must hold."""


def control_application(host: Host) -> Starlette:
    control = Control(host)
    return Starlette(
        routes=[
            Route("/simulator/state", control.state, methods=["GET"]),
            Route("/simulator/faults", control.faults, methods=["PUT"]),
            Route("/simulator/clock", control.clock, methods=["PUT"]),
            Route("/simulator/restart", control.restart, methods=["POST"]),
        ],
        exception_handlers={InvalidControl: _bad_request, InvalidFaults: _bad_request},
    )


class Control:
    """Changes that break connections happen after the reply, which tells the client to open a new one."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._server = host.server

    async def state(self, _: Request) -> JSONResponse:
        server = self._server
        server.expire_meetings()
        return JSONResponse(
            {
                "name": server.name,
                "url": server.url,
                "version": server.version,
                "strict": server.strict,
                "clock_offset": server.clock_offset,
                "faults": as_json(server.faults),
                "people": server.people_count,
                "meetings": {meeting_id: len(meeting.people) for meeting_id, meeting in server.meetings.items()},
                "requests": server.counts(),
            }
        )

    async def faults(self, request: Request) -> JSONResponse:
        """The fields of `Faults`, and `seconds` after which the server is healthy again."""
        values = await _read_object(request)
        seconds = _number(values, "seconds", minimum=0.0) if "seconds" in values else None
        faults = read_faults({name: value for name, value in values.items() if name != "seconds"})
        return _done(BackgroundTask(self._host.set_faults, faults, seconds))

    async def clock(self, request: Request) -> JSONResponse:
        self._server.clock_offset = _number(await _read_object(request), "offset")
        return _done()

    async def restart(self, request: Request) -> JSONResponse:
        keep_state = (await _read_object(request)).get("keep_state")
        if not isinstance(keep_state, bool):
            raise InvalidControl("Say whether the meetings survive: 'keep_state' must be true or false.")
        return _done(BackgroundTask(self._host.restart, keep_state=keep_state))


def _done(afterwards: BackgroundTask | None = None) -> JSONResponse:
    headers = {"connection": "close"} if afterwards else None
    return JSONResponse({"done": True}, headers=headers, background=afterwards)


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        values = await request.json()
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InvalidControl("Send a JSON object.")
    return values


def _number(values: dict[str, Any], name: str, minimum: float = float("-inf")) -> float:
    value = values.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < minimum:
        raise InvalidControl(f"{name!r} must be a number of seconds.")
    return float(value)


async def _bad_request(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)
