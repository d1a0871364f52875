"""Which members a tar archive has, in all ways in which they can be written."""

import os
import tempfile
from itertools import count

import pytest

from meetingpool.library.archive import ArchiveReader
from meetingpool.library.refusals import ArchiveIncomplete, ArchiveRefused, Refusal
from tests.raw_tar import END, GNU, V7, extended, header, long_name, member

CONTENT = bytes(range(256)) * 3


def members_of(archive: bytes) -> list[tuple[str, bytes | None]]:
    """Names and contents, None for the content of a directory."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(archive)
        file.seek(0)
        reader = ArchiveReader(file.fileno(), 10 * 1024, lambda _: None)
        return [
            (each.name.decode(), None if each.is_directory else b"".join(map(bytes, reader.content(each))))
            for each in reader.members()
        ]


@pytest.mark.parametrize(
    "archive",
    [
        member("a/b", CONTENT),
        member("a/b", CONTENT, kind=b"\0"),
        member("a/b", CONTENT, magic=GNU),
        member("a/b", CONTENT, magic=V7, kind=b"\0"),
        member("b", CONTENT, prefix=b"a"),
        member("a/b", CONTENT, mode=b"0100644\0"),
        header("a/b", b"\x80" + len(CONTENT).to_bytes(11, "big")) + member("", CONTENT)[512:],
        header("a/b", b"       1400 ") + member("", CONTENT)[512:],
        long_name(b"a/b") + member("cut", CONTENT, magic=GNU),
        extended(("path", "a/b")) + member("cut", CONTENT),
        extended(("path", "a/b"), ("size", str(len(CONTENT)))) + header("cut") + member("", CONTENT)[512:],
        extended(("mtime", "-1.5"), ("uid", "4000000000"), ("uname", "ü"), ("comment", "a\nb=c")) + member("a/b", CONTENT),
        extended(("SCHILY.fflags", "nodump"), ("LIBARCHIVE.creationtime", "1")) + member("a/b", CONTENT),
        extended(("comment", "all"), kind=b"g") + member("a/b", CONTENT),
    ],
    ids=count(),
)
def test_a_file_can_be_written_in_many_ways(archive: bytes) -> None:
    assert members_of(archive + member("c", b"next") + END) == [("a/b", CONTENT), ("c", b"next")]


@pytest.mark.parametrize(
    "archive",
    [
        member("a/", kind=b"5"),
        member("a", kind=b"5"),
        member("a/", kind=b"5", mode=b"0002775\0"),
        member("a/", kind=b"\0", magic=V7),
        extended(("path", "a/")) + member("x", kind=b"5"),
        long_name(b"a/") + member("x", kind=b"5", magic=GNU),
    ],
    ids=count(),
)
def test_a_directory_can_be_written_in_many_ways(archive: bytes) -> None:
    assert members_of(archive + member("c") + END) == [("a", None), ("c", b"")]


@pytest.mark.parametrize("padding", [0, 1, 512, 9216, 1024 * 1024])
def test_zeros_after_the_end_are_padding(padding: int) -> None:
    assert members_of(member("a", b"x") + END + bytes(padding)) == [("a", b"x")]


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 262_143, 262_144, 262_145, 1_000_000])
def test_contents_of_any_size_come_whole(size: int) -> None:
    content = os.urandom(size)

    assert members_of(member("a", b"1" * 700) + member("b", content) + member("c", content) + END) == [
        ("a", b"1" * 700),
        ("b", content),
        ("c", content),
    ]


@pytest.mark.parametrize(
    "member_of_two_kinds",
    [
        long_name(b"a") + member("a/", kind=b"\0", magic=GNU),
        extended(("path", "a")) + member("a/", kind=b"\0", magic=V7),
        long_name(b"a/") + member("a", kind=b"\0", magic=V7),
        member("a/", kind=b"\0"),
        member("a/", b"content", kind=b"\0", magic=V7),
    ],
    ids=count(),
)
def test_what_readers_take_for_a_file_or_a_directory_is_refused(member_of_two_kinds: bytes) -> None:
    with pytest.raises(ArchiveRefused) as refused:
        members_of(member_of_two_kinds + END)

    assert refused.value.reason in (Refusal.CORRUPT, Refusal.UNSAFE_PATH)


@pytest.mark.parametrize("magic", [GNU, V7])
def test_a_prefix_where_some_readers_see_none_is_refused(magic: bytes) -> None:
    with pytest.raises(ArchiveRefused, match="unknown kind of tar"):
        members_of(member("x") + member("a", magic=magic, prefix=b"b") + END)


@pytest.mark.parametrize("field", [108, 116, 136, 329, 337])
def test_a_number_that_is_none_is_refused_though_it_is_not_needed(field: int) -> None:
    block = bytearray(header("a"))
    block[field] = ord("9")
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * ord(" "))

    with pytest.raises(ArchiveRefused, match="numbers belong"):
        members_of(member("x") + bytes(block) + END)


def test_headers_about_other_headers_are_counted() -> None:
    comment = extended(("comment", "x"), kind=b"g")

    assert members_of(comment * 19 + member("a") + END) == [("a", b"")]
    with pytest.raises(ArchiveRefused) as refused:
        members_of(comment * 20 + member("a") + END)
    assert refused.value.reason is Refusal.TOO_LARGE


@pytest.mark.parametrize("archive", [b"", b"presentation/", bytes(512), bytes(1023), member("a")[:511], member("a") + bytes(512)])
def test_a_file_that_ends_too_soon_may_still_be_growing(archive: bytes) -> None:
    with pytest.raises(ArchiveIncomplete):
        members_of(archive)


def test_a_refusal_shows_names_without_what_would_spoil_a_log() -> None:
    with pytest.raises(ArchiveRefused) as refused:
        members_of(member(b"\x1b[2J\n\xff" + b"x" * 80, kind=b"2") + END)

    assert str(refused.value).startswith("unsafe_type: '…")
    assert refused.value.detail.isprintable()
    assert len(refused.value.detail) <= 200
