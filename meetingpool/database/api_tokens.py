"""Tokens of the management API, and the sessions of people who signed in to the dashboard with one, as rows.

What is kept is SHA-256 of the token or of the session's cookie: both are random, 256 bits, so that nothing slower is needed.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from meetingpool.database.engine import Connection, Database, Record, Taken, affected
from meetingpool.domain.access import ApiToken, Role
from meetingpool.domain.refusals import Conflict
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.servers import AdminState

# How exactly it is known when a token was used last, so that not every request writes.
_USE_IS_WRITTEN_EVERY = timedelta(minutes=1)

_COLUMNS = "id, name, role, tenant, created_at, created_by, expires_at, last_used_at, revoked_at, registers"
_LIST = f"SELECT {_COLUMNS} FROM api_tokens ORDER BY revoked_at IS NOT NULL, name"
_INSERT = f"""
    INSERT INTO api_tokens (id, name, digest, role, tenant, created_by, expires_at, registers)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    RETURNING {_COLUMNS}
"""
# One for a tenant counts as long as there is the tenant.
_IS_VALID = """
    revoked_at IS NULL AND (api_tokens.expires_at IS NULL OR api_tokens.expires_at > now())
    AND (tenant IS NULL OR EXISTS (SELECT FROM tenants WHERE tenants.id = api_tokens.tenant))
"""
_FIND_VALID = f"SELECT {_COLUMNS} FROM api_tokens WHERE digest = $1 AND {_IS_VALID}"
_COUNTS = f"SELECT id FROM api_tokens WHERE id = $1 AND {_IS_VALID}"
_FIND_SIGNED_IN = f"""
    SELECT {", ".join(f"api_tokens.{column}" for column in _COLUMNS.split(", "))}
    FROM dashboard_sessions JOIN api_tokens ON api_tokens.id = token_id
    WHERE dashboard_sessions.digest = $1 AND dashboard_sessions.expires_at > now() AND {_IS_VALID}
"""
_NOTE_USE = """
    UPDATE api_tokens SET last_used_at = now() WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - $2::interval)
"""
_REVOKE = f"UPDATE api_tokens SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING {_COLUMNS}"
_REVOKE_OF = "UPDATE api_tokens SET revoked_at = now() WHERE tenant = $1 AND revoked_at IS NULL"
_SIGN_IN = """
    INSERT INTO dashboard_sessions (digest, token_id, expires_at) VALUES ($1, $2, now() + $3::interval)
"""
_SIGN_OUT = "DELETE FROM dashboard_sessions WHERE digest = $1"
_PURGE_SESSIONS = "DELETE FROM dashboard_sessions WHERE expires_at < now()"


class TokenExists(Conflict):
    """There is a token with this name already, or there was: entries of the audit name it."""


async def list_tokens(connection: Connection) -> list[ApiToken]:
    """All that there ever were, those that were revoked last."""
    return [_token(row) for row in await connection.fetch(_LIST)]


async def insert_token(
    connection: Connection,
    *,
    token_id: str,
    name: str,
    digest: bytes,
    role: Role,
    tenant: str | None,
    created_by: str,
    expires_at: datetime | None,
    registers: RegistrationRules | None = None,
) -> ApiToken:
    """Raises TokenExists."""
    rules = None if registers is None else asdict(registers)
    try:
        row = await connection.fetchrow(_INSERT, token_id, name, digest, role, tenant, created_by, expires_at, rules)
    except Taken as error:
        raise TokenExists(f"There is a token {name} already, or there was: choose another name") from error
    return _token(row)


async def revoke_token(connection: Connection, token_id: str) -> ApiToken | None:
    """The token, which counts no more from now on; None when it did not count before."""
    row = await connection.fetchrow(_REVOKE, token_id)
    return _token(row) if row else None


async def revoke_tokens_of(connection: Connection, tenant: str) -> int:
    """None of a tenant's tokens counts any more. Returns how many did."""
    return affected(await connection.execute(_REVOKE_OF, tenant))


async def token_counts(database: Database, token_id: str) -> bool:
    """Whether the token counts now. Raises DatabaseUnavailable."""
    return await database.statement(_COUNTS, token_id) is not None


async def find_valid_token(database: Database, digest: bytes) -> ApiToken | None:
    """The token with this digest, if it counts now. Raises DatabaseUnavailable."""
    return await _used(database, await database.statement(_FIND_VALID, digest))


async def find_signed_in(database: Database, digest: bytes) -> ApiToken | None:
    """The token by which somebody signed in, by the digest of the cookie, if both count now. Raises DatabaseUnavailable."""
    return await _used(database, await database.statement(_FIND_SIGNED_IN, digest))


async def insert_session(connection: Connection, digest: bytes, token_id: str, lasts: timedelta) -> None:
    """Signs in, and forgets those whose time is over."""
    await connection.execute(_PURGE_SESSIONS)
    await connection.execute(_SIGN_IN, digest, token_id, lasts)


async def delete_session(connection: Connection, digest: bytes) -> bool:
    """Signs out. Returns whether anybody was signed in."""
    return affected(await connection.execute(_SIGN_OUT, digest)) > 0


async def _used(database: Database, row: Record | None) -> ApiToken | None:
    if row is None:
        return None
    token = _token(row)
    await database.statement(_NOTE_USE, token.id, _USE_IS_WRITTEN_EVERY)
    return token


def _token(row: Record) -> ApiToken:
    kept = row["registers"]
    return ApiToken(**dict(row) | {"role": Role(row["role"]), "registers": None if kept is None else _rules(kept)})


def _rules(kept: dict[str, Any]) -> RegistrationRules:
    """Of JSON, which has lists only."""
    several = {name: tuple(value) for name, value in kept.items() if isinstance(value, list)}
    return RegistrationRules(**kept | several | {"enters": AdminState(kept["enters"])})
