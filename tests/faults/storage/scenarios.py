"""What is on the shelf before an operation, and after it."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from meetingpool.domain.callbacks import CallbackKind, callback_path
from meetingpool.domain.recordings import RecordingState
from tests.archives import record_id_of, recording_archive

HOST_ID = "room-on-its-server"
RECORD_ID = record_id_of(HOST_ID)
# Of the placement whose front end is told that its recording is ready.
GENERATION, MARK = 7, 0xC0FFEE
READY_URL = "https://front-end.example/ready"

OLD, NEW = b"old", b"new" * 10_000
ONE, THREE = ("presentation",), ("presentation", "screenshare", "video")

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A recording as it should be: its state, and of each format the content by which versions differ."""

    state: RecordingState
    formats: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def names(self) -> str:
        return ",".join(sorted(self.formats))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An operation: what was on the shelf before it, and is after it. `delivered`: what is in the archive of an import.

    `is_forced`: the archive was refused, and an administrator said that it is to be imported.
    """

    operation: str
    after: Shelf
    before: Shelf | None = None
    delivered: Mapping[str, bytes] | None = None
    can_exchange: bool = True
    is_forced: bool = False

    def versions(self, format_name: str, key: bytes) -> list[Files]:
        """The trees of a format that are whole."""
        shelves = (self.before.formats if self.before else {}, self.after.formats, self.delivered or {})
        return [files_of(format_name, formats[format_name], key) for formats in shelves if format_name in formats]


def archive_of(formats: Mapping[str, bytes], key: bytes) -> bytes:
    """An archive of these formats, all with the same content."""
    (content,) = set(formats.values())
    path = callback_path(key, GENERATION, CallbackKind.RECORDING_READY, MARK)
    metadata = {"bbb-recording-ready-url": f"https://pool.example{path}"}
    return recording_archive(RECORD_ID, tuple(formats), content=content, meeting_id=HOST_ID, metadata=metadata)


@cache
def files_of(format_name: str, content: bytes, key: bytes) -> Files:
    """The files of one format, by their paths in its tree."""
    with tarfile.open(fileobj=io.BytesIO(archive_of({format_name: content}, key))) as tar:
        prefix = f"{format_name}/{RECORD_ID}/"
        return {member.name.removeprefix(prefix): _content(tar, member) for member in tar}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _all(names: tuple[str, ...], content: bytes) -> dict[str, bytes]:
    return dict.fromkeys(names, content)


def _published(names: tuple[str, ...], content: bytes = OLD) -> Shelf:
    return Shelf(RecordingState.PUBLISHED, _all(names, content))


def _unpublished(names: tuple[str, ...], content: bytes = OLD) -> Shelf:
    return Shelf(RecordingState.UNPUBLISHED, _all(names, content))


def _deleted(names: tuple[str, ...] = (), content: bytes = OLD) -> Shelf:
    return Shelf(RecordingState.DELETED, _all(names, content))


def _import(before: Shelf | None, delivered: Mapping[str, bytes], after: Shelf, **more: bool) -> Scenario:
    return Scenario(operation="import", before=before, delivered=delivered, after=after, **more)


IMPORTS = {
    "first of one format": _import(None, _all(ONE, NEW), _published(ONE, NEW)),
    "first of three formats": _import(None, _all(THREE, NEW), _published(THREE, NEW)),
    "again": _import(_published(THREE), _all(THREE, OLD), _published(THREE)),
    "further formats": _import(_published(ONE), _all(THREE, OLD), _published(THREE)),
    "further formats of an unpublished one": _import(_unpublished(ONE), _all(THREE, OLD), _unpublished(THREE)),
    "rebuilt": _import(_published(THREE), _all(THREE, NEW), _published(THREE, NEW)),
    "rebuilt, one of three": _import(
        _published(THREE), _all(ONE, NEW), Shelf(RecordingState.PUBLISHED, {**_all(THREE, OLD), **_all(ONE, NEW)})
    ),
    "rebuilt on NFS": _import(_published(THREE), _all(THREE, NEW), _published(THREE, NEW), can_exchange=False),
    "deleted, by order": _import(_deleted(THREE), _all(THREE, NEW), _published(THREE, NEW), is_forced=True),
}

CHANGES = {
    "publish": Scenario(operation="publish", before=_unpublished(THREE), after=_published(THREE)),
    "unpublish": Scenario(operation="unpublish", before=_published(THREE), after=_unpublished(THREE)),
    "delete": Scenario(operation="delete", before=_published(THREE), after=_deleted(THREE)),
    "delete what is unpublished": Scenario(operation="delete", before=_unpublished(ONE), after=_deleted(ONE)),
    "restore": Scenario(operation="restore", before=_deleted(THREE), after=_unpublished(THREE)),
    "purge": Scenario(operation="purge", before=_deleted(THREE), after=_deleted()),
}
