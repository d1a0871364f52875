"""Looks at the database: is it there, is it the right one, does its clock agree with ours. Called by `meetingpool doctor`."""

from meetingpool.clock import Clock
from meetingpool.database.checkup import Checkup, check_up
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.revision import WrongRevision, needed_revision, require_revision
from meetingpool.database.sealed_secrets import SecretsUnreadable, require_secrets
from meetingpool.operations.diagnosis import Area, Finding

_AREA = Area("database")
_OLDEST = 130000
# In seconds.
_MOST_SKEW = 5.0
_MOST_DELAY = 0.05
_FULL = 0.9


async def diagnose_database(database: Database, clock: Clock) -> tuple[list[Finding], bool]:
    """The findings, and whether the database can be asked for more."""
    try:
        # The first statement opens the connection, which takes longer than any other.
        await check_up(database)
        sent = clock.epoch()
        seen = await check_up(database)
        received = clock.epoch()
    except DatabaseUnavailable as error:
        reason = type(error.__cause__).__name__ if error.__cause__ else "no reason was given"
        advice = "check that PostgreSQL runs, that MEETINGPOOL_DATABASE_URL is right, and that nothing between blocks the way"
        return [_AREA.problem("connection", f"the database does not answer ({reason})", advice)], False
    found = [_connection(seen, received - sent), _clock(seen.now - (sent + received) / 2), *_oddities(seen)]
    schema, is_usable = await _schema(database)
    return [*found, *schema], is_usable


async def _schema(database: Database) -> tuple[list[Finding], bool]:
    try:
        await require_revision(database)
    except WrongRevision as error:
        sentence, _, advice = str(error).partition(": ")
        return [_AREA.problem("schema", sentence, advice)], False
    right = _AREA.fine("schema", f"it is at revision {needed_revision()}, which this version needs")
    try:
        await require_secrets(database)
    except SecretsUnreadable as error:
        return [right, _AREA.problem("secrets", str(error), "give this process the key; docs/secrets.md says how")], False
    return [right, _AREA.fine("secrets", "the keys of the settings open all of them")], True


def _connection(seen: Checkup, delay: float) -> Finding:
    said = f"PostgreSQL {seen.version} answers within {1000 * delay:.1f} ms"
    if seen.version_number < _OLDEST:
        return _AREA.problem("connection", said, "upgrade to PostgreSQL 13 or newer")
    if delay > _MOST_DELAY:
        return _AREA.note("connection", said, "put the database nearer: each create waits for it several times")
    return _AREA.fine("connection", said)


def _clock(skew: float) -> Finding:
    said = f"its clock and ours are {abs(skew):.1f} s apart"
    if abs(skew) > _MOST_SKEW:
        return _AREA.problem("clock", said, "let an NTP client such as chrony set the clocks of both machines")
    return _AREA.fine("clock", said)


def _oddities(seen: Checkup) -> list[Finding]:
    found = []
    if seen.is_replica:
        advice = "let MEETINGPOOL_DATABASE_URL name the primary, or add target_session_attrs=read-write to it"
        found.append(_AREA.problem("role", "it is a replica, which nobody can write to", advice))
    if seen.connections > _FULL * seen.most_connections:
        said = f"{seen.connections} of its {seen.most_connections} connections are in use"
        found.append(_AREA.problem("connections", said, "raise max_connections, or find out which program holds so many"))
    return found
