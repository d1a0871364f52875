"""Adds, changes and removes a tenant's rules on parameters. Called by `meetingpool tenants rules`."""

from collections.abc import Sequence

from meetingpool.database.tenants import TenantRule, all_rules, delete_rule, put_rule
from meetingpool.domain.parameters import InvalidRule, Rule
from meetingpool.domain.refusals import NotFound
from meetingpool.domain.rule_notation import split_rule, written
from meetingpool.domain.tenants import InvalidTenant, Tenant, new_rule
from meetingpool.operations.change_tenant import locked_tenant
from meetingpool.operations.changes import Change


class NoSuchRule(NotFound):
    """The tenant has no such rule, or several that are written so."""


def read_rule(call: str, text: str) -> tuple[str, Rule]:
    """The rule on `call` that is written as `text`. Raises InvalidTenant with what is allowed."""
    try:
        operator, name, value = split_rule(text)
    except InvalidRule as error:
        raise InvalidTenant(f"This rule cannot be read: {error}") from None
    return new_rule(call, operator, name, value)


async def set_rule(change: Change, name: str, call: str, rule: Rule) -> tuple[Tenant, TenantRule, Rule | None]:
    """Gives a tenant a rule on `call`, in the place of one with the same operator and parameter.

    Returns the tenant, the rule with its number, and the one before it. Raises NoSuchTenant.
    """
    tenant = await locked_tenant(change.connection, name)
    before = _like(await all_rules(change.connection, tenant.id), call, rule)
    await put_rule(change.connection, tenant.id, call, rule)
    (now,) = _like(await all_rules(change.connection, tenant.id), call, rule)
    await change.note(
        "rules.set",
        f"{tenant.id}/{now.id}",
        tenant=tenant.id,
        before=_described(before[0]) if before else None,
        after=_described(now),
    )
    return tenant, now, before[0].rule if before else None


async def remove_rules(change: Change, name: str, wanted: Sequence[str]) -> tuple[Tenant, list[TenantRule]]:
    """Removes the rules with these numbers, or that are written so. Returns them. Raises NoSuchTenant or NoSuchRule."""
    tenant = await locked_tenant(change.connection, name)
    rules = await all_rules(change.connection, tenant.id)
    removed = {rule.id: rule for rule in (_only(tenant, rules, text) for text in wanted)}
    for rule in removed.values():
        await delete_rule(change.connection, tenant.id, rule.id)
        await change.note("rules.remove", f"{tenant.id}/{rule.id}", tenant=tenant.id, before=_described(rule))
    return tenant, list(removed.values())


def _described(rule: TenantRule) -> dict[str, str]:
    """What the audit keeps of a rule."""
    return {"call": rule.call, "rule": written(rule.rule)}


def _like(rules: Sequence[TenantRule], call: str, wanted: Rule) -> list[TenantRule]:
    """The tenant's rule that `wanted` takes the place of, if there is one."""
    key = (call, wanted.operator, wanted.name)
    return [rule for rule in rules if (rule.call, rule.rule.operator, rule.rule.name) == key]


def _only(tenant: Tenant, rules: Sequence[TenantRule], text: str) -> TenantRule:
    found = [rule for rule in rules if text.strip() in (str(rule.id), written(rule.rule))]
    if not found:
        raise NoSuchRule(
            f"Tenant {tenant.name} has no rule {text}; `meetingpool tenants rules list {tenant.name}` shows them all"
        )
    if len(found) > 1:
        numbers = ", ".join(f"{rule.id} for {rule.call}" for rule in found)
        raise NoSuchRule(f"Tenant {tenant.name} has several rules {text}, name one by its number: {numbers}")
    return found[0]
