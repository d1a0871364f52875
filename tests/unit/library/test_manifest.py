"""Manifests are the same again after they were stored, and nothing else passes for one."""

import zlib
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.library.manifest import MAX_TEXT_BYTES, Entry, Manifest, ManifestCorrupt

ONE, OTHER = "1" * 64, "2" * 64
paths = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
entries = st.builds(Entry, paths, st.integers(0, 2**60), st.binary().map(lambda content: sha256(content).hexdigest()))
manifests = st.lists(entries, unique_by=lambda entry: entry.path).map(Manifest.of)


@given(manifest=manifests)
def test_a_manifest_is_the_same_after_it_was_stored(manifest: Manifest) -> None:
    assert Manifest.decode(manifest.encode()) == manifest


@given(one=manifests, other=manifests)
def test_the_digest_tells_whether_two_are_the_same(one: Manifest, other: Manifest) -> None:
    assert (one.digest == other.digest) == (one == other)


def test_what_it_counts() -> None:
    manifest = Manifest.of([Entry("b", 3, ONE), Entry("a/c", 4, OTHER)])

    assert [entry.path for entry in manifest.entries] == ["a/c", "b"]
    assert (manifest.files, manifest.bytes) == (2, 7)
    assert Manifest.of([]).digest == sha256(b"").hexdigest()
    assert manifest.digest == sha256(f"{OTHER} 4 a/c\n{ONE} 3 b\n".encode()).hexdigest()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no manifest",
        zlib.compress(f"{ONE} 1 a\n".encode())[:-1],
        zlib.compress(f"{ONE} 1 a\n".encode()) + b"x",
        zlib.compress(f"{ONE} 1 a".encode()),
        zlib.compress(f"{ONE} 1 b\n{ONE} 1 a\n".encode()),
        zlib.compress(f"{ONE} 1 a\n{ONE} 1 a\n".encode()),
        zlib.compress(f"{ONE} 01 a\n".encode()),
        zlib.compress(f"{ONE} -1 a\n".encode()),
        zlib.compress(f"{ONE[1:]} 1 a\n".encode()),
        zlib.compress(f"{ONE} 1 a\rb\n".encode()),
        zlib.compress(f"{ONE} 1 \n".encode()),
        zlib.compress(f"{ONE} 1 ".encode() + b"\xff\n"),
        zlib.compress(bytes(MAX_TEXT_BYTES + 1)),
    ],
    ids=count(),
)
def test_what_is_no_manifest_is_not_read(content: bytes) -> None:
    with pytest.raises(ManifestCorrupt):
        Manifest.decode(content)
