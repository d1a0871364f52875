"""What `meetingpool keys` does."""

import asyncio
from collections.abc import Mapping
from typing import Any

from admin.commands.arguments import Format
from admin.connection import changing, database_url
from admin.output import Column, Listing, write
from admin.server_changes import tell
from meetingpool.database.engine import Database
from meetingpool.database.revision import require_revision
from meetingpool.database.sealed_secrets import keys_in_use
from meetingpool.operations import rotate_keys
from meetingpool.operations.rotate_keys import NO_KEY
from meetingpool.secret_keys import Keyring, keyring_of
from meetingpool.settings import read_settings

_NAMES = ("id", "use", "secrets")
_COLUMNS = [
    Column("KEY", lambda key: key["id"]),
    Column("USE", lambda key: key["use"]),
    Column("SECRETS", lambda key: key["secrets"], is_number=True),
]


def list_keys(style: Format) -> None:
    """Of the keys of this machine and those that the database needs: what they are used for. No key itself is shown."""
    settings = read_settings()
    keyring = keyring_of(settings)
    with database_url(settings) as url:
        used = asyncio.run(_used(url, keyring))
    records = key_records(keyring, used)
    write(Listing(names=_NAMES, records=records, columns=_COLUMNS, when_empty="There is no key, and no secret"), style)


def key_records(keyring: Keyring, used: Mapping[str | None, int]) -> list[dict[str, Any]]:
    """`use`: encrypts (and decrypts), decrypts, missing (here, but needed), or none, for secrets that are kept clear."""
    listed = [(key_id, "decrypts" if number else "encrypts") for number, key_id in enumerate(keyring.ids)]
    missing = [(key_id, "missing") for key_id in sorted(filter(None, used)) if key_id not in keyring.ids]
    known = [{"id": key_id, "use": use, "secrets": used.get(key_id, 0)} for key_id, use in listed + missing]
    clear = used.get(None, 0)
    return known + [{"id": NO_KEY, "use": "none", "secrets": clear}] * bool(clear)


async def rotate(database: Database, *, dry_run: bool) -> None:
    """Raises NoKey or SecretsUnreadable."""
    async with changing(database, dry_run=dry_run) as change:
        had = await rotate_keys.rotate_keys(change)
        first = change.connection.keyring.ids[0]
    for key_id, count in sorted(had.items()):
        before = "kept clear" if key_id == NO_KEY else f"encrypted with {key_id}"
        tell(f"Secrets that were {before}: {count}, now encrypted with {first}", dry_run=dry_run)
    if not had:
        print(f"All secrets are encrypted with {first} already")


async def _used(url: str, keyring: Keyring) -> Mapping[str | None, int]:
    database = Database(url, name="command", pool_size=1, keyring=keyring)
    try:
        await require_revision(database)
        async with database.transaction() as connection:
            return await keys_in_use(connection)
    finally:
        await database.close()
