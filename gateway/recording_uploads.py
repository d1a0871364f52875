"""Recordings that servers bring by HTTPS, where there is no shared directory: in pieces, into the same spool.

The address names the server, the recording and the digest of the archive, so whoever was interrupted asks how much is here
(HEAD) and goes on from there (PATCH). The archive appears in the spool when it is complete and is what its digest says.
docs/uploads.md.
"""

import errno
import hashlib
import hmac
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.playback_threads import StorageBusy, StorageThreads
from meetingpool.domain.recordings import RECORD_ID
from meetingpool.domain.servers import AdminState, ServerId
from meetingpool.domain.uploads import upload_token
from meetingpool.library.files import make_directory, sync_directory, write_file
from meetingpool.library.uploads import UPLOADS
from meetingpool.logs import get_logger

# Seconds. Proxies wait longer for an answer; hashing an archive of many gigabytes takes its time.
WRITE_DEADLINE = 60.0
CHECK_DEADLINE = 900.0
WRITE_THREADS = 4
CHECK_THREADS = 2
# At once, in one process, and of these by one server.
MAX_UPLOADS = 32
MAX_OF_SERVER = 8
# Bytes that are gathered before they are written.
PIECE = 1024 * 1024
# Seconds for which a complete archive is known, for whoever missed the answer. Later it is taken once more if it comes.
KNOWN_SECONDS = 2 * 3600
RETRY_AFTER = "30"

_DIGEST_LENGTH = 64
_HEX = frozenset("0123456789abcdef")
_FULL = (errno.ENOSPC, errno.EDQUOT)

log = get_logger()


class Refused(Exception):
    """Ends a call with a status, and says how much is here if that is known."""

    def __init__(self, status: int, offset: int | None = None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.offset = offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What a server brings. No server's archives meet those of another, whatever they claim to be."""

    server_id: str
    record_id: str
    digest: str

    @property
    def _prefix(self) -> str:
        server = hashlib.sha256(self.server_id.encode(errors="surrogatepass")).hexdigest()[:16]
        return f"{self.record_id}.{server}."

    @property
    def delivered_as(self) -> str:
        return f"{self._prefix}tar"

    @property
    def part(self) -> str:
        return f"{self._prefix}{self.digest}"

    @property
    def done(self) -> str:
        return f"{self.part}.done"

    def is_outdated(self, name: str) -> bool:
        """Whether a file is what the server brought of this recording as it was before."""
        return name.startswith(self._prefix) and name not in (self.part, self.done)


class Uploads:
    """Archives that are being brought to one spool directory. `max_bytes`: of one."""

    def __init__(self, spool: Path, *, max_bytes: int) -> None:
        self._spool = spool
        self._directory = spool / UPLOADS
        self._max_bytes = max_bytes
        self._writing = StorageThreads(threads=WRITE_THREADS, calls=2 * MAX_UPLOADS, deadline=WRITE_DEADLINE)
        # Writing does not wait for these.
        self._checking = StorageThreads(threads=CHECK_THREADS, calls=MAX_UPLOADS, deadline=CHECK_DEADLINE)
        self._under_way: set[Archive] = set()

    def close(self) -> None:
        self._writing.close()
        self._checking.close()

    async def size(self, archive: Archive) -> tuple[int, bool]:
        """How many bytes of it are here, and whether it is complete. Raises OSError and StorageBusy."""
        return await self._writing.run(partial(self._size, archive), _nothing)

    async def receive(self, request: Request, archive: Archive) -> tuple[int, bool]:
        """Writes what the request brings. As `size` after that. Raises Refused, OSError and StorageBusy."""
        offset, length = _number(request, "upload-offset"), _number(request, "upload-length")
        if not offset <= length <= self._max_bytes:
            raise Refused(413)
        with self._alone(archive):
            here, is_complete = await self._writing.run(partial(self._begin, archive, length), _nothing)
            if is_complete:
                return here, True
            if here != offset:
                raise Refused(409, here)
            here = await self._append(request, archive, offset, length)
            if here == length and not await self._checking.run(partial(self._finish, archive, length), _nothing):
                log.warning("upload_garbled", server=archive.server_id, recording=archive.record_id, bytes=length)
                raise Refused(422, 0)
            return here, here == length

    @contextmanager
    def _alone(self, archive: Archive) -> Iterator[None]:
        """Nobody else brings it to this process. Raises Refused, or StorageBusy when too many bring something."""
        if archive in self._under_way:
            raise Refused(423)
        of_server = sum(archive.server_id == each.server_id for each in self._under_way)
        if of_server >= MAX_OF_SERVER or len(self._under_way) >= MAX_UPLOADS:
            raise StorageBusy
        self._under_way.add(archive)
        try:
            yield
        finally:
            self._under_way.remove(archive)

    async def _append(self, request: Request, archive: Archive, offset: int, length: int) -> int:
        gathered = bytearray()
        try:
            async for chunk in request.stream():
                gathered += chunk
                if offset + len(gathered) > length:
                    raise Refused(413)
                if len(gathered) >= PIECE:
                    offset = await self._write(archive, offset, gathered)
        except ClientDisconnect:
            # What came need not come again.
            await self._write(archive, offset, gathered)
            raise
        return await self._write(archive, offset, gathered)

    async def _write(self, archive: Archive, offset: int, gathered: bytearray) -> int:
        piece = bytes(gathered)
        gathered.clear()
        await self._writing.run(partial(self._write_piece, archive, offset, piece), _nothing)
        return offset + len(piece)

    def _size(self, archive: Archive) -> tuple[int, bool]:
        with suppress(FileNotFoundError, ValueError), _opened(self._directory / archive.done, os.O_RDONLY) as done:
            if time.time() - os.fstat(done).st_mtime < KNOWN_SECONDS:
                return int(os.read(done, 32)), True
        with suppress(FileNotFoundError):
            return (self._directory / archive.part).lstat().st_size, False
        return 0, False

    def _begin(self, archive: Archive, length: int) -> tuple[int, bool]:
        """As `_size`, once there is a place for the rest."""
        # The spool itself must be there: one that is missing is not mounted.
        self._spool.stat()
        make_directory(self._directory)
        if self._directory.is_symlink():
            raise OSError(errno.ELOOP, "the directory of uploads is a link")
        here, is_complete = self._size(archive)
        if not here:
            self._remove_outdated(archive)
        space = shutil.disk_usage(self._spool)
        # Some file systems do not say.
        if not is_complete and space.total and length - here > space.free:
            raise OSError(errno.ENOSPC, "the archive is longer than there is room")
        return here, is_complete

    def _remove_outdated(self, archive: Archive) -> None:
        for path in self._directory.iterdir():
            if archive.is_outdated(path.name):
                path.unlink(missing_ok=True)

    def _write_piece(self, archive: Archive, offset: int, piece: bytes) -> None:
        # A piece that comes late, when all is done, must not begin it anew.
        flags = os.O_WRONLY if offset else os.O_WRONLY | os.O_CREAT
        with _opened(self._directory / archive.part, flags) as part:
            view = memoryview(piece)
            while view:
                written = os.pwrite(part, view, offset)
                offset, view = offset + written, view[written:]

    def _finish(self, archive: Archive, length: int) -> bool:
        """Whether the archive is what its digest says; then it is in the spool."""
        part = self._directory / archive.part
        with _opened(part, os.O_RDONLY) as descriptor:
            if _digest(descriptor) != archive.digest:
                part.unlink(missing_ok=True)
                return False
            os.fsync(descriptor)
        part.rename(self._spool / archive.delivered_as)
        sync_directory(self._spool)
        write_file(self._directory / archive.done, str(length).encode())
        return True


async def recording_upload(request: Request) -> Response:
    """Nothing is looked at before the token has been."""
    gateway = request.state.gateway
    server_id, record_id, digest = (request.path_params[name] for name in ("server", "record_id", "digest"))
    if gateway.settings.recording_disabled:
        return Response(status_code=404)
    if not _is_genuine(request, server_id):
        return Response(status_code=401, headers={"www-authenticate": "Bearer"})
    if not RECORD_ID.fullmatch(record_id) or len(digest) != _DIGEST_LENGTH or not _HEX.issuperset(digest):
        return Response(status_code=400)
    archive = Archive(server_id=server_id, record_id=record_id, digest=digest)
    try:
        if request.method == "HEAD":
            return _answer(200, *await gateway.recording_uploads.size(archive))
        here, is_complete = await gateway.recording_uploads.receive(request, archive)
    except Refused as refused:
        return Response(status_code=refused.status, headers=_headers(refused.offset))
    except StorageBusy:
        return Response(status_code=503, headers={"retry-after": RETRY_AFTER})
    except OSError as error:
        log.error("upload_not_written", server=server_id, recording=record_id, reason=error.strerror)  # noqa: TRY400
        return Response(status_code=507 if error.errno in _FULL else 503, headers={"retry-after": RETRY_AFTER})
    if is_complete:
        log.info("recording_uploaded", server=server_id, recording=record_id, bytes=here)
    return _answer(201 if is_complete else 204, here, is_complete)


def _is_genuine(request: Request, server_id: str) -> bool:
    """Whether the request has the token of a server that is in use."""
    gateway = request.state.gateway
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    server = gateway.view.pool.servers.get(ServerId(server_id))
    expected = upload_token(gateway.placer.callback_key, server) if server else "0" * _DIGEST_LENGTH
    is_same = hmac.compare_digest(expected.encode(), token.strip().encode(errors="replace"))
    return is_same and scheme.lower() == "bearer" and server is not None and server.admin_state is not AdminState.DISABLED


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor of a regular file. Whoever writes into the spool may have put something else there."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _digest(descriptor: int) -> str:
    found = hashlib.sha256()
    while piece := os.read(descriptor, PIECE):
        found.update(piece)
    return found.hexdigest()


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Refused(400)
    return int(text)


def _answer(status: int, offset: int, is_complete: bool) -> Response:
    return Response(status_code=status, headers=_headers(offset) | {"upload-complete": "?1" if is_complete else "?0"})


def _headers(offset: int | None) -> dict[str, str]:
    return {"cache-control": "no-store"} | ({} if offset is None else {"upload-offset": str(offset)})


def _nothing(_: object) -> None:
    """Nobody needs what was written."""
