"""Who is told when administrators ought to know something, and what they were told is so."""

from gateway.dashboard.answers import Done, View
from gateway.dashboard.visits import Visit
from meetingpool.database.alerts import all_hooks, standing_alerts
from meetingpool.domain.alerts import ENDS, AlertKind
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.refusals import Invalid
from meetingpool.operations.alert_hooks import add_hook, host_of, remove_hook, try_hook
from meetingpool.operations.changes import changing
from meetingpool.outward.client import Outward

KINDS = tuple(kind for kind in AlertKind if kind is not AlertKind.TEST)


async def show_alerts(visit: Visit) -> View:
    async with visit.database.transaction() as connection:
        hooks, standing = await all_hooks(connection), await standing_alerts(connection)
    values = {
        "hooks": [(hook, host_of(hook)) for hook in hooks],
        "standing": [each for each in standing if each.key.kind in ENDS],
        "kinds": KINDS,
    }
    return View(template="alerts.html", title="Alerts", values=values)


async def add(visit: Visit) -> View | Done:
    """Shows the secret that was made for the address. Raises InvalidHook or HookExists."""
    kinds = visit.form.getlist("kind")
    if not set(kinds) <= set(KINDS):
        raise Invalid("There is no such kind of alert")
    async with changing(visit.database, visit.actor) as change:
        hook = await add_hook(
            change,
            visit.given("url"),
            secret=visit.given("secret") or None,
            kinds=[AlertKind(kind) for kind in kinds],
            allowed=visit.gateway.settings.callback_allow,
        )
    if visit.given("secret"):
        return Done(message=f"{host_of(hook)} is told from now on", to="/dashboard/alerts")
    values = {
        "what": f"The secret of {host_of(hook)}",
        "secrets": [hook.secret],
        "advice": "Alerts are signed with it, so that who gets them knows that they are ours. It is not shown again.",
        "back": "/dashboard/alerts",
    }
    return View(template="shown_once.html", title="Secret", values=values)


async def remove(visit: Visit) -> Done:
    """Raises NoSuchHook."""
    async with changing(visit.database, visit.actor) as change:
        hook = await remove_hook(change, visit.given("id"))
    return Done(message=f"{host_of(hook)} is told no more")


async def send_test(visit: Visit) -> Done:
    """Raises NoSuchHook."""
    gateway = visit.gateway
    async with Outward(allowed=gateway.settings.callback_allow) as outward:
        outcome = await try_hook(visit.database, visit.actor, outward, gateway.clock, visit.given("id"))
    if outcome.state is AnnouncementState.DELIVERED:
        return Done(message="The test was delivered")
    return Done(message=f"The test was not delivered: {outcome.reason}", is_refused=True)
