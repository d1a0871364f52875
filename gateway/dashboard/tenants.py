"""Tenants: their limits, their rules, their secrets."""

from typing import Any
from urllib.parse import quote

from gateway.dashboard.answers import Done, View
from gateway.dashboard.visits import HOME, Visit
from meetingpool.bbb.checksum import Algorithm
from meetingpool.database.engine import Connection
from meetingpool.database.tenants import all_rules, all_tenants, count_meetings
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.rule_notation import NOTATION, written
from meetingpool.domain.tenants import RULED_CALLS, Tenant
from meetingpool.operations import change_tenant as changing_tenant
from meetingpool.operations.change_tenant import SecretChange, tenant_named
from meetingpool.operations.change_tenant_rules import read_rule, remove_rules, set_rule
from meetingpool.operations.changes import changing
from meetingpool.operations.records import rule_record, tenant_details, tenant_record

_FIELDS = ("checksum_algorithms", "server_tags", "max_meetings", "max_users", "callback_hosts", "region")


async def show_tenants(visit: Visit) -> View:
    async with visit.database.transaction() as connection:
        found, meetings = await all_tenants(connection), await count_meetings(connection)
    own = [each for each in found if visit.token.tenant in (None, each.id)]
    values = {
        "tenants": [tenant_record(each, meetings.get(each.id, 0)) for each in own],
        "are_many": visit.gateway.settings.multitenancy_enabled,
    }
    return View(template="tenants.html", title="Tenants", values=values)


async def show_tenant(visit: Visit) -> View:
    """Raises NoSuchTenant."""
    async with visit.database.transaction() as connection:
        tenant = await _asked_for(visit, connection)
        meetings = await count_meetings(connection)
        rules = await all_rules(connection, tenant.id)
    values = {
        "tenant": tenant_details(tenant, meetings.get(tenant.id, 0)),
        "rules": [rule_record(rule) for rule in rules],
        "calls": RULED_CALLS,
        "notation": NOTATION,
        "algorithms": list(Algorithm),
    }
    return View(template="tenant.html", title=tenant.name, values=values)


async def show_new_tenant(_visit: Visit) -> View:
    return View(template="new_tenant.html", title="Add a tenant")


async def add_tenant(visit: Visit) -> View | Done:
    """The page that shows the secret that was made for it, if no other was given. Raises InvalidTenant or TenantExists."""
    given = visit.given("secret")
    secret = given or changing_tenant.new_secret()
    tenant = changing_tenant.new_tenant(visit.given("name"), [secret], {}, tenant_id=visit.given("id") or None)
    async with changing(visit.database, visit.actor) as change:
        await changing_tenant.add_tenant(change, tenant)
    if given:
        return Done(message=f"Tenant {tenant.name} is added", to=_address(tenant))
    return _secrets_page(tenant, "The front end signs with it.")


async def set_tenant(visit: Visit) -> Done:
    """Raises NoSuchTenant, TenantExists or InvalidTenant."""
    values = dict.fromkeys(_FIELDS) | changing_tenant.checked_values(
        name=visit.given("name"),
        checksum_algorithms=visit.form.getlist("algorithm"),
        server_tags=_words(visit, "server_tags"),
        max_meetings=visit.given_limit("max_meetings"),
        max_users=visit.given_limit("max_users"),
        callback_hosts=_words(visit, "callback_hosts"),
        region=visit.given("region"),
    )
    async with changing(visit.database, visit.actor) as change:
        tenant = await changing_tenant.change_tenant(change, visit.request.path_params["tenant"], values, SecretChange())
    return Done(message=f"Tenant {tenant.name} is changed", to=_address(tenant))


async def add_secret(visit: Visit) -> Done | View:
    """Raises NoSuchTenant or InvalidTenant."""
    given = visit.given("secret")
    added = SecretChange(added=[given or changing_tenant.new_secret()], added_first=bool(visit.given("first")))
    async with changing(visit.database, visit.actor) as change:
        tenant = await changing_tenant.change_tenant(change, visit.request.path_params["tenant"], {}, added)
    if given:
        return Done(message=f"Tenant {tenant.name} has one more secret", to=_address(tenant))
    return _secrets_page(tenant, "The front end may sign with it from now on.", added.added)


async def remove_secret(visit: Visit) -> Done:
    """Raises NoSuchTenant or InvalidTenant."""
    number = visit.given("number")
    if not number.isdecimal() or len(number) > 4:
        raise Invalid("Say the number of the secret that is to go")
    async with changing(visit.database, visit.actor) as change:
        removed = SecretChange(removed=[int(number)])
        tenant = await changing_tenant.change_tenant(change, visit.request.path_params["tenant"], {}, removed)
    return Done(message=f"Secret {number} of tenant {tenant.name} counts no more", to=_address(tenant))


async def reveal(visit: Visit) -> View:
    """The tenant's secrets, which is kept in the audit. Raises NoSuchTenant."""
    async with changing(visit.database, visit.actor) as change:
        tenant = await tenant_named(change.connection, visit.request.path_params["tenant"])
        await change.note("tenants.show_secret", tenant.id, tenant=tenant.id)
    return _secrets_page(tenant, "That you looked is kept in the audit.")


async def add_rule(visit: Visit) -> Done:
    """Raises NoSuchTenant or InvalidTenant."""
    call, rule = read_rule(visit.given("call"), visit.given("rule"))
    async with changing(visit.database, visit.actor) as change:
        tenant, _, before = await set_rule(change, visit.request.path_params["tenant"], call, rule)
    was = f", which was {written(before)}" if before else ""
    return Done(message=f"Tenant {tenant.name} has the rule {call} {written(rule)}{was}", to=_address(tenant))


async def remove_rule(visit: Visit) -> Done:
    """Raises NoSuchTenant or NoSuchRule."""
    async with changing(visit.database, visit.actor) as change:
        tenant, removed = await remove_rules(change, visit.request.path_params["tenant"], visit.chosen())
    rules = ", ".join(f"{rule.call} {written(rule.rule)}" for rule in removed)
    return Done(message=f"Tenant {tenant.name} has no more rule {rules}", to=_address(tenant))


async def remove_tenant(visit: Visit) -> Done:
    """Raises NoSuchTenant or TenantInUse."""
    name = visit.request.path_params["tenant"]
    if visit.given("typed") != name:
        raise Invalid("Type the tenant's id, as it stands there, to say that you mean it")
    async with changing(visit.database, visit.actor) as change:
        tenant = await changing_tenant.remove_tenant(change, name)
    return Done(message=f"Tenant {tenant.name} is removed", to=f"{HOME}/tenants")


async def _asked_for(visit: Visit, connection: Connection) -> Tenant:
    """The tenant of the address. Raises NoSuchTenant, for somebody else's too."""
    tenant = await tenant_named(connection, visit.request.path_params["tenant"])
    visit.require_tenant(tenant.id)
    return tenant


def _secrets_page(tenant: Tenant, advice: str, secrets: Any = None) -> View:
    values = {
        "what": f"The secret of tenant {tenant.name}",
        "secrets": secrets or tenant.secrets,
        "advice": advice,
        "back": _address(tenant),
    }
    return View(template="shown_once.html", title=f"Secret of {tenant.name}", values=values)


def _address(tenant: Tenant) -> str:
    return f"{HOME}/tenants/{quote(tenant.id, safe='')}"


def _words(visit: Visit, name: str) -> list[str]:
    return [word.strip() for word in visit.given(name).replace("\n", ",").split(",") if word.strip()]
