"""What is in a tree: every file with its size and digest. Made by `unpack.py`, kept in the database, compared by checks."""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple, Self

# Of a manifest as text. Of an encoded one as well: what does not get smaller is stored as it is.
MAX_TEXT_BYTES = 48 * 1024 * 1024
# At most how long a line is, beside its path.
LINE_BYTES = 64 + 19 + 3

# What is encoded; the class has a property of the name that it would have.
Encoded = bytes

_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,18}) ([^\0-\x1f\x7f]+)")


class ManifestCorrupt(ValueError):
    """The bytes are no manifest."""


class Entry(NamedTuple):
    """A file: `path` relative to its tree, `bytes`: how many there are, `sha256` in hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a tree, sorted by path."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        """The manifest of these files, in whatever order they come."""
        return cls(tuple(sorted(entries)))

    @classmethod
    def decode(cls, content: Encoded) -> Self:
        """The manifest that was encoded. Raises ManifestCorrupt for everything else."""
        return cls(tuple(_entries(_decompressed(content))))

    def encode(self) -> Encoded:
        return zlib.compress(self._text())

    @property
    def files(self) -> int:
        return len(self.entries)

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.entries)

    @property
    def digest(self) -> str:
        """In hex: two trees with the same one have the same files with the same content."""
        return sha256(self._text()).hexdigest()

    def _text(self) -> Encoded:
        return "".join([f"{entry.sha256} {entry.bytes} {entry.path}\n" for entry in self.entries]).encode()


def _decompressed(content: bytes) -> str:
    decompression = zlib.decompressobj()
    try:
        text = decompression.decompress(content, MAX_TEXT_BYTES)
        if not decompression.eof or decompression.unused_data:
            raise ManifestCorrupt("the manifest is cut off, too large, or goes on after its end")
        return text.decode()
    except (zlib.error, UnicodeDecodeError):
        raise ManifestCorrupt("the manifest cannot be read") from None


def _entries(text: str) -> list[Entry]:
    lines = text.split("\n")
    if lines.pop():
        raise ManifestCorrupt("the last line of the manifest has no end")
    entries = [_entry(line) for line in lines]
    if any(one.path >= other.path for one, other in pairwise(entries)):
        raise ManifestCorrupt("the lines of the manifest are not sorted")
    return entries


def _entry(line: str) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ManifestCorrupt("a line of the manifest is malformed")
    return Entry(match[3], int(match[2]), match[1])
