"""Events on their way to webhooks: rows of the outbox, as many as a webhook may have, told one after the other.

Called by the gateway, which keeps them, and by the deliverer, which writes down what became of them. Rows of webhooks are locked
before those of their events, so that nobody waits in a circle.
"""

from collections import Counter
from collections.abc import Sequence

from meetingpool.database import outbox
from meetingpool.database.engine import Connection
from meetingpool.database.hooks import delete_hook
from meetingpool.database.outbox import Due
from meetingpool.domain.announcements import Announcement, AnnouncementState

# Of each webhook, at most so many events wait.
MAX_WAITING = 10_000
# A webhook that heard nothing for so long is removed.
MAX_FAILING_HOURS = 24

_DROP_OLDEST = """
    WITH last_dropped AS MATERIALIZED (
        SELECT full_one.hook_id, dropped.id
        FROM unnest($1::text[]) AS full_one (hook_id) CROSS JOIN LATERAL (
            SELECT id FROM outbox
            WHERE outbox.hook_id = full_one.hook_id AND state = 'pending' ORDER BY id DESC OFFSET $2 LIMIT 1
        ) AS dropped
    )
    UPDATE outbox SET state = 'given_up', settled_at = now(), last_error = 'too many events waited for the webhook'
    FROM last_dropped
    WHERE outbox.hook_id = last_dropped.hook_id AND outbox.id <= last_dropped.id AND state = 'pending'
    RETURNING outbox.hook_id
"""

_SUCCEEDS = "UPDATE hooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL"
_FAILS = """
    UPDATE hooks SET failing_since = coalesce(failing_since, now()) WHERE id = $1
    RETURNING failing_since < now() - make_interval(hours => $2) AS is_too_long
"""
_HOLD_NEXT = """
    UPDATE outbox SET next_attempt_at = greatest(next_attempt_at, now() + make_interval(secs => $2))
    WHERE id = (SELECT id FROM outbox WHERE hook_id = $1 AND state = 'pending' ORDER BY id LIMIT 1)
"""


async def announce_events(connection: Connection, announcements: Sequence[Announcement]) -> Counter[str]:
    """Keeps events in their order, each once. Returns how many older ones were given up for them, by the ids of their webhooks.

    The webhooks are held (`hold_hooks_of`).
    """
    if not await outbox.announce_all(connection, announcements):
        return Counter()
    hook_ids = sorted({announcement.hook_id for announcement in announcements if announcement.hook_id})
    return Counter(row["hook_id"] for row in await connection.fetch(_DROP_OLDEST, hook_ids, MAX_WAITING))


async def mark_told(connection: Connection, due: Due) -> None:
    await connection.execute(_SUCCEEDS, due.hook_id)
    await outbox.mark_delivered(connection, due)


async def tell_later(connection: Connection, due: Due, seconds: float, error: str) -> None:
    """It is tried again in so many seconds, and whatever waits behind it waits too."""
    await connection.execute(_FAILS, due.hook_id, MAX_FAILING_HOURS)
    await outbox.postpone(connection, due, seconds, error)


async def give_up(connection: Connection, due: Due, seconds: float, error: str) -> bool:
    """It is not tried again, and what waits behind it not before so many seconds.

    True when the webhook is removed with it, since it has heard nothing for too long.
    """
    is_too_long = await connection.fetchval(_FAILS, due.hook_id, MAX_FAILING_HOURS)
    is_removed = bool(is_too_long) and await delete_hook(connection, due.tenant, due.hook_id or "")
    await outbox.settle(connection, due, AnnouncementState.GIVEN_UP, error)
    await connection.execute(_HOLD_NEXT, due.hook_id, seconds)
    return is_removed
