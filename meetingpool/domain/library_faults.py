"""What can be wrong with the library: where database and files disagree. Found and repaired by `meetingpool recordings fsck`."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from meetingpool.domain.recordings import Location, RecordId, RecordingState


class Fault(StrEnum):
    """Classes of findings, in the order of their repairs: files, then what follows from them. Scripts rely on these words."""

    # The files of a format are in another directory than its row says, or in two at once.
    WRONG_PLACE = "wrong_place"
    # A row says that there is a format, and there are no files.
    MISSING_FILES = "missing_files"
    # There are the files of a format, and no row.
    UNKNOWN_TREE = "unknown_tree"
    # A file is missing, was added, or is not as it was delivered.
    MANIFEST_MISMATCH = "manifest_mismatch"
    # What was asked for was not completed, and nobody is at it.
    UNSETTLED = "unsettled"
    # Front ends see the recording, and there is nothing to play.
    UNPLAYABLE = "unplayable"
    # getRecordings shows something else than the rows say.
    STALE_DOCUMENT = "stale_document"
    # Deleted for longer than files are kept.
    TRASH_EXPIRED = "trash_expired"
    # A symlink, a device, or a stray file where there should be trees or files of recordings.
    FOREIGN_ENTRY = "foreign_entry"
    # What an import or a removal left behind.
    LEFTOVER = "leftover"
    # A claimed archive that nobody will import.
    ARCHIVE_WITHOUT_ROW = "archive_without_row"
    # An import whose archive is gone.
    IMPORT_WITHOUT_ARCHIVE = "import_without_archive"
    # A front end is to be told of a recording that there is not.
    ORPHAN_CALLBACK = "orphan_callback"


ORDER = {fault: number for number, fault in enumerate(Fault)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where. `detail`: a sentence. `number`: of the import, or of the callback.

    `version`: of the row that it was found in; two looks at the same fault of the same row are equal.
    """

    fault: Fault
    detail: str
    record_id: RecordId | None = None
    format: str | None = None
    path: Path | None = None
    number: int | None = None
    version: int = 0


def misplaced(location: Location, found: Collection[Location], *, is_settled: bool) -> bool:
    """Whether a format whose row says `location` is where it should not be. On its way it may be anywhere, but once."""
    return set(found) != {location} if is_settled else len(found) > 1


def settled_state(wanted: RecordingState, *, has_formats: bool) -> RecordingState:
    """What front ends see of a recording whose files are in place. Without files there is nothing to see."""
    return wanted if has_formats or wanted is RecordingState.DELETED else RecordingState.PROCESSING
