"""A file as an answer of HTTP: all of it, some of it, or that the client has it already. A chunk of it is in memory at a time.

While a file is sent, the answer waits for the client to leave too. Such a wait is not counted as work (limits.py), so that people
who watch recordings do not take the places of calls.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from secrets import token_hex

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.playback_files import CHUNK_BYTES, OpenFile
from gateway.playback_ranges import NotSatisfiable, Span, is_known, wanted_spans
from gateway.playback_threads import StorageBusy
from gateway.throttle import source_of
from meetingpool.logs import get_logger

# What is sent: bytes of the file, or those around them.
Pieces = Sequence[Span | bytes]

log = get_logger()


def viewer(request: Request) -> str:
    """For whom a file is opened: an address, or a household's network."""
    return source_of(request.client.host) if request.client else ""


async def file_answer(request: Request, file: OpenFile, headers: Mapping[str, str]) -> Response:
    """The answer to a GET or HEAD of `file`, which it closes. Raises StorageBusy and OSError."""
    try:
        answer = await _answer(request, file, {**headers, **_describing(file)})
    except BaseException:
        file.close()
        raise
    if not isinstance(answer, _FileReply):
        file.close()
    return answer


async def _answer(request: Request, file: OpenFile, headers: dict[str, str]) -> Response:
    if is_known(request.headers, file.version):
        return Response(status_code=304, headers=headers)
    # Ranges are defined for GET only.
    wanted: Sequence[Span] = ()
    if request.method == "GET":
        try:
            wanted = wanted_spans(request.headers, file.version, file.size)
        except NotSatisfiable:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{file.size}"})
    status, pieces, described = _laid_out(wanted, file.size, headers["content-type"])
    length = sum(piece.length if isinstance(piece, Span) else len(piece) for piece in pieces)
    headers |= {**described, "content-length": str(length)}
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if length <= CHUNK_BYTES:
        return Response(b"".join([part async for part in _parts(file, pieces)]), status, headers)
    # Read before anything is said: until then, it can be said that it cannot be read.
    parts = _parts(file, pieces)
    return _FileReply(file, await anext(parts), parts, status, headers)


class _FileReply(StreamingResponse):
    def __init__(self, file: OpenFile, first: bytes, rest: AsyncIterator[bytes], status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_following(first, rest), status, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except (OSError, StorageBusy) as error:
            # The connection ends before the answer does, which is how the client sees that this is not all.
            log.warning("playback_broke_off", reason=str(error) or type(error).__name__)


def _describing(file: OpenFile) -> dict[str, str]:
    return {"etag": file.version.etag, "last-modified": file.version.last_modified, "accept-ranges": "bytes"}


def _laid_out(wanted: Sequence[Span], size: int, media_type: str) -> tuple[int, Pieces, dict[str, str]]:
    """Status, pieces, and headers that describe them."""
    match wanted:
        case ():
            return 200, [Span(0, size)] if size else [], {}
        case [span]:
            return 206, [span], {"content-range": _content_range(span, size)}
    boundary = token_hex(16)
    pieces: list[Span | bytes] = []
    for span in wanted:
        head = f"\r\n--{boundary}\r\ncontent-type: {media_type}\r\ncontent-range: {_content_range(span, size)}\r\n\r\n"
        pieces += [head.encode(), span]
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return 206, pieces, {"content-type": f"multipart/byteranges; boundary={boundary}"}


def _content_range(span: Span, size: int) -> str:
    return f"bytes {span.start}-{span.end - 1}/{size}"


async def _parts(file: OpenFile, pieces: Pieces) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        position = piece.start
        while position < piece.end:
            content = await file.read(position, min(CHUNK_BYTES, piece.end - position))
            if not content:
                raise OSError("the file became shorter while it was sent")
            position += len(content)
            yield content


async def _following(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part
