"""What may be refused: the errors that end a command with one sentence. Raised all over, told by `admin.app` alone."""

import sys

# By name, so that telling them apart imports nothing: what was raised was imported already.
_EXPECTED = {
    "admin.refusals": ["Refused"],
    "meetingpool.settings": ["SettingsError"],
    "meetingpool.database.embedded": ["EmbeddedDatabaseError"],
    "meetingpool.database.engine": ["DatabaseUnavailable"],
    "meetingpool.database.revision": ["WrongRevision"],
    "meetingpool.database.servers": ["ServerExists"],
    "meetingpool.database.tenants": ["TenantExists"],
    "meetingpool.domain.tenants": ["InvalidTenant"],
    "meetingpool.library.storage": ["StorageUnusable"],
    "meetingpool.operations.add_server": ["ServerNotReached"],
    "meetingpool.operations.change_server": ["InvalidServer"],
    "meetingpool.operations.change_server_state": ["MeetingsRunning"],
    "meetingpool.operations.change_tenant": ["NoSuchTenant", "TenantInUse"],
    "meetingpool.operations.change_tenant_rules": ["NoSuchRule"],
    "meetingpool.operations.find_server": ["NoSuchServer"],
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
