"""Calls to servers: the one seam to the media hosts.

Every wait has one total deadline, body included. Nothing is retried and no redirect is followed here: the caller knows which call
may be repeated. Connections are pooled per server, so a hanging server holds up nobody else.
"""

import asyncio
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.checksum import Algorithm, sign
from meetingpool.bbb.connections import Connection, Connections
from meetingpool.bbb.dialler import Dialler
from meetingpool.bbb.errors import NothingSent, RequestRejected, SecretRefused, ServerFailure, UnusableAnswer
from meetingpool.bbb.names import Names
from meetingpool.bbb.query import encode
from meetingpool.bbb.replies import Reply
from meetingpool.bbb.targets import Origin, is_visible, read_target
from meetingpool.clock import SystemClock
from meetingpool.metrics import UPSTREAM_FAILURES, UPSTREAM_SECONDS
from meetingpool.metrics_counts import Counter, Counts, Histogram
from meetingpool.request_ids import known_request_id

__all__ = ["MAX_ANSWER_BYTES", "Body", "Client", "Reply", "signed_url"]

MAX_ANSWER_BYTES = 50 * 1024 * 1024
CONNECTIONS_PER_SERVER = 64
# Idle connections are kept this long, in seconds: beyond an interval of polling, below the 65 s of the web server on a BBB host.
KEEP_IDLE = 60.0
# The part of a deadline that may go into connecting: when that is what takes too long, it is known that nothing was sent.
CONNECT_OF_DEADLINE = 0.9
# A body up to this size is sent together with the head.
SMALL_BODY_BYTES = 64 * 1024
MAX_ROUTES = 10_000
# A server that answers with such a status might as well not have answered.
_BROKEN = 500

_LINE_BREAKERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Parameters = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Body:
    """What is posted with a call, byte for byte."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class _Route:
    """What requests to one URL, its query aside, have in common: the connections, their line and head, and what is counted."""

    connections: Connections
    path: str
    head: str
    seconds: Histogram
    failures: Counter


def signed_url(endpoint: str, secret: str, call: str, parameters: Parameters, algorithm: Algorithm = Algorithm.SHA256) -> str:
    """The URL of `call` at `endpoint` (which ends in `/api` or `/api/`), its checksum last."""
    query = encode(parameters)
    checksum = sign(call, query.encode(), secret, algorithm)
    separator = "&" if query else ""
    return f"{endpoint.rstrip('/')}/{call}?{query}{separator}checksum={checksum}"


class Client:
    """One HTTP client for all servers, a connection pool for each. Use as an async context manager."""

    def __init__(self, *, connect_timeout: float = 5.0, counts: Counts | None = None) -> None:
        """`connect_timeout` in seconds: for the name look-up, a free connection and the TCP and TLS hand-shakes.

        `counts`: where it is counted how long servers took, by their URLs.
        """
        self._connect_timeout = connect_timeout
        self._counts = counts or Counts.alone()
        self._clock = SystemClock()
        self._connections: dict[Origin, Connections] = {}
        self._routes: dict[str, _Route] = {}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._dialler = Dialler(Names(self._loop, self._clock), self._loop)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for connections in self._connections.values():
            connections.close()
        # The event loop closes the sockets in its next round.
        await asyncio.sleep(0)

    async def call(
        self,
        endpoint: str,
        secret: str,
        call: str,
        parameters: Parameters = (),
        *,
        deadline: float,
        body: Body | None = None,
    ) -> Answer:
        """Calls a server and returns its answer, be it SUCCESS or FAILED.

        `deadline` is the number of seconds for the whole exchange. Raises NothingSent, RequestRejected or OutcomeUnknown.
        """
        answer = read_answer(await self.fetch(signed_url(endpoint, secret, call, parameters), deadline=deadline, body=body))
        if b"checksumError" in answer.document and answer.message_key == "checksumError":
            # Between the server and us; the front end, whose checksum was right, must not be told so.
            raise SecretRefused("the server refuses our secret (checksumError)")
        return answer

    async def fetch(self, url: str, *, deadline: float, body: Body | None = None) -> bytes:
        """The body of a 200 reply to `url`. Raises NothingSent, RequestRejected or OutcomeUnknown."""
        reply = await self.get(url, deadline=deadline, body=body)
        if 400 <= reply.status < 500:
            raise RequestRejected(f"the host turned the request away with HTTP status {reply.status}")
        if reply.status != 200:
            raise UnusableAnswer(f"the server answered with HTTP status {reply.status}")
        return reply.body

    async def get(self, url: str, *, deadline: float, body: Body | None = None) -> Reply:
        """The reply to `url`, whatever its status. A GET, or a POST when there is a `body`.

        Raises NothingSent, OutcomeUnknown, and ValueError when the type of the body cannot stand in a head.
        """
        if deadline <= 0:
            raise NothingSent("no connection: no time is left")
        began, until = self._clock.monotonic(), self._loop.time() + deadline
        place, _, query = url.partition("#")[0].partition("?")
        route = self._routes.get(place) or self._new_route(place)
        request = _request(route, query, body)
        try:
            connection = route.connections.idle() or await self._connect(route.connections, deadline)
            reply = await connection.exchange(request, until=until, deadline=deadline, max_body=MAX_ANSWER_BYTES)
        except ServerFailure:
            route.failures.add()
            raise
        route.seconds.observe(self._clock.monotonic() - began)
        if reply.status >= _BROKEN:
            route.failures.add()
        return reply

    def _new_route(self, place: str) -> _Route:
        try:
            target = read_target(place)
        except ValueError as error:
            raise NothingSent("no connection: the address is not a URL") from error
        if target.origin not in self._connections:
            self._connections[target.origin] = Connections(
                target.origin, self._dialler, self._loop, limit=CONNECTIONS_PER_SERVER, keep_idle=KEEP_IDLE
            )
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        head = f"Host: {target.authority}\r\nUser-Agent: Meetingpool\r\nAccept-Encoding: identity\r\n"
        route = self._routes[place] = _Route(
            self._connections[target.origin],
            target.path,
            head,
            # Which server and which call that is, whoever shows it knows.
            self._counts.histogram(UPSTREAM_SECONDS, place),
            self._counts.counter(UPSTREAM_FAILURES, place),
        )
        return route

    async def _connect(self, connections: Connections, deadline: float) -> Connection:
        seconds = min(self._connect_timeout, deadline * CONNECT_OF_DEADLINE)
        try:
            async with asyncio.timeout(seconds):
                return await connections.connect(self._loop.time() + seconds)
        except TimeoutError as error:
            raise NothingSent(f"no connection within {seconds:g} s") from error
        except OSError as error:
            raise NothingSent(f"no connection: {_reason(error)}") from error


def _request(route: _Route, query: str, body: Body | None) -> tuple[bytes, ...]:
    target = f"{route.path}?{query}" if query else route.path
    if not is_visible(target):
        raise NothingSent("no connection: the address is not a URL")
    if body is None:
        return (f"GET {target} HTTP/1.1\r\n{route.head}{_request_id()}\r\n".encode(),)
    if _LINE_BREAKERS.search(body.content_type):
        raise ValueError("a content type is one line")
    about_body = f"Content-Type: {body.content_type}\r\nContent-Length: {len(body.content)}\r\n"
    # As the gateway read it.
    head = f"POST {target} HTTP/1.1\r\n{route.head}{_request_id()}{about_body}\r\n".encode("latin-1")
    return (head + body.content,) if len(body.content) <= SMALL_BODY_BYTES else (head, body.content)


def _request_id() -> str:
    """A header for the server's logs: on whose behalf it is asked."""
    known = known_request_id()
    return f"X-Request-Id: {known}\r\n" if known else ""


def _reason(error: OSError) -> str:
    """Why a connection could not be opened, without the URL (its query holds a checksum)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__
