"""What `tenants list`, `tenants show` and `tenants rules list` show."""

from admin.commands.arguments import Format
from admin.connection import note_shown
from admin.output import Column, Listing, show, write_record
from meetingpool.database.engine import Database
from meetingpool.database.tenants import all_rules, all_tenants, count_meetings
from meetingpool.operations.change_tenant import tenant_named
from meetingpool.operations.records import RuleRecord, TenantRecord, names_of, rule_record, tenant_details, tenant_record

NO_TENANTS = "No tenants are configured; `meetingpool tenants add` adds one"

_COLUMNS = [
    Column("NAME", lambda tenant: tenant["name"]),
    Column("ID", lambda tenant: tenant["id"]),
    Column("MEETINGS", lambda tenant: tenant["meetings"], is_number=True),
    Column("MAX MEETINGS", lambda tenant: tenant["max_meetings"], is_number=True),
    Column("MAX USERS", lambda tenant: tenant["max_users"], is_number=True),
    Column("SECRETS", lambda tenant: tenant.get("secrets", tenant["secret_count"])),
    Column("TAGS", lambda tenant: tenant["server_tags"]),
    Column("REGION", lambda tenant: tenant["region"], can_be_spared=True),
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


async def show_tenants(database: Database, style: Format, every: float | None, *, show_secrets: bool) -> None:
    """Prints all tenants; again each `every` seconds, if that is given."""
    if show_secrets:
        await note_shown(database, "tenants.show_secret", "all")
    await show(lambda: list_tenants(database, show_secrets=show_secrets), style, every)


async def list_tenants(database: Database, *, show_secrets: bool = False) -> Listing:
    """All tenants by their names."""
    async with database.transaction() as connection:
        tenants, meetings = await all_tenants(connection), await count_meetings(connection)
    return Listing(
        names=names_of(TenantRecord) + ("secrets",) * show_secrets,
        records=[tenant_record(tenant, meetings.get(tenant.id, 0), show_secrets=show_secrets) for tenant in tenants],
        columns=_COLUMNS,
        when_empty=NO_TENANTS,
    )


async def show_tenant(database: Database, name: str, style: Format, *, show_secrets: bool = False) -> None:
    """Prints everything that is known of a tenant. Raises NoSuchTenant."""
    async with database.transaction() as connection:
        tenant = await tenant_named(connection, name)
        meetings = await count_meetings(connection)
    if show_secrets:
        await note_shown(database, "tenants.show_secret", tenant.id, tenant=tenant.id)
    write_record(tenant_details(tenant, meetings.get(tenant.id, 0), show_secrets=show_secrets), style)


async def list_rules(database: Database, name: str) -> Listing:
    """The rules of a tenant in the order in which they apply. Raises NoSuchTenant."""
    async with database.transaction() as connection:
        tenant = await tenant_named(connection, name)
        rules = await all_rules(connection, tenant.id)
    return Listing(
        names=names_of(RuleRecord),
        records=[rule_record(rule) for rule in rules],
        columns=_RULE_COLUMNS,
        when_empty=f"Tenant {tenant.name} has no rules; `meetingpool tenants rules set` adds one",
    )
