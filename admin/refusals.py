"""What may be refused: the errors that end a command with one sentence. Raised all over, told by `admin.app` alone."""

import sys

# By name, so that telling them apart imports nothing: what was raised was imported already.
_EXPECTED = {
    "admin.refusals": ["Refused"],
    "meetingpool.settings": ["SettingsError"],
    "meetingpool.database.embedded": ["EmbeddedDatabaseError"],
    "meetingpool.database.engine": ["DatabaseUnavailable"],
    "meetingpool.database.revision": ["WrongRevision"],
    "meetingpool.domain.refusals": ["Refusal"],
    "meetingpool.library.storage": ["StorageUnusable"],
}


class Refused(Exception):
    """A command that cannot be carried out; says what to do."""


def is_expected(error: Exception) -> bool:
    return any(
        isinstance(error, getattr(sys.modules[module], name))
        for module, names in _EXPECTED.items()
        if module in sys.modules
        for name in names
    )


def sentence_of(error: Exception) -> str:
    return " ".join(str(error).split())
