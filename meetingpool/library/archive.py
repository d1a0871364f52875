"""Reads a tar archive that nobody vouches for, strictly and in one pass. Called by `unpack.py`.

Of all that tar can hold, files and directories are taken. Programs that read tar differ in what they make of the odd archive, so
there is one reader, and whatever could be read in two ways is refused.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from meetingpool.library.blocks import BLOCK, Blocks
from meetingpool.library.headers import ZEROS, Header, is_compressed, read_extended, read_header, read_long_name, read_size
from meetingpool.library.refusals import ArchiveRefused, Refusal, shown

MAX_HEADER_BYTES = 64 * 1024
# Writers fill up their last record with zeros; the largest that tapes have are smaller than this.
MAX_PADDING_BYTES = 16 * 1024 * 1024

_FILE, _OLD_FILE, _DIRECTORY, _EXTENDED, _GLOBAL, _LONG_NAME = b"0", b"\0", b"5", b"x", b"g", b"L"
_SPECIAL_BITS = 0o7000


class Member(NamedTuple):
    """`name` as it is written, a directory's without the slash at the end. `size` in bytes, 0 of a directory."""

    name: bytes
    is_directory: bool
    size: int


class ArchiveReader:
    """The members of the archive in the open file `descriptor`.

    `max_header_bytes`: of headers that say something about other headers, together. `watch` is told of every read how many bytes
    were read so far.
    """

    def __init__(self, descriptor: int, max_header_bytes: int, watch: Callable[[int], None]) -> None:
        self._blocks = Blocks(descriptor, watch)
        self._header_bytes_left = max_header_bytes

    def members(self) -> Iterator[Member]:
        """The members in their order; the content of each has to be read before the next one is asked for.

        Raises ArchiveRefused for everything but files and directories, ArchiveIncomplete when the file ends before the archive
        does.
        """
        header = self._first_header()
        while header:
            if header.kind == _GLOBAL:
                read_extended(self._header_content(header), is_global=True)
                header = self._following()
            else:
                yield _member(self._completed(header))
                header = self._next_header()
        self._check_end()

    def content(self, member: Member) -> Iterator[memoryview]:
        """What is in the member, in pieces that are good until the next one is asked for."""
        return self._blocks.content(member.size)

    def _first_header(self) -> Header | None:
        begin = self._blocks.begin()
        if is_compressed(begin):
            raise ArchiveRefused(Refusal.COMPRESSED, "the archive is compressed: send it as plain tar")
        try:
            return self._next_header()
        except ArchiveRefused as error:
            raise ArchiveRefused(Refusal.NOT_A_TAR, f"the file does not begin as a tar archive: {error.detail}") from None

    def _next_header(self) -> Header | None:
        return self._header(self._blocks.block())

    def _header(self, block: bytes) -> Header | None:
        """None for the end of the archive, which are two blocks of zeros."""
        if block != ZEROS:
            return read_header(block)
        if self._blocks.block() != ZEROS:
            raise ArchiveRefused(Refusal.CORRUPT, "there is a block of zeros between members")
        return None

    def _completed(self, header: Header) -> Header:
        """The header of a member with what was written ahead of it because it did not fit."""
        if header.kind not in (_EXTENDED, _LONG_NAME):
            return header
        content = self._header_content(header)
        long_name = read_long_name(content) if header.kind == _LONG_NAME else None
        said = read_extended(content, is_global=False) if header.kind == _EXTENDED else {}
        following = self._following()
        if following.kind in (_EXTENDED, _LONG_NAME, _GLOBAL):
            raise ArchiveRefused(Refusal.CORRUPT, "there are two headers about one member")
        if following.kind != _DIRECTORY and following.name.endswith(b"/"):
            raise ArchiveRefused(Refusal.CORRUPT, "it is not clear whether a member is a file or a directory")
        name = said.get(b"path", long_name)
        size = said.get(b"size")
        return following._replace(
            name=following.name if name is None else name,
            size=following.size if size is None else read_size(size),
            is_v7=False,
        )

    def _following(self) -> Header:
        following = self._next_header()
        if following is None:
            raise ArchiveRefused(Refusal.CORRUPT, "a header about what follows has nothing after it")
        return following

    def _header_content(self, header: Header) -> bytes:
        self._header_bytes_left -= BLOCK + header.size
        if header.size > MAX_HEADER_BYTES or self._header_bytes_left < 0:
            raise ArchiveRefused(Refusal.TOO_LARGE, f"a header has {header.size} bytes, or all of them have too many")
        return b"".join(map(bytes, self._blocks.content(header.size)))

    def _check_end(self) -> None:
        padding = 0
        for piece in self._blocks.rest():
            padding += len(piece)
            if padding > MAX_PADDING_BYTES or bytes(piece).strip(b"\0"):
                raise ArchiveRefused(Refusal.CORRUPT, "the file goes on after the end of the archive")


def _member(header: Header) -> Member:
    """Raises ArchiveRefused for what is neither a file nor a directory."""
    if header.kind in (_FILE, _OLD_FILE):
        if header.mode & _SPECIAL_BITS:
            raise ArchiveRefused(Refusal.UNSAFE_ATTRIBUTE, f"the file {shown(header.name)} is setuid, setgid or sticky")
        if not header.name.endswith(b"/"):
            return Member(header.name, is_directory=False, size=header.size)
        # Before there was a type for directories, they were empty files whose name ends in a slash.
        if not header.is_v7 or header.kind != _OLD_FILE:
            raise ArchiveRefused(Refusal.UNSAFE_PATH, f"the file {shown(header.name)} has the name of a directory")
    elif header.kind != _DIRECTORY:
        raise ArchiveRefused(Refusal.UNSAFE_TYPE, f"{shown(header.name)} is neither a file nor a directory")
    if header.size:
        raise ArchiveRefused(Refusal.CORRUPT, f"the directory {shown(header.name)} has content")
    return Member(header.name.removesuffix(b"/"), is_directory=True, size=0)
