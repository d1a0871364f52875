"""Drops the mapping of a meeting when its own server says that there is no such meeting. Called by the gateway."""

from meetingpool.bbb.answers import Answer
from meetingpool.database import meetings
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.domain.meetings import Meeting, MeetingState, host_id_of
from meetingpool.domain.pool import Pool
from meetingpool.logs import get_logger
from meetingpool.operations.record_polls import TOUCH_LASTS

log = get_logger()


async def forget_if_gone(database: Database, pool: Pool, meeting: Meeting, answer: Answer, *, quiet_for: float) -> None:
    """Forgets `meeting` if its server's `answer` is notFound and no create of it can still be on its way; else it is ending.

    `quiet_for`: seconds without a create after which none can, counted back from when the server was asked. What the pool
    knows is made what the database has, whatever that is. Without the database the poller does it later.
    """
    if answer.succeeded or answer.message_key != "notFound":
        return
    try:
        async with database.transaction() as connection:
            forgotten = await meetings.forget(connection, meeting, quiet_for=quiet_for, touch_lasts=TOUCH_LASTS)
            if not forgotten:
                # Over, but too young to be forgotten: a create that comes now makes another meeting.
                await meetings.set_state(connection, meeting, MeetingState.ENDING, allowed=[MeetingState.LIVE])
            current = await meetings.find_meeting(connection, meeting.key)
    except DatabaseUnavailable:
        return
    if forgotten:
        log.info("meeting_over", meeting=meeting.key.meeting_id, server=meeting.server_id)
    if current:
        pool.put_meeting(current, host_id_of(meeting.key))
    else:
        pool.forget_meeting(meeting.key, meeting.generation, host_id_of(meeting.key))
