"""Every action of the dashboard, done in a browser as somebody would: opened, filled in, confirmed, and told of."""

from dataclasses import dataclass, field
from functools import reduce

from playwright.async_api import Browser

from gateway.dashboard.pages import ACTIONS
from tests.end_to_end.processes import GatewayProcess
from tests.end_to_end.test_dashboard_browser import Seen, browser, gateway, looking, managed
from tests.management import RECORDINGS, ManagedPool

__all__ = ["browser", "gateway", "managed"]

MINE, SERVER, TENANT = RECORDINGS["a"], "/servers/spare", "/tenants/id-of-a"
REFUSE_AGAIN = "UPDATE imports SET state = 'quarantined', finished_at = now(), reason = 'not_a_tar', detail = 'A letter'"
# What asks before it does something is folded up.
UNFOLD = "(button) => { for (let each = button; each; each = each.parentElement) each.open = true; }"


@dataclass(frozen=True, kw_only=True)
class Step:
    """On `page` the form of `action` is sent with `fields`, `tick` ticked; `audit` is what is kept of it, if anything."""

    page: str
    action: str
    audit: str | None
    fields: dict[str, str] = field(default_factory=dict)
    tick: str | None = None
    before: str | None = None


STEPS = (
    Step(page=SERVER, action=f"{SERVER}/enable", audit="servers.enable"),
    Step(page=SERVER, action=f"{SERVER}/cordon", audit="servers.cordon"),
    Step(page=SERVER, action=f"{SERVER}/disable", audit="servers.disable"),
    Step(page=SERVER, action=f"{SERVER}/poll", audit=None),
    Step(page=SERVER, action=f"{SERVER}/set", audit="servers.set", fields={"load_multiplier": "2", "tags": "big, gpu"}),
    Step(page=SERVER, action=f"{SERVER}/panic", audit="servers.panic", fields={"typed": "spare"}),
    Step(page=SERVER, action=f"{SERVER}/remove", audit="servers.remove", fields={"typed": "spare"}),
    Step(page="/servers/add", action="/servers/add", audit="servers.add", fields={"url": "http://127.0.0.1:9/", "secret": "s"}),
    Step(page="/meetings", action="/meetings/end", audit="meetings.end", tick="id-of-a/room"),
    Step(page="/recordings", action="/recordings/unpublish", audit="recordings.unpublish", tick=MINE),
    Step(page="/recordings", action="/recordings/publish", audit="recordings.publish", tick=MINE),
    Step(page="/recordings", action="/recordings/protect", audit="recordings.protect", tick=MINE),
    Step(page="/recordings", action="/recordings/unprotect", audit="recordings.unprotect", tick=MINE),
    Step(page="/recordings", action="/recordings/assign", audit="recordings.assign", tick=MINE),
    Step(page="/recordings", action="/recordings/delete", audit="recordings.delete", tick=MINE),
    Step(page="/recordings?state=deleted", action="/recordings/restore", audit="recordings.restore", tick=MINE),
    Step(page="/imports", action="/imports/retry", audit="quarantine.retry", tick="1"),
    Step(page="/imports", action="/imports/remove", audit="quarantine.remove", tick="1", before=REFUSE_AGAIN),
    Step(page="/callbacks", action="/callbacks/retry", audit="callbacks.retry", tick="1"),
    Step(page="/tenants/add", action="/tenants/add", audit="tenants.add", fields={"name": "new"}),
    Step(page=TENANT, action=f"{TENANT}/set", audit="tenants.set", fields={"max_meetings": "5"}),
    Step(page=TENANT, action=f"{TENANT}/rules/add", audit="rules.set", fields={"rule": "record=false"}),
    Step(page=TENANT, action=f"{TENANT}/rules/remove", audit="rules.remove"),
    Step(page=TENANT, action=f"{TENANT}/secrets/add", audit="tenants.set", fields={"secret": "another secret of a"}),
    Step(page=TENANT, action=f"{TENANT}/secrets/reveal", audit="tenants.show_secret"),
    Step(page=TENANT, action=f"{TENANT}/secrets/remove", audit="tenants.set", fields={"number": "2"}),
    Step(page="/tenants/id-of-c", action="/tenants/id-of-c/remove", audit="tenants.remove", fields={"typed": "id-of-c"}),
    Step(page="/alerts", action="/alerts/add", audit="alerts.add", fields={"url": "https://pager.example/hook"}),
    Step(page="/alerts", action="/alerts/test", audit="alerts.test"),
    Step(page="/alerts", action="/alerts/remove", audit="alerts.remove"),
    Step(page="/tokens", action="/tokens/create", audit="tokens.create", fields={"name": "watcher"}),
    Step(page="/tokens", action="/tokens/revoke", audit="tokens.revoke"),
)


async def do(seen: Seen, step: Step) -> None:
    """Opens what asks, fills in, and sends. What is told afterwards is on the page that comes."""
    await seen.go(step.page)
    page, action = seen.page, f"/dashboard{step.action}"
    if step.tick:
        await page.check(f"input[name='id'][value='{step.tick}']")
    button = page.locator(f"button[formaction='{action}'], form[action='{action}'] button").last
    await button.evaluate(UNFOLD)
    for name, value in step.fields.items():
        await page.fill(f"form[action='{action}'] [name='{name}']", value)
    async with page.expect_navigation():
        await button.click()
    assert await page.locator(".said, .secret").count(), step.action


async def test_every_action_is_done_by_its_form(browser: Browser, gateway: GatewayProcess, managed: ManagedPool) -> None:
    async with looking(browser, gateway, managed.tokens["admin"]) as seen:
        for step in STEPS:
            if step.before:
                await managed.pool.database.statement(step.before)
            known = (await managed.audit(limit=1))[0]["id"]
            await do(seen, step)
            new = [entry for entry in await managed.audit(limit=3) if entry["id"] > known]
            assert [(each["action"], each["actor_kind"]) for each in new] == ([(step.audit, "dashboard")] if step.audit else [])


def test_no_action_is_left_out() -> None:
    places = {"/spare": "/{server}", "/id-of-a": "/{tenant}", "/id-of-c": "/{tenant}"}
    done = {"/dashboard" + reduce(lambda path, place: path.replace(*place), places.items(), step.action) for step in STEPS}
    assert done == {action.path for action in ACTIONS}
