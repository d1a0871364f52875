"""Looks at the way to a web server step by step: its name, a connection, its certificate, its clock. For `meetingpool doctor`.

The client's calls say that something on the way is wrong; this says what.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

from meetingpool.bbb.names import Addresses, Names
from meetingpool.bbb.targets import Target, read_target
from meetingpool.clock import Clock

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Stage(StrEnum):
    """What was tried when it went wrong."""

    ADDRESS = "address"
    NAME = "name"
    CONNECTION = "connection"
    CERTIFICATE = "certificate"
    ANSWER = "answer"


class ProbeFailed(Exception):
    """What went wrong at `stage`."""

    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was seen. `certificate_ends` in seconds since 1970; `ahead`: seconds that its clock is ahead of ours, to a second.

    Both are None where nothing is known of it.
    """

    addresses: Addresses
    certificate_ends: float | None
    ahead: float | None


async def probe(url: str, clock: Clock, context: ssl.SSLContext, *, patience: float) -> Probe:
    """Asks the server for `url`, which has no query. `patience` in seconds, for each step. Raises ProbeFailed."""
    try:
        target = read_target(url)
    except ValueError as error:
        raise ProbeFailed(Stage.ADDRESS, f"{url} is not the URL of a web server") from error
    addresses = await _addresses(target, clock, patience)
    reader, writer = await _connection(target, addresses, context, patience)
    try:
        certificate = writer.get_extra_info("peercert")
        ahead = await _ahead(target, reader, writer, clock, patience)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return Probe(
        addresses=addresses,
        certificate_ends=ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None,
        ahead=ahead,
    )


async def _addresses(target: Target, clock: Clock, patience: float) -> Addresses:
    try:
        return await Names(asyncio.get_running_loop(), clock).addresses(target.origin.host, patience)
    except OSError as error:
        raise ProbeFailed(Stage.NAME, f"its name {target.origin.host} has no address ({_reason(error)})") from error


async def _connection(target: Target, addresses: Addresses, context: ssl.SSLContext, patience: float) -> _Streams:
    """To the first of the addresses that can be reached."""
    origin = target.origin
    for tried, address in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(patience):
                if not origin.is_secure:
                    return await asyncio.open_connection(address, origin.port)
                return await asyncio.open_connection(address, origin.port, ssl=context, server_hostname=origin.host.rstrip("."))
        except ssl.SSLCertVerificationError as error:
            raise ProbeFailed(Stage.CERTIFICATE, f"its certificate is not accepted: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise ProbeFailed(Stage.CERTIFICATE, f"TLS with it fails ({error.reason})") from error
        except OSError as error:
            if tried == len(addresses):
                reason = f"no connection to port {origin.port} of {address} ({_reason(error)})"
                raise ProbeFailed(Stage.CONNECTION, reason) from error
    raise ProbeFailed(Stage.NAME, "its name has no address")


async def _ahead(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock, patience: float
) -> float | None:
    head = f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: Meetingpool\r\nConnection: close\r\n\r\n"
    sent = clock.epoch()
    try:
        async with asyncio.timeout(patience):
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ProbeFailed(Stage.ANSWER, f"it takes connections, and does not answer ({_reason(error)})") from error
    date = _date(answer)
    return None if date is None else date - (sent + clock.epoch()) / 2


def _date(head: bytes) -> float | None:
    """The Date of an answer, which is cut to whole seconds, so that its middle is half a second later."""
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "date":
            with suppress(ValueError):
                return parsedate_to_datetime(value.strip()).timestamp() + 0.5
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
