"""Tells administrators what they ought to know, in the transaction of what is told.

Called wherever such a thing is written: with polls, with the outcome of an import, with a callback that is given up; and by the
leading poller once a minute, for what changes without a poll or by the mere passing of time.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from meetingpool.database import alerts
from meetingpool.database.engine import Connection
from meetingpool.database.imports import Import
from meetingpool.database.outbox import Due
from meetingpool.domain.alerts import ENDS, Alert, AlertKey, AlertKind, AlertRules, Turns, turns


async def check_pool(connection: Connection, rules: AlertRules) -> None:
    """Tells what has become of the servers and of the pool since the last time, as the database shows them now."""
    servers = await alerts.watched_servers(connection)
    changed = turns(servers, await alerts.standing_alerts(connection), rules)
    if changed != Turns():
        await _write(connection, changed)


async def recording_quarantined(connection: Connection, taken: Import, reason: str) -> None:
    """`reason` is the stable word of the refusal: its sentence may quote the archive."""
    detail = {"import": taken.id, "reason": reason}
    await alerts.announce_alerts(connection, [new_alert(AlertKind.RECORDING_QUARANTINED, taken.name, detail)])


async def callback_given_up(connection: Connection, due: Due, reason: str) -> None:
    """Tells it once of each tenant, however many of its callbacks are given up until none was for a while."""
    if await alerts.note_occurrence(connection, AlertKey(AlertKind.CALLBACK_GIVEN_UP, due.tenant)):
        detail = {"callback": due.id, "kind": due.kind, "host": due.host, "reason": reason}
        await alerts.announce_alerts(connection, [new_alert(AlertKind.CALLBACK_GIVEN_UP, due.tenant, detail)])


def new_alert(kind: AlertKind, subject: str, detail: Mapping[str, Any]) -> Alert:
    return Alert(id=uuid.uuid4().hex, kind=kind, subject=subject, detail=detail)


async def _write(connection: Connection, changed: Turns) -> None:
    begun = await alerts.begin_alerts(connection, changed.begun) if changed.begun else set()
    await alerts.mark_over(connection, changed.again, is_over=False)
    await alerts.mark_over(connection, changed.ceasing, is_over=True)
    await alerts.end_alerts(connection, changed.forgotten)
    since = await alerts.end_alerts(connection, changed.over)
    told = [new_alert(*key, changed.begun[key]) for key in changed.begun if key in begun]
    told += [new_alert(ENDS[kind], subject, {"since": moment.isoformat()}) for (kind, subject), moment in since.items()]
    await alerts.announce_alerts(connection, told)
