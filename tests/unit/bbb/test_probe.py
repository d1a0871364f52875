"""The way to a web server, step by step."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from meetingpool.bbb.probe import ProbeFailed, Stage, probe
from meetingpool.clock import SystemClock

NO_TLS = ssl.create_default_context()


@asynccontextmanager
async def web_server(answer: Callable[[], bytes], context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answers everything alike; yields its port."""

    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.extend(filter(None, [asyncio.current_task()]))
        with suppress(OSError):
            await reader.read(4096)
            writer.write(answer())
            await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*serving)


def dated(ahead: float) -> bytes:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    return f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("ahead", [0, 120, -3600])
async def test_clock_is_read_from_the_answer(ahead: float) -> None:
    async with web_server(lambda: dated(ahead)) as port:
        seen = await probe(f"http://127.0.0.1:{port}/api/", SystemClock(), NO_TLS, patience=5)
    assert seen.addresses == ("127.0.0.1",)
    assert seen.certificate_ends is None
    assert seen.ahead == pytest.approx(ahead, abs=1.5)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n"])
async def test_answer_without_a_date_tells_nothing_of_the_clock(head: bytes) -> None:
    async with web_server(lambda: head) as port:
        assert (await probe(f"http://127.0.0.1:{port}/", SystemClock(), NO_TLS, patience=5)).ahead is None


async def test_end_of_the_certificate_is_told(tmp_path: Path) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    serving, trusting = certified(tmp_path, "127.0.0.1", ends)
    async with web_server(lambda: dated(0), serving) as port:
        seen = await probe(f"https://127.0.0.1:{port}/", SystemClock(), trusting, patience=5)
    assert seen.certificate_ends == ends.timestamp()


@pytest.mark.parametrize(
    ("name", "days", "reason"),
    [("127.0.0.1", -1, "expired"), ("127.0.0.2", 3, "mismatch")],
)
async def test_certificate_that_is_not_accepted_is_told(tmp_path: Path, name: str, days: int, reason: str) -> None:
    serving, trusting = certified(tmp_path, name, datetime.now(UTC) + timedelta(days=days))
    async with web_server(lambda: dated(0), serving) as port:
        with pytest.raises(ProbeFailed, match=f"its certificate is not accepted: .*{reason}") as failed:
            await probe(f"https://127.0.0.1:{port}/", SystemClock(), trusting, patience=5)
    assert failed.value.stage is Stage.CERTIFICATE


async def test_server_without_tls_is_told() -> None:
    async with web_server(lambda: dated(0)) as port:
        with pytest.raises(ProbeFailed, match="TLS with it fails") as failed:
            await probe(f"https://127.0.0.1:{port}/", SystemClock(), NO_TLS, patience=5)
    assert failed.value.stage is Stage.CERTIFICATE


@pytest.mark.parametrize(
    ("url", "stage"),
    [
        ("ftp://host/", Stage.ADDRESS),
        ("http://nothing.invalid/", Stage.NAME),
        ("http://127.0.0.1:1/", Stage.CONNECTION),
    ],
)
async def test_step_that_failed_is_named(url: str, stage: Stage) -> None:
    with pytest.raises(ProbeFailed) as failed:
        await probe(url, SystemClock(), NO_TLS, patience=5)
    assert failed.value.stage is stage


async def test_server_that_takes_connections_and_says_nothing_is_told() -> None:
    async with web_server(lambda: b"") as port:
        with pytest.raises(ProbeFailed, match="it takes connections, and does not answer") as failed:
            await probe(f"http://127.0.0.1:{port}/", SystemClock(), NO_TLS, patience=5)
    assert failed.value.stage is Stage.ANSWER


def certified(directory: Path, name: str, ends: datetime) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server whose certificate is for the address `name`, and for whoever trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=9))
        .not_valid_after(ends)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())
