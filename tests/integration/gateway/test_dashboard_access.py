"""Who gets into the dashboard, what they may do there, and what nobody else can do with them."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.dashboard.pages import ACTIONS, PAGES
from meetingpool.domain.access import PERMISSIONS, Role
from meetingpool.domain.servers import ServerId
from tests.dashboard import FROM_OWN_PAGE, Visitor, read_page, stranger, visitor
from tests.logs import Event
from tests.management import RECORDINGS, ManagedPool, managed_pool

# Of which pages and actions each caller is refused; what they may do is tried elsewhere.
PLACES = {"server": "spare", "tenant": "id-of-a"}


@pytest.fixture
async def managed(database_url: str, tmp_path: Path) -> AsyncIterator[ManagedPool]:
    async with managed_pool(database_url, tmp_path) as managed:
        yield managed


def at(path: str) -> str:
    return path.format(**PLACES).removeprefix("/dashboard")


def role_of(caller: str) -> Role:
    return Role.TENANT_ADMIN if caller in ("a", "b") else Role(caller)


async def test_strangers_are_asked_to_sign_in_and_come_to_where_they_wanted(managed: ManagedPool) -> None:
    somebody = stranger(managed)
    answer = await somebody.get("/meetings?q=room")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/dashboard/sign-in?to=%2Fdashboard%2Fmeetings%3Fq%3Droom"

    form = read_page((await somebody.http.get(answer.headers["location"])).text)
    to = form.xpath("//input[@name='to']/@value")[0]
    data = {"token": managed.tokens["admin"], "to": to}
    signed_in = await somebody.http.post("/dashboard/sign-in", data=data, headers=FROM_OWN_PAGE)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/dashboard/meetings?q=room")


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example/dashboard", "/\\evil.example", "/bigbluebutton", "/dashboardx"]
)
async def test_signing_in_leads_nowhere_else(managed: ManagedPool, to: str) -> None:
    data = {"token": managed.tokens["admin"], "to": to}
    answer = await stranger(managed).http.post("/dashboard/sign-in", data=data, headers=FROM_OWN_PAGE)
    assert answer.headers["location"] == "/dashboard"


async def test_a_session_is_for_this_host_and_for_no_script(managed: ManagedPool) -> None:
    plain = (await stranger(managed).sign_in(managed.tokens["admin"])).headers["set-cookie"]
    assert plain.startswith("meetingpool=")
    assert "; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict" in plain
    assert "Secure" not in plain

    safe = stranger(managed, base_url="https://gateway")
    data = {"token": managed.tokens["admin"]}
    answer = await safe.http.post("/dashboard/sign-in", data=data, headers={"sec-fetch-site": "same-origin"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-meetingpool=")
    assert cookie.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure")


@pytest.mark.parametrize("caller", ["expired", "revoked", "server"])
async def test_tokens_that_do_not_count_open_nothing(managed: ManagedPool, caller: str, logged: list[Event]) -> None:
    somebody = stranger(managed)
    answer = await somebody.sign_in(managed.tokens[caller])
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert (await somebody.get()).status_code == 303
    assert managed.tokens[caller] not in str(logged)


async def test_who_is_wrong_too_often_waits_and_others_do_not(managed: ManagedPool) -> None:
    somebody = stranger(managed)
    answers = [await somebody.sign_in("mp_wrong") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await stranger(managed, "198.51.100.1").sign_in(managed.tokens["admin"])).status_code == 303


async def test_whoever_signs_out_is_out_though_somebody_kept_the_cookie(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    kept = httpx.Cookies(admin.http.cookies)
    answer = await admin.post("/sign-out")
    assert answer.headers["location"] == "/dashboard/sign-in"
    admin.http.cookies = kept
    assert (await admin.get()).status_code == 303
    assert [entry["action"] for entry in await managed.audit(limit=2)] == ["sessions.end", "sessions.begin"]


@pytest.mark.parametrize("field", ["url", "secret"])
async def test_where_a_server_is_and_its_secret_are_not_for_operators(managed: ManagedPool, field: str) -> None:
    operator, server = await visitor(managed, "operator"), managed.pool.fleet.servers[0]
    page = await operator.see(f"/servers/{server.name}")
    assert page.xpath("count(//form[contains(@action, '/set')]//input[@name='load_multiplier'])") == 1
    assert page.xpath(f"count(//form[contains(@action, '/set')]//input[@name='{field}'])") == 0
    await operator.post(f"/servers/{server.name}/set", None, **{field: "https://elsewhere.example/"})
    known = (await managed.pool.servers())[ServerId(server.name)]
    assert (known.url, known.secret) == (server.url, server.secret)


async def test_a_revoked_token_ends_its_sessions(managed: ManagedPool) -> None:
    operator, admin = await visitor(managed, "operator"), await visitor(managed)
    tokens = await admin.see("/tokens")
    number = tokens.xpath("//tr[starts-with(normalize-space(th), 'operator')]//input[@name='id']/@value")[0]
    assert "counts no more" in await admin.said(await admin.post("/tokens/revoke", id=number))
    assert (await operator.get()).status_code == 303


@pytest.mark.parametrize("caller", ["admin", "operator", "auditor", "a"])
async def test_each_role_sees_its_pages_and_no_others(managed: ManagedPool, caller: str) -> None:
    somebody, allowed = await visitor(managed, caller), PERMISSIONS[role_of(caller)]
    for page in PAGES:
        answer = await somebody.get(at(page.path))
        expected = 200 if page.permission in allowed else 303 if page.path == "/dashboard" else 403
        assert (page.path, answer.status_code) == (page.path, expected)
    listed = (await somebody.see("/audit")).xpath("//nav[@aria-label='Pages']//a/@href")
    assert listed == [page.path for page in PAGES if page.label and page.permission in allowed]


@pytest.mark.parametrize("caller", ["operator", "auditor", "a", "b"])
async def test_what_a_role_may_not_do_is_neither_offered_nor_done(managed: ManagedPool, caller: str) -> None:
    somebody, allowed = await visitor(managed, caller), PERMISSIONS[role_of(caller)]
    before = await managed.audit(limit=100)
    refused = [action for action in ACTIONS if action.permission not in allowed]
    assert refused
    for action in refused:
        answer = await somebody.post(at(action.path), id="1", typed="spare", tenant="a", name="x", role="admin")
        assert (action.path, answer.status_code) == (action.path, 403)
    assert await managed.audit(limit=100) == before
    for page in PAGES:
        if page.permission in allowed:
            offered = await actions_at(somebody, at(page.path))
            assert offered.isdisjoint({action.path.format(**PLACES) for action in refused})


async def actions_at(somebody: Visitor, path: str) -> set[str]:
    """Where the forms and buttons of a page lead."""
    page = read_page((await somebody.get(path)).text)
    return set(page.xpath("//form[@method='post']/@action | //button/@formaction"))


async def test_a_tenants_administrator_sees_nothing_of_others(managed: ManagedPool) -> None:
    somebody = await visitor(managed, "b")
    seen = "".join([(await somebody.get(path)).text for path in ("/meetings", "/recordings", "/callbacks", "/tenants", "/audit")])
    assert "Of b" in seen
    assert RECORDINGS["b"] in seen
    assert RECORDINGS["a"] not in seen
    assert "id-of-a" not in seen
    assert (await somebody.get("/tenants/id-of-a")).status_code == 404
    assert (await somebody.get("/tenants/no-such")).status_code == 404


async def test_a_tenants_administrator_changes_nothing_of_others(managed: ManagedPool) -> None:
    somebody = await visitor(managed, "b")
    before = await managed.audit(limit=100)
    for path, number in (
        ("/recordings/delete", RECORDINGS["a"]),
        ("/recordings/publish", RECORDINGS["a"]),
        ("/meetings/end", "id-of-a/room"),
        ("/callbacks/retry", "1"),
    ):
        assert "found" in await somebody.said(await somebody.post(path, id=number)) or path == "/meetings/end"
    assert await managed.audit(limit=100) == before
    played = await somebody.get(f"/recordings/play?id={RECORDINGS['a']}&format=presentation")
    assert played.status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://gateway", "sec-fetch-site": "cross-site"},
        {"origin": "http://gateway", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_forms_of_other_sites_change_nothing(managed: ManagedPool, headers: dict[str, str]) -> None:
    admin = await visitor(managed)
    answer = await admin.post("/servers/spare/enable", headers=headers)
    assert answer.status_code == 403
    assert (await managed.done("GET", "/servers/spare"))["admin_state"] == "disabled"
    assert (
        await stranger(managed).http.post("/dashboard/sign-in", data={"token": managed.tokens["admin"]}, headers=headers)
    ).status_code == 403


async def test_forms_must_hold_what_this_session_was_given(managed: ManagedPool) -> None:
    admin, other = await visitor(managed), await visitor(managed)
    for wrong in ("", "0" * 64, await other.csrf(), "ü"):
        answer = await admin.http.post("/dashboard/servers/spare/enable", data={"csrf": wrong}, headers=FROM_OWN_PAGE)
        assert answer.status_code == 403
    assert (await admin.get("/servers/spare/enable")).status_code == 404
    assert (await managed.done("GET", "/servers/spare"))["admin_state"] == "disabled"


async def test_pages_run_nothing_of_others_and_are_kept_nowhere(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    for page in PAGES:
        headers = (await admin.get(at(page.path))).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


async def test_nothing_of_a_page_is_written_into_it(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    for page in PAGES:
        seen = await admin.see(at(page.path))
        assert seen.xpath("//script[not(@src)] | //style | //@style | //@*[starts-with(name(), 'on')]") == []
        assert all(address.startswith("/dashboard/static/") for address in seen.xpath("//script/@src | //link/@href"))


async def test_only_chosen_networks_see_the_dashboard(database_url: str, tmp_path: Path) -> None:
    async with managed_pool(database_url, tmp_path, management_networks=("10.0.0.0/8",)) as managed:
        assert (await stranger(managed, "192.0.2.1").get("/sign-in")).status_code == 403
        assert (await stranger(managed, "10.1.2.3").get("/sign-in")).status_code == 200


async def test_secrets_are_on_no_page_until_somebody_asks_which_is_kept(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    seen = "".join([(await admin.get(at(page.path))).text for page in PAGES])
    for secret in ("secret of a", "canary", "front-end-secret", *managed.tokens.values()):
        assert secret not in seen
    shown = await admin.post("/tenants/id-of-a/secrets/reveal")
    assert "secret of a" in shown.text
    assert (await managed.audit(limit=1))[0]["action"] == "tenants.show_secret"
