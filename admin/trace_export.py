"""Writes how meetings were as a trace: what `meetingpool simulate` plays again, and what can be passed on to others.

A line of JSON for each meeting, in the order of their begins: `{"room": …, "start": …, "end": …, "people": [[join, leave], …]}`.
All times are seconds since the midnight, in UTC, of the day in which the period begins: hours of the day stay what they were.
"""

import hmac
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes

from admin.output import iso_time
from admin.refusals import Refused
from admin.whole_file import written_whole
from meetingpool.database.engine import Database
from meetingpool.database.past_meetings import first_begin, meetings_begun
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.usage import InvalidPeriod, midnight, read_moment
from meetingpool.operations.records import tenant_names

KEY_BYTES = 32
# In hexadecimal digits: enough that no two rooms of a pool have the same.
_TENANT_DIGITS, _ROOM_DIGITS = 12, 20


async def export_trace(database: Database, begin: str | None, end: str | None, output: Path | None, *, anonymous: bool) -> None:
    """Writes the meetings that are over and began from `begin` on and before `end`, to a file or standard output.

    Rooms that are `anonymous` have other names in each trace. Raises InvalidPeriod or Refused.
    """
    since, until = await _period(database, begin, end)
    name = partial(pseudonym, token_bytes(KEY_BYTES)) if anonymous else partial(_plain_name, await _tenants(database))
    count = 0
    with written_whole(output, "trace") as file:
        async for line in trace_lines(meetings_begun(database, since, until), midnight(since.astimezone(UTC).date(), UTC), name):
            file.write(line)
            count += 1
        if not count:
            raise _nothing(f"began from {iso_time(since)} to {iso_time(until)}")
    if output:
        print(f"Wrote {count} meetings to {output}", file=sys.stderr)


async def trace_lines(
    meetings: AsyncIterator[PastMeeting], zero: datetime, name: Callable[[MeetingKey], str]
) -> AsyncIterator[str]:
    """A line for each meeting, with times since `zero`."""
    async for meeting in meetings:
        start = round((meeting.began_at - zero).total_seconds())
        stays = [[start + round(moment) for moment in stay] for stay in meeting.stays()]
        trace = {
            "room": name(meeting.key),
            "start": start,
            "end": start + round(meeting.seconds),
            "people": [stay for stay in stays if stay[0] < stay[1]],
        }
        yield json.dumps(trace) + "\n"


def pseudonym(secret: bytes, key: MeetingKey) -> str:
    """A name for the room that only `secret` leads to. Rooms of one tenant are seen to be of one tenant."""
    return f"{_digest(secret, key.tenant)[:_TENANT_DIGITS]}/{_digest(secret, *key)[:_ROOM_DIGITS]}"


def _digest(secret: bytes, *parts: str) -> str:
    return hmac.new(secret, json.dumps(parts).encode(), sha256).hexdigest()


def _plain_name(tenants: Mapping[str, str], key: MeetingKey) -> str:
    return f"{tenants.get(key.tenant, key.tenant)}/{key.meeting_id}"


async def _tenants(database: Database) -> dict[str, str]:
    async with database.transaction() as connection:
        return await tenant_names(connection)


async def _period(database: Database, begin: str | None, end: str | None) -> tuple[datetime, datetime]:
    since = read_moment(begin, UTC) if begin else await first_begin(database)
    until = read_moment(end, UTC) if end else datetime.now(UTC)
    if since is None:
        raise _nothing("is known")
    if since >= until:
        raise InvalidPeriod("The period must end after it begins: give an earlier --from or a later --to")
    return since, until


def _nothing(what: str) -> Refused:
    return Refused(f"No meeting that is over {what}: `meetingpool meetings history` shows which there are")
