"""What belongs to the installation and to no process of it."""

from meetingpool.database.engine import Connection
from meetingpool.database.sealed_secrets import unseal


async def callback_key(connection: Connection) -> bytes:
    """Signs the addresses that servers call back. Made with the schema, the same in every process. Raises SecretsUnreadable."""
    return read_callback_key(connection, await connection.fetchval("SELECT callback_key FROM installation"))


def read_callback_key(connection: Connection, kept: str) -> bytes:
    """The same, of the column's value."""
    return bytes.fromhex(unseal(connection, "installation.callback_key", 1, kept))


async def storage_id(connection: Connection) -> str | None:
    """What the directories of recordings are marked with; None as long as there were none."""
    found: str | None = await connection.fetchval("SELECT storage_id FROM installation")
    return found


async def keep_storage_id(connection: Connection, storage_id: str) -> str:
    """The id that all processes use: this one, unless another was kept before."""
    statement = "UPDATE installation SET storage_id = coalesce(storage_id, $1) RETURNING storage_id"
    kept: str = await connection.fetchval(statement, storage_id)
    return kept
