"""/tokens: who may use this API and the dashboard; and /whoami."""

from datetime import datetime
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import Page
from gateway.management_api.meetings import TenantName
from gateway.management_api.servers import Region, Tags
from meetingpool.database.api_tokens import list_tokens as tokens_in
from meetingpool.domain.access import PERMISSIONS, Permission, Role
from meetingpool.domain.servers import AdminState
from meetingpool.operations import api_tokens
from meetingpool.operations.api_tokens import MAX_NAME, expiry
from meetingpool.operations.records import TokenRecord, tenant_names, token_record
from meetingpool.operations.registration_rules import registration_rules


class NewRules(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a token of the role server may register. `enters`: the state in which servers come.

    `hosts`: where they may be, as `*.example.org` or `10.20.0.0/16`; none: anywhere, by HTTPS. `tags`, `region` and
    `load_multiplier`: of all of them; null: as each says. `replaces`: tokens whose servers it takes over.
    """

    enters: AdminState = AdminState.CORDONED
    hosts: Tags = []
    tags: Tags | None = None
    region: Region | None = None
    load_multiplier: float | None = None
    replaces: Tags = []


class NewToken(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A token to make. `tenant`: for the role tenant-admin; `registers`: for the role server.

    `expires_in`: like 90d, 12h or 30m; without, it never expires.
    """

    name: Annotated[str, Meta(max_length=MAX_NAME)]
    role: Role
    tenant: TenantName | None = None
    expires_in: Annotated[str, Meta(max_length=20, examples=["90d"])] | None = None
    registers: NewRules | None = None


class CreatedToken(TokenRecord):
    """A token that was made. `token` is what its holder sends, and is not shown again; null after a dry run."""

    token: str | None


class Caller(TypedDict):
    """Whose token this is, and what it may do. `tenant`: the only one whose things it sees, by its name."""

    name: str
    role: Role
    tenant: str | None
    permissions: list[Permission]
    expires_at: datetime | None


async def show_caller(asked: Asked) -> Caller:
    """Whose token the request carries, and what it may do."""
    token = asked.token
    async with asked.reading() as connection:
        tenants = await tenant_names(connection)
    return {
        "name": token.name,
        "role": token.role,
        "tenant": None if token.tenant is None else tenants.get(token.tenant, token.tenant),
        "permissions": sorted(PERMISSIONS[token.role]),
        "expires_at": token.expires_at,
    }


async def list_tokens(asked: Asked) -> Page[TokenRecord]:
    """Tokens, those that were revoked last. None is shown itself."""
    async with asked.reading() as connection:
        found, tenants = await tokens_in(connection), await tenant_names(connection)
    return {"items": [token_record(token, tenants) for token in found], "next": None}


async def create_token(asked: Asked, body: NewToken) -> CreatedToken:
    """Make a token, which is shown this once."""
    expires_at = expiry(body.expires_in, asked.gateway.clock.epoch())
    registers = registration_rules(**msgspec.structs.asdict(body.registers)) if body.registers else None
    async with asked.changing() as change:
        made = await api_tokens.create_token(
            change, body.name, body.role, tenant=body.tenant, expires_at=expires_at, registers=registers
        )
        tenants = await tenant_names(change.connection)
    return {**token_record(made.token, tenants), "token": None if asked.dry_run else made.plain}


async def revoke_token(asked: Asked, token: str) -> TokenRecord:
    """Have a token count no more, and whoever signed in with it is out; by its id or name."""
    async with asked.changing() as change:
        revoked = await api_tokens.revoke_token(change, token)
        return token_record(revoked, await tenant_names(change.connection))
