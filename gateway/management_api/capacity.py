"""/capacity: how much room there is, and how many servers there ought to be."""

from gateway.management_api.asked import Asked
from meetingpool.database.capacity import read_capacity
from meetingpool.operations.capacity import PoolCapacity, capacity_record, capacity_rules


async def show_capacity(asked: Asked) -> PoolCapacity:
    """How much room there is, and how many servers there ought to be."""
    async with asked.reading() as connection:
        figures = await read_capacity(connection)
    return capacity_record(figures, capacity_rules(asked.gateway.settings))
