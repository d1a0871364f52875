"""Locks on things that have no row of their own. They end with their transaction, however that ends."""

from meetingpool.database.engine import Connection

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('meetingpool ' || $1, 0))"


async def one_at_a_time(connection: Connection, what: str) -> None:
    """Waits until nobody else does `what`, and keeps others from it until the transaction ends."""
    await connection.execute(_ONE_AT_A_TIME, what)
