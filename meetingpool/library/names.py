"""Which names an archive may use for its files. Pure; called by `layout.py`.

A name must mean the same on every file system, in every program and in a URL.
"""

import re
from unicodedata import normalize

from meetingpool.library.refusals import ArchiveRefused, Refusal, shown

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255
MAX_DEPTH = 16

# Control characters, what some take for the end of a line, and what some take for a slash.
_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\\\\]")
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE)


def read_path(name: bytes) -> str:
    """The path that is written as `name`, without the "./" that some begin with; "" for the directory that was packed itself.

    Raises ArchiveRefused for what is empty, absolute, too long, too deep or no UTF-8.
    """
    if name == b".":
        return ""
    if len(name) > MAX_PATH_BYTES:
        raise _unsafe(name, "is too long")
    try:
        path = name.decode()
    except UnicodeDecodeError:
        raise _unsafe(name, "is not UTF-8") from None
    path = path.removeprefix("./")
    if not path or path[0] == "/":
        raise _unsafe(name, "is empty or absolute")
    if path.count("/") >= MAX_DEPTH:
        raise _unsafe(name, "is too deep")
    return path


def key_of(segment: str) -> str:
    """What two names of a directory must not share: neither case nor two spellings of a letter make a difference.

    Raises ArchiveRefused for a segment of a path that is not safe.
    """
    if not segment or segment[-1] == "." or segment.strip() != segment:
        raise _unsafe(segment, "is empty, or begins or ends with a blank or a dot")
    if _UNSAFE.search(segment):
        raise _unsafe(segment, "has a control character or a backslash")
    if _DEVICE.fullmatch(segment):
        raise _unsafe(segment, "is the name of a device")
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        raise _unsafe(segment, "is too long")
    return segment.lower() if segment.isascii() else normalize("NFC", normalize("NFD", segment).casefold())


def _unsafe(name: bytes | str, why: str) -> ArchiveRefused:
    return ArchiveRefused(Refusal.UNSAFE_PATH, f"the name {shown(name)} {why}")
