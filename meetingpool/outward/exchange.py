"""One exchange with one address. Used by the client, which has checked the address.

It is made of httpcore, the lower half of HTTPX: what goes in are the parts of a URL, so nothing reads it a second time.
"""

import ssl
from collections.abc import Iterable
from contextlib import aclosing

import httpcore

from meetingpool.domain.addresses import Address
from meetingpool.outward.client import MAX_REPLY_BYTES, OutwardReply, OutwardRequest
from meetingpool.outward.errors import NotDelivered
from meetingpool.outward.reasons import reason_of
from meetingpool.outward.urls import Url


class NobodyListens(Exception):
    """No connection to this address; says why."""


async def exchange(
    request: OutwardRequest, url: Url, address: Address, *, tls: ssl.SSLContext | None, connect_timeout: float
) -> OutwardReply:
    """The reply to `request` from `address`. Raises NobodyListens, or NotDelivered when the connection broke."""
    try:
        return await _exchange(_pinned(request, url, address, connect_timeout), tls)
    except httpcore.ConnectTimeout:
        raise NobodyListens(f"nothing answered within {connect_timeout:g} s") from None
    except httpcore.ConnectError as error:
        raise NobodyListens(reason_of(error)) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        # Without its cause: what it quotes is not ours to show.
        raise NotDelivered(f"the connection broke: {reason_of(error)}") from None


async def _exchange(request: httpcore.Request, tls: ssl.SSLContext | None) -> OutwardReply:
    # A connection belongs to the name that its certificate was checked for. The next name may stand for the same address,
    # by which a pool would know it; so each exchange has a connection of its own.
    async with aclosing(_Network()) as network:
        connection = httpcore.AsyncHTTPConnection(request.url.origin, ssl_context=tls, network_backend=network)
        async with aclosing(await connection.handle_async_request(request)) as response:
            return OutwardReply(response.status, await _read_limited(response))


class _Network(httpcore.AnyIOBackend):
    """The one connection of an exchange. httpcore would leave it open that is given up in the middle of a TLS handshake."""

    def __init__(self) -> None:
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self._stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return self._stream

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


def _pinned(request: OutwardRequest, url: Url, address: Address, connect_timeout: float) -> httpcore.Request:
    """The request to `address`, with the name where the other side looks for it."""
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.scheme, host=str(address), port=url.port, target=url.target),
        headers=_headers(request, url.authority),
        content=request.body,
        extensions={"sni_hostname": url.host, "timeout": {"connect": connect_timeout}},
    )


def _headers(request: OutwardRequest, authority: str) -> list[tuple[str, str]]:
    """Those of the request replace what is usual, and never what guards."""
    usual = [("Host", authority), ("User-Agent", "Meetingpool")]
    guarding = [("Host", authority), ("Accept-Encoding", "identity"), ("Connection", "close")]
    if request.method == "POST":
        guarding.append(("Content-Length", str(len(request.body))))
    return list({name.lower(): (name, value) for name, value in [*usual, *request.headers, *guarding]}.values())


async def _read_limited(response: httpcore.Response) -> bytes:
    """The first 64 kB, as they came: what is compressed stays compressed."""
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) >= MAX_REPLY_BYTES:
            break
    return bytes(body[:MAX_REPLY_BYTES])
