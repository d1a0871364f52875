"""Drops the mapping of a meeting when its own server says that there is no such meeting. Called by the gateway."""

from meetingpool.bbb.answers import Answer
from meetingpool.database import meetings
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.domain.meetings import Meeting, host_id_of
from meetingpool.domain.pool import Pool
from meetingpool.logs import get_logger
from meetingpool.operations.record_polls import GRACE

log = get_logger()


async def forget_if_gone(database: Database, pool: Pool, meeting: Meeting, answer: Answer, response_timeout: float) -> None:
    """Forgets `meeting` if its server's `answer` is notFound and no create of it can still be on its way.

    Without the database the poller does it later.
    """
    if answer.succeeded or answer.message_key != "notFound":
        return
    try:
        async with database.transaction() as connection:
            forgotten = await meetings.forget(connection, meeting, quiet_for=response_timeout + GRACE)
    except DatabaseUnavailable:
        return
    if forgotten:
        pool.forget_meeting(meeting.key, meeting.generation, host_id_of(meeting.key))
        log.info("meeting_over", meeting=meeting.key.meeting_id, server=meeting.server_id)
