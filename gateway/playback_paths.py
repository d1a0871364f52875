"""Which file of a recording a URL names, and how it is opened: without ever leaving the recording's tree.

A URL is read once, strictly; whatever two readers could take for two paths is refused. The file is opened segment by segment,
and no link is followed.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

MAX_SEGMENT_BYTES = 255
MAX_SEGMENTS = 16
_REFUSED = frozenset("\\/%")
_FIRST_PRINTABLE, _DELETE = "\x20", "\x7f"

Segments = tuple[str, ...]


class NoSuchPath(ValueError):
    """The URL names nothing that could be in a recording."""


def segments_of(raw_path: bytes) -> Segments:
    """The segments of the part of a URL behind the record id, decoded; () for the tree itself. Raises NoSuchPath."""
    if not raw_path:
        return ()
    parts = raw_path.split(b"/")
    if len(parts) > MAX_SEGMENTS:
        raise NoSuchPath
    return tuple(map(_segment, parts))


def quoted(segments: Segments) -> str:
    """The segments as a path of a URL."""
    return "/".join(quote(segment, safe="") for segment in segments)


def open_below(root: Path, segments: Segments) -> int:
    """A descriptor of what the segments name below `root`, which may be no file. Raises OSError, also for links."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for segment in segments[:-1]:
            inner = os.open(segment, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            os.close(directory)
            directory = inner
        # Whoever opens a pipe that nobody writes to would wait.
        return os.open(segments[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(directory)


def _segment(part: bytes) -> str:
    decoded = unquote_to_bytes(part)
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        raise NoSuchPath from None
    # Names with a leading dot are ours, or somebody's who wrote the tree; a percent sign is one that was encoded twice.
    if not text or text.startswith(".") or len(decoded) > MAX_SEGMENT_BYTES or _holds_refused(text):
        raise NoSuchPath
    return text


def _holds_refused(text: str) -> bool:
    return not _REFUSED.isdisjoint(text) or any(character < _FIRST_PRINTABLE or character == _DELETE for character in text)
