"""What is unpacked lies where it belongs, and is what other programs make of the archive."""

import errno
import io
import os
import stat
import subprocess
import tarfile
import tempfile
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meetingpool.library.names import key_of
from meetingpool.library.unpack import ArchiveIncomplete, ArchiveRefused, Limits, UnpackedTree
from tests.effort import effort
from tests.raw_tar import END, LIMITS, RECORD_ID, TREE, extended, files_in, long_name, member, recording, unpack_bytes

FILES = {
    "metadata.xml": b"<recording/>",
    "audio/audio.webm": os.urandom(700_000),
    "presentation/text/slide-1.txt": b"",
    "presentation/" + "long" * 30 + "/über den Dächern.png": b"png",
}

usual_names = st.text("abcxyz01-_", min_size=1, max_size=12) | st.text("x", min_size=60, max_size=120)
odd_names = st.text("aB1 ._äß", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
names = usual_names | usual_names | odd_names


def write_tree(directory: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def packed(directory: Path, form: str, *what: str) -> bytes | None:
    """The archive that GNU tar makes; None when its format is too old for the names."""
    done = subprocess.run(["tar", "-C", directory, f"--format={form}", "-cf", "-", *what], capture_output=True)
    return None if done.returncode else done.stdout


def in_tree(tree: UnpackedTree) -> dict[str, bytes | None]:
    return files_in(tree.directory)


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "posix"])
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("", "presentation"),
        ("", f"presentation/{RECORD_ID}"),
        ("", "."),
        ("", "./presentation"),
        ("var/bigbluebutton/published", "var"),
    ],
)
def test_what_gnu_tar_packs_is_unpacked(tmp_path: Path, form: str, where: str, what: str) -> None:
    source = tmp_path / "source"
    write_tree(source / where / TREE, FILES)
    archive = packed(source, form, what)
    assert archive

    (tree,) = unpack_bytes(archive, tmp_path / "target")

    assert (tree.format, tree.record_id, tree.metadata) == ("presentation", RECORD_ID, b"<recording/>")
    assert tree.directory == tmp_path / "target" / TREE
    assert in_tree(tree) == files_in(source / where / TREE)
    assert files_in(tmp_path / "target").keys() == files_in(source / where).keys()


@pytest.mark.parametrize("form", ["ustar", "v7"])
def test_the_old_formats_are_unpacked_too(tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    write_tree(source / TREE, {"metadata.xml": b"<recording/>", "a/b.png": b"png"})
    archive = packed(source, form, "presentation")
    assert archive

    unpack_bytes(archive, tmp_path / "target")

    assert files_in(tmp_path / "target") == files_in(source)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_packs_is_unpacked(tmp_path: Path, form: int) -> None:
    files = {path: content for path, content in FILES.items() if form != tarfile.USTAR_FORMAT or "long" not in path}
    write_tree(tmp_path / "source" / TREE, files)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=form) as file:
        file.add(tmp_path / "source" / "presentation", "presentation")

    unpack_bytes(archive.getvalue(), tmp_path / "target")

    assert files_in(tmp_path / "target") == files_in(tmp_path / "source")


@settings(max_examples=effort(20), deadline=None)
@given(
    files=st.dictionaries(st.lists(names, min_size=1, max_size=4).map("/".join), st.binary(max_size=2000), max_size=6),
    form=st.sampled_from(["gnu", "posix", "ustar", "v7"]),
    what=st.sampled_from(["presentation", "./presentation", "."]),
)
def test_what_is_accepted_is_what_gnu_tar_extracts(files: dict[str, bytes], form: str, what: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            write_tree(directory / "source" / TREE, {**files, "metadata.xml": b"<recording/>"})
        except OSError:
            assume(False)
        archive = packed(directory / "source", form, what)
        assume(archive is not None)
        assert archive is not None
        (directory / "tar").mkdir()
        subprocess.run(["tar", "-C", directory / "tar", "-xf", "-"], input=archive, check=True)

        if all(map(is_safe, files)) and not twins(files):
            unpack_bytes(archive, directory / "target")
            assert files_in(directory / "target") == files_in(directory / "tar")
        else:
            with pytest.raises(ArchiveRefused):
                unpack_bytes(archive, directory / "target")


def is_safe(path: str) -> bool:
    try:
        return all(map(key_of, path.split("/")))
    except ArchiveRefused:
        return False


def twins(paths: dict[str, bytes]) -> bool:
    """Whether two files, or two of their directories, differ in case only."""
    every = {"/".join(path.split("/")[:depth]) for path in (*paths, "metadata.xml") for depth in range(1, 5)}
    return len({"/".join(map(key_of, path.split("/"))) for path in every}) != len(every)


def test_every_cut_of_an_archive_makes_it_incomplete(tmp_path: Path) -> None:
    archive = recording(
        extended(("comment", "x"), kind=b"g"),
        extended(("path", f"{TREE}/{'x' * 200}")) + member("x", b"x" * 600),
        long_name(f"{TREE}/{'y' * 200}".encode()) + member("y", b"y"),
        member(f"{TREE}/d/", kind=b"5"),
    )
    cuts = {cut for block in range(0, len(archive), 512) for cut in (block, block + 1, block + 200, block + 511)}

    for cut in sorted(cuts):
        with pytest.raises(ArchiveIncomplete):
            unpack_bytes(archive[:cut], tmp_path / str(cut))
    assert len(unpack_bytes(archive, tmp_path / "whole")) == 1


def test_several_formats_come_in_one_archive(tmp_path: Path) -> None:
    other = f"video/{RECORD_ID}-1700000000001"
    archive = recording(member(f"{other}/metadata.xml", b"<recording>"), member(f"{TREE}/x", b"x"), member(f"{other}/v/y", b"yy"))

    trees = {tree.format: tree for tree in unpack_bytes(archive, tmp_path / "target")}

    assert trees.keys() == {"presentation", "video"}
    assert trees["video"].record_id == f"{RECORD_ID}-1700000000001"
    assert trees["video"].metadata == b"<recording>"
    assert [entry.path for entry in trees["video"].manifest.entries] == ["metadata.xml", "v/y"]
    assert [entry.path for entry in trees["presentation"].manifest.entries] == ["metadata.xml", "x"]


def test_the_manifest_says_what_was_written(tmp_path: Path) -> None:
    content = os.urandom(1_000_000)

    (tree,) = unpack_bytes(recording(member(f"{TREE}/a/b", content), member(f"{TREE}/empty")), tmp_path / "target")

    assert (tree.manifest.files, tree.manifest.bytes) == (3, 1_000_012)
    assert {entry.path: (entry.bytes, entry.sha256) for entry in tree.manifest.entries} == {
        path: (len(written), sha256(written).hexdigest()) for path, written in in_tree(tree).items() if written is not None
    }
    assert in_tree(tree)["a/b"] == content


def test_modes_are_ours_whatever_the_archive_and_the_umask_say(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        unpack_bytes(
            recording(member(f"{TREE}/x", mode=b"0000777\0"), member(f"{TREE}/d", kind=b"5", mode=b"0003000\0")),
            tmp_path / "target",
        )
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "target").rglob("*")}
    assert modes == {"presentation": 0o755, RECORD_ID: 0o755, "metadata.xml": 0o644, "x": 0o644, "d": 0o755}


def test_directories_outside_of_recordings_are_not_made(tmp_path: Path) -> None:
    unpack_bytes(recording(member("else/", kind=b"5"), member("presentation/other/", kind=b"5")), tmp_path / "target")

    assert files_in(tmp_path / "target").keys() == {"presentation", TREE, f"{TREE}/metadata.xml"}


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        (Limits(max_bytes=112, max_files=6), True),
        (Limits(max_bytes=111, max_files=6), False),
        (Limits(max_bytes=112, max_files=5), False),
    ],
)
def test_limits_can_be_reached_and_not_passed(tmp_path: Path, limits: Limits, fits: bool) -> None:
    # Three directories: the format, the recording, and one that has no entry.
    archive = recording(member(f"{TREE}/d/x", b"x" * 100), member(f"{TREE}/y"))

    if fits:
        assert len(unpack_bytes(archive, tmp_path / "target", limits)) == 1
    else:
        with pytest.raises(ArchiveRefused):
            unpack_bytes(archive, tmp_path / "target", limits)


def test_the_work_is_watched(tmp_path: Path) -> None:
    archive = recording(*(member(f"{TREE}/{n}", b"x" * 4000) for n in range(900)), member(f"{TREE}/big", bytes(9_000_000)))
    seen: list[tuple[int, int]] = []

    unpack_bytes(archive, tmp_path / "target", LIMITS, lambda *progress: seen.append(progress))

    assert seen == sorted(seen)
    assert seen[-1] == (len(archive), 902)
    assert max(after[0] - before[0] for before, after in pairwise(seen)) <= 16_000_000
    assert max(after[1] - before[1] for before, after in pairwise(seen)) <= 300


def test_whoever_watches_can_stop_it(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(bytes_read: int, files: int) -> None:
        if files > 100:
            raise Stopped

    descriptors = os.listdir("/proc/self/fd")  # noqa: PTH208

    with pytest.raises(Stopped):
        unpack_bytes(recording(*(member(f"{TREE}/{n}") for n in range(900))), tmp_path / "target", LIMITS, stop)

    assert os.listdir("/proc/self/fd") == descriptors  # noqa: PTH208
    assert len(files_in(tmp_path / "target" / TREE)) < 900


def test_what_the_storage_says_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "target" / "presentation").mkdir(parents=True)
    with pytest.raises(FileExistsError):
        unpack_bytes(recording(), tmp_path / "target")


def test_an_archive_with_nothing_but_the_end_has_no_recording(tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="no_recording"):
        unpack_bytes(END, tmp_path / "target")


def test_all_that_is_there_was_made_to_last_when_it_was_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []
    sync = os.fsync

    def recorded(descriptor: int) -> None:
        sync(descriptor)
        of = os.fstat(descriptor)
        synced.append((of.st_ino, 0 if stat.S_ISDIR(of.st_mode) else of.st_size))

    monkeypatch.setattr(os, "fsync", recorded)
    unpack_bytes(recording(*(member(f"{TREE}/{n % 5}/{n}", b"x" * n) for n in range(200))), tmp_path / "target")

    def as_synced(path: Path) -> tuple[int, int]:
        return path.stat().st_ino, path.stat().st_size if path.is_file() else 0

    target = tmp_path / "target"
    order = {entry: place for place, entry in enumerate(synced)}
    for path in target.rglob("*"):
        assert order[as_synced(path)] < order[as_synced(path.parent)]
    assert synced[-1] == as_synced(target)


def test_what_cannot_be_made_to_last_is_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    descriptors = os.listdir("/proc/self/fd")  # noqa: PTH208
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match="error") as error:
        unpack_bytes(recording(*(member(f"{TREE}/{n}") for n in range(200))), tmp_path / "target")

    assert error.value.errno == errno.EIO
    assert os.listdir("/proc/self/fd") == descriptors  # noqa: PTH208
