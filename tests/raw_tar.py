"""Tar archives put together from blocks, also such as no program writes, and what is made of them."""

import os
import tempfile
from pathlib import Path
from typing import Any

from meetingpool.library.unpack import Limits, UnpackedTree, Watch, unpack

RECORD_ID = "0123456789abcdef0123456789abcdef01234567-1700000000000"
TREE = f"presentation/{RECORD_ID}"
END = bytes(1024)
LIMITS = Limits(max_bytes=100_000_000, max_files=1000)

USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)


def header(name: str | bytes, size: int | bytes = 0, *, kind: bytes = b"0", magic: bytes = USTAR, **fields: bytes) -> bytes:
    """A block with the right checksum. `size` and further fields (`mode`, `link`, `prefix`) as bytes: as they are written."""
    size = b"%011o\0" % size if isinstance(size, int) else size
    block = bytearray(512)
    _put(block, 0, 100, name.encode() if isinstance(name, str) else name)
    _put(block, 100, 8, fields.get("mode", b"0000644\0"))
    _put(block, 108, 8, b"0001750\0")
    _put(block, 116, 8, b"0003720\0")
    _put(block, 124, 12, size)
    _put(block, 136, 12, b"14524000000\0")
    _put(block, 156, 1, kind)
    _put(block, 157, 100, fields.get("link", b""))
    _put(block, 257, 8, magic)
    _put(block, 345, 155, fields.get("prefix", b""))
    return with_checksum(bytes(block))


def with_checksum(block: bytes) -> bytes:
    """The header with its checksum made right."""
    blank = block[:148] + b" " * 8 + block[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def member(name: str | bytes, content: bytes = b"", **fields: Any) -> bytes:
    return header(name, len(content), **fields) + padded(content)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def extended(*records: tuple[str | bytes, str | bytes], kind: bytes = b"x") -> bytes:
    """A pax header with these records."""
    content = b"".join(record(_encoded(keyword), _encoded(value)) for keyword, value in records)
    return member("PaxHeaders/x", content, kind=kind)


def record(keyword: bytes, value: bytes) -> bytes:
    body = b" " + keyword + b"=" + value + b"\n"
    length = len(body) + 1
    while length < len(body) + len(str(length)):
        length += 1
    return b"%d%s" % (length, body)


def long_name(name: bytes) -> bytes:
    return member("././@LongLink", name + b"\0", kind=b"L", magic=GNU)


def recording(*more: bytes, tree: str = TREE) -> bytes:
    """An archive of a small recording, and what else is to be in it."""
    return b"".join((member(f"{tree}/metadata.xml", b"<recording/>"), *more, END))


def unpack_bytes(
    archive: bytes, target: Path, limits: Limits = LIMITS, watch: Watch = lambda *_: None
) -> tuple[UnpackedTree, ...]:
    """Unpacks it to `target`, which is made if it is not there."""
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(archive)
        file.seek(0)
        return unpack(file.fileno(), target, limits, watch)


def files_in(directory: Path) -> dict[str, bytes | None]:
    """What is there: content by path, None of a directory. Links are looked at, not through."""
    found: dict[str, bytes | None] = {}
    for parent, directories, files in os.walk(directory):
        for name in (*directories, *files):
            path = Path(parent, name)
            content = str(path.readlink()).encode() if path.is_symlink() else None if path.is_dir() else path.read_bytes()
            found[str(path.relative_to(directory))] = content
    return found


def _put(block: bytearray, at: int, length: int, value: bytes) -> None:
    assert len(value) <= length
    block[at : at + len(value)] = value


def _encoded(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
