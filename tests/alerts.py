"""Alerts for tests: an address that is told of everything, and what is on its way to it."""

import json
from typing import Any

from meetingpool.database.engine import Database
from meetingpool.domain.alerts import AlertHook, AlertKind
from meetingpool.operations.alert_hooks import add_hook
from meetingpool.operations.changes import changing
from tests.actors import SOMEBODY

SECRET = "the-secret-of-the-address"


async def added_hook(database: Database, url: str = "https://alerts.example/hook", *kinds: AlertKind) -> AlertHook:
    """An address that is told of `kinds`, or of everything; it may be on this machine."""
    async with changing(database, SOMEBODY) as change:
        return await add_hook(change, url, secret=SECRET, kinds=kinds, allowed=["127.0.0.0/8"])


async def told(database: Database) -> list[dict[str, Any]]:
    """What was told, or is to be, in its order."""
    async with database.transaction() as connection:
        rows = await connection.fetch("SELECT payload FROM outbox WHERE kind = 'alert' ORDER BY id")
    return [json.loads(row["payload"]["body"]) for row in rows]


async def kinds_told(database: Database) -> list[tuple[str, str]]:
    """Kinds and subjects of all that was told."""
    return [(alert["kind"], alert["subject"]) for alert in await told(database)]
