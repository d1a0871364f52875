"""What `tenants add`, `set`, `remove` and `tenants rules set`, `remove` do."""

from collections.abc import Sequence
from typing import Any

import typer

from admin.connection import changing
from admin.refusals import Refused
from admin.server_changes import tell
from meetingpool.database.engine import Database
from meetingpool.domain.parameters import Rule
from meetingpool.domain.rule_notation import written
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.operations import change_tenant as changing_tenant
from meetingpool.operations import change_tenant_rules as changing_rules
from meetingpool.operations.change_tenant import SecretChange
from meetingpool.settings import Settings


def secret_change(*, replacement: Sequence[str], added: Sequence[str], removed: Sequence[int | str], first: bool) -> SecretChange:
    """Raises BadParameter for what makes no sense together."""
    if replacement and (added or removed):
        raise typer.BadParameter("give either --secret, which replaces all, or --add-secret and --remove-secret")
    if first and not added:
        raise typer.BadParameter("--first needs --add-secret")
    return SecretChange(replacement=replacement, added=added, removed=removed, added_first=first)


async def add_tenant(database: Database, settings: Settings, tenant: Tenant, *, is_generated: bool, dry_run: bool) -> None:
    """Shows the secret when it `is_generated`. Raises TenantExists."""
    async with changing(database, dry_run=dry_run) as change:
        await changing_tenant.add_tenant(change, tenant)
    tell(f"Tenant {tenant.name} is added: id {tenant.id}", dry_run=dry_run)
    if is_generated and not dry_run:
        tell(f"Its secret: {tenant.secrets[0]}", dry_run=False)
    _warn_if_unused(settings)


async def change_tenant(
    database: Database, settings: Settings, name: str, values: dict[str, Any], secrets: SecretChange, *, dry_run: bool
) -> None:
    """Raises NoSuchTenant, TenantExists or InvalidTenant."""
    async with changing(database, dry_run=dry_run) as change:
        tenant = await changing_tenant.change_tenant(change, name, values, secrets)
    changed = [f"{field} {_shown(getattr(tenant, field))} -> {_shown(value)}" for field, value in values.items()]
    if secrets:
        changed.append(f"secrets {len(tenant.secrets)} -> {len(changing_tenant.changed_secrets(tenant, secrets))}")
    tell(f"Tenant {tenant.name}: {', '.join(changed)}", dry_run=dry_run)
    _warn_if_unused(settings)


async def remove_tenant(database: Database, settings: Settings, name: str, *, yes: bool, dry_run: bool) -> None:
    """Asks, unless told not to. Raises NoSuchTenant or TenantInUse."""
    async with database.transaction() as connection:
        tenant = await changing_tenant.tenant_named(connection, name)
        await changing_tenant.require_unused(connection, tenant)
    question = f"Remove tenant {tenant.name} with its secrets and rules? Front ends that use it are refused then"
    if not (yes or dry_run) and not typer.confirm(question):
        raise Refused("Nothing is changed")
    async with changing(database, dry_run=dry_run) as change:
        await changing_tenant.remove_tenant(change, tenant.id)
    tell(f"Tenant {tenant.name} is removed: id {tenant.id}", dry_run=dry_run)
    _warn_if_unused(settings)


async def set_rule(database: Database, settings: Settings, name: str, call: str, rule: Rule, *, dry_run: bool) -> None:
    """Raises NoSuchTenant."""
    async with changing(database, dry_run=dry_run) as change:
        tenant, now, before = await changing_rules.set_rule(change, name, call, rule)
    was = "" if before is None else f", which was {written(before)}"
    tell(f"Tenant {tenant.name} has rule {now.id}: {call} {written(rule)}{was}", dry_run=dry_run)
    _warn_if_unused(settings)


async def remove_rules(database: Database, settings: Settings, name: str, wanted: Sequence[str], *, dry_run: bool) -> None:
    """All of the rules, or none when one is not there. Raises NoSuchTenant or NoSuchRule."""
    async with changing(database, dry_run=dry_run) as change:
        tenant, removed = await changing_rules.remove_rules(change, name, wanted)
    for rule in removed:
        tell(f"Tenant {tenant.name} has rule {rule.id} no more: {rule.call} {written(rule.rule)}", dry_run=dry_run)
    _warn_if_unused(settings)


def _warn_if_unused(settings: Settings) -> None:
    if not settings.multitenancy_enabled:
        typer.echo("MULTITENANCY_ENABLED is off: tenants count when it is true and the gateways are started anew", err=True)


def _shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case frozenset() | tuple():
            return ", ".join(sorted(value))
        case LrsAccess():
            return value.endpoint
        case _:
            return str(value)
