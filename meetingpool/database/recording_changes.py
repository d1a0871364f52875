"""Which recordings a change is about, and whether it has taken effect. Called by `operations.change_recordings`."""

from collections.abc import Collection

from meetingpool.database.engine import Connection, Database
from meetingpool.domain.recordings import RecordId, RecordingState

# In this order rows are locked, so that two changes of the same recordings never wait for each other.
_FIND = f"""
    SELECT record_id FROM recordings
    WHERE record_id = ANY($1::text[]) AND ($2::text IS NULL OR tenant = $2) AND (state = '{RecordingState.DELETED}') = $3
    ORDER BY record_id
"""
_IS_UNSETTLED = "SELECT 1 FROM recordings WHERE record_id = ANY($1::text[]) AND NOT is_settled LIMIT 1"


async def find_existing(
    connection: Connection, record_ids: Collection[str], tenant: str | None, *, deleted: bool = False
) -> list[RecordId]:
    """Those that exist and were not deleted, or were, of this tenant, or of all when it is None."""
    return [RecordId(row["record_id"]) for row in await connection.fetch(_FIND, list(record_ids), tenant, deleted)]


async def are_settled(database: Database, record_ids: Collection[RecordId]) -> bool:
    """Whether the files of all of them are where they were last wanted. Raises DatabaseUnavailable."""
    return await database.statement(_IS_UNSETTLED, list(record_ids)) is None
