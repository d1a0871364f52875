"""What is seen in the directories of recordings."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from meetingpool.domain.recordings import Location
from meetingpool.library import check
from meetingpool.library.manifest import Entry, Manifest
from meetingpool.library.storage import Storage

RECORD_ID = f"{'0' * 40}-1700000000000"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(publish_dir=tmp_path / "published", unpublish_dir=tmp_path / "unpublished", work_dir=tmp_path / "work")
    storage.create("id")
    return storage


@pytest.fixture
def tree(storage: Storage) -> Path:
    tree = storage.tree(Location.PUBLISHED, "video", RECORD_ID)
    (tree / "deeper").mkdir(parents=True)
    (tree / "a").write_bytes(b"1")
    (tree / "deeper" / "b").write_bytes(b"22")
    return tree


def encoded(files: dict[str, int]) -> bytes:
    return Manifest.of(Entry(path, size, "0" * 64) for path, size in files.items()).encode()


def test_trees_are_told_from_what_is_none(storage: Storage, tree: Path) -> None:
    link = tree.with_name(RECORD_ID.replace("0", "1"))
    link.symlink_to(tree)
    (storage.publish_dir / "VIDEO").mkdir()
    (tree.parent / ".nfs00000001").write_bytes(b"")

    seen = list(check.walk(storage))

    assert [name for each in seen for name in each.trees] == [(Location.PUBLISHED, "video", RECORD_ID)]
    assert {path for each in seen for path in each.foreign} == {link, storage.publish_dir / "VIDEO"}


def test_a_directory_of_many_trees_is_looked_at_piece_by_piece(storage: Storage, tree: Path) -> None:
    for number in range(check.BATCH):
        tree.with_name(f"{number:040x}-1800000000000").mkdir()
    sizes = [len(each.trees) for each in check.walk(storage)]
    assert (sum(sizes), max(sizes)) == (check.BATCH + 1, check.BATCH)


def test_what_is_in_a_tree(tree: Path) -> None:
    os.mkfifo(tree / "deeper" / "pipe")
    contents = check.contents_of(tree)
    assert contents.files == {"a": 1, "deeper/b": 2}
    assert contents.foreign == [tree / "deeper" / "pipe"]


@pytest.mark.parametrize(
    ("expected", "sentence"),
    [
        ({"a": 1, "deeper/b": 2}, None),
        ({"a": 1}, "files: 1 added; the first is 'deeper/b'"),
        ({"a": 1, "deeper/b": 2, "c": 3, "d": 4}, "files: 2 missing; the first is 'c'"),
        ({"a": 9, "deeper/b": 2, "c": 3}, "files: 1 missing, 1 of another size; the first is 'a'"),
    ],
)
def test_a_difference_is_told_in_a_sentence(tree: Path, expected: dict[str, int], sentence: str | None) -> None:
    assert check.difference(encoded(expected), check.contents_of(tree).files) == sentence


def test_a_manifest_that_cannot_be_read_is_a_difference(tree: Path) -> None:
    assert check.difference(b"", check.contents_of(tree).files) == "the manifest is cut off, too large, or goes on after its end"


def test_hashing_makes_the_manifest_that_an_import_makes(tree: Path) -> None:
    expected = [Entry("a", 1, sha256(b"1").hexdigest()), Entry("deeper/b", 2, sha256(b"22").hexdigest())]
    assert check.hashed(tree) == Manifest.of(expected)
    assert check.content_difference(Manifest.of(expected).encode(), tree) is None


@pytest.mark.parametrize("name", [b"\xff", b"a\nb"])
def test_a_name_that_no_manifest_can_hold_is_not_hashed(tree: Path, name: bytes) -> None:
    Path(os.fsdecode(os.path.join(os.fsencode(tree), name))).write_bytes(b"")  # noqa: PTH118
    with pytest.raises(check.TreeUnfit, match="the name '"):
        check.hashed(tree)


def test_a_link_is_not_followed_to_be_hashed(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "a")
    with pytest.raises(check.TreeUnfit, match="'link' is a symlink"):
        check.hashed(tree)


def test_the_last_change_is_not_what_files_say_of_themselves(tree: Path) -> None:
    before = check.last_change(tree)
    for path in (tree, tree / "deeper", tree / "a", tree / "deeper" / "b"):
        os.utime(path, (0, 0))
    assert check.last_change(tree) >= before


def test_what_vanishes_meanwhile_is_passed_over(tree: Path) -> None:
    assert check.contents_of(tree / "nowhere") == check.Contents()
    assert not check.is_tree(tree / "nowhere" / "more")
    assert not check.is_there(tree / "a" / "more")
