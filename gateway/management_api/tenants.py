"""/tenants: the front ends, where there are several, and their rules."""

from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import MAX_ID, Page
from gateway.management_api.servers import Region, Secret, Tags, Url
from meetingpool.database.engine import Connection
from meetingpool.database.tenants import all_rules, all_tenants, count_meetings
from meetingpool.domain.parameters import Operator
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.tenants import LrsAccess, Tenant, new_rule
from meetingpool.operations import change_tenant as changing_tenant
from meetingpool.operations import change_tenant_rules as changing_rules
from meetingpool.operations.change_tenant import NoSuchTenant, SecretChange, tenant_named
from meetingpool.operations.records import RuleRecord, TenantDetails, TenantRecord, rule_record, tenant_details, tenant_record

Secrets = Annotated[list[Secret], Meta(max_length=20)]
Hosts = Annotated[list[Annotated[str, Meta(max_length=300)]], Meta(max_length=200)]
Algorithms = Annotated[list[str], Meta(max_length=10)]
Text = Annotated[str, Meta(max_length=1000)]
RuleId = Annotated[int, Meta(ge=1, le=MAX_ID)]
# What a tenant can be without.
_OPTIONAL = ("checksum_algorithms", "server_tags", "max_meetings", "max_users", "callback_hosts", "region", "lrs")


class LearningRecords(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where a tenant's learning records go, and how to get in: by `username` and `password`, or by a token from Keycloak."""

    endpoint: Url
    username: Text = ""
    password: Text = ""
    token_url: Text = ""
    client_id: Text = ""
    client_secret: Text = ""
    token_username: Text = ""
    token_password: Text = ""


class NewTenant(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A tenant to add. Without `secrets` it gets one, which is in the answer."""

    name: Text
    id: str | None = None
    secrets: Secrets = []
    checksum_algorithms: Algorithms | None = None
    server_tags: Tags | None = None
    max_meetings: int | None = None
    max_users: int | None = None
    callback_hosts: Hosts | None = None
    region: Region | None = None
    lrs: LearningRecords | None = None


class SecretsChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All are replaced by `replacement`, or some are added and some removed, by their numbers from 1. The first one signs."""

    replacement: Secrets = []
    added: Secrets = []
    removed: Annotated[list[int], Meta(max_length=20)] = []
    added_first: bool = False


class TenantChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be different of a tenant; null for what it is to be without."""

    name: Text | UnsetType = UNSET
    secrets: SecretsChange | UnsetType = UNSET
    checksum_algorithms: Algorithms | UnsetType | None = UNSET
    server_tags: Tags | UnsetType | None = UNSET
    max_meetings: int | UnsetType | None = UNSET
    max_users: int | UnsetType | None = UNSET
    callback_hosts: Hosts | UnsetType | None = UNSET
    region: Region | UnsetType | None = UNSET
    lrs: LearningRecords | UnsetType | None = UNSET


class NewRule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A rule on `call`, create or join: written as `rule`, as `duration<90`; or in parts, as `operator`, `name` and `value`."""

    call: str
    rule: Text | None = None
    operator: Operator | None = None
    name: Text = ""
    value: Text = ""


class TenantSecrets(TypedDict):
    """The secrets of a tenant, the first one first; and those of its learning records, if it has any."""

    id: str
    secrets: list[str]
    lrs: NotRequired[dict[str, str]]


async def list_tenants(asked: Asked) -> Page[TenantRecord]:
    """Tenants, by their names."""
    async with asked.reading() as connection:
        found, meetings = await all_tenants(connection), await count_meetings(connection)
    own = [tenant for tenant in found if asked.token.tenant in (None, tenant.id)]
    return {"items": [tenant_record(tenant, meetings.get(tenant.id, 0)) for tenant in own], "next": None}


async def show_tenant(asked: Asked, tenant: str) -> TenantDetails:
    """A tenant, by its id or name, with its rules."""
    async with asked.reading() as connection:
        return await _details(connection, await _own(asked, connection, tenant))


async def add_tenant(asked: Asked, body: NewTenant) -> TenantDetails:
    """Add a tenant."""
    given = msgspec.structs.asdict(body)
    name, tenant_id, secrets = given.pop("name"), given.pop("id"), given.pop("secrets")
    values = changing_tenant.checked_values(**_as_checked(given))
    tenant = changing_tenant.new_tenant(name, secrets or [changing_tenant.new_secret()], values, tenant_id=tenant_id)
    async with asked.changing() as change:
        await changing_tenant.add_tenant(change, tenant)
    return tenant_details(tenant, 0, show_secrets=not (secrets or asked.dry_run))


async def change_tenant(asked: Asked, tenant: str, body: TenantChange) -> TenantDetails:
    """Change a tenant: its name, secrets, limits, region, where its meetings, callbacks and learning records go."""
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    if not given:
        raise Invalid("Say what to change of the tenant")
    secrets = _secret_change(given.pop("secrets", None))
    values = dict.fromkeys(name for name in _OPTIONAL if name in given) | changing_tenant.checked_values(**_as_checked(given))
    async with asked.changing() as change:
        changed = await changing_tenant.change_tenant(change, tenant, values, secrets)
        return await _details(change.connection, await tenant_named(change.connection, changed.id))


async def remove_tenant(asked: Asked, tenant: str) -> TenantDetails:
    """Remove a tenant with its rules and tokens; refused while its meetings run."""
    async with asked.changing() as change:
        return tenant_details(await changing_tenant.remove_tenant(change, tenant), 0)


async def show_tenant_secrets(asked: Asked, tenant: str) -> TenantSecrets:
    """The secrets of a tenant. That they were shown is kept in the audit."""
    async with asked.changing() as change:
        known = await _own(asked, change.connection, tenant)
        await change.note("tenants.show_secret", known.id, tenant=known.id)
    shown: TenantSecrets = {"id": known.id, "secrets": list(known.secrets)}
    if known.lrs:
        names = ("password", "client_secret", "token_password")
        shown["lrs"] = {name: value for name in names if (value := getattr(known.lrs, name))}
    return shown


async def list_rules(asked: Asked, tenant: str) -> Page[RuleRecord]:
    """The rules of a tenant, in the order in which they apply."""
    async with asked.reading() as connection:
        known = await _own(asked, connection, tenant)
        rules = await all_rules(connection, known.id)
    return {"items": list(map(rule_record, rules)), "next": None}


async def set_rule(asked: Asked, tenant: str, body: NewRule) -> RuleRecord:
    """Give a tenant a rule, in the place of one with the same call, operator and parameter."""
    if (body.rule is None) is (body.operator is None) or (body.rule is not None and (body.name or body.value)):
        raise Invalid("Give either the rule as it is written, or its operator, name and value")
    if body.rule is not None:
        call, rule = changing_rules.read_rule(body.call, body.rule)
    else:
        call, rule = new_rule(body.call, str(body.operator), body.name, body.value)
    async with asked.changing() as change:
        _, now, _ = await changing_rules.set_rule(change, tenant, call, rule)
    return rule_record(now)


async def remove_rule(asked: Asked, tenant: str, rule: RuleId) -> RuleRecord:
    """Take a rule from a tenant."""
    async with asked.changing() as change:
        _, (removed,) = await changing_rules.remove_rules(change, tenant, [str(rule)])
    return rule_record(removed)


async def _own(asked: Asked, connection: Connection, name: str) -> Tenant:
    """Raises NoSuchTenant, also for one that the token is not for."""
    tenant = await tenant_named(connection, name)
    if asked.token.tenant not in (None, tenant.id):
        raise NoSuchTenant(f"No tenant found with id or name: {name}; `meetingpool tenants list` shows them all")
    return tenant


async def _details(connection: Connection, tenant: Tenant) -> TenantDetails:
    return tenant_details(tenant, (await count_meetings(connection)).get(tenant.id, 0))


def _as_checked(given: dict[str, Any]) -> dict[str, Any]:
    """What was given as `checked_values` takes it, where nothing is an empty list."""
    lists = {name: given.get(name) or () for name in ("checksum_algorithms", "server_tags", "callback_hosts")}
    lrs = given.get("lrs")
    return given | lists | {"lrs": LrsAccess(**msgspec.structs.asdict(lrs)) if lrs else None}


def _secret_change(given: SecretsChange | None) -> SecretChange:
    change = SecretChange(**msgspec.structs.asdict(given)) if given else SecretChange()
    if given and change.replacement and (change.added or change.removed):
        raise Invalid("Give either a replacement of all secrets, or those that are added and removed")
    return change
