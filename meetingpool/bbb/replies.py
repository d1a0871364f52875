"""Replies of web servers, read as they come over a connection, piece by piece. Called by the connections to the media servers.

The parser is llhttp, and strict. What it leaves open is decided here: how much may come, where a body without a length ends, and
whether the connection can be used again.
"""

from dataclasses import dataclass
from io import BytesIO

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from meetingpool.bbb.errors import UnusableAnswer

MAX_HEAD_BYTES = 64 * 1024

_FIELDS = frozenset({b"content-type", b"location", b"content-length", b"content-encoding", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply as it came: nothing followed, nothing parsed."""

    status: int
    content_type: str | None
    location: str | None
    body: bytes


class ReplyReader:
    """Reads the replies of one connection one after the other: `feed` until there is one, and `forget` it.

    The body may have `max_body` bytes. The parser calls the methods whose names begin with `on_`.
    """

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.max_body = 0
        self.forget()

    def forget(self) -> None:
        """Makes ready for the next reply. A large one is not kept while nobody needs the connection."""
        self._reply: Reply | None = None
        self._refusal: str | None = None
        self._fields: dict[bytes, bytes] = {}
        self._has_head = False
        self._head_size = 0
        self._size_without_body = 0
        self._body = b""
        self._long_body: BytesIO | None = None
        self._body_size = 0
        self.is_reusable = False

    def feed(self, data: bytes) -> Reply | None:
        """The reply, when it is complete. Raises UnusableAnswer for what is not HTTP, or too much."""
        body_size = self._body_size
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.is_reusable = False
            if self._reply is None and self._refusal is None:
                raise UnusableAnswer(f"the answer is not HTTP: {error}") from error
        if self._reply is not None:
            return self._reply
        if self._body_size == body_size:
            # A head that does not end, or the same behind the last chunk.
            self._size_without_body += len(data)
            if self._size_without_body > MAX_HEAD_BYTES:
                self._refusal = "the head of the answer is too large"
        if self._refusal is not None:
            raise UnusableAnswer(self._refusal)
        return None

    def end(self) -> Reply | None:
        """The reply, when it is one that the end of the connection completes (RFC 9112, 6.3)."""
        if self._reply is None and self._has_head and not self._fields.keys() & {b"content-length", b"transfer-encoding"}:
            self._reply = self._complete_reply()
        return self._reply

    def on_message_begin(self) -> None:
        if self._reply is not None:
            # Nobody asked for another.
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD_BYTES:
            self._refusal = "the head of the answer is too large"
        name = name.lower()
        if name in _FIELDS and not self._has_head:
            self._fields.setdefault(name, value.strip())

    def on_headers_complete(self) -> None:
        self._has_head = True
        fields = self._fields
        if fields.get(b"content-encoding", b"").lower() not in (b"", b"identity"):
            self._refusal = "the answer is compressed, which was not asked for"
        if fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._refusal = "the answer is transferred in an unknown encoding"
        if int(fields.get(b"content-length", 0)) > self.max_body:
            self._refusal = "the answer is too large"

    def on_body(self, piece: bytes) -> None:
        self._body_size += len(piece)
        if self._body_size > self.max_body:
            self._refusal = "the answer is too large"
        elif not self._body:
            self._body = piece
        else:
            if self._long_body is None:
                self._long_body = BytesIO()
                self._long_body.write(self._body)
            self._long_body.write(piece)

    def on_message_complete(self) -> None:
        if self._reply is not None or self._refusal is not None:
            return
        if 100 <= self._parser.get_status_code() < 200:
            # The reply that counts is still to come.
            self._has_head = False
            self._fields.clear()
            return
        self._reply = self._complete_reply()
        self.is_reusable = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"

    def _complete_reply(self) -> Reply:
        return Reply(
            status=self._parser.get_status_code(),
            content_type=_text(self._fields.get(b"content-type")),
            location=_text(self._fields.get(b"location")),
            body=self._body if self._long_body is None else self._long_body.getvalue(),
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="surrogateescape")
