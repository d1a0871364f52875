"""Calls to servers: the one seam to the media hosts.

Every wait has one total deadline, body included. Nothing is retried and no redirect is followed here: the caller knows which call
may be repeated. Connections are pooled per server, so a hanging server holds up nobody else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.checksum import Algorithm, sign
from meetingpool.bbb.errors import ConnectionLost, NothingSent, ReplyTimedOut, RequestRejected, SecretRefused, UnusableAnswer
from meetingpool.bbb.query import encode

MAX_ANSWER_BYTES = 50 * 1024 * 1024
CONNECTIONS_PER_SERVER = 64
# Idle connections are kept this long, in seconds: beyond an interval of polling, below the 65 s of the web server on a BBB host.
KEEP_IDLE = 60.0
# The part of a deadline that may go into connecting: when that is what takes too long, it is known that nothing was sent.
CONNECT_OF_DEADLINE = 0.9

Parameters = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply as it came: nothing followed, nothing parsed."""

    status: int
    content_type: str | None
    location: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """What is posted with a call, byte for byte."""

    content: bytes
    content_type: str


def signed_url(endpoint: str, secret: str, call: str, parameters: Parameters, algorithm: Algorithm = Algorithm.SHA256) -> str:
    """The URL of `call` at `endpoint` (which ends in `/api` or `/api/`), its checksum last."""
    query = encode(parameters)
    checksum = sign(call, query.encode(), secret, algorithm)
    separator = "&" if query else ""
    return f"{endpoint.rstrip('/')}/{call}?{query}{separator}checksum={checksum}"


class Client:
    """One HTTP client for all servers, a connection pool for each. Use as an async context manager."""

    def __init__(self, *, connect_timeout: float = 5.0) -> None:
        """`connect_timeout` in seconds: for the name look-up, a free connection and the TCP and TLS hand-shakes."""
        self._connect_timeout = connect_timeout

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=CONNECTIONS_PER_SERVER, keepalive_timeout=KEEP_IDLE, ttl_dns_cache=60
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "Meetingpool", "Accept-Encoding": "identity"},
            trust_env=False,
        )
        # A request repeated behind our back could turn "sent, outcome unknown" into "connection refused", and a create
        # with that outcome would be placed on a second server.
        self._session._retry_connection = False  # noqa: SLF001
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

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
        if answer.message_key == "checksumError":
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
        """The reply to `url`, whatever its status. A GET, or a POST when there is a `body`."""
        try:
            target = URL(url, encoded=True)
            _ = target.port
        except ValueError as error:
            raise NothingSent("no connection: the address is not a URL") from error
        timeout = aiohttp.ClientTimeout(total=deadline, connect=min(self._connect_timeout, deadline * CONNECT_OF_DEADLINE))
        try:
            async with self._session.request(
                "POST" if body else "GET",
                target,
                data=body.content if body else None,
                headers={"Content-Type": body.content_type} if body else None,
                timeout=timeout,
                allow_redirects=False,
            ) as reply:
                return Reply(
                    status=reply.status,
                    content_type=reply.headers.get("Content-Type"),
                    location=reply.headers.get("Location"),
                    body=await _read_limited(reply),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, UnicodeError) as error:
            # UnicodeError: a host name that cannot be one, found when it is looked up.
            raise NothingSent(f"no connection: {_reason(error)}") from error
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise ReplyTimedOut(f"no complete answer within {deadline:g} s") from error
        except aiohttp.ClientError as error:
            raise ConnectionLost(f"the connection broke: {type(error).__name__}") from error


async def _read_limited(reply: aiohttp.ClientResponse) -> bytes:
    if (reply.content_length or 0) > MAX_ANSWER_BYTES:
        raise UnusableAnswer("the answer is too large")
    chunks: list[bytes] = []
    size = 0
    while chunk := await reply.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise UnusableAnswer("the answer is too large")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _reason(error: Exception) -> str:
    """Why a connection could not be opened, without the URL (its query holds a checksum)."""
    cause = error.__cause__ if isinstance(error, aiohttp.ClientConnectorError) else None
    return (cause.strerror or type(cause).__name__) if isinstance(cause, OSError) else type(error).__name__
