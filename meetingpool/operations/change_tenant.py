"""Adds, changes and removes tenants. Called by `meetingpool tenants`.

What is given is checked here, so that whoever asks for a change is refused with the same sentence.
"""

import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from meetingpool.bbb.checksum import Algorithm
from meetingpool.database.api_tokens import revoke_tokens_of
from meetingpool.database.engine import Connection
from meetingpool.database.meetings import all_meetings
from meetingpool.database.tenants import (
    TenantExists,
    all_tenants,
    delete_tenant,
    find_tenant,
    insert_tenant,
    lock_tenant,
    update_tenant,
)
from meetingpool.domain.meetings import Meeting, MeetingState
from meetingpool.domain.refusals import Conflict, NotFound
from meetingpool.domain.regions import checked_region
from meetingpool.domain.tenants import (
    InvalidTenant,
    LrsAccess,
    Tenant,
    checked_id,
    checked_limit,
    checked_name,
    checked_secrets,
)
from meetingpool.operations.change_server import InvalidServer, checked_tags
from meetingpool.operations.changes import HIDDEN, Change
from meetingpool.outward.errors import ForbiddenAddress
from meetingpool.outward.targets import AllowList, read_host_pattern, require_allowed

SECRET_BYTES = 32
_RUNNING = (MeetingState.RESERVING, MeetingState.LIVE, MeetingState.UNKNOWN)
_NAMED_AT_MOST = 5
# Administrators may point inside the network.
_EVERYWHERE = ("0.0.0.0/0", "::/0")
# What the audit keeps of a tenant that comes or goes.
_DESCRIBED = ("name", "checksum_algorithms", "server_tags", "max_meetings", "max_users", "callback_hosts", "lrs", "region")


class NoSuchTenant(NotFound):
    """No tenant has this id or name."""


class TenantInUse(Conflict):
    """Meetings of the tenant run, so it is not removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretChange:
    """What becomes of a tenant's secrets: all are replaced, or some are added and some taken away.

    `removed`: secrets, or their numbers from 1; `added_first`: before those that stay. The first secret signs what is sent to the
    tenant, and is the one that getUser hands out.
    """

    replacement: Sequence[str] = ()
    added: Sequence[str] = ()
    removed: Sequence[int | str] = ()
    added_first: bool = False

    def __bool__(self) -> bool:
        return bool(self.replacement or self.added or self.removed)


def new_secret() -> str:
    return secrets.token_hex(SECRET_BYTES)


def new_tenant(name: str, given: Sequence[str], values: dict[str, Any], *, tenant_id: str | None = None) -> Tenant:
    """A tenant with the secrets `given` and the checked `values`, and a random id unless it has one. Raises InvalidTenant."""
    own_id = str(uuid.uuid4()) if tenant_id is None else checked_id(tenant_id)
    return Tenant(**values | {"id": own_id, "name": checked_name(name), "secrets": _checked_secrets(given)})


def checked_values(
    *,
    name: str | None = None,
    checksum_algorithms: Collection[str] = (),
    server_tags: Collection[str] = (),
    max_meetings: int | None = None,
    max_users: int | None = None,
    callback_hosts: Collection[str] = (),
    lrs: LrsAccess | None = None,
    region: str | None = None,
) -> dict[str, Any]:
    """The given values by their field, what is empty left out. Raises InvalidTenant or InvalidRegion with what is allowed."""
    given = {
        "name": None if name is None else checked_name(name),
        "checksum_algorithms": frozenset(map(_checked_algorithm, checksum_algorithms)) or None,
        "server_tags": _checked_tags(server_tags) or None,
        "max_meetings": checked_limit(max_meetings, "meetings"),
        "max_users": checked_limit(max_users, "users"),
        "callback_hosts": tuple(sorted(set(map(_checked_host, callback_hosts)))) or None,
        "lrs": _checked_lrs(lrs) if lrs else None,
        "region": checked_region(region or ""),
    }
    return {field: value for field, value in given.items() if value is not None}


async def tenant_named(connection: Connection, name: str) -> Tenant:
    """The tenant with the id or the name `name`. Raises NoSuchTenant with what to do."""
    if tenant := await find_tenant(connection, name):
        return tenant
    raise NoSuchTenant(f"No tenant found with id or name: {name}; `meetingpool tenants list` shows them all")


async def tenant_id_of(connection: Connection, tenant: str | None) -> str | None:
    """The id of the tenant with this id or name. One that was removed has its id only."""
    known = await find_tenant(connection, tenant) if tenant else None
    return known.id if known else tenant


async def locked_tenant(connection: Connection, name: str) -> Tenant:
    """As `tenant_named`; nobody else changes the tenant until the transaction ends."""
    await lock_tenant(connection, (await tenant_named(connection, name)).id)
    # It may have been changed while the lock was waited for.
    return await tenant_named(connection, name)


async def add_tenant(change: Change, tenant: Tenant) -> None:
    """Raises TenantExists."""
    await _require_distinct(change.connection, tenant.id, tenant.name)
    await insert_tenant(change.connection, tenant)
    await change.note("tenants.add", tenant.id, tenant=tenant.id, after=_described(tenant, _DESCRIBED))


async def change_tenant(change: Change, name: str, values: dict[str, Any], secrets: SecretChange) -> Tenant:
    """Gives a tenant the checked `values`, None for what it is to be without, and other secrets. Returns it as it was.

    Raises NoSuchTenant, TenantExists, or InvalidTenant when no secret would be left.
    """
    tenant = await locked_tenant(change.connection, name)
    if renamed := values.get("name"):
        await _require_distinct(change.connection, tenant.id, renamed)
    changed = values | ({"secrets": changed_secrets(tenant, secrets)} if secrets else {})
    await update_tenant(change.connection, tenant.id, {field: _as_column(value) for field, value in changed.items()})
    before, after = _described(tenant, changed), _described(replace(tenant, **changed), changed)
    await change.note("tenants.set", tenant.id, tenant=tenant.id, before=before, after=after)
    return tenant


async def remove_tenant(change: Change, name: str) -> Tenant:
    """Removes a tenant with its rules, and revokes its tokens. Returns it. Raises NoSuchTenant or TenantInUse."""
    tenant = await locked_tenant(change.connection, name)
    await require_unused(change.connection, tenant)
    await delete_tenant(change.connection, tenant.id)
    await revoke_tokens_of(change.connection, tenant.id)
    await change.note("tenants.remove", tenant.id, tenant=tenant.id, before=_described(tenant, _DESCRIBED))
    return tenant


async def require_unused(connection: Connection, tenant: Tenant) -> None:
    """Raises TenantInUse while meetings of the tenant run."""
    running = [
        meeting for meeting in await all_meetings(connection) if meeting.key.tenant == tenant.id and meeting.state in _RUNNING
    ]
    if running:
        raise TenantInUse(
            f"Tenant {tenant.name} is not removed, because its meetings run ({_names_of(running)}): let no more begin with "
            f"`meetingpool tenants set {tenant.name} --max-meetings 0`, and wait until they are over, "
            f"or end them with `meetingpool meetings end --all --tenant {tenant.name}`"
        )


def changed_secrets(tenant: Tenant, change: SecretChange) -> tuple[str, ...]:
    """The tenant's secrets after `change`. Raises InvalidTenant."""
    gone = {_removed(tenant, wanted) for wanted in change.removed}
    kept = [secret for secret in (change.replacement or tenant.secrets) if secret not in gone]
    if not kept and not change.added:
        raise InvalidTenant(f"Tenant {tenant.name} would be left without a secret: give it another one first, with --add-secret")
    return _checked_secrets([*change.added, *kept] if change.added_first else [*kept, *change.added])


def _removed(tenant: Tenant, wanted: int | str) -> str:
    if isinstance(wanted, str):
        if wanted in tenant.secrets:
            return wanted
        raise InvalidTenant(f"Tenant {tenant.name} does not have the secret that is to be removed")
    if not 1 <= wanted <= len(tenant.secrets):
        raise InvalidTenant(
            f"Tenant {tenant.name} has no secret with the number {wanted}; they go from 1 to {len(tenant.secrets)}"
        )
    return tenant.secrets[wanted - 1]


def _described(tenant: Tenant, fields: Collection[str]) -> dict[str, Any]:
    """What the audit keeps of a tenant: of secrets, how many there are; of learning records, where they go."""
    plain: dict[str, Any] = {}
    for field in fields:
        value = getattr(tenant, field)
        if field == "secrets":
            plain["secrets"] = f"{len(value)}, {HIDDEN}"
        else:
            plain[field] = value.endpoint if isinstance(value, LrsAccess) else _as_column(value)
    return plain


def _as_column(value: object) -> object:
    match value:
        case frozenset() | tuple():
            return list(value)
        case LrsAccess():
            return asdict(value)
        case _:
            return value


async def _require_distinct(connection: Connection, tenant_id: str, name: str) -> None:
    """Raises TenantExists when what one tenant is called would be the id of another."""
    for other in await all_tenants(connection):
        if other.id != tenant_id and (other.id.lower() == name or other.name == tenant_id.lower()):
            raise TenantExists(f"Tenant {other.name} is called so already: its id is {other.id}")


def _checked_secrets(given: Sequence[str]) -> tuple[str, ...]:
    if not all(secret.strip() for secret in given):
        raise InvalidTenant("A secret must not be empty")
    return checked_secrets(tuple(given))


def _checked_algorithm(algorithm: str) -> Algorithm:
    try:
        return Algorithm(algorithm.lower())
    except ValueError:
        raise InvalidTenant(f"The checksum algorithm must be one of {', '.join(Algorithm)}") from None


def _checked_tags(tags: Collection[str]) -> frozenset[str]:
    try:
        return frozenset(checked_tags(tags))
    except InvalidServer as error:
        raise InvalidTenant(str(error)) from None


def _checked_host(host: str) -> str:
    try:
        return read_host_pattern(host)
    except ValueError as error:
        raise InvalidTenant(f"Callbacks cannot go there: {error}") from None


def _checked_lrs(lrs: LrsAccess) -> LrsAccess:
    if not all(text.isprintable() for text in asdict(lrs).values()):
        raise InvalidTenant("What is said about learning records must not hold control characters")
    by_password = (lrs.username, lrs.password)
    by_token = (lrs.token_url, lrs.client_id, lrs.client_secret, lrs.token_username, lrs.token_password)
    _require_web_address(lrs.endpoint)
    if all(by_password) == all(by_token) or (any(by_password) and any(by_token)):
        raise InvalidTenant(
            "Learning records need either a user name and a password, or a token URL, the client's id and secret, "
            "and a user name and password for the token"
        )
    if lrs.uses_token:
        _require_callable(lrs.token_url)
    return lrs


def _require_web_address(endpoint: str) -> None:
    """The servers call it, wherever it is."""
    try:
        parts = urlsplit(endpoint)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_usable = False
    if not is_usable or " " in endpoint:
        raise InvalidTenant(
            "The endpoint for learning records must start with http:// or https://, name a host, and hold no user name"
        )


def _require_callable(token_url: str) -> None:
    try:
        require_allowed(token_url, AllowList.read(_EVERYWHERE))
    except ForbiddenAddress as error:
        raise InvalidTenant(f"The token URL for learning records cannot be used: {error}") from None


def _names_of(meetings: Sequence[Meeting]) -> str:
    names = ", ".join(meeting.key.meeting_id for meeting in meetings[:_NAMED_AT_MOST])
    return f"{names} and {len(meetings) - _NAMED_AT_MOST} more" if len(meetings) > _NAMED_AT_MOST else names
