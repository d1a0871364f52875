"""The HTTP control of a simulated server, on its own port below `/simulator/`: for demonstrations and tests in other processes.

    GET state
    PUT faults          the fields of `Faults`, and `seconds` after which the server is healthy again
    PUT outward-faults  the fields of `OutwardFaults`: what goes wrong with the calls that the server makes by itself
    PUT outward         any of `retry_factor`, `has_webhooks` and `hook_algorithm` (sha1, …, null for a bearer token)
    PUT clock           `offset` in seconds
    POST restart        `keep_state`
    POST recordings     `record_id` and `format`: this format of a past meeting's recording is ready
    POST events         `id`, `meeting` (either id), and if you like `attributes` and `raw`: an event for the webhooks

Bodies are JSON objects. A mistake is answered with status 400 and a sentence.
"""

from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meetingpool.bbb.checksum import Algorithm
from simulator.faults import InvalidFaults, as_json, read_faults, read_outward_faults
from simulator.host import Host
from simulator.server import UnknownMeeting


class InvalidControl(ValueError):
    """A sentence that says what the control request must hold."""


def control_application(host: Host) -> Starlette:
    control = Control(host)
    return Starlette(
        routes=[
            Route("/simulator/state", control.state, methods=["GET"]),
            Route("/simulator/faults", control.faults, methods=["PUT"]),
            Route("/simulator/outward-faults", control.outward_faults, methods=["PUT"]),
            Route("/simulator/outward", control.outward, methods=["PUT"]),
            Route("/simulator/clock", control.clock, methods=["PUT"]),
            Route("/simulator/restart", control.restart, methods=["POST"]),
            Route("/simulator/recordings", control.recordings, methods=["POST"]),
            Route("/simulator/events", control.events, methods=["POST"]),
        ],
        exception_handlers=dict.fromkeys((InvalidControl, InvalidFaults, UnknownMeeting), _bad_request),
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
                "has_webhooks": server.has_webhooks,
                "hook_algorithm": server.hook_algorithm,
                "hooks": len(server.hooks),
                "retry_factor": server.retry_factor,
                "outward_faults": as_json(server.outward_faults),
                "outward": server.outward_counts,
            }
        )

    async def faults(self, request: Request) -> JSONResponse:
        values = await _read_object(request)
        seconds = _number(values, "seconds", minimum=0.0) if "seconds" in values else None
        faults = read_faults({name: value for name, value in values.items() if name != "seconds"})
        return _done(BackgroundTask(self._host.set_faults, faults, seconds))

    async def outward_faults(self, request: Request) -> JSONResponse:
        self._server.outward_faults = read_outward_faults(await _read_object(request))
        return _done()

    async def outward(self, request: Request) -> JSONResponse:
        values = await _read_object(request)
        for name, value in [(name, _outward_setting(name, values)) for name in values]:
            setattr(self._server, name, value)
        return _done()

    async def clock(self, request: Request) -> JSONResponse:
        self._server.clock_offset = _number(await _read_object(request), "offset")
        return _done()

    async def restart(self, request: Request) -> JSONResponse:
        keep_state = (await _read_object(request)).get("keep_state")
        if not isinstance(keep_state, bool):
            raise InvalidControl("Say whether the meetings survive: 'keep_state' must be true or false.")
        return _done(BackgroundTask(self._host.restart, keep_state=keep_state))

    async def recordings(self, request: Request) -> JSONResponse:
        values = await _read_object(request)
        self._server.publish_recording(_text(values, "record_id"), _text(values, "format"))
        return _done()

    async def events(self, request: Request) -> JSONResponse:
        values = await _read_object(request)
        attributes, raw = _inner_object(values, "attributes"), _inner_object(values, "raw")
        _inner_object(attributes or {}, "meeting")
        self._server.send_event(_text(values, "id"), _text(values, "meeting"), attributes, raw)
        return _done()


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


def _number(values: dict[str, Any], name: str, *, minimum: float = float("-inf"), kind: str = "a number of seconds") -> float:
    value = values.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < minimum:
        raise InvalidControl(f"{name!r} must be {kind}.")
    return float(value)


def _outward_setting(name: str, values: dict[str, Any]) -> Any:
    match name:
        case "retry_factor":
            return _number(values, name, minimum=0.0, kind="a number, 0 or more")
        case "has_webhooks":
            return _boolean(values, name)
        case "hook_algorithm":
            return _algorithm(values[name])
    raise InvalidControl(f"There is no setting {name[:64]!r}. Use retry_factor, has_webhooks or hook_algorithm.")


def _algorithm(value: Any) -> Algorithm | None:
    if value is not None and value not in list(Algorithm):
        raise InvalidControl(f"'hook_algorithm' must be null or one of {', '.join(Algorithm)}.")
    return None if value is None else Algorithm(value)


def _boolean(values: dict[str, Any], name: str) -> bool:
    value = values.get(name)
    if not isinstance(value, bool):
        raise InvalidControl(f"{name!r} must be true or false.")
    return value


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidControl(f"{name!r} must be a text.")
    return value


def _inner_object(values: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = values.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidControl(f"{name!r} must be a JSON object.")
    return value


async def _bad_request(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)
