"""Which bytes of a file a request wants (RFC 9110, 13 and 14), decided from its headers and the file's size and age."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from starlette.datastructures import Headers

MAX_RANGES = 10
MAX_HEADER_LENGTH = 1024
_MAX_DIGITS = 15


class NotSatisfiable(ValueError):
    """There are no such bytes, or too many pieces were asked for."""


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` up to `end`, which is not one of them."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Version:
    """Which state of a file is sent. `modified` in seconds since 1970."""

    etag: str
    modified: int

    @property
    def last_modified(self) -> str:
        return formatdate(self.modified, usegmt=True)


def is_known(headers: Headers, version: Version) -> bool:
    """Whether the client has this version already."""
    if (given := headers.get("if-none-match")) is not None:
        return given.strip() == "*" or version.etag in (tag.strip().removeprefix("W/") for tag in given.split(","))
    since = _epoch(headers.get("if-modified-since", ""))
    return since is not None and version.modified <= since


def wanted_spans(headers: Headers, version: Version, size: int) -> Sequence[Span]:
    """The pieces that are asked for, in order and without overlaps; () for the whole file. Raises NotSatisfiable."""
    given = headers.get("range")
    if given is None or not _is_about(headers, version):
        return ()
    if len(given) > MAX_HEADER_LENGTH or given.count(",") >= MAX_RANGES:
        raise NotSatisfiable
    unit, equals, ranges = given.partition("=")
    # What is not understood is to be ignored.
    if unit.strip().lower() != "bytes" or not equals:
        return ()
    spans = [_span(each.strip(), size) for each in ranges.split(",")]
    if None in spans:
        return ()
    return _joined([span for span in spans if span and span.length > 0])


def _is_about(headers: Headers, version: Version) -> bool:
    """Whether the ranges are meant for this version."""
    condition = headers.get("if-range")
    if condition is None:
        return True
    return condition.strip() == version.etag or _epoch(condition) == version.modified


def _span(text: str, size: int) -> Span | None:
    """One range; empty if it begins behind the end; None if it is none."""
    first, dash, last = text.partition("-")
    if not dash or not (first or last) or not all(_is_number(part) for part in (first, last) if part):
        return None
    if not first:
        return Span(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    end = min(size, int(last) + 1) if last else size
    return Span(min(int(first), end), end)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _joined(spans: list[Span]) -> Sequence[Span]:
    """Pieces that overlap or touch become one, so that nobody is sent more than the file."""
    if not spans:
        raise NotSatisfiable
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: each.start):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _epoch(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
