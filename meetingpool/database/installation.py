"""What belongs to the installation and to no process of it."""

from meetingpool.database.engine import Connection


async def callback_key(connection: Connection) -> bytes:
    """Signs the addresses that servers call back. Made with the schema, the same in every process."""
    return bytes(await connection.fetchval("SELECT callback_key FROM installation"))
