"""Tenants and their rules, as rows. Every change is told to the gateways, which hold all tenants in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from meetingpool.database.engine import Connection, Record, Taken, affected, assignments
from meetingpool.database.foresight import delete_rooms_of
from meetingpool.database.hooks import delete_hooks_of
from meetingpool.database.notifications import notify
from meetingpool.database.past_meetings import delete_past_meetings_of
from meetingpool.database.sealed_secrets import seal, unseal
from meetingpool.domain.meetings import MeetingState
from meetingpool.domain.parameters import Operator, Rule
from meetingpool.domain.refusals import Conflict
from meetingpool.domain.tenants import LrsAccess, Tenant, rules_by_call

_COLUMNS = "id, name, secrets, checksum_algorithms, server_tags, max_meetings, max_users, callback_hosts, lrs, region"
_ALL = f"SELECT {_COLUMNS} FROM tenants ORDER BY name"
_INSERT = f"INSERT INTO tenants ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
_SECRETS, _LRS = "tenants.secrets", "tenants.lrs"
_LOCK = "SELECT FROM tenants WHERE id = $1 FOR UPDATE"
_COUNT_OF = f"SELECT count(*) FROM meetings WHERE tenant = $1 AND state <> '{MeetingState.ENDING}'"
_COUNT = "SELECT tenant, count(*) AS count FROM meetings GROUP BY tenant"
_PEOPLE = "SELECT tenant, sum(users + joining) AS people FROM meetings WHERE tenant = ANY($1::text[]) GROUP BY tenant"
_RULES = """
    SELECT id, tenant_id, call, operator, name, value FROM tenant_rules WHERE $1::text IS NULL OR tenant_id = $1 ORDER BY id
"""
_PUT_RULE = """
    INSERT INTO tenant_rules (tenant_id, call, operator, name, value) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant_id, call, name, operator) DO UPDATE SET value = excluded.value
"""


class TenantExists(Conflict):
    """There is a tenant with this id or name already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRule:
    """A rule of a tenant, with the number that it is removed by."""

    id: int
    tenant_id: str
    call: str
    rule: Rule


async def all_tenants(connection: Connection) -> list[Tenant]:
    """All tenants by their names, each with its rules. Raises SecretsUnreadable."""
    ruled: dict[str, dict[str, tuple[Rule, ...]]] = {}
    for rule in await all_rules(connection):
        by_call = ruled.setdefault(rule.tenant_id, {})
        by_call[rule.call] = (*by_call.get(rule.call, ()), rule.rule)
    found = await connection.fetch(_ALL)
    return [_tenant(connection, row, ruled.get(row["id"], {})) for row in found]


async def find_tenant(connection: Connection, name: str) -> Tenant | None:
    """The tenant with the id `name`, else with that name."""
    found = await all_tenants(connection)
    by_id = next((tenant for tenant in found if tenant.id == name), None)
    return by_id or next((tenant for tenant in found if tenant.name == name.lower()), None)


async def insert_tenant(connection: Connection, tenant: Tenant) -> None:
    """Raises TenantExists or SecretsUnreadable."""
    try:
        await connection.execute(
            _INSERT,
            tenant.id,
            tenant.name,
            seal(connection, _SECRETS, tenant.id, list(tenant.secrets)),
            _listed(tenant.checksum_algorithms),
            _listed(tenant.server_tags),
            tenant.max_meetings,
            tenant.max_users,
            _listed(tenant.callback_hosts),
            seal(connection, _LRS, tenant.id, asdict(tenant.lrs)) if tenant.lrs else None,
            tenant.region,
        )
    except Taken as error:
        raise TenantExists(f"There is a tenant with the id {tenant.id} or the name {tenant.name} already") from error
    await notify(connection, "tenants", [tenant.id])


async def update_tenant(connection: Connection, tenant_id: str, changes: Mapping[str, Any]) -> None:
    """Writes the columns in `changes`. Raises SecretsUnreadable, or TenantExists when the new name is another tenant's."""
    kept = {
        column: seal(connection, f"tenants.{column}", tenant_id, value) if column in ("secrets", "lrs") and value else value
        for column, value in changes.items()
    }
    try:
        await connection.execute(f"UPDATE tenants SET {assignments(kept)} WHERE id = $1", tenant_id, *kept.values())
    except Taken as error:
        raise TenantExists(f"Another tenant has the name {changes.get('name')} already") from error
    await notify(connection, "tenants", [tenant_id])


async def delete_tenant(connection: Connection, tenant_id: str) -> None:
    await delete_hooks_of(connection, tenant_id)
    await delete_past_meetings_of(connection, tenant_id)
    await delete_rooms_of(connection, tenant_id)
    await connection.execute("DELETE FROM tenants WHERE id = $1", tenant_id)
    await notify(connection, "tenants", [tenant_id])


async def lock_tenant(connection: Connection, tenant_id: str) -> None:
    """Holds off whoever else locks the tenant until the transaction ends."""
    await connection.execute(_LOCK, tenant_id)


async def count_meetings_of(connection: Connection, tenant_id: str) -> int:
    """How many meetings of the tenant run or may yet run: those that were ended do not count."""
    return int(await connection.fetchval(_COUNT_OF, tenant_id))


async def count_meetings(connection: Connection) -> dict[str, int]:
    """How many meetings each tenant has that has any."""
    return dict(await connection.fetch(_COUNT))


async def people_of(connection: Connection, tenant_ids: Iterable[str]) -> dict[str, int]:
    """How many people are in the meetings of each tenant, by the last polls and the joins since."""
    return dict(await connection.fetch(_PEOPLE, list(tenant_ids)))


async def all_rules(connection: Connection, tenant_id: str | None = None) -> list[TenantRule]:
    """The rules of a tenant, or of all, in the order in which they apply."""
    return [
        TenantRule(
            id=row["id"],
            tenant_id=row["tenant_id"],
            call=row["call"],
            rule=Rule(Operator(row["operator"]), row["name"], row["value"]),
        )
        for row in await connection.fetch(_RULES, tenant_id)
    ]


async def put_rule(connection: Connection, tenant_id: str, call: str, rule: Rule) -> None:
    """Adds a rule, or gives the tenant's rule of the same call, parameter and operator another value."""
    await connection.execute(_PUT_RULE, tenant_id, call, rule.operator, rule.name, rule.value)
    await notify(connection, "tenants", [tenant_id])


async def delete_rule(connection: Connection, tenant_id: str, rule_id: int) -> bool:
    """Returns whether the tenant had the rule."""
    gone = await connection.execute("DELETE FROM tenant_rules WHERE tenant_id = $1 AND id = $2", tenant_id, rule_id)
    await notify(connection, "tenants", [tenant_id])
    return affected(gone) > 0


def _tenant(connection: Connection, row: Record, ruled: Mapping[str, tuple[Rule, ...]]) -> Tenant:
    return Tenant(
        id=row["id"],
        name=row["name"],
        secrets=tuple(unseal(connection, _SECRETS, row["id"], row["secrets"])),
        checksum_algorithms=_frozen(row["checksum_algorithms"]),
        server_tags=_frozen(row["server_tags"]),
        max_meetings=row["max_meetings"],
        max_users=row["max_users"],
        callback_hosts=tuple(row["callback_hosts"]) if row["callback_hosts"] is not None else None,
        lrs=LrsAccess(**unseal(connection, _LRS, row["id"], row["lrs"])) if row["lrs"] else None,
        region=row["region"],
        rules=rules_by_call(ruled),
    )


def _listed(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _frozen(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
