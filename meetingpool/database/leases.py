"""Who leads: a row with an expiry by the database's clock and an epoch that grows with every new leader.

A lock without a fence is not a lock: each write of the leader first calls `fence`, so that a leader which was paused or cut off
writes nothing once another has taken over.
"""

from sqlalchemy import text

from meetingpool.database.engine import Connection

_ACQUIRE = text("""
    INSERT INTO leases (name, holder, epoch, expires_at)
    VALUES (:name, :holder, 1, now() + make_interval(secs => :seconds))
    ON CONFLICT (name) DO UPDATE SET
        holder = excluded.holder,
        epoch = leases.epoch + CASE WHEN leases.holder = excluded.holder AND leases.expires_at > now() THEN 0 ELSE 1 END,
        expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at <= now()
    RETURNING epoch
""")

_RELEASE = text("UPDATE leases SET expires_at = now() WHERE name = :name AND holder = :holder AND epoch = :epoch")

# A lease that ran out is as good as lost, even if nobody has taken it yet: whoever stood still that long knows nothing any more.
_FENCE = text("SELECT 1 FROM leases WHERE name = :name AND epoch = :epoch AND expires_at > now() FOR SHARE")


class StaleEpoch(Exception):
    """Another process leads by now; nothing was written."""


async def acquire_lease(connection: Connection, name: str, holder: str, seconds: float) -> int | None:
    """Takes or renews the lease `name` for `seconds`. Returns its epoch, or None while another holds it."""
    row = (await connection.execute(_ACQUIRE, {"name": name, "holder": holder, "seconds": seconds})).first()
    return row.epoch if row else None


async def release_lease(connection: Connection, name: str, holder: str, epoch: int) -> None:
    """Gives the lease back, so that another need not wait for its expiry."""
    await connection.execute(_RELEASE, {"name": name, "holder": holder, "epoch": epoch})


async def fence(connection: Connection, name: str, epoch: int) -> None:
    """Keeps `epoch` the current one until this transaction ends. Raises StaleEpoch when it no longer is."""
    if (await connection.execute(_FENCE, {"name": name, "epoch": epoch})).first() is None:
        raise StaleEpoch(f"epoch {epoch} of {name} is over")
