"""Archives that nobody packed by mistake: each is refused as a whole, for its own reason, and nothing outside is touched."""

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meetingpool.library.unpack import ArchiveRefused, Refusal
from tests.effort import effort
from tests.fuzz.archives import run
from tests.raw_tar import (
    END,
    GNU,
    TREE,
    V7,
    extended,
    files_in,
    header,
    long_name,
    member,
    record,
    recording,
    unpack_bytes,
)

# As many as a worker allows by default, and as many as are made in a moment.
MANY, SOME = 200_000, effort(2_000)

# What a few changes in small archives hardly come to.
NOT_BY_CHANCE = {Refusal.COMPRESSED, Refusal.TOO_MANY_FILES, Refusal.TOO_MANY_TREES, Refusal.METADATA_TOO_LARGE}

GOOD = recording(member(f"{TREE}/slide.png", b"png" * 500))
OTHER_TREE = TREE.replace("presentation", "video")
NEXT = member(f"{TREE}/x", b"x")

NOT_TAR = {
    "random": (bytes(range(256)) * 8, Refusal.NOT_A_TAR),
    "text": (b"GET / HTTP/1.1\r\n" * 100, Refusal.NOT_A_TAR),
    "gzip": (gzip.compress(GOOD), Refusal.COMPRESSED),
    "bzip2": (bz2.compress(GOOD), Refusal.COMPRESSED),
    "xz": (lzma.compress(GOOD), Refusal.COMPRESSED),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(1024), Refusal.COMPRESSED),
    "zip": (b"PK\x03\x04" + bytes(1024), Refusal.COMPRESSED),
    "flipped bit in the first header": (GOOD[:20] + b"\x7f" + GOOD[21:], Refusal.NOT_A_TAR),
    "nothing in it": (END, Refusal.NO_RECORDING),
}

SPOILT = {
    "flipped bit in a later header": (GOOD[:1040] + b"\x7f" + GOOD[1041:], Refusal.CORRUPT),
    "one block of zeros": (recording(bytes(512), NEXT), Refusal.CORRUPT),
    "more after the end": (GOOD + NEXT, Refusal.CORRUPT),
    "padding that is too long": (GOOD + bytes(17 * 1024 * 1024), Refusal.CORRUPT),
    "size is negative": (recording(header(f"{TREE}/x", b"\xff" * 12)), Refusal.CORRUPT),
    "size has a mark of no number": (recording(header(f"{TREE}/x", b"\xaa0000000003\0")), Refusal.CORRUPT),
    "size is signed": (recording(header(f"{TREE}/x", b"-0000000001\0")), Refusal.CORRUPT),
    "size as Python reads it": (recording(header(f"{TREE}/x", b"0o000000_01\0")), Refusal.CORRUPT),
    "size is blank": (recording(header(f"{TREE}/x", b" " * 12)), Refusal.CORRUPT),
    "size has an 8": (recording(header(f"{TREE}/x", b"00000000008\0")), Refusal.CORRUPT),
    "unknown magic": (recording(member(f"{TREE}/x", magic=b"tar\0\0\0\0\0")), Refusal.CORRUPT),
    "directory with content": (recording(member(f"{TREE}/d", b"x", kind=b"5")), Refusal.CORRUPT),
    "extended header about nothing": (recording(extended(("mtime", "1"))), Refusal.CORRUPT),
    "two extended headers": (recording(extended(("mtime", "1")), extended(("mtime", "1")), NEXT), Refusal.CORRUPT),
    "long name and extended header": (recording(long_name(b"x"), extended(("path", "y")), NEXT), Refusal.CORRUPT),
    "long name without end": (recording(member("x", f"{TREE}/y".encode(), kind=b"L", magic=GNU), NEXT), Refusal.CORRUPT),
    "long name of nothing": (recording(member("x", kind=b"L", magic=GNU), NEXT), Refusal.CORRUPT),
    "path twice": (recording(extended(("path", f"{TREE}/a"), ("path", f"{TREE}/b")), NEXT), Refusal.CORRUPT),
    "unknown keyword": (recording(extended(("charm", "1")), NEXT), Refusal.CORRUPT),
    "charset of names": (recording(extended(("hdrcharset", "BINARY")), NEXT), Refusal.CORRUPT),
    "size of all": (recording(extended(("size", "1"), kind=b"g"), NEXT), Refusal.CORRUPT),
    "path of all": (recording(extended(("path", f"{TREE}/y"), kind=b"g"), NEXT), Refusal.CORRUPT),
    "size is no number": (recording(extended(("size", "+1")), NEXT), Refusal.CORRUPT),
    "record too short": (recording(member("x", b"5 a=b\n", kind=b"x"), NEXT), Refusal.CORRUPT),
    "record too long": (recording(member("x", b"99 mtime=1\n", kind=b"x"), NEXT), Refusal.CORRUPT),
    "record of length zero": (recording(member("x", b"0 mtime=1\n", kind=b"x"), NEXT), Refusal.CORRUPT),
    "record shorter than its keyword": (recording(member("x", b"3 mtime=1\n", kind=b"x"), NEXT), Refusal.CORRUPT),
    "record without end": (recording(member("x", record(b"mtime", b"1")[:-1] + b" ", kind=b"x"), NEXT), Refusal.CORRUPT),
}

UNSAFE_KINDS = {
    "symbolic link": header(f"{TREE}/x", kind=b"2", link=b"/etc/passwd"),
    "symbolic link in the tree": header(f"{TREE}/x", kind=b"2", link=b"metadata.xml"),
    "hard link": header(f"{TREE}/x", kind=b"1", link=b"/etc/passwd"),
    "hard link in the tree": header(f"{TREE}/x", kind=b"1", link=f"{TREE}/metadata.xml".encode()),
    "character device": header(f"{TREE}/x", kind=b"3"),
    "block device": header(f"{TREE}/x", kind=b"4"),
    "FIFO": header(f"{TREE}/x", kind=b"6"),
    "contiguous file": header(f"{TREE}/x", kind=b"7"),
    "GNU sparse file": header(f"{TREE}/x", kind=b"S", magic=GNU),
    "GNU directory listing": header(f"{TREE}/x", kind=b"D", magic=GNU),
    "GNU later volume": header(f"{TREE}/x", kind=b"M", magic=GNU),
    "GNU volume name": header("x", kind=b"V", magic=GNU),
    "GNU long link": member("././@LongLink", b"x" * 200, kind=b"K", magic=GNU) + NEXT,
    "Solaris extended header": member("x", record(b"path", b"x"), kind=b"X") + NEXT,
    "unknown": header(f"{TREE}/x", kind=b"Z"),
    "sparse file in pax": extended(("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "1000000000000000")) + NEXT,
    "link in pax": extended(("linkpath", "/etc/passwd")) + NEXT,
}

UNSAFE_ATTRIBUTES = {
    "setuid": member(f"{TREE}/x", mode=b"0004755\0"),
    "setgid": member(f"{TREE}/x", mode=b"0002755\0"),
    "sticky": member(f"{TREE}/x", mode=b"0001644\0"),
    "capabilities": extended(("SCHILY.xattr.security.capability", b"\1\0\0\2")) + NEXT,
    "other attributes": extended(("LIBARCHIVE.xattr.user.x", "eA")) + NEXT,
    "access control list": extended(("SCHILY.acl.access", "user::rwx")) + NEXT,
    "SELinux label": extended(("RHT.security.selinux", "unconfined_u")) + NEXT,
}

UNSAFE_NAMES: dict[str, str | bytes] = {
    "above": f"{TREE}/../../../canary",
    "above at the end": f"{TREE}/..",
    "here": f"{TREE}/./x",
    "absolute": f"/{TREE}/x",
    "empty segment": f"{TREE}//x",
    "nothing": "",
    "slash": f"{TREE}/x/",
    "backslash": f"{TREE}/..\\x",
    "line break": f"{TREE}/a\nb",
    "escape": f"{TREE}/a\x1b[2J",
    "NUL": f"{TREE}/a\0b",
    "C1 control": f"{TREE}/a\x9bb",
    "line separator": f"{TREE}/a\u2028b",
    "trailing dot": f"{TREE}/x.",
    "trailing blank": f"{TREE}/x ",
    "leading blank": f"{TREE}/ x",
    "trailing no-break space": f"{TREE}/x\u00a0",
    "device": f"{TREE}/CON",
    "device with extension": f"{TREE}/nul.txt",
    "device as directory": f"{TREE}/Com1/x",
    "device with a blank": f"{TREE}/aux .txt",
    "segment of 256 bytes": f"{TREE}/{'x' * 256}",
    "segment of 256 bytes, not 256 letters": f"{TREE}/{'ü' * 128}",
    "depth": f"{TREE}/" + "d/" * 15 + "x",
    "length": f"{TREE}/" + ("x" * 200 + "/") * 5 + "x",
    "not UTF-8": f"{TREE}/".encode() + b"\xff",
    "overlong UTF-8": f"{TREE}/".encode() + b"\xc0\xaf",
    "surrogate": f"{TREE}/".encode() + b"\xed\xa0\x80",
    "64 kB": b"x" * 65_000,
}

DUPLICATES = {
    "file": NEXT + NEXT,
    "file as directory": NEXT + member(f"{TREE}/x", kind=b"5"),
    "file where a directory is needed": NEXT + member(f"{TREE}/x/y"),
    "directory as file": member(f"{TREE}/x/y") + NEXT,
    "directory": member(f"{TREE}/d/", kind=b"5") * 2,
    "directory that was packed itself": member("./", kind=b"5") * 2,
    "upper and lower case": NEXT + member(f"{TREE}/X"),
    "upper and lower case of a directory": member(f"{TREE}/d/x") + member(f"{TREE}/D/y"),
    "composed and not": member(f"{TREE}/\u00e9") + member(f"{TREE}/e\u0301"),
    "sharp s": member(f"{TREE}/stra\u00dfe") + member(f"{TREE}/STRASSE"),
    "tree below another directory": member(f"published/{TREE}/y"),
    "second metadata": member(f"{TREE}/Metadata.xml"),
}

STRAY_FILES = {
    "at the top": member("x"),
    "beside a tree": member("presentation/x"),
    "instead of a tree": member(OTHER_TREE),
    "no record id": member("presentation/1234/metadata.xml"),
    "record id in capitals": member(f"presentation/{'A' * 40}-1700000000000/metadata.xml"),
    "record id with more": member(f"video/{TREE.split('/')[1]}x/metadata.xml"),
    "no format": member(f"Video/{TREE.split('/')[1]}/metadata.xml"),
    "no format at all": member(f"{TREE.split('/')[1]}/metadata.xml"),
}

INCOMPLETE_TREES = {
    "no metadata": (member(f"{TREE}/x") + END, Refusal.METADATA_MISSING),
    "no metadata in the second": (recording(member(f"{OTHER_TREE}/x")), Refusal.METADATA_MISSING),
    "directory only": (recording(member(f"{OTHER_TREE}/", kind=b"5")), Refusal.METADATA_MISSING),
    "metadata further down": (member(f"{TREE}/x/metadata.xml") + END, Refusal.METADATA_MISSING),
    "metadata is a directory": (member(f"{TREE}/metadata.xml/", kind=b"5") + END, Refusal.METADATA_MISSING),
    "metadata in capitals": (member(f"{TREE}/METADATA.XML", b"<recording/>") + END, Refusal.METADATA_MISSING),
    "metadata of more than 1 MB": (member(f"{TREE}/metadata.xml", bytes(1024 * 1024 + 1)) + END, Refusal.METADATA_TOO_LARGE),
    "directories only": (member("presentation/", kind=b"5") + END, Refusal.NO_RECORDING),
}

BEYOND_LIMITS = {
    "a petabyte": (recording(header(f"{TREE}/x", b"\x80" + (2**50).to_bytes(11, "big"))), Refusal.TOO_LARGE),
    "all that base 256 can say": (recording(header(f"{TREE}/x", b"\x80" + b"\xff" * 11)), Refusal.TOO_LARGE),
    "a petabyte in pax": (recording(extended(("size", str(2**50))), NEXT), Refusal.TOO_LARGE),
    "together": (recording(member(f"{TREE}/x", bytes(50_000)), header(f"{TREE}/y", 99_950_000)), Refusal.TOO_LARGE),
    "long name of 2 GB": (recording(header("././@LongLink", 2**31, kind=b"L", magic=GNU)), Refusal.TOO_LARGE),
    "extended header of 1 GB": (recording(header("x", 2**30, kind=b"x")), Refusal.TOO_LARGE),
    "global header of 1 GB": (recording(header("x", 2**30, kind=b"g")), Refusal.TOO_LARGE),
    "files": (recording(*(member(f"{TREE}/{n}") for n in range(1000))), Refusal.TOO_MANY_FILES),
    "directories": (recording(*(member(f"{n}/", kind=b"5") for n in range(1000))), Refusal.TOO_MANY_FILES),
    "directories without entries": (
        recording(*(member(f"{TREE}/{n}/1/2/3/4/5/6/7/8/9/x") for n in range(100))),
        Refusal.TOO_MANY_FILES,
    ),
    "global headers": (recording(extended(("comment", "x"), kind=b"g") * 4000), Refusal.TOO_LARGE),
    "extended headers": (
        recording(*(extended(("comment", "x" * 50_000), ("path", f"{TREE}/{n}")) + NEXT for n in range(50))),
        Refusal.TOO_LARGE,
    ),
    "trees": (recording(*(member(f"video/{n:040x}-1700000000000/x") for n in range(32))), Refusal.TOO_MANY_TREES),
}


def named(name: str | bytes) -> list[bytes]:
    """A file of this name, in every way in which it can be written."""
    raw = name.encode() if isinstance(name, str) else name
    ways = [extended(("path", raw)) + NEXT, long_name(raw) + NEXT]
    return [member(raw), member(raw, magic=GNU), member(raw, magic=V7), *ways] if len(raw) <= 100 else ways


CORPUS: dict[str, tuple[bytes, Refusal]] = {
    **NOT_TAR,
    **SPOILT,
    **INCOMPLETE_TREES,
    **BEYOND_LIMITS,
    **{what: (recording(member), Refusal.UNSAFE_TYPE) for what, member in UNSAFE_KINDS.items()},
    **{what: (recording(member), Refusal.UNSAFE_ATTRIBUTE) for what, member in UNSAFE_ATTRIBUTES.items()},
    **{f"two: {what}": (recording(members), Refusal.DUPLICATE) for what, members in DUPLICATES.items()},
    **{f"stray: {what}": (recording(member), Refusal.STRAY_FILE) for what, member in STRAY_FILES.items()},
    **{
        f"name: {what}, {way}": (recording(member), Refusal.UNSAFE_PATH)
        for what, name in UNSAFE_NAMES.items()
        for way, member in enumerate(named(name))
    },
}


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[Path]:
    """The directory for what is unpacked, three levels down. Whatever else there is stays as it was, and nothing stays open."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for directory in (tmp_path, tmp_path / "a", inner):
        (directory / "canary").write_bytes(b"alive")
    before, descriptors = files_in(tmp_path), os.listdir("/proc/self/fd")  # noqa: PTH208

    yield inner / "target"

    assert {path: content for path, content in files_in(tmp_path).items() if not path.startswith("a/b/target")} == before
    assert os.listdir("/proc/self/fd") == descriptors  # noqa: PTH208


@pytest.mark.parametrize(("archive", "reason"), CORPUS.values(), ids=CORPUS.keys())
def test_an_archive_with_one_thing_wrong_is_refused_for_it(surroundings: Path, archive: bytes, reason: Refusal) -> None:
    with pytest.raises(ArchiveRefused) as refused:
        unpack_bytes(archive, surroundings)

    assert refused.value.reason is reason
    assert len(refused.value.detail) <= 200
    assert refused.value.detail.isprintable()
    assert all(path.startswith(("presentation", "video")) for path in files_in(surroundings))


def test_the_corpus_has_every_reason() -> None:
    assert {reason for _, reason in CORPUS.values()} == set(Refusal)


@pytest.mark.parametrize("what", ["stray directories", "deep directories", "empty files", "sparse file", "padding"])
def test_a_bomb_is_refused_within_the_memory_of_a_small_process(tmp_path: Path, what: str) -> None:
    max_files = MANY if what == "stray directories" else SOME
    (tmp_path / "target").mkdir()
    with (tmp_path / "bomb.tar").open("wb") as file:
        file.writelines(bomb(what))
        file.truncate(max(file.tell(), 2**40 if what in ("sparse file", "padding") else 0))

    outcome = subprocess.run(
        [sys.executable, "-m", "tests.faults.unpack_alone", tmp_path / "bomb.tar", tmp_path / "target", str(max_files)],
        capture_output=True,
        text=True,
        check=True,
    )

    reason, memory = outcome.stdout.split()
    assert reason in (Refusal.TOO_MANY_FILES, Refusal.TOO_LARGE, Refusal.CORRUPT)
    assert int(memory) <= 256_000_000


def bomb(what: str) -> Iterator[bytes]:
    """The members of an archive that reaches a limit, and would go on."""
    yield member(f"{TREE}/metadata.xml", b"<recording/>")
    match what:
        case "stray directories":
            yield from (
                extended(("path", f"{n}" + "/d" * 3 + f"/{'x' * 200}" * 4)) + header("d", kind=b"5") for n in range(MANY // 4)
            )
        case "deep directories":
            yield from (extended(("path", f"{TREE}/{n}" + f"/{'x' * 70}" * 12)) + member("f") for n in range(SOME))
        case "empty files":
            yield from (member(f"{TREE}/{n}") for n in range(SOME))
        case "sparse file":
            yield header(f"{TREE}/x", 2**32)
        case "padding":
            yield END


@pytest.mark.parametrize("seed", [1, 2])
def test_spoilt_archives_are_refused_or_mean_the_same_to_another_reader(seed: int) -> None:
    outcome = run(seed, effort(1500))

    assert not outcome.failures, str(outcome)
    assert {"unpacked", "incomplete", *set(Refusal) - NOT_BY_CHANCE} <= outcome.ends.keys()
