"""Archives on their way into the library: claimed from a spool directory, imported by one worker at a time, kept for a while.

Whoever takes a row has it for the time of a lease. `holder` and `attempts` tell its try from all others: what a worker
writes that stood still for too long matches no row. Called by the recordings worker and `meetingpool recordings`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from meetingpool.database.engine import Connection, Record, affected
from meetingpool.metrics import IMPORT_BOUNDS

LEASE_SECONDS = 60.0
# Rows of archives that are in the library.
KEPT_DAYS = 30

_COLUMNS = """id, spool, name, file, size, mtime_ns, state, attempts, holder, reason, detail, record_ids, bytes_done, files_done,
    tenant, is_forced, claimed_at, finished_at, next_attempt_at, extract(epoch FROM now() - seen_at)::float8 AS quiet_for,
    coalesce(extract(epoch FROM now() - failing_since), 0)::float8 AS failing_for"""

_ADD = f"""
    INSERT INTO imports (spool, name, file, size, mtime_ns, seen_at, tenant, is_forced)
    VALUES ($1, $2, $3, $4, $5, now() - make_interval(secs => $6), $7, $8)
    ON CONFLICT (file) DO NOTHING
    RETURNING {_COLUMNS}
"""
_TAKE = f"""
    UPDATE imports SET state = 'working', attempts = attempts + 1, holder = $1, bytes_done = 0, files_done = 0,
        lease_until = now() + make_interval(secs => $2), next_attempt_at = now() + make_interval(secs => $2)
    WHERE id = (
        SELECT id FROM imports
        WHERE state IN ('waiting', 'working') AND next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now())
            AND ($3::bigint IS NULL OR id = $3)
        ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING {_COLUMNS}
"""
# These match no row when another worker has taken it since.
_OWN = "id = $1 AND attempts = $2 AND holder = $3 AND state = 'working'"
_KEEP = f"""
    UPDATE imports SET bytes_done = $4, files_done = $5,
        lease_until = now() + make_interval(secs => $6), next_attempt_at = now() + make_interval(secs => $6)
    WHERE {_OWN} RETURNING id
"""
_REGISTER = f"UPDATE imports SET record_ids = $4, formats = $5 WHERE {_OWN} RETURNING id"
_FINISH = f"""
    WITH done AS (
        UPDATE imports SET state = 'done', finished_at = now(), lease_until = NULL, holder = NULL, reason = NULL, detail = NULL
        WHERE {_OWN} RETURNING extract(epoch FROM now() - claimed_at)::float8 AS seconds
    )
    INSERT INTO import_seconds AS known (up_to, imports, seconds)
    SELECT coalesce((SELECT min(bound) FROM unnest($4::float8[]) AS bound WHERE bound >= seconds), 'infinity'), 1, seconds
    FROM done
    ON CONFLICT (up_to) DO UPDATE SET imports = known.imports + 1, seconds = known.seconds + excluded.seconds
"""
_POSTPONE = f"""
    UPDATE imports SET state = 'waiting', lease_until = NULL, holder = NULL, reason = $5, detail = $6,
        next_attempt_at = now() + make_interval(secs => $4), failing_since = coalesce(failing_since, now())
    WHERE {_OWN}
"""
_SEEN = f"""
    UPDATE imports SET state = 'waiting', lease_until = NULL, holder = NULL, size = $5, mtime_ns = $6, seen_at = now(),
        next_attempt_at = now() + make_interval(secs => $4), failing_since = NULL
    WHERE {_OWN}
"""
_QUARANTINE = f"""
    UPDATE imports SET state = 'quarantined', finished_at = now(), lease_until = NULL, holder = NULL, reason = $4, detail = $5
    WHERE {_OWN}
"""
_RELEASE = f"""
    UPDATE imports SET state = 'waiting', attempts = attempts - 1, lease_until = NULL, holder = NULL, next_attempt_at = now()
    WHERE {_OWN}
"""

_LATER_FORMATS = "SELECT DISTINCT unnest(formats) AS format FROM imports WHERE id > $1 AND record_ids @> ARRAY[$2]"
_LOOKED = """
    INSERT INTO spool_looks (directory, unclaimed, looked_at) VALUES ($1, $2, now())
    ON CONFLICT (directory) DO UPDATE SET unclaimed = excluded.unclaimed, looked_at = excluded.looked_at
"""
_FILES = "SELECT file FROM imports WHERE spool = $1 AND state <> 'done'"
_LIST = f"SELECT {_COLUMNS} FROM imports WHERE state = ANY($1::text[]) ORDER BY id"
_FIND = f"SELECT {_COLUMNS} FROM imports WHERE id = ANY($1::bigint[]) ORDER BY id"
_RETRY = """
    UPDATE imports SET state = 'waiting', attempts = 0, next_attempt_at = now(), finished_at = NULL, failing_since = NULL,
        reason = NULL, detail = NULL, tenant = coalesce($2, tenant), is_forced = is_forced OR $3
    WHERE id = ANY($1::bigint[]) AND state IN ('waiting', 'quarantined') RETURNING id
"""
_DROP = "DELETE FROM imports WHERE id = $1 AND state = 'quarantined'"
_PURGE = "DELETE FROM imports WHERE state = 'done' AND finished_at < now() - make_interval(days => $1)"
_EXPIRED = """
    SELECT id FROM imports WHERE state = 'quarantined' AND reason = $1 AND finished_at < now() - make_interval(days => $2)
"""


class ImportState(StrEnum):
    """`working`: a worker has it; `done`: it is in the library, and its archive is gone."""

    WAITING = "waiting"
    WORKING = "working"
    QUARANTINED = "quarantined"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An archive. `name`: as it was delivered, `file`: as it was claimed; `size` in bytes; `holder`: the worker that has it.

    `quiet_for`: seconds since it was seen to change; `failing_for`: seconds since the first of the tries that failed.
    """

    id: int
    spool: Path
    name: str
    file: str
    size: int
    mtime_ns: int
    state: ImportState
    attempts: int
    holder: str | None
    reason: str | None
    detail: str | None
    record_ids: tuple[str, ...]
    bytes_done: int
    files_done: int
    tenant: str | None
    is_forced: bool
    claimed_at: datetime
    finished_at: datetime | None
    next_attempt_at: datetime
    quiet_for: float
    failing_for: float


class LeaseLost(Exception):
    """Another worker has taken the archive since; nothing was written."""


async def add_import(
    connection: Connection,
    *,
    spool: Path,
    name: str,
    file: str,
    size: int,
    mtime_ns: int,
    quiet_for: float,
    tenant: str | None = None,
    is_forced: bool = False,
) -> Import | None:
    """A row for a claimed archive; None when there is one. `quiet_for`: seconds for which it is known not to have changed."""
    row = await connection.fetchrow(_ADD, str(spool), name, file, size, mtime_ns, quiet_for, tenant, is_forced)
    return _import(row) if row else None


async def take_import(connection: Connection, holder: str, import_id: int | None = None) -> Import | None:
    """The next archive that is due, or the one with this id if it is, for LEASE_SECONDS."""
    row = await connection.fetchrow(_TAKE, holder, LEASE_SECONDS, import_id)
    return _import(row) if row else None


async def keep_import(connection: Connection, taken: Import, bytes_done: int, files_done: int) -> None:
    """Renews the lease and tells how far the import is. Raises LeaseLost."""
    if await connection.fetchval(_KEEP, *_own(taken), bytes_done, files_done, LEASE_SECONDS) is None:
        raise LeaseLost


async def require_lease(connection: Connection, taken: Import, contents: Collection[tuple[str, str]]) -> None:
    """Keeps other workers from the archive until the transaction ends, and notes what is in it: pairs of record id and format.

    Raises LeaseLost.
    """
    record_ids = list(dict.fromkeys(record_id for record_id, _ in contents))
    formats = [f"{record_id}/{name}" for record_id, name in contents]
    if await connection.fetchval(_REGISTER, *_own(taken), record_ids, formats) is None:
        raise LeaseLost


async def later_formats(connection: Connection, taken: Import, record_id: str) -> set[str]:
    """The formats of the recording in archives that were delivered later, and were imported all the same before this one."""
    found = [row["format"].partition("/") for row in await connection.fetch(_LATER_FORMATS, taken.id, record_id)]
    return {name for of, _, name in found if of == record_id}


async def finish_import(connection: Connection, taken: Import) -> None:
    """What it holds is in the library; how long that took is added to the figures."""
    await connection.execute(_FINISH, *_own(taken), list(IMPORT_BOUNDS))


async def postpone_import(connection: Connection, taken: Import, seconds: float, reason: str, detail: str) -> None:
    """It failed, and is tried again in so many seconds."""
    await connection.execute(_POSTPONE, *_own(taken), seconds, reason, detail)


async def note_change(connection: Connection, taken: Import, seconds: float, size: int, mtime_ns: int) -> None:
    """It was still growing: what it looks like now counts, and it is looked at again in so many seconds."""
    await connection.execute(_SEEN, *_own(taken), seconds, size, mtime_ns)


async def quarantine_import(connection: Connection, taken: Import, reason: str, detail: str) -> bool:
    """It is not tried again until somebody says so. Whether its worker still was the one to say that."""
    return affected(await connection.execute(_QUARANTINE, *_own(taken), reason, detail)) > 0


async def release_import(connection: Connection, taken: Import) -> None:
    """Its worker stops, and did not get to the end: it is due as if nobody had taken it."""
    await connection.execute(_RELEASE, *_own(taken))


async def note_look(connection: Connection, spool: Path, unclaimed: int) -> None:
    """A worker looked into a spool directory, and left so many archives there, which were not complete or not to be had."""
    await connection.execute(_LOOKED, str(spool), unclaimed)


async def claimed_files(connection: Connection, spool: Path) -> set[str]:
    """The names of the claimed archives of a spool directory that have a row."""
    return {row["file"] for row in await connection.fetch(_FILES, str(spool))}


async def list_imports(connection: Connection, states: Sequence[ImportState]) -> list[Import]:
    return [_import(row) for row in await connection.fetch(_LIST, list(states))]


async def find_imports(connection: Connection, ids: Collection[int]) -> list[Import]:
    return [_import(row) for row in await connection.fetch(_FIND, list(ids))]


async def retry_imports(
    connection: Connection, ids: Collection[int], *, tenant: str | None = None, force: bool = False
) -> list[int]:
    """Makes those due that wait or were refused. Returns which."""
    return [row["id"] for row in await connection.fetch(_RETRY, list(ids), tenant, force)]


async def drop_import(connection: Connection, import_id: int) -> bool:
    """Forgets an archive, if it is refused still. Whether it was: then its file is to go."""
    return affected(await connection.execute(_DROP, import_id)) > 0


async def expired_imports(connection: Connection, reason: str, days: int) -> list[int]:
    """Archives that were refused for this reason so many days ago."""
    return [row["id"] for row in await connection.fetch(_EXPIRED, reason, days)]


async def purge_imports(connection: Connection) -> int:
    """Drops rows of archives that have been in the library for long. Returns how many."""
    return affected(await connection.execute(_PURGE, KEPT_DAYS))


def _own(taken: Import) -> tuple[int, int, str | None]:
    return taken.id, taken.attempts, taken.holder


def _import(row: Record) -> Import:
    fields = dict(row.items())
    return Import(
        **{
            **fields,
            "spool": Path(row["spool"]),
            "state": ImportState(row["state"]),
            "record_ids": tuple(row["record_ids"]),
        }
    )
