"""What is done by the dashboard: the same as by the command line, kept in the audit, and said."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meetingpool.domain.server_limits import LIMITS
from tests.dashboard import Visitor, read_page, visitor
from tests.management import DELETED, RECORDINGS, ManagedPool, managed_pool

NASTY = "<script>alert(1)</script>\"'&"


@pytest.fixture
async def managed(database_url: str, tmp_path: Path) -> AsyncIterator[ManagedPool]:
    async with managed_pool(database_url, tmp_path) as managed:
        yield managed


@pytest.fixture
async def admin(managed: ManagedPool) -> Visitor:
    return await visitor(managed)


async def done(managed: ManagedPool, admin: Visitor, path: str, action: str, **fields: Any) -> str:
    """What is said after a form was sent, whose last entry in the audit is `action` by this token."""
    said = await admin.said(await admin.post(path, **fields))
    entry = (await managed.audit(limit=1))[0]
    assert (entry["action"], entry["actor_kind"], entry["actor"], entry["address"]) == (action, "dashboard", "admin", "192.0.2.1")
    return said


async def test_a_server_is_added_polled_changed_and_removed(managed: ManagedPool, admin: Visitor) -> None:
    server = managed.pool.fleet.servers[0]
    await done(managed, admin, f"/servers/{server.name}/panic", "servers.panic", typed=server.name)
    await done(managed, admin, f"/servers/{server.name}/remove", "servers.remove", typed=server.name)

    said = await done(
        managed,
        admin,
        "/servers/add",
        "servers.enable",
        url=server.url,
        secret=server.secret,
        id="new",
        tags="big, gpu",
        enable="1",
    )
    assert said.startswith("Server new is added and enabled: BigBlueButton")
    await done(managed, admin, "/servers/new/set", "servers.set", load_multiplier="2.5", url=server.url, region="eu")
    seen = await managed.done("GET", "/servers/new")
    assert (seen["load_multiplier"], seen["tags"], seen["region"], seen["admin_state"]) == (2.5, [], "eu", "enabled")
    assert "Server new answers" in await admin.said(await admin.post("/servers/new/poll"))


async def test_a_token_for_servers_is_made_and_they_are_shown(managed: ManagedPool, admin: Visitor) -> None:
    shown = await admin.post(
        "/tokens/create", name="hosts", role="server", enters="enabled", hosts="*.example.org, 10.0.0.0/8", days=""
    )
    managed.tokens["hosts"] = read_page(shown.text).xpath("//code/text()")[0]
    await managed.done("POST", "/registrations", "hosts", json={"url": "https://b.example.org", "secret": "s", "id": "itself"})
    assert "enabled, *.example.org, 10.0.0.0/8" in (await admin.get("/tokens")).text
    said = (await admin.see("/servers/itself")).xpath("//dt[text()='Registered itself']/following-sibling::dd[1]")[0].text
    assert said.startswith("with the token hosts; held until ")
    wrong = await admin.post("/tokens/create", name="other", role="server", enters="open", hosts="", days="")
    assert (wrong.status_code, "Choose the state in which servers come" in wrong.text) == (422, True)


async def test_limits_of_a_server_are_shown_and_changed(managed: ManagedPool, admin: Visitor) -> None:
    form = read_page((await admin.get("/servers/spare")).text)
    assert [form.xpath(f"//input[@name='{name}']/@value") for name in LIMITS] == [[""]] * 4
    await done(managed, admin, "/servers/spare/set", "servers.set", max_users="200", soft_users="150")
    page = read_page((await admin.get("/servers/spare")).text)
    assert page.xpath("//input[@name='max_users']/@value") == ["200"]
    assert page.xpath("//dt[text()='People at most']/following-sibling::dd[1]")[0].text == "200"
    # A form that does not hold them, as one that was open before there were any, takes none away.
    await done(managed, admin, "/servers/spare/set", "servers.set", region="eu")
    await done(managed, admin, "/servers/spare/set", "servers.set", soft_users="")
    seen = await managed.done("GET", "/servers/spare")
    assert (seen["max_users"], seen["soft_users"]) == (200, None)
    assert "A limit is a whole number" in (await admin.post("/servers/spare/set", max_users="many")).text


async def test_a_server_that_does_not_answer_is_added_disabled(managed: ManagedPool, admin: Visitor) -> None:
    said = await done(managed, admin, "/servers/add", "servers.add", url="http://127.0.0.1:8", secret="x", id="away", enable="1")
    assert "Server away is disabled, because it cannot be reached" in said
    assert "does not answer" in await admin.said(await admin.post("/servers/away/poll"))


async def test_a_refused_form_keeps_what_was_entered_but_no_secret(admin: Visitor) -> None:
    answer = await admin.post("/servers/add", url="ftp://bbb.example", secret="canary-entered", tags=NASTY)
    page = read_page(answer.text)
    assert answer.status_code == 422
    assert "must start with http" in page.xpath("//p[@role='alert']")[0].text
    assert page.xpath("//input[@name='url']/@value") == ["ftp://bbb.example"]
    assert page.xpath("//input[@name='tags']/@value") == [NASTY]
    assert "canary-entered" not in answer.text


async def test_states_change_and_a_server_with_meetings_is_not_switched_off(managed: ManagedPool, admin: Visitor) -> None:
    assert await done(managed, admin, "/servers/spare/enable", "servers.enable") == "Server spare is enabled and was disabled"
    assert await done(managed, admin, "/servers/spare/cordon", "servers.cordon") == "Server spare is cordoned and was enabled"
    [busy, *_] = [each["server"] for each in (await managed.done("GET", "/meetings"))["items"]]
    assert f"Server {busy} is not disabled, because meetings run on it" in await admin.said(
        await admin.post(f"/servers/{busy}/disable")
    )


@pytest.mark.parametrize("verb", ["panic", "remove"])
async def test_what_cannot_be_undone_is_done_for_who_types_the_id(managed: ManagedPool, admin: Visitor, verb: str) -> None:
    for typed in ("", "SPARE", "other"):
        assert "Type the server's id" in await admin.said(await admin.post(f"/servers/spare/{verb}", typed=typed))
    assert (await managed.done("GET", "/servers/spare"))["id"] == "spare"


async def test_meetings_are_found_and_ended(managed: ManagedPool, admin: Visitor) -> None:
    page = await admin.see("/meetings?tenant=a")
    assert page.xpath("//tbody//input[@name='id']/@value") == ["id-of-a/room"]
    ended = await done(managed, admin, "/meetings/end", "meetings.end", id=["id-of-a/room", "id-of-b/room"])
    assert ended == "2 meetings are ended"
    assert all(not server.meetings for server in managed.pool.fleet.servers)
    assert "Choose at least one" in await admin.said(await admin.post("/meetings/end"))


async def test_recordings_are_found_hidden_protected_deleted_and_restored(managed: ManagedPool, admin: Visitor) -> None:
    record_id = RECORDINGS["a"]
    found = await admin.see("/recordings?q=of+A")
    assert found.xpath("//tbody//input[@name='id']/@value") == [record_id]
    for verb in ("unpublish", "publish", "protect", "unprotect", "delete", "restore"):
        said = await done(managed, admin, f"/recordings/{verb}", f"recordings.{verb}", id=record_id)
        assert said.startswith(f"Recording {record_id} is ")
    assert DELETED in (await admin.get("/recordings?state=deleted")).text
    await done(managed, admin, "/recordings/assign", "recordings.assign", id=record_id, tenant="c")
    assert RECORDINGS["a"] in (await admin.get("/recordings?tenant=c")).text


async def test_a_protected_recording_is_played_by_a_link_of_its_own(managed: ManagedPool, admin: Visitor) -> None:
    await admin.post("/recordings/protect", id=RECORDINGS["a"])
    answer = await admin.get(f"/recordings/play?id={RECORDINGS['a']}&format=presentation")
    assert answer.headers["referrer-policy"] == "no-referrer"
    link = answer.headers["location"]
    assert link.startswith(f"/t/a/recording/{RECORDINGS['a']}/presentation?token=")
    assert (await admin.http.get(link)).status_code == 307
    assert (await admin.http.get(link)).status_code == 404


async def test_recordings_are_played_where_the_settings_say(database_url: str, tmp_path: Path) -> None:
    async with managed_pool(database_url, tmp_path, public_url="https://pool.example/") as managed:
        answer = await (await visitor(managed)).get(f"/recordings/play?id={RECORDINGS['b']}&format=presentation")
        assert answer.headers["location"] == f"https://pool.example/t/b/recording/{RECORDINGS['b']}/presentation"


async def test_refused_archives_are_tried_again(managed: ManagedPool, admin: Visitor) -> None:
    assert "It is a letter" in (await admin.get("/imports")).text
    assert await done(managed, admin, "/imports/retry", "quarantine.retry", id="1") == (
        "bad.tar: tried again by the recordings worker"
    )
    assert "No refused archive found with id: 1" in await admin.said(await admin.post("/imports/retry", id="1"))


async def test_refused_archives_are_removed(managed: ManagedPool, admin: Visitor) -> None:
    assert await done(managed, admin, "/imports/remove", "quarantine.remove", id="1") == "bad.tar is removed"
    assert "No archive was refused." in (await admin.get("/imports")).text


async def test_callbacks_are_tried_again(managed: ManagedPool, admin: Visitor) -> None:
    assert await done(managed, admin, "/callbacks/retry", "callbacks.retry", id=["1", "2"]) == "2 callbacks are tried now"
    assert "canary" not in (await admin.get("/callbacks")).text


async def test_a_tenant_is_added_limited_ruled_and_removed(managed: ManagedPool, admin: Visitor) -> None:
    shown = read_page((await admin.post("/tenants/add", name="new", id="id-of-new")).text)
    [secret] = shown.xpath("//p[@class='secret']/code/text()")
    await done(
        managed,
        admin,
        "/tenants/id-of-new/set",
        "tenants.set",
        name="newer",
        max_meetings="7",
        server_tags="big",
        algorithm="sha512",
        region="eu",
    )
    await done(managed, admin, "/tenants/id-of-new/rules/add", "rules.set", call="create", rule="duration<30")
    tenant = await managed.done("GET", "/tenants/id-of-new")
    assert (tenant["name"], tenant["max_meetings"], tenant["max_users"], tenant["region"]) == ("newer", 7, None, "eu")
    assert (tenant["server_tags"], tenant["checksum_algorithms"], tenant["create_rules"]) == (
        ["big"],
        ["sha512"],
        ["duration<30"],
    )

    await done(managed, admin, "/tenants/id-of-new/secrets/add", "tenants.set", secret="another secret", first="1")
    revealed = read_page((await admin.post("/tenants/id-of-new/secrets/reveal")).text)
    assert revealed.xpath("//p[@class='secret']/code/text()") == ["another secret", secret]
    await done(managed, admin, "/tenants/id-of-new/secrets/remove", "tenants.set", number="2")
    [rule] = (await admin.see("/tenants/id-of-new")).xpath("//form[contains(@action, 'rules/remove')]/input[@name='id']/@value")
    await done(managed, admin, "/tenants/id-of-new/rules/remove", "rules.remove", id=rule)
    assert "Type the tenant's id" in await admin.said(await admin.post("/tenants/id-of-new/remove", typed="newer"))
    await done(managed, admin, "/tenants/id-of-new/remove", "tenants.remove", typed="id-of-new")


async def test_tokens_are_shown_once_and_count(managed: ManagedPool, admin: Visitor) -> None:
    shown = read_page((await admin.post("/tokens/create", name="watcher", role="auditor", days="30")).text)
    [token] = shown.xpath("//p[@class='secret']/code/text()")
    assert (await managed.ask("GET", "/servers", token)).status_code == 200
    assert token not in (await admin.get("/tokens")).text
    again = await admin.post("/tokens/create", name="watcher", role="auditor", days="30")
    assert again.status_code == 409
    assert "choose another name" in again.text


async def test_addresses_for_alerts_are_added_tried_and_removed(managed: ManagedPool, admin: Visitor) -> None:
    shown = await admin.post("/alerts/add", url="https://example.org/hook?key=canary", kind="server.offline")
    assert "It is not shown again" in shown.text
    page = await admin.see("/alerts")
    numbers = page.xpath("//form[contains(@action, 'alerts/test')]/input[@name='id']/@value")
    assert "The test was not delivered" in await done(managed, admin, "/alerts/test", "alerts.test", id=numbers[0])
    for number in numbers:
        await done(managed, admin, "/alerts/remove", "alerts.remove", id=number)
    refused = await admin.post("/alerts/add", url="http://127.0.0.1/hook")
    assert refused.status_code == 422


async def test_the_audit_shows_before_and_after(managed: ManagedPool, admin: Visitor) -> None:
    await admin.post("/servers/spare/enable")
    page = await admin.see("/audit?subject=spare&action=servers")
    assert page.xpath("//tbody//th//text()") == ["servers.enable", "servers.add"]
    assert (page.xpath("//del/text()"), page.xpath("(//ins)[1]/text()")) == (["disabled"], ["enabled"])


async def test_usage_is_a_table_for_other_programs_too(managed: ManagedPool, admin: Visitor) -> None:
    async with managed.pool.database.transaction() as connection:
        await connection.execute("INSERT INTO usage_hours VALUES (date_trunc('hour', now()), 'id-of-a', '', 3600, 7200, 1, 2)")
        await connection.execute("UPDATE tenants SET name = '=1+1' WHERE id = 'id-of-a'")
    page = await admin.see("/usage")
    assert page.xpath("//td[@data-label='Person hours']/text()") == ["2.0"]
    table = await admin.get("/usage.csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.text.splitlines()[1] == "'=1+1,60.0,120.0,1,2"


async def test_names_of_others_are_text_everywhere(managed: ManagedPool, admin: Visitor) -> None:
    async with managed.pool.database.transaction() as connection:
        for statement in (
            "UPDATE servers SET tags = ARRAY[$1], region = $1, bbb_version = $1, last_error = $1, failures = 1",
            "UPDATE meetings SET meeting_id = $1 WHERE tenant = 'id-of-a'",
            "UPDATE recordings SET name = $1, meeting_id = $1",
            "UPDATE imports SET name = $1, detail = $1, reason = $1",
            "UPDATE outbox SET meeting_id = $1, last_error = $1",
            "UPDATE tenants SET name = $1, server_tags = ARRAY[$1] WHERE id = 'id-of-a'",
            "UPDATE tenant_rules SET operator = 'override', value = $1",
            "UPDATE audit SET subject = $1, after = jsonb_build_object($1::text, $1::text)",
            "UPDATE api_tokens SET created_by = $1",
        ):
            await connection.execute(statement, NASTY)
    for path in ("", "/meetings", "/recordings", "/imports", "/callbacks", "/tenants", "/tenants/id-of-a", "/audit", "/tokens"):
        answer = await admin.get(path)
        page = read_page(answer.text)
        assert "<script>alert" not in answer.text, path
        assert any(NASTY in text for text in page.xpath("//body//text() | //@value")), path
    spare = await admin.see("/servers/spare")
    assert NASTY in spare.xpath("//div[@id='trouble']")[0].text_content()


async def test_settings_are_shown_without_what_is_secret(admin: Visitor) -> None:
    page = await admin.see("/settings?q=secret")
    assert "set, and not shown" in page.text_content()
    assert "MEETINGPOOL_LOADBALANCER_SECRET" in page.text_content()


async def test_what_is_not_there_is_said(admin: Visitor) -> None:
    for path in ("/servers/none", "/tenants/none", "/nothing", "/static/0/dashboard.js", "/static/0/..%2fpages.py"):
        assert (await admin.get(path)).status_code == 404
    assert (await admin.post("/servers/none/enable")).status_code == 303
