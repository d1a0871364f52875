"""Why an archive is not taken. Raised by what reads archives, shown by the worker and the commands."""

from enum import StrEnum

_MAX_DETAIL = 200
_MAX_SHOWN = 60


class Refusal(StrEnum):
    """Reason codes, as commands show them and the table `imports` keeps them. No archive is better the next time."""

    NOT_A_TAR = "not_a_tar"
    COMPRESSED = "compressed"
    CORRUPT = "corrupt"
    UNSAFE_PATH = "unsafe_path"
    UNSAFE_TYPE = "unsafe_type"
    UNSAFE_ATTRIBUTE = "unsafe_attribute"
    DUPLICATE = "duplicate"
    TOO_LARGE = "too_large"
    TOO_MANY_FILES = "too_many_files"
    TOO_MANY_TREES = "too_many_trees"
    NO_RECORDING = "no_recording"
    STRAY_FILE = "stray_file"
    METADATA_MISSING = "metadata_missing"
    METADATA_TOO_LARGE = "metadata_too_large"


class ArchiveRefused(Exception):
    """The archive is not what a server writes. `detail`: one short sentence without control characters, whatever was in it."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = _printable(detail)[:_MAX_DETAIL]

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class ArchiveIncomplete(Exception):
    """The file ends before the archive does: it may still be growing."""


def shown(name: bytes | str) -> str:
    """A name of the archive, or the last part of a long one, fit to stand in a sentence."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return f"'{_printable(text if len(text) <= _MAX_SHOWN else '…' + text[-_MAX_SHOWN:])}'"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
