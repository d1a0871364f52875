"""How a connection is opened: names, several addresses, certificates. All names stand for addresses of the loopback."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import NothingSent
from tests.unit.bbb.web_servers import SOON, listening, open_files, read_head, reply_of, until_open_files_are


class TlsServer:
    """What it presents and what it was asked: the names and the requests."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.certificate = _write_certificate(directory, names)
        self.names: list[str | None] = []
        self.requests: list[bytes] = []
        self.connections = 0

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        context.sni_callback = lambda _, name, __: self.names.append(name)
        return context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.requests.append(await read_head(reader))
            writer.write(reply_of(b"ok"))


def _write_certificate(directory: Path, names: tuple[str, ...]) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "of the test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    written = directory / "server.pem"
    written.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return written


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(connect_timeout=SOON) as client:
        yield client


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names stand for; any other name is unknown."""
    addresses: dict[str, list[str]] = {}

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        if host not in addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return addresses


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await read_head(reader):
        writer.write(reply_of(b"ok"))


async def test_name_is_looked_up(client: Client, addresses: dict[str, list[str]]) -> None:
    addresses["bbb.test"] = ["127.0.0.1"]

    async with listening(answer) as (endpoint, _):
        assert await client.fetch(endpoint.replace("127.0.0.1", "bbb.test"), deadline=SOON) == b"ok"


async def test_unknown_name_has_sent_nothing(client: Client, addresses: dict[str, list[str]]) -> None:
    with pytest.raises(NothingSent, match="no connection: Name or service not known"):
        await client.fetch("http://bbb.test/", deadline=SOON)


async def test_next_address_is_tried_when_one_refuses(client: Client, addresses: dict[str, list[str]]) -> None:
    addresses["bbb.test"] = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]

    async with listening(answer) as (endpoint, _):
        assert await client.fetch(endpoint.replace("127.0.0.1", "bbb.test"), deadline=SOON) == b"ok"


async def test_address_that_swallows_everything_leaves_time_for_the_next(addresses: dict[str, list[str]]) -> None:
    addresses["bbb.test"] = ["127.0.0.2", "127.0.0.1"]

    async with listening(answer) as (endpoint, _), Client(connect_timeout=1.0) as client:
        port = int(endpoint.split(":")[2].split("/")[0])
        with socket.create_server(("127.0.0.2", port), backlog=0) as full:
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            try:
                assert await client.fetch(endpoint.replace("127.0.0.1", "bbb.test"), deadline=SOON) == b"ok"
            finally:
                for filler in fillers:
                    filler.close()


async def test_address_that_nobody_is_at_is_the_reason(client: Client, addresses: dict[str, list[str]]) -> None:
    addresses["bbb.test"] = ["127.0.0.2", "127.0.0.3"]

    with pytest.raises(NothingSent, match="no connection: Connect"):
        await client.fetch("http://bbb.test:1/", deadline=SOON)


async def test_certificate_that_nobody_vouches_for_is_refused(client: Client, tmp_path: Path) -> None:
    server = TlsServer(tmp_path, "127.0.0.1")

    async with listening(server.serve, tls=server.context) as (endpoint, _):
        with pytest.raises(NothingSent, match="no connection: the certificate is not accepted: self-signed certificate"):
            await client.fetch(endpoint, deadline=SOON)

    assert server.requests == []


async def test_certificate_of_another_host_is_refused(
    client: Client, tmp_path: Path, addresses: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses["bbb.test"] = ["127.0.0.1"]
    server = TlsServer(tmp_path, "other.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))

    async with listening(server.serve, tls=server.context) as (endpoint, _):
        with pytest.raises(NothingSent, match="certificate is not accepted: Hostname mismatch"):
            await client.fetch(endpoint.replace("127.0.0.1", "bbb.test"), deadline=SOON)

    assert server.requests == []


async def test_certificate_that_the_system_trusts_is_accepted(
    client: Client, tmp_path: Path, addresses: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses["bbb.test."] = ["127.0.0.1"]
    server = TlsServer(tmp_path, "bbb.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))

    async with listening(server.serve, tls=server.context) as (endpoint, _):
        for _ in range(3):
            assert await client.fetch(endpoint.replace("127.0.0.1", "bbb.test."), deadline=SOON) == b"ok"

    assert server.names == ["bbb.test"]
    assert server.connections == 1


async def test_certificate_of_an_address_is_accepted(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = TlsServer(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))

    async with listening(server.serve, tls=server.context) as (endpoint, _):
        assert await client.fetch(endpoint, deadline=SOON) == b"ok"


async def test_tls_connection_that_was_closed_is_not_used_again(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(reply_of(b"ok"))
        await writer.drain()

    server = TlsServer(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))

    async with listening(serve, tls=server.context) as (endpoint, _):
        for _ in range(3):
            assert await client.fetch(endpoint, deadline=SOON) == b"ok"
            await asyncio.sleep(0)


async def test_server_without_tls_has_been_sent_nothing(client: Client) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(serve) as (endpoint, _):
        with pytest.raises(NothingSent):
            await client.fetch(endpoint.replace("http:", "https:"), deadline=SOON)


async def test_hand_shake_that_takes_too_long_has_sent_nothing_and_leaves_nothing_open() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(serve) as (endpoint, _), Client(connect_timeout=0.05) as client:
        before = open_files()
        outcomes = await asyncio.gather(
            *(client.fetch(endpoint.replace("http:", "https:"), deadline=SOON) for _ in range(5)), return_exceptions=True
        )
        await until_open_files_are(before)

    assert [str(outcome) for outcome in outcomes] == ["no connection within 0.05 s"] * 5


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_caller_who_leaves_while_the_connection_is_opened_leaves_nothing_open(tmp_path: Path, scheme: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(serve) as (endpoint, _), Client(connect_timeout=SOON) as client:
        before = open_files()
        for passes in range(12):
            asked = asyncio.create_task(client.fetch(endpoint.replace("http:", f"{scheme}:"), deadline=SOON))
            for _ in range(passes):
                await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        await until_open_files_are(before)
