"""What stands against playing, as answers. Around every handler of playback."""

import errno
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.playback_pages import cannot_play_now, not_found
from gateway.playback_paths import NoSuchPath
from gateway.playback_threads import StorageBusy
from gateway.state import Gateway
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.logs import get_logger

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, Gateway], Awaitable[Response]]

# What opening says of what is not there, or is no file, or is a link to somewhere else.
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG})

# Strangers are one party.
_EVERYBODY = ""

log = get_logger()


class NothingToSee(Exception):
    """Whatever the reason: the answer does not tell it."""


def playback(handler: Handler) -> Endpoint:
    """The endpoint of a route that plays. Without recordings, there is nothing."""

    async def endpoint(request: Request) -> Response:
        gateway: Gateway = request.state.gateway
        if gateway.settings.recording_disabled:
            return not_found()
        if not gateway.playback_places.enter(_EVERYBODY):
            return _not_now(gateway, "TooManyRequests")
        try:
            return await _answer(handler, request, gateway)
        finally:
            gateway.playback_places.leave(_EVERYBODY)

    return endpoint


async def _answer(handler: Handler, request: Request, gateway: Gateway) -> Response:
    try:
        return await handler(request, gateway)
    except (NothingToSee, NoSuchPath):
        return not_found()
    except (DatabaseUnavailable, StorageBusy) as error:
        return _not_now(gateway, type(error).__name__)
    except OSError as error:
        return not_found() if error.errno in _NOT_THERE else _not_now(gateway, error.strerror or str(error))


def _not_now(gateway: Gateway, reason: str) -> Response:
    if count := gateway.files.failures.note(reason, gateway.clock.monotonic()):
        log.warning("playback_failed", reason=reason, count=count)
    return cannot_play_now()
