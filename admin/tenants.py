"""What `tenants list`, `tenants show` and `tenants rules list` show."""

from typing import Any

from admin.commands.arguments import Format
from admin.output import Column, Listing, write_record
from meetingpool.database.engine import Connection, Database
from meetingpool.database.tenants import TenantRule, all_rules, all_tenants, count_meetings
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.rule_notation import written
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.operations.change_tenant import tenant_named

# Scripts rely on these names.
NAMES = (
    "id",
    "name",
    "secret_count",
    "checksum_algorithms",
    "server_tags",
    "max_meetings",
    "max_users",
    "callback_hosts",
    "lrs_endpoint",
    "meetings",
    "rules",
)
RULE_NAMES = ("id", "call", "rule", "operator", "name", "value")
NO_TENANTS = "No tenants are configured; `meetingpool tenants add` adds one"

_COLUMNS = [
    Column("NAME", lambda tenant: tenant["name"]),
    Column("ID", lambda tenant: tenant["id"]),
    Column("MEETINGS", lambda tenant: tenant["meetings"], is_number=True),
    Column("MAX MEETINGS", lambda tenant: tenant["max_meetings"], is_number=True),
    Column("MAX USERS", lambda tenant: tenant["max_users"], is_number=True),
    Column("SECRETS", lambda tenant: tenant.get("secrets", tenant["secret_count"])),
    Column("TAGS", lambda tenant: tenant["server_tags"]),
    Column("RULES", lambda tenant: tenant["rules"], is_number=True, can_be_spared=True),
    Column("CHECKSUMS", lambda tenant: tenant["checksum_algorithms"], can_be_spared=True),
    Column("CALLBACK HOSTS", lambda tenant: tenant["callback_hosts"], can_be_spared=True),
    Column("LEARNING RECORDS", lambda tenant: tenant["lrs_endpoint"], can_be_spared=True),
]
_RULE_COLUMNS = [
    Column("ID", lambda rule: rule["id"], is_number=True),
    Column("CALL", lambda rule: rule["call"]),
    Column("RULE", lambda rule: rule["rule"]),
    Column("OPERATOR", lambda rule: rule["operator"]),
]


async def list_tenants(database: Database, *, show_secrets: bool = False) -> Listing:
    """All tenants by their names."""
    async with database.transaction() as connection:
        tenants, meetings = await all_tenants(connection), await count_meetings(connection)
    secrets: tuple[str, ...] = ("secrets",) if show_secrets else ()
    return Listing(
        names=NAMES + secrets,
        records=[record_of(tenant, meetings.get(tenant.id, 0), show_secrets=show_secrets) for tenant in tenants],
        columns=_COLUMNS,
        when_empty=NO_TENANTS,
    )


async def show_tenant(database: Database, name: str, style: Format, *, show_secrets: bool = False) -> None:
    """Prints everything that is known of a tenant. Raises NoSuchTenant."""
    async with database.transaction() as connection:
        tenant = await tenant_named(connection, name)
        meetings = await count_meetings(connection)
    record = record_of(tenant, meetings.get(tenant.id, 0), show_secrets=show_secrets)
    write_record(record | _lrs_of(tenant.lrs) | _rules_of(tenant), style)


async def list_rules(database: Database, name: str) -> Listing:
    """The rules of a tenant in the order in which they apply. Raises NoSuchTenant."""
    async with database.transaction() as connection:
        tenant = await tenant_named(connection, name)
        rules = await all_rules(connection, tenant.id)
    return Listing(
        names=RULE_NAMES,
        records=[_rule_record(rule) for rule in rules],
        columns=_RULE_COLUMNS,
        when_empty=f"Tenant {tenant.name} has no rules; `meetingpool tenants rules set` adds one",
    )


async def tenant_names(connection: Connection) -> dict[str, str]:
    """What people call the tenants, by their ids. A tenant that was removed has its id only."""
    return {tenant.id: tenant.name for tenant in await all_tenants(connection)} | {DEFAULT_TENANT: DEFAULT_TENANT}


def record_of(tenant: Tenant, meetings: int, *, show_secrets: bool) -> dict[str, Any]:
    """The tenant under the stable names; None where the settings decide, or nothing limits it."""
    return {
        "id": tenant.id,
        "name": tenant.name,
        "secret_count": len(tenant.secrets),
        "checksum_algorithms": _listed(tenant.checksum_algorithms),
        "server_tags": _listed(tenant.server_tags),
        "max_meetings": tenant.max_meetings,
        "max_users": tenant.max_users,
        "callback_hosts": _listed(tenant.callback_hosts),
        "lrs_endpoint": tenant.lrs.endpoint if tenant.lrs else None,
        "meetings": meetings,
        "rules": len(tenant.rules.create) + len(tenant.rules.join),
    } | ({"secrets": list(tenant.secrets)} if show_secrets else {})


def _lrs_of(lrs: LrsAccess | None) -> dict[str, Any]:
    if lrs is None:
        return {}
    if not lrs.uses_token:
        return {"lrs_username": lrs.username}
    return {"kc_token_url": lrs.token_url, "kc_client_id": lrs.client_id, "kc_username": lrs.token_username}


def _rules_of(tenant: Tenant) -> dict[str, Any]:
    create, join = tenant.rules.create, tenant.rules.join
    return {"create_rules": [written(rule) for rule in create], "join_rules": [written(rule) for rule in join]}


def _rule_record(rule: TenantRule) -> dict[str, Any]:
    name, value = rule.rule.name, rule.rule.value
    operator = rule.rule.operator
    return {"id": rule.id, "call": rule.call, "rule": written(rule.rule), "operator": operator, "name": name, "value": value}


def _listed(values: frozenset[str] | tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else sorted(values)
