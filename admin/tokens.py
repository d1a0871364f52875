"""What `tokens list`, `create` and `revoke` do."""

from collections.abc import Sequence

from admin.commands.arguments import Format
from admin.connection import changing
from admin.output import Column, Listing, Record, iso_time, write_record
from admin.server_changes import tell
from meetingpool.clock import SystemClock
from meetingpool.database.api_tokens import list_tokens as tokens_in
from meetingpool.database.engine import Database
from meetingpool.domain.access import Role
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.operations import api_tokens
from meetingpool.operations.records import TokenRecord, names_of, tenant_names, token_record

_COLUMNS = [
    Column("NAME", lambda token: token["name"]),
    Column("ROLE", lambda token: token["role"]),
    Column("TENANT", lambda token: token["tenant"]),
    Column("ID", lambda token: token["id"], can_be_spared=True),
    Column("CREATED BY", lambda token: token["created_by"], can_be_spared=True),
    Column("CREATED", lambda token: iso_time(token["created_at"]), can_be_spared=True),
    Column("LAST USED", lambda token: token["last_used_at"] and iso_time(token["last_used_at"])),
    Column("EXPIRES", lambda token: token["expires_at"] and iso_time(token["expires_at"])),
    Column("REVOKED", lambda token: token["revoked_at"] and iso_time(token["revoked_at"])),
    Column("SERVERS ENTER", lambda token: token["registers"] and _entry(token["registers"]), can_be_spared=True),
]


async def list_tokens(database: Database) -> Listing:
    """All that there ever were, those that were revoked last."""
    async with database.transaction() as connection:
        found, tenants = await tokens_in(connection), await tenant_names(connection)
    return Listing(
        names=names_of(TokenRecord),
        records=[token_record(token, tenants) for token in found],
        columns=_COLUMNS,
        when_empty="There are no tokens; `meetingpool tokens create` makes one",
    )


async def create_token(
    database: Database,
    name: str,
    role: Role,
    tenant: str | None,
    expires_in: str | None,
    style: Format,
    *,
    registers: RegistrationRules | None,
    dry_run: bool,
) -> None:
    """Prints the token, alone on a line or in its record. Raises InvalidToken or TokenExists."""
    expires_at = api_tokens.expiry(expires_in, SystemClock().epoch())
    async with changing(database, dry_run=dry_run) as change:
        made = await api_tokens.create_token(change, name, role, tenant=tenant, expires_at=expires_at, registers=registers)
        tenants = await tenant_names(change.connection)
    if style is not Format.TABLE:
        write_record({**token_record(made.token, tenants), "token": None if dry_run else made.plain}, style)
        return
    until = f"until {iso_time(expires_at)}" if expires_at else "until it is revoked"
    tell(f"Token {made.token.name} of the role {role} is made, and counts {until}. It is not shown again:", dry_run=dry_run)
    if not dry_run:
        print(made.plain)


async def revoke_tokens(database: Database, names: Sequence[str], *, dry_run: bool) -> None:
    """All of them, or none when one is not there. Raises NoSuchToken."""
    async with changing(database, dry_run=dry_run) as change:
        revoked = [await api_tokens.revoke_token(change, name) for name in dict.fromkeys(names)]
    for token in revoked:
        tell(f"Token {token.name} counts no more", dry_run=dry_run)


def _entry(rules: Record) -> str:
    places = ", ".join(rules["hosts"]) or "anywhere by HTTPS"
    return f"{rules['enters']}, {places}"
