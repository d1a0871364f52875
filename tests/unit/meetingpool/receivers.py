"""What callbacks are sent to: servers on real sockets that keep what they get and answer as a test wants; their certificates."""

import asyncio
import datetime
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """`hung_up` is set when the other side closed a connection before we did."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    def header(self, name: str) -> str | None:
        """Of the last request."""
        found = re.search(rf"(?im)^{name}: (.*)\r$", self.requests[-1].partition(b"\r\n\r\n")[0].decode() + "\r\n")
        return found[1] if found else None


def saying(reply: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(reply)

    return answer


def replying(body: bytes = b"", *, status: str = "200 OK", headers: str = "") -> Answer:
    return saying(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)


def repeating(part: bytes, *, first: bytes, pause: float = 0) -> Answer:
    """Says `part` until nobody listens, with pauses of some seconds."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


async def say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def receiving(
    answer: Answer | None = None, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            receiver.requests.append(await _read_request(reader))
            async with _until_hung_up(reader, receiver):
                await (answer or replying(b"ok"))(writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            receiver.hung_up.set()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def _until_hung_up(reader: asyncio.StreamReader, receiver: Receiver) -> AsyncIterator[None]:
    """Notices the end of the connection while the answer is still being said."""

    async def watch() -> None:
        with suppress(OSError):
            await reader.read()
        receiver.hung_up.set()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)\r\n", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


@dataclass(frozen=True)
class Authority:
    """Issues certificates. `client` is what a client believes that trusts it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    directory: Path

    @property
    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())

    def server(self, name: str, *, asked_for: list[str | None] | None = None) -> ssl.SSLContext:
        """For a server with a certificate for `name`, a host name or an address. The names asked for go to `asked_for`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, self)
        path = self.directory / "server.pem"
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        if asked_for is not None:
            context.sni_callback = lambda _socket, asked, _context: asked_for.append(asked)
        return context


def new_authority(directory: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(_certificate("authority.example", key, None), key, directory)


def _certificate(name: str, key: ec.EllipticCurvePrivateKey, issuer: Authority | None) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    signer = issuer.key if issuer else key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
