"""The blocks of a tar archive that describe what follows them. Pure; called by `archive.py`.

Source: POSIX pax (ustar and extended headers), and the manual of GNU tar for long names and numbers in base 256.
"""

import re
from struct import Struct
from typing import NamedTuple

from meetingpool.library.blocks import BLOCK
from meetingpool.library.refusals import ArchiveRefused, Refusal, shown

ZEROS = bytes(BLOCK)

# name, mode, uid, gid, size, mtime, checksum, type, magic with version, devmajor, devminor, prefix
_FIELDS = Struct("100s8s8s8s12s12s8sc100x8s64x8s8s155s12x")
# Headers are summed up as if the field of the sum were blank.
_BEFORE_CHECKSUM, _AFTER_CHECKSUM = slice(148), slice(156, BLOCK)
_BLANK_CHECKSUM = sum(b" " * 8)
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
# Of a number that is not looked at, so that no reader stumbles over it. Times can be negative.
_SOME_NUMBER = re.compile(rb" *[0-7]*[ \0]*|[\x80\xff].*", re.DOTALL)

_USTAR, _GNU, _V7 = b"ustar\x0000", b"ustar  \0", bytes(8)

_COMPRESSED = (
    *(b"\x1f\x8b", b"\x1f\x9d", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"LZIP\1", b"PK\x03\x04"),
    *(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"),
    *(b"BZh%d1AY&SY" % level for level in range(1, 10)),
)

# A record of an extended header: its length in all, a keyword, a value. What is meant by others is not known, or not harmless.
_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n\0]+)=")
_IGNORED = frozenset(
    (
        *(b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment"),
        *(b"LIBARCHIVE.creationtime", b"SCHILY.dev", b"SCHILY.ino", b"SCHILY.nlink", b"SCHILY.fflags"),
    )
)
_OF_MEMBERS = frozenset((b"path", b"size"))
_UNSAFE = {
    b"linkpath": Refusal.UNSAFE_TYPE,
    b"GNU": Refusal.UNSAFE_TYPE,
    b"SCHILY": Refusal.UNSAFE_ATTRIBUTE,
    b"LIBARCHIVE": Refusal.UNSAFE_ATTRIBUTE,
    b"RHT": Refusal.UNSAFE_ATTRIBUTE,
}
_SIZE = re.compile(rb"0|[1-9][0-9]{0,19}")


class Header(NamedTuple):
    """`name` as it is written, `size` in bytes of what follows. `kind`: one byte, POSIX's typeflag.

    `is_v7`: the tar is of the time when there was no other mark of a directory than a slash at its end.
    """

    name: bytes
    mode: int
    size: int
    kind: bytes
    is_v7: bool


def read_header(block: bytes) -> Header:
    """Raises ArchiveRefused for a block that is no header, or one with impossible numbers."""
    name, mode, uid, gid, size, mtime, checksum, kind, magic, major, minor, prefix = _FIELDS.unpack(block)
    # Most of a header are zeros, and deleting is faster than adding.
    summed = (block[_BEFORE_CHECKSUM] + block[_AFTER_CHECKSUM]).translate(None, b"\0")
    if _number(checksum) != sum(summed) + _BLANK_CHECKSUM:
        raise _corrupt("the checksum of a header is wrong")
    if not all(map(_SOME_NUMBER.fullmatch, (uid, gid, mtime, major, minor))):
        raise _corrupt("a header has something else where numbers belong")
    name = name.rstrip(b"\0")
    prefix = prefix.rstrip(b"\0")
    # In other kinds of tar something else is there, or nothing. Some readers take it for a prefix nevertheless.
    if magic != _USTAR and (prefix or magic not in (_GNU, _V7)):
        raise _corrupt("a header is of an unknown kind of tar")
    if prefix:
        name = prefix + b"/" + name
    return Header(name, _number(mode), _number(size), kind, magic == _V7)


def is_compressed(begin: bytes) -> bool:
    """Whether a file that begins like this is of a kind that is no tar but may have one in it."""
    return begin.startswith(_COMPRESSED)


def read_long_name(content: bytes) -> bytes:
    """The name in GNU's header for long names. It ends with a NUL; without one, some readers go on to the end of the block."""
    if not content.endswith(b"\0"):
        raise _corrupt("a long name has no end")
    return content[:-1]


def read_extended(content: bytes, *, is_global: bool) -> dict[bytes, bytes]:
    """What an extended header says of the next member, by keyword: `path`, `size`, or nothing that matters.

    Raises ArchiveRefused for what is malformed, said twice, or would change what a member is; of all members at once, nothing can
    be said.
    """
    said: dict[bytes, bytes] = {}
    position = 0
    while position < len(content):
        match = _RECORD.match(content, position)
        end = position + int(match[1]) if match else 0
        if match is None or end <= match.end() or content[end - 1 : end] != b"\n":
            raise _corrupt("an extended header is malformed")
        keyword = match[2]
        if keyword not in _IGNORED:
            if keyword not in _OF_MEMBERS or is_global:
                raise ArchiveRefused(_why_unsafe(keyword), f"an extended header has {shown(keyword)}")
            if keyword in said:
                raise _corrupt(f"an extended header has {shown(keyword)} twice")
            said[keyword] = content[match.end() : end - 1]
        position = end
    return said


def read_size(value: bytes) -> int:
    """The value of `size` in an extended header."""
    if not _SIZE.fullmatch(value):
        raise _corrupt("an extended header has a size that is no number")
    return int(value)


def _number(field: bytes) -> int:
    match = _OCTAL.fullmatch(field)
    if match:
        return int(match[1], 8)
    # What says that a number is in base 256; there is another one for negative numbers.
    if field[0] != 0x80:
        raise _corrupt("a number of a header is negative, or none")
    return int.from_bytes(field[1:], "big")


def _why_unsafe(keyword: bytes) -> Refusal:
    return _UNSAFE.get(keyword.split(b".")[0], Refusal.CORRUPT)


def _corrupt(detail: str) -> ArchiveRefused:
    return ArchiveRefused(Refusal.CORRUPT, detail)
