"""Makes and revokes tokens of the management API, and tells whose one is.

Called by `meetingpool tokens`, the management API and the dashboard.
"""

import hashlib
import secrets
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from meetingpool.database import api_tokens
from meetingpool.database.engine import Database
from meetingpool.database.tenants import find_tenant
from meetingpool.domain.access import ApiToken, Role
from meetingpool.domain.lengths import read_length
from meetingpool.domain.refusals import Invalid, NotFound
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.operations.changes import Change

# What a token begins with, so that it is known for one wherever it turns up.
PREFIX = "mp_"
_BYTES = 32
MAX_NAME = 64
SESSION_LASTS = timedelta(hours=12)


class InvalidToken(Invalid):
    """A token that cannot be made."""


class NoSuchToken(NotFound):
    """No token has this id or name, or it was revoked already."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. `plain` is what its holder sends; nobody can read it again."""

    token: ApiToken
    plain: str = field(repr=False)


async def create_token(
    change: Change,
    name: str,
    role: Role,
    *,
    tenant: str | None = None,
    expires_at: datetime | None = None,
    registers: RegistrationRules | None = None,
) -> NewToken:
    """A new token, for `tenant`, an id or a name, if the role is that of a tenant's administrator.

    `registers`: what it may register, if the role is that of servers; they come in cordoned if nothing is said. Raises
    InvalidToken or TokenExists.
    """
    await _require_registering(change, role, registers)
    if not (name.isprintable() and 0 < len(name.strip()) <= MAX_NAME):
        raise InvalidToken(f"A token needs a name of at most {MAX_NAME} characters, which the audit shows")
    plain = PREFIX + secrets.token_urlsafe(_BYTES)
    token = await api_tokens.insert_token(
        change.connection,
        token_id=uuid.uuid4().hex[:12],
        name=name.strip(),
        digest=digest_of(plain),
        role=role,
        tenant=await _tenant_id(change, role, tenant),
        created_by=str(change.actor),
        expires_at=expires_at,
        registers=(registers or RegistrationRules()) if role is Role.SERVER else None,
    )
    expiry = token.expires_at.isoformat() if token.expires_at else None
    after: dict[str, Any] = {"id": token.id, "role": token.role, "expires_at": expiry}
    if token.registers is not None:
        after["registers"] = asdict(token.registers)
    await change.note("tokens.create", token.name, tenant=token.tenant, after=after)
    return NewToken(token, plain)


def expiry(lasts: str | None, now: float) -> datetime | None:
    """When a token expires that is to last for `lasts`, like 90d, 12h or 30m; None for ever. `now` in seconds since 1970.

    Raises InvalidToken.
    """
    if lasts is None:
        return None
    length = read_length(lasts)
    if length is None:
        raise InvalidToken("A token lasts for so many days, hours or minutes, like 90d, 12h or 30m, and 3650d at most")
    return datetime.fromtimestamp(now, UTC) + length


async def create_passing_token(change: Change, name: str, role: Role, expires_at: datetime) -> NewToken:
    """A token in the place of those that were made by this call before, which count no more: there is one by this `name`.

    For a demonstration, which shows its visitors a way in whenever it starts.
    """
    for token in await api_tokens.list_tokens(change.connection):
        if token.revoked_at is None and token.name.rpartition("-")[0] == name:
            await revoke_token(change, token.id)
    return await create_token(change, f"{name}-{secrets.token_hex(3)}", role, expires_at=expires_at)


async def revoke_token(change: Change, name: str) -> ApiToken:
    """The token with the id or the name `name` counts no more, and whoever signed in with it is out. Raises NoSuchToken."""
    known = [token for token in await api_tokens.list_tokens(change.connection) if name in (token.id, token.name)]
    revoked = await api_tokens.revoke_token(change.connection, known[0].id) if known else None
    if revoked is None:
        raise NoSuchToken(f"No token that counts has the id or name: {name}; `meetingpool tokens list` shows them all")
    await change.note("tokens.revoke", revoked.name, tenant=revoked.tenant, before={"id": revoked.id, "role": revoked.role})
    return revoked


async def token_of(database: Database, plain: str) -> ApiToken | None:
    """Whose token `plain` is; None when it does not count. Raises DatabaseUnavailable."""
    return await api_tokens.find_valid_token(database, digest_of(plain)) if plain.startswith(PREFIX) else None


async def sign_in(change: Change, token: ApiToken) -> str:
    """Begins a session of the dashboard. Returns its cookie's value."""
    cookie = secrets.token_urlsafe(_BYTES)
    await api_tokens.insert_session(change.connection, digest_of(cookie), token.id, SESSION_LASTS)
    await change.note("sessions.begin", token.name, tenant=token.tenant)
    return cookie


async def sign_out(change: Change, cookie: str) -> None:
    """Ends a session, if there is one."""
    if await api_tokens.delete_session(change.connection, digest_of(cookie)):
        await change.note("sessions.end", change.actor.name)


async def signed_in(database: Database, cookie: str) -> ApiToken | None:
    """By which token somebody is signed in; None when nobody is. Raises DatabaseUnavailable."""
    return await api_tokens.find_signed_in(database, digest_of(cookie))


def digest_of(plain: str) -> bytes:
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


async def _require_registering(change: Change, role: Role, registers: RegistrationRules | None) -> None:
    """Raises InvalidToken for rules of another role's token, and for tokens to replace that there never were."""
    if registers is None:
        return
    if role is not Role.SERVER:
        raise InvalidToken(f"Only a token of the role {Role.SERVER} registers servers, so no other may say which and how")
    known = {token.name for token in await api_tokens.list_tokens(change.connection) if token.role is Role.SERVER}
    if missing := sorted(set(registers.replaces) - known):
        raise InvalidToken(f"There is no token {missing[0]} of the role {Role.SERVER} to replace: `meetingpool tokens list`")


async def _tenant_id(change: Change, role: Role, tenant: str | None) -> str | None:
    if (role is Role.TENANT_ADMIN) is not (tenant is not None):
        raise InvalidToken(f"A token of the role {Role.TENANT_ADMIN} needs a tenant, and no other may have one")
    if tenant is None:
        return None
    known = await find_tenant(change.connection, tenant)
    if known is None:
        raise InvalidToken(f"No tenant found with id or name: {tenant}; `meetingpool tenants list` shows them all")
    return known.id
