"""Tenants and their rules, as rows. Every change is told to the gateways, which hold all tenants in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from meetingpool.database import tables
from meetingpool.database.engine import Connection
from meetingpool.database.hooks import delete_hooks_of
from meetingpool.database.notifications import notify
from meetingpool.domain.meetings import MeetingState
from meetingpool.domain.parameters import Operator, Rule
from meetingpool.domain.tenants import LrsAccess, Tenant, rules_by_call

tenants = tables.tenants
rules = tables.tenant_rules
meetings = tables.meetings


class TenantExists(Exception):
    """There is a tenant with this id or name already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRule:
    """A rule of a tenant, with the number that it is removed by."""

    id: int
    tenant_id: str
    call: str
    rule: Rule


async def all_tenants(connection: Connection) -> list[Tenant]:
    """All tenants by their names, each with its rules."""
    ruled: dict[str, dict[str, tuple[Rule, ...]]] = {}
    for row in await all_rules(connection):
        by_call = ruled.setdefault(row.tenant_id, {})
        by_call[row.call] = (*by_call.get(row.call, ()), row.rule)
    found = await connection.execute(select(tenants).order_by(tenants.c.name))
    return [_tenant(row, ruled.get(row.id, {})) for row in found]


async def find_tenant(connection: Connection, name: str) -> Tenant | None:
    """The tenant with the id `name`, else with that name."""
    found = await all_tenants(connection)
    by_id = next((tenant for tenant in found if tenant.id == name), None)
    return by_id or next((tenant for tenant in found if tenant.name == name.lower()), None)


async def insert_tenant(connection: Connection, tenant: Tenant) -> None:
    """Raises TenantExists."""
    values = {
        "id": tenant.id,
        "name": tenant.name,
        "secrets": list(tenant.secrets),
        "checksum_algorithms": _listed(tenant.checksum_algorithms),
        "server_tags": _listed(tenant.server_tags),
        "max_meetings": tenant.max_meetings,
        "max_users": tenant.max_users,
        "callback_hosts": _listed(tenant.callback_hosts),
        "lrs": asdict(tenant.lrs) if tenant.lrs else None,
    }
    try:
        await connection.execute(insert(tenants).values(values))
    except IntegrityError as error:
        raise TenantExists(f"There is a tenant with the id {tenant.id} or the name {tenant.name} already") from error
    await notify(connection, "tenants", [tenant.id])


async def update_tenant(connection: Connection, tenant_id: str, changes: Mapping[str, Any]) -> None:
    """Writes the columns in `changes`. Raises TenantExists when the new name is another tenant's."""
    try:
        await connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(**changes))
    except IntegrityError as error:
        raise TenantExists(f"Another tenant has the name {changes.get('name')} already") from error
    await notify(connection, "tenants", [tenant_id])


async def delete_tenant(connection: Connection, tenant_id: str) -> None:
    await delete_hooks_of(connection, tenant_id)
    await connection.execute(delete(tenants).where(tenants.c.id == tenant_id))
    await notify(connection, "tenants", [tenant_id])


async def lock_tenant(connection: Connection, tenant_id: str) -> None:
    """Holds off whoever else locks the tenant until the transaction ends."""
    await connection.execute(select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update())


async def count_meetings_of(connection: Connection, tenant_id: str) -> int:
    """How many meetings of the tenant run or may yet run: those that were ended do not count."""
    is_ending = meetings.c.state == MeetingState.ENDING
    counted = select(func.count()).select_from(meetings).where(meetings.c.tenant == tenant_id, ~is_ending)
    return int((await connection.execute(counted)).scalar_one())


async def count_meetings(connection: Connection) -> dict[str, int]:
    """How many meetings each tenant has that has any."""
    counted = select(meetings.c.tenant, func.count()).group_by(meetings.c.tenant)
    return {tenant: int(count) for tenant, count in await connection.execute(counted)}


async def people_of(connection: Connection, tenant_ids: Iterable[str]) -> dict[str, int]:
    """How many people are in the meetings of each tenant, by the last polls and the joins since."""
    people = func.sum(meetings.c.users + meetings.c.joining)
    counted = select(meetings.c.tenant, people).where(meetings.c.tenant.in_(list(tenant_ids))).group_by(meetings.c.tenant)
    return {tenant: int(users) for tenant, users in await connection.execute(counted)}


async def all_rules(connection: Connection, tenant_id: str | None = None) -> list[TenantRule]:
    """The rules of a tenant, or of all, in the order in which they apply."""
    query = select(rules).order_by(rules.c.id)
    found = await connection.execute(query.where(rules.c.tenant_id == tenant_id) if tenant_id else query)
    return [
        TenantRule(id=row.id, tenant_id=row.tenant_id, call=row.call, rule=Rule(Operator(row.operator), row.name, row.value))
        for row in found
    ]


async def put_rule(connection: Connection, tenant_id: str, call: str, rule: Rule) -> None:
    """Adds a rule, or gives the tenant's rule of the same call, parameter and operator another value."""
    values = {"tenant_id": tenant_id, "call": call, "operator": rule.operator, "name": rule.name, "value": rule.value}
    added = upsert(rules).values(values)
    key = [rules.c.tenant_id, rules.c.call, rules.c.name, rules.c.operator]
    await connection.execute(added.on_conflict_do_update(index_elements=key, set_={"value": rule.value}))
    await notify(connection, "tenants", [tenant_id])


async def delete_rule(connection: Connection, tenant_id: str, rule_id: int) -> bool:
    """Returns whether the tenant had the rule."""
    gone = await connection.execute(delete(rules).where(rules.c.tenant_id == tenant_id, rules.c.id == rule_id))
    await notify(connection, "tenants", [tenant_id])
    return bool(gone.rowcount)


def _tenant(row: Row[Any], ruled: Mapping[str, tuple[Rule, ...]]) -> Tenant:
    return Tenant(
        id=row.id,
        name=row.name,
        secrets=tuple(row.secrets),
        checksum_algorithms=_frozen(row.checksum_algorithms),
        server_tags=_frozen(row.server_tags),
        max_meetings=row.max_meetings,
        max_users=row.max_users,
        callback_hosts=tuple(row.callback_hosts) if row.callback_hosts is not None else None,
        lrs=LrsAccess(**row.lrs) if row.lrs else None,
        rules=rules_by_call(ruled),
    )


def _listed(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _frozen(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
