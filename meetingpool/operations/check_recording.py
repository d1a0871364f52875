"""Compares one recording of the database with its files. Called by the check of the library, and again before its repairs.

Blocks, and changes nothing. What is seen while files are moved means nothing: whoever calls reads the rows before and after.
"""

from collections.abc import Iterator
from pathlib import Path

from meetingpool.bbb.recording_documents import render
from meetingpool.database.library_queries import Kept, KeptArrival, KeptFormat
from meetingpool.domain.library_faults import Fault, Finding, misplaced, settled_state
from meetingpool.domain.recordings import LOCATION_OF, Location, RecordingState
from meetingpool.library import check
from meetingpool.library.storage import Storage

_VISIBLE = (RecordingState.PUBLISHED, RecordingState.UNPUBLISHED)


def faults_of(storage: Storage, kept: Kept, *, with_hashes: bool) -> list[Finding]:
    """What is wrong with the recording; `with_hashes`: also by the content of its files, all of which are read."""
    found = [*_state_faults(kept)]
    for each in kept.formats:
        found += _format_faults(storage, kept, each, with_hashes=with_hashes)
    for arrival in kept.arrivals:
        if is_lost(storage, kept, arrival):
            waited = storage.arrival(arrival.directory, arrival.name, kept.recording.record_id)
            detail = "What was unpacked and waits to be placed is gone"
            found.append(_finding(kept, Fault.MISSING_FILES, arrival.name, detail, waited))
    return found


def trees_of(storage: Storage, kept: Kept, name: str) -> list[Location]:
    """Where there are files of a format."""
    return [location for location in Location if check.is_tree(_tree(storage, kept, location, name))]


def is_missing(storage: Storage, kept: Kept, name: str) -> bool:
    """Whether there are no files of a format, nor anything in their place: a symlink may lead to them."""
    return not any(check.is_there(_tree(storage, kept, location, name)) for location in Location)


def is_lost(storage: Storage, kept: Kept, arrival: KeptArrival) -> bool:
    """Whether what was unpacked is neither where it waits nor in the library."""
    waits = storage.arrival(arrival.directory, arrival.name, kept.recording.record_id)
    placed = (_tree(storage, kept, location, arrival.name) for location in Location)
    return not check.is_there(waits) and not any(_has_inode(tree, arrival.inode) for tree in placed)


def _state_faults(kept: Kept) -> Iterator[Finding]:
    """Of one that is not settled this says nothing: its row is written anew when it is."""
    state = kept.recording.state
    if not kept.is_settled:
        return
    if not kept.formats and state in _VISIBLE:
        yield _finding(kept, Fault.UNPLAYABLE, None, f"It is {state}, and has no format to play")
    elif kept.arrivals or not _is_as_wanted(kept):
        detail = f"It counts as settled, but is {state} where {kept.wanted} is wanted, or its files are elsewhere"
        yield _finding(kept, Fault.UNSETTLED, None, detail)
    elif kept.document != render(kept.recording):
        yield _finding(kept, Fault.STALE_DOCUMENT, None, "What getRecordings shows is not what the database says")


def _is_as_wanted(kept: Kept) -> bool:
    are_in_place = all(each.location is LOCATION_OF[kept.wanted] for each in kept.formats)
    return are_in_place and kept.recording.state is settled_state(kept.wanted, has_formats=bool(kept.formats))


def _format_faults(storage: Storage, kept: Kept, kept_format: KeptFormat, *, with_hashes: bool) -> Iterator[Finding]:
    name, found = kept_format.name, trees_of(storage, kept, kept_format.name)
    if not found:
        # What is no tree in its place is found where all entries are looked at.
        if is_missing(storage, kept, name):
            detail = f"It should be {kept_format.location}, and is nowhere"
            yield _finding(kept, Fault.MISSING_FILES, name, detail, _tree(storage, kept, kept_format.location, name))
        return
    # Whoever places what waits removes what is there.
    if any(arrival.name == name for arrival in kept.arrivals):
        return
    if misplaced(kept_format.location, found, is_settled=kept.is_settled):
        paths = [_tree(storage, kept, location, name) for location in found if location is not kept_format.location]
        detail = f"It should be {kept_format.location}, and is {' and '.join(found)}"
        yield _finding(kept, Fault.WRONG_PLACE, name, detail, paths[0] if paths else None)
    location = kept_format.location if kept_format.location in found else found[0]
    yield from _content_faults(kept, kept_format, _tree(storage, kept, location, name), with_hashes=with_hashes)


def _content_faults(kept: Kept, kept_format: KeptFormat, tree: Path, *, with_hashes: bool) -> Iterator[Finding]:
    contents = check.contents_of(tree)
    for path in contents.foreign:
        yield _finding(kept, Fault.FOREIGN_ENTRY, kept_format.name, f"Among its files is {check.kind_of(path)}", path)
    differs = check.difference(kept_format.manifest, contents.files)
    if differs is None and with_hashes and not contents.foreign:
        differs = _content_difference(kept_format.manifest, tree)
    if differs:
        yield _finding(kept, Fault.MANIFEST_MISMATCH, kept_format.name, f"Not as it was delivered; {differs}", tree)


def _content_difference(manifest: bytes, tree: Path) -> str | None:
    try:
        return check.content_difference(manifest, tree)
    except FileNotFoundError:
        return "files: one is gone"
    except check.TreeUnfit as error:
        return str(error)


def _finding(kept: Kept, fault: Fault, name: str | None, detail: str, path: Path | None = None) -> Finding:
    return Finding(fault=fault, detail=detail, record_id=kept.recording.record_id, format=name, path=path, version=kept.version)


def _tree(storage: Storage, kept: Kept, location: Location, name: str) -> Path:
    return storage.tree(location, name, kept.recording.record_id)


def _has_inode(path: Path, inode: int) -> bool:
    try:
        return path.lstat().st_ino == inode
    except FileNotFoundError:
        return False
