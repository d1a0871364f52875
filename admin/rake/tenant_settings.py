"""The tasks `tenantSettings…`.

A setting there holds for create and join alike; here a rule belongs to one call. So a setting is two equal rules, known by the
number of the first. Rules of other kinds, or of one call only, are not settings: `meetingpool tenants rules` has them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from admin.connection import changing
from admin.rake.calls import Call, fail, warn
from meetingpool.database.tenants import TenantRule, all_rules, all_tenants
from meetingpool.domain.parameters import Operator, Rule
from meetingpool.domain.tenants import RULED_CALLS, new_rule
from meetingpool.operations.change_tenant_rules import remove_rules, set_rule

_OPERATORS = {Operator.OVERRIDE: "true", Operator.DEFAULT: "false"}


@dataclass(frozen=True, slots=True)
class TenantSetting:
    """Equal rules for all calls, in the order of the calls."""

    rules: tuple[TenantRule, ...]

    @property
    def id(self) -> int:
        return self.rules[0].id

    @property
    def rule(self) -> Rule:
        return self.rules[0].rule


async def list_settings(call: Call) -> None:
    async with call.database.transaction() as connection:
        tenants, rules = await all_tenants(connection), await all_rules(connection)
    left_out = len(rules)
    for tenant in tenants:
        settings = settings_of([rule for rule in rules if rule.tenant_id == tenant.id])
        left_out -= sum(len(setting.rules) for setting in settings)
        _print(tenant.name, settings)
    if left_out:
        warn(f"{left_out} rules are no settings of Scalelite's kind; `meetingpool tenants rules list` shows them")


async def add(call: Call) -> None:
    """Takes the place of a setting of the same parameter and kind."""
    tenant, name, value, override = (call.said(each) for each in ("tenant_id", "param", "value", "override"))
    if tenant is None or name is None or value is None or override is None:
        fail("Error: tenant_id, param, value and override are required to create a TenantSetting")
    operator = Operator.OVERRIDE if override.lower() == "true" else Operator.DEFAULT
    async with changing(call.database, dry_run=False) as change:
        rules = []
        for ruled in RULED_CALLS:
            _, rule, _ = await set_rule(change, tenant, *new_rule(ruled, operator, name, value))
            rules.append(rule)
    print(f"OK\nNew TenantSetting id: {TenantSetting(tuple(rules)).id}")


async def remove(call: Call) -> None:
    wanted = call.required("id")
    async with changing(call.database, dry_run=False) as change:
        rules = await all_rules(change.connection)
        owner = next((rule.tenant_id for rule in rules if str(rule.id) == wanted), None)
        of_tenant = settings_of([rule for rule in rules if rule.tenant_id == owner])
        setting = next((each for each in of_tenant if str(each.id) == wanted), None)
        if owner is None or setting is None:
            fail(f"TenantSetting with id {wanted} does not exist in the system. Exiting...")
        await remove_rules(change, owner, [str(rule.id) for rule in setting.rules])
    print("TenantSetting was successfully deleted.")


def settings_of(rules: Sequence[TenantRule]) -> list[TenantSetting]:
    """The settings among the rules of one tenant."""
    equal: dict[Rule, dict[str, TenantRule]] = {}
    for rule in rules:
        equal.setdefault(rule.rule, {})[rule.call] = rule
    return [
        TenantSetting(tuple(by_call[ruled] for ruled in RULED_CALLS))
        for rule, by_call in equal.items()
        if rule.operator in _OPERATORS and len(by_call) == len(RULED_CALLS)
    ]


def _print(tenant: str, settings: Sequence[TenantSetting]) -> None:
    print(f"Tenant: {tenant}", flush=True)
    if not settings:
        warn("  No custom settings are configured")
    for setting in settings:
        print(f"  id: {setting.id}")
        print(f"\tparam: {setting.rule.name}\n\tvalue: {setting.rule.value}\n\toverride: {_OPERATORS[setting.rule.operator]}")
