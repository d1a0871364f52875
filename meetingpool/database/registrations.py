"""What a server that registers itself has in the database beside what all servers have."""

from collections.abc import Collection, Iterable

from meetingpool.database.engine import Connection, Record
from meetingpool.database.notifications import notify
from meetingpool.database.polls import mark_lost
from meetingpool.domain.servers import Server, ServerId

_IDS_LIKE = "SELECT id FROM servers WHERE id = $1 OR url = $2 ORDER BY id"
_RENEW = "UPDATE servers SET registered_until = now() + make_interval(secs => $2) WHERE id = $1"
_WRITE = """
    UPDATE servers SET admin_state = $2, registered_by = $3, registration = $4, registered_state = $5,
        registered_until = coalesce(now() + make_interval(secs => $6), registered_until)
    WHERE id = $1
"""
# Its host said so: polls would find out in a minute.
_DIE = """
    UPDATE servers SET health = 'dead', failing_since = coalesce(failing_since, now()), last_error = 'its host went down'
    WHERE id = $1
"""
_REFUSE = """
    INSERT INTO refused_registrations (token, server_id, url)
    SELECT registered_by, id, url FROM servers WHERE id = $1 AND registration IN ('held', 'lapsed')
    ON CONFLICT (token, server_id) DO UPDATE SET url = excluded.url, refused_at = now()
"""
_IS_REFUSED = "SELECT EXISTS (SELECT FROM refused_registrations WHERE token = ANY($1::text[]) AND (server_id = $2 OR url = $3))"

_IS_REVOKED = "EXISTS (SELECT FROM api_tokens t WHERE t.name = s.registered_by AND t.revoked_at IS NOT NULL)"
_RENEWALS = f"""
    SELECT registered_until > now() AS is_in_time FROM servers s
    WHERE registration IN ('held', 'lapsed') AND NOT {_IS_REVOKED}
"""
# $2: also those that answer polls.
_OVERDUE = f"""
    SELECT id FROM servers s
    WHERE registration = 'held' AND registered_until < now() - make_interval(secs => $1)
        AND ($2 OR health IN ('offline', 'dead') OR {_IS_REVOKED})
    ORDER BY id FOR UPDATE OF s
"""
# Those whose state an administrator decided are left to administrators.
_ABANDONED = """
    SELECT id FROM servers s
    WHERE registered_state IS NOT NULL AND admin_state <> 'enabled' AND CASE registration
        WHEN 'ended' THEN registered_until < now() - make_interval(secs => $1) AND (meetings = 0 OR health IN ('offline', 'dead'))
        WHEN 'lapsed' THEN registered_until < now() - make_interval(secs => $2) AND health IN ('offline', 'dead')
        ELSE false END
    ORDER BY id FOR UPDATE OF s
"""


async def ids_like(connection: Connection, server_id: ServerId, url: str) -> list[ServerId]:
    """Of the servers with this id or this URL."""
    return _ids(await connection.fetch(_IDS_LIKE, server_id, url))


async def renew_registration(connection: Connection, server_id: ServerId, *, lasts: float) -> None:
    """It holds for `lasts` seconds more; nobody else needs to know."""
    await connection.execute(_RENEW, server_id, lasts)


async def write_registration(connection: Connection, server: Server, *, lasts: float | None) -> None:
    """Writes the state of a server as its registration makes it, and how that stands.

    It holds for `lasts` seconds from now; 0: until now; None: as long as it held.
    """
    registration = server.registration
    if registration is None:
        raise ValueError(f"server {server.id} did not register itself")
    given = registration.token, registration.standing, registration.state, lasts
    await connection.execute(_WRITE, server.id, server.admin_state, *given)
    await notify(connection, "servers", [server.id])


async def write_death(connection: Connection, server_id: ServerId) -> None:
    """Nothing runs on the server any more: what was there can be created elsewhere. A poll that it answers undoes this."""
    await connection.execute(_DIE, server_id)
    await mark_lost(connection, [server_id])
    await notify(connection, "servers", [server_id])


async def refuse_registration(connection: Connection, server_id: ServerId) -> None:
    """A server that would renew its registration is not to come back with the token that it has."""
    await connection.execute(_REFUSE, server_id)


async def is_refused(connection: Connection, tokens: Collection[str], server_id: ServerId, url: str) -> bool:
    """Whether an administrator removed such a server that had registered with one of the tokens."""
    refused: bool = await connection.fetchval(_IS_REFUSED, list(tokens), server_id, url)
    return refused


async def renewals_in_time(connection: Connection) -> list[bool]:
    """Whether each registration that is to be renewed was, without those whose token was revoked."""
    return [row["is_in_time"] for row in await connection.fetch(_RENEWALS)]


async def lock_overdue(connection: Connection, *, since: float, answering: bool) -> list[ServerId]:
    """Servers that should have renewed more than `since` seconds ago; `answering`: also those that answer polls."""
    return _ids(await connection.fetch(_OVERDUE, since, answering))


async def lock_abandoned(connection: Connection, *, ended_for: float, lapsed_for: float) -> list[ServerId]:
    """Servers that went, or are silent and offline, for more than so many seconds."""
    return _ids(await connection.fetch(_ABANDONED, ended_for, lapsed_for))


def _ids(rows: Iterable[Record]) -> list[ServerId]:
    return [ServerId(row["id"]) for row in rows]
