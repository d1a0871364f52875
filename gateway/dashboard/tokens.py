"""Tokens of the management API and of this dashboard: who may do what."""

from datetime import UTC, datetime, timedelta

from gateway.dashboard.answers import Done, View
from gateway.dashboard.visits import Visit
from meetingpool.database.api_tokens import list_tokens
from meetingpool.domain.access import Role
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.servers import AdminState
from meetingpool.operations.api_tokens import create_token, revoke_token
from meetingpool.operations.changes import changing
from meetingpool.operations.records import tenant_names, token_record
from meetingpool.operations.registration_rules import registration_rules

DAYS = ("", "1", "30", "90", "365")


async def show_tokens(visit: Visit) -> View:
    async with visit.database.transaction() as connection:
        found, tenants = await list_tokens(connection), await tenant_names(connection)
    values = {
        "tokens": [token_record(each, tenants) for each in found],
        "own": visit.token.id,
        "roles": list(Role),
        "tenants": sorted(name for known, name in tenants.items() if known != name or known != "default"),
        "days": DAYS,
        "states": [AdminState.CORDONED, AdminState.ENABLED, AdminState.DISABLED],
    }
    return View(template="tokens.html", title="Tokens", values=values)


async def create(visit: Visit) -> View:
    """The page that shows the token, once. Raises InvalidToken or TokenExists."""
    role = _role(visit.given("role"))
    tenant = visit.given("tenant") or None
    async with changing(visit.database, visit.actor) as change:
        made = await create_token(
            change,
            visit.given("name"),
            role,
            tenant=tenant if role is Role.TENANT_ADMIN else None,
            expires_at=_expiry(visit),
            registers=_rules(visit) if role is Role.SERVER else None,
        )
    return View(
        template="shown_once.html",
        title=f"Token {made.token.name}",
        values={
            "what": f"The token {made.token.name}",
            "secrets": [made.plain],
            "advice": "It is shown now and never again: copy it to where it is used.",
            "back": "/dashboard/tokens",
        },
    )


async def revoke(visit: Visit) -> Done:
    """Raises NoSuchToken."""
    async with changing(visit.database, visit.actor) as change:
        token = await revoke_token(change, visit.given("id"))
    return Done(message=f"Token {token.name} counts no more, and whoever signed in with it is out")


def _role(name: str) -> Role:
    if name not in list(Role):
        raise Invalid("Choose a role")
    return Role(name)


def _rules(visit: Visit) -> RegistrationRules | None:
    """What the token may register. Raises Invalid."""
    state = visit.given("enters")
    if state not in ("", *AdminState):
        raise Invalid("Choose the state in which servers come")
    hosts = [host.strip() for host in visit.given("hosts").split(",") if host.strip()]
    return registration_rules(enters=AdminState(state) if state else None, hosts=hosts)


def _expiry(visit: Visit) -> datetime | None:
    days = visit.given("days")
    if days not in DAYS:
        raise Invalid("Choose for how long the token is good")
    return datetime.fromtimestamp(visit.gateway.clock.epoch(), UTC) + timedelta(days=int(days)) if days else None
