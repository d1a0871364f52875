"""Who leads: a row with an expiry by the database's clock and an epoch that grows with every new leader.

A lock without a fence is not a lock: each write of the leader first calls `fence`, so that a leader which was paused or cut off
writes nothing once another has taken over.
"""

from meetingpool.database.engine import Connection

_ACQUIRE = """
    INSERT INTO leases (name, holder, epoch, expires_at)
    VALUES ($1, $2, 1, now() + make_interval(secs => $3))
    ON CONFLICT (name) DO UPDATE SET
        holder = excluded.holder,
        epoch = leases.epoch + CASE WHEN leases.holder = excluded.holder AND leases.expires_at > now() THEN 0 ELSE 1 END,
        expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at <= now()
    RETURNING epoch
"""

_RELEASE = "UPDATE leases SET expires_at = now() WHERE name = $1 AND holder = $2 AND epoch = $3"

# A lease that ran out is as good as lost, even if nobody has taken it yet: whoever stood still that long knows nothing any more.
_FENCE = "SELECT 1 FROM leases WHERE name = $1 AND epoch = $2 AND expires_at > now() FOR SHARE"


class StaleEpoch(Exception):
    """Another process leads by now; nothing was written."""


async def acquire_lease(connection: Connection, name: str, holder: str, seconds: float) -> int | None:
    """Takes or renews the lease `name` for `seconds`. Returns its epoch, or None while another holds it."""
    epoch: int | None = await connection.fetchval(_ACQUIRE, name, holder, seconds)
    return epoch


async def release_lease(connection: Connection, name: str, holder: str, epoch: int) -> None:
    """Gives the lease back, so that another need not wait for its expiry."""
    await connection.execute(_RELEASE, name, holder, epoch)


async def fence(connection: Connection, name: str, epoch: int) -> None:
    """Keeps `epoch` the current one until this transaction ends. Raises StaleEpoch when it no longer is."""
    if await connection.fetchval(_FENCE, name, epoch) is None:
        raise StaleEpoch(f"epoch {epoch} of {name} is over")
