"""What a simulated server sends back, as a value, before any fault touches it."""

from dataclasses import dataclass

from meetingpool.bbb import xml
from simulator.documents import no_meetings_document
from simulator.faults import BrokenBody

XML = "text/xml;charset=utf-8"
HTML = "text/html;charset=utf-8"
TEXT = "text/plain;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content_type: str
    body: bytes
    location: str | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"content-length", str(len(self.body)).encode()),
        ]
        if self.location:
            headers.append((b"location", self.location.encode()))
        return headers


def xml_reply(document: bytes) -> Reply:
    return Reply(200, XML, document)


def html_reply(status: int, sentence: str) -> Reply:
    """`sentence` must be free of markup."""
    return Reply(status, HTML, f"<!DOCTYPE html><html><body><p>{sentence}</p></body></html>".encode())


def text_reply(sentence: str) -> Reply:
    return Reply(200, TEXT, sentence.encode())


def redirect(location: str) -> Reply:
    return Reply(302, HTML, b"", location)


def failure_reply() -> Reply:
    """A FAILED answer that blames nobody in particular."""
    return xml_reply(xml.failed("internalError", "The simulated server was told to fail."))


def spoil(reply: Reply, body: BrokenBody) -> Reply:
    """What arrives in place of `reply`."""
    match body:
        case "html":
            return html_reply(200, "This is a web page, not an answer.")
        case "truncated":
            return xml_reply(reply.body[: len(reply.body) // 2])
        case "empty_meetings":
            return xml_reply(no_meetings_document())
        case "failed":
            return failure_reply()
        case "garbage":
            return xml_reply(b"\x00\xff\xfe<<< not an answer >>>\x01")
