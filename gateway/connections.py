"""The connections of one gateway process, and what a client may do with them. Given to uvicorn by `gateway.__main__`.

uvicorn reads and answers HTTP/1.1. This bounds what clients decide: how many connections they hold, how long and how large a
request is, how slowly it comes and its answer is taken. What two parsers could read in two ways is refused, since the other
parser may be that of a proxy before us.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from itertools import chain
from math import inf
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.limits import BUSY, RETRY_AFTER
from gateway.tally import Tally
from gateway.throttle import source_of
from gateway.whole_replies import WholeReplies
from meetingpool.bbb import xml
from meetingpool.logs import get_logger

# Seconds in which a client that was refused can read why, while what it still sends is thrown away.
LINGER_SECONDS = 2.0
# As much as uvloop reads at once.
READ_BYTES = 256 * 1024
_SLASH = ord("/")

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Sizes in bytes, times in seconds.

    `head_seconds` from the first byte of a request, or from the connection, to the last of its headers. `body_seconds` for
    the body, and one more for each `body_rate` bytes of it. `stalled_seconds` in which a client takes some of its answer.
    `pipelined`: requests that wait for the answers to earlier ones on their connection.
    """

    connections: int = 4096
    connections_per_address: int = 512
    target_bytes: int = 64 * 1024
    headers: int = 100
    header_bytes: int = 32 * 1024
    body_bytes: int = 100 * 1024 * 1024
    pipelined: int = 16
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    body_rate: int = 64 * 1024
    stalled_seconds: float = 30.0

    @property
    def unfinished_bytes(self) -> int:
        """Of a head or trailer before it is complete: with what came before it in one go, since that cannot be told apart."""
        return self.target_bytes + self.header_bytes + READ_BYTES

    @property
    def shortest_wait(self) -> float:
        return min(self.head_seconds, self.body_seconds, self.stalled_seconds)


class OpenConnections:
    """How many connections each address holds in this process. One that speaks for others may hold any number."""

    def __init__(self, *, per_address: int, speaks_for_others: Callable[[str], bool]) -> None:
        self._per_address = per_address
        self._speaks_for_others = speaks_for_others
        self._held: Counter[str] = Counter()
        self.refusals = Tally()

    def enter(self, address: str) -> bool:
        """Whether the address may hold one more; if so, it holds one more until `leave`."""
        source = source_of(address)
        if self._held[source] >= self._per_address and not self._speaks_for_others(address):
            return False
        self._held[source] += 1
        return True

    def leave(self, address: str) -> None:
        source = source_of(address)
        self._held[source] -= 1
        if not self._held[source]:
            del self._held[source]


class Refused(Exception):
    """What the client sends is not taken."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def connections_within(limits: ConnectionLimits, speaks_for_others: Callable[[str], bool]) -> type["Connection"]:
    """The class of connections for `uvicorn.Config(http=…)`, which makes them with arguments of its own."""
    opened = OpenConnections(per_address=limits.connections_per_address, speaks_for_others=speaks_for_others)
    return type("Connection", (Connection,), {"limits": limits, "opened": opened})


class Connection(HttpToolsProtocol):
    """One connection. It expires at `_deadline`, which moves with what the client does; a timer looks after it now and then.

    The timer comes round at least as often as the shortest time that anything may take. So whatever deadline is set after it was
    started, it is there in time, and a request moves a number instead of a timer.
    """

    limits: ClassVar[ConnectionLimits]
    opened: ClassVar[OpenConnections]

    # Not in the instance's dictionary: uvicorn's attributes are about as many as Python finds quickly there.
    __slots__ = ("_address", "_arrived", "_body_left", "_closes", "_deadline", "_refused", "_stalled_until", "_timer")

    # What uvicorn and the transport call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused = self._closes = False
        self._stalled_until = inf
        self._deadline = self.loop.time() + self.limits.head_seconds
        # Bytes of the body that may still come.
        self._body_left = 0
        # Bytes since the head or the part of a body that came last began, and those that came with it.
        self._arrived = 0
        address = self.client[0] if self.client else ""
        if len(self.connections) > self.limits.connections or not self.opened.enter(address):
            self._turn_away(address)
            return
        self._address = address
        self._timer = self.loop.call_later(self.limits.shortest_wait, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
        if self._address is not None:
            self.opened.leave(self._address)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_until = self.loop.time() + self.limits.stalled_seconds

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_until = inf

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        scope, body_left = self.scope, self._body_left
        self._arrived += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, Refused) else HTTPStatus.BAD_REQUEST)
        else:
            self._follow(scope, body_left, len(data))

    def on_headers_complete(self) -> None:
        self._require_sound_head()
        if self.parser.should_upgrade():
            return  # It is read again, by `_decline_upgrade`.
        super().on_headers_complete()
        self.cycle.transport = WholeReplies(self.transport, self.loop)  # type: ignore[assignment]
        # A chunked body can carry headers behind itself: they are none of the request that is being worked on.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._body_left -= len(body)
        if self._body_left < 0:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not self.cycle.response_complete:
            self._deadline += len(body) / self.limits.body_rate
        super().on_body(body)

    def on_response_complete(self) -> None:
        """As in uvicorn, but for the timer that it starts for each request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._is_in_head:
            self._deadline = self.loop.time() + self.timeout_keep_alive

    def _should_upgrade(self) -> bool:
        """Keeps uvicorn from taking a request that offers an upgrade, which is read again."""
        return True

    # What is taken

    @property
    def _is_in_head(self) -> bool:
        """Whether the next thing that comes belongs to the head of a request."""
        return self.cycle is None or self.cycle.scope is not self.scope

    def _require_sound_head(self) -> None:
        """Raises Refused. The parser has refused most of what is ambiguous; this is what it lets through."""
        limits = self.limits
        if len(self.url) > limits.target_bytes:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG)
        if len(self.headers) > limits.headers or (self._arrived > limits.header_bytes and self._has_long_headers):
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self.url[0] != _SLASH or len(self.pipeline) >= limits.pipelined:
            raise Refused(HTTPStatus.BAD_REQUEST)
        names = [name for name, _ in self.headers]
        if names.count(b"host") != 1 or b"content-length" in names or b"transfer-encoding" in names:
            self._require_sound_framing()

    @property
    def _has_long_headers(self) -> bool:
        return sum(map(len, chain.from_iterable(self.headers))) > self.limits.header_bytes

    def _require_sound_framing(self) -> None:
        """Raises Refused when it is not clear whose request this is or where it ends."""
        hosts, lengths, codings = map(self._values_of, (b"host", b"content-length", b"transfer-encoding"))
        version = self.parser.get_http_version()
        if len(hosts) > 1 or (not hosts and version != "1.0"):
            raise Refused(HTTPStatus.BAD_REQUEST)
        if codings and ([coding.strip().lower() for coding in codings] != [b"chunked"] or version != "1.1"):
            raise Refused(HTTPStatus.BAD_REQUEST)
        if lengths and int(lengths[0]) > self.limits.body_bytes:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self._body_left = self.limits.body_bytes
        self._deadline = self.loop.time() + self.limits.body_seconds

    def _values_of(self, header: bytes) -> list[bytes]:
        return [value for name, value in self.headers if name == header]

    def _follow(self, scope: object, body_left: int, received: int) -> None:
        """Called after each piece, with what was true before: sees how far the client is."""
        if self.scope is scope and self._body_left == body_left:
            self._bound_unfinished()
        else:
            self._arrived = received
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            if self.scope is not scope:
                self._deadline = self.loop.time() + self.limits.head_seconds
        elif not (cycle.more_body or cycle.response_complete):
            self._deadline = inf

    def _bound_unfinished(self) -> None:
        """What the parser keeps to itself, because it is not complete, stays small."""
        is_in_head, limits = self._is_in_head, self.limits
        if is_in_head and self.scope is not None and len(self.url) > limits.target_bytes:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif len(self.headers or ()) > limits.headers or self._arrived > limits.unfinished_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_in_head else HTTPStatus.BAD_REQUEST)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Reads the request again as if it offered no other protocol: who offers one (Java's client: HTTP/2) can do without.

        The parser, having seen an offer, leaves out the request's body.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        start = b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())
        headers = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join([start, *headers, b"", rest]))

    # How it ends

    def _look(self) -> None:
        """Called by the timer."""
        now, longest = self.loop.time(), self.limits.shortest_wait
        if self.flow.read_paused:
            # While we do not read, the client cannot hurry.
            self._deadline = max(self._deadline, now + longest)
        if now >= self._stalled_until or self._closes:
            self.transport.abort()
        elif self.transport.is_closing():
            self._closes = True
        elif now >= self._deadline:
            self._expire()
        wait = min(self._deadline, self._stalled_until) - now
        self._timer = self.loop.call_later(min(wait, longest) if wait > 0 else longest, self._look)

    def _expire(self) -> None:
        if self.scope is None:
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Says why, if it is the turn of this request to be answered, and closes. What is being answered is finished first."""
        self._refused = True
        self._deadline = inf
        cycle = self.cycle
        if not self._is_in_head:
            is_its_turn = not (cycle.response_started or self.pipeline)
            cycle.disconnected = True
            cycle.message_event.set()
        elif cycle is None or cycle.response_complete:
            is_its_turn = True
        else:
            cycle.keep_alive = False
            return
        if is_its_turn:
            self._answer_and_linger(status)
        else:
            self.transport.close()

    def _answer_and_linger(self, status: HTTPStatus) -> None:
        # Closing while the client sends would make its system throw our answer away.
        self.transport.write(ANSWERS[status])
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _turn_away(self, address: str) -> None:
        source = source_of(address)
        if count := self.opened.refusals.note(source, self.loop.time()):
            log.warning("connections_refused", address=source, count=count, open=len(self.connections))
        self._refused = True
        self.transport.write(ANSWERS[HTTPStatus.SERVICE_UNAVAILABLE])
        self.transport.close()


def this_machine_and(is_trusted: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether many clients come from an address: that of a trusted proxy, or one of this machine, where there may be another."""
    return lambda address: is_trusted(address) or _is_loopback(address)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _answer(status: HTTPStatus, message_key: str, message: str, *headers: bytes) -> bytes:
    document = xml.failed(message_key, message)
    lines = (
        b"HTTP/1.1 %d %s" % (status, status.phrase.encode()),
        b"content-type: text/xml;charset=utf-8",
        b"content-length: %d" % len(document),
        b"connection: close",
        *headers,
        b"",
        document,
    )
    return b"\r\n".join(lines)


ANSWERS = {
    status: _answer(status, message_key, message, *headers)
    for status, message_key, message, *headers in (
        (HTTPStatus.BAD_REQUEST, "validationError", "This is not a valid request of HTTP/1.1."),
        (HTTPStatus.REQUEST_TIMEOUT, "validationError", "The request did not arrive in time."),
        (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "validationError", "The body of the request is too long."),
        (HTTPStatus.REQUEST_URI_TOO_LONG, "validationError", "The URL is too long; send the parameters as a form instead."),
        (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "validationError", "The request has too many headers, or too long ones."),
        (HTTPStatus.SERVICE_UNAVAILABLE, "internalError", BUSY, b"retry-after: %d" % RETRY_AFTER),
    )
}
