"""What the management API does to servers and meetings."""

import pytest

from meetingpool.domain.server_limits import LIMITS
from tests.management import RECORDINGS, ManagedPool, refused

# Servers


async def test_a_server_is_added_shown_changed_and_removed(managed: ManagedPool) -> None:
    new = {"url": "https://bbb9.example/", "secret": "canary", "id": "nine", "tags": ["b", "a"], "load_multiplier": 2}
    added = await managed.done("POST", "/servers", json=new)
    assert (added["url"], added["tags"], added["admin_state"]) == (
        "https://bbb9.example/bigbluebutton/api/",
        ["a", "b"],
        "disabled",
    )
    assert added["poll"] is None
    assert "secret" not in added
    changed = await managed.done("PATCH", "/servers/bbb9.example", json={"tags": [], "region": "north"})
    assert (changed["id"], changed["tags"], changed["region"], changed["load_multiplier"]) == ("nine", [], "north", 2.0)
    assert (await managed.done("PATCH", "/servers/nine", json={"region": None}))["region"] is None
    assert (await managed.done("DELETE", "/servers/nine"))["id"] == "nine"
    assert await refused(managed, "GET", "/servers/nine") == (404, "no_such_server")


async def test_limits_of_a_server_are_set_and_taken_away(managed: ManagedPool) -> None:
    new = {"url": "https://bbb9.example/", "secret": "s", "id": "nine", "max_users": 200, "soft_meetings": 30}
    added = await managed.done("POST", "/servers", json=new)
    assert [added[name] for name in LIMITS] == [None, 200, 30, None]
    changed = await managed.done("PATCH", "/servers/nine", "operator", json={"max_users": None, "max_meetings": 40})
    assert [changed[name] for name in LIMITS] == [40, None, 30, None]
    for wrong in ({"max_users": 0}, {"max_users": 2**31}, {"max_meetings": 29}, {"soft_meetings": 41}):
        status, _ = await refused(managed, "PATCH", "/servers/nine", json=wrong)
        assert status == 422
    assert await managed.done("GET", "/servers/nine") == changed
    [change, *_] = (await managed.done("GET", "/audit?subject=nine"))["items"]
    assert (change["before"], change["after"]) == (
        {"max_users": 200, "max_meetings": None},
        {"max_users": None, "max_meetings": 40},
    )


async def test_the_answer_to_an_added_server_has_status_201(managed: ManagedPool) -> None:
    new = {"url": "https://bbb9.example/", "secret": "s", "id": "nine"}
    assert (await managed.ask("POST", "/servers", json=new)).status_code == 201
    assert await refused(managed, "POST", "/servers", json=new) == (409, "server_exists")


async def test_a_server_that_answers_is_enabled_at_once(managed: ManagedPool) -> None:
    simulated = managed.pool.fleet.servers[0]
    await managed.done("POST", f"/servers/{simulated.name}/panic")
    await managed.done("DELETE", f"/servers/{simulated.name}")
    new = {"url": simulated.url, "secret": simulated.secret, "id": "again", "enable": True}
    added = await managed.done("POST", "/servers", json=new)
    assert (added["admin_state"], added["health"], added["poll"]["reached"]) == ("enabled", "online", True)


async def test_a_server_that_does_not_answer_is_added_and_stays_disabled(managed: ManagedPool) -> None:
    added = await managed.done("POST", "/servers", json={"url": "http://127.0.0.1:1", "secret": "s", "enable": True})
    assert (added["admin_state"], added["poll"]["reached"]) == ("disabled", False)
    assert added["poll"]["error"]


@pytest.mark.parametrize("change", [{"url": "https://elsewhere.example"}, {"secret": "another"}])
async def test_only_who_may_add_servers_may_make_one_another(managed: ManagedPool, change: dict[str, str]) -> None:
    answer = await managed.ask("PATCH", "/servers/spare", "operator", json=change)
    assert (answer.status_code, answer.json()["permission"]) == (403, "add_and_remove_servers")
    await managed.done("PATCH", "/servers/spare", "operator", json={"load_multiplier": 3})
    await managed.done("PATCH", "/servers/spare", json=change)


async def test_a_change_must_say_what(managed: ManagedPool) -> None:
    for path in ("/servers/spare", "/tenants/a", f"/recordings/{RECORDINGS['a']}"):
        assert await refused(managed, "PATCH", path, json={}) == (422, "invalid")


async def test_a_server_with_meetings_is_neither_disabled_nor_removed(managed: ManagedPool) -> None:
    server = (await managed.done("GET", "/meetings?tenant=a"))["items"][0]["server"]
    assert await refused(managed, "POST", f"/servers/{server}/disable") == (409, "meetings_running")
    assert await refused(managed, "DELETE", f"/servers/{server}") == (409, "meetings_running")
    assert (await managed.done("POST", f"/servers/{server}/cordon"))["admin_state"] == "cordoned"


async def test_panic_gives_a_server_up(managed: ManagedPool) -> None:
    server = (await managed.done("GET", "/meetings?tenant=a"))["items"][0]["server"]
    given_up = await managed.done("POST", f"/servers/{server}/panic", json={"keep_state": True})
    assert (given_up["server"]["admin_state"], given_up["forgotten"], given_up["not_ended"]) == ("enabled", 1, [])
    assert managed.pool.simulated(server).meetings == {}
    assert (await managed.done("GET", "/meetings?tenant=a"))["items"] == []


async def test_panic_says_what_may_run_on(managed: ManagedPool) -> None:
    server = (await managed.done("GET", "/meetings?tenant=a"))["items"][0]["server"]
    await managed.done("PATCH", f"/servers/{server}", json={"secret": "wrong"})
    given_up = await managed.done("POST", f"/servers/{server}/panic")
    assert given_up["server"]["admin_state"] == "disabled"
    assert [(each["id"], each["tenant"]) for each in given_up["not_ended"]] == [("room", "a")]
    assert given_up["not_ended"][0]["reason"]


async def test_a_poll_says_what_it_saw_and_keeps_it(managed: ManagedPool) -> None:
    seen = await managed.done("POST", f"/servers/{managed.pool.fleet.servers[0].name}/poll", "operator")
    assert (seen["reached"], seen["error"], seen["health"]) == (True, None, "online")
    seen = await managed.done("POST", "/servers/spare/poll")
    assert (seen["reached"], seen["meetings"]) == (False, None)


async def test_a_secret_is_shown_and_that_is_kept(managed: ManagedPool) -> None:
    assert (await managed.done("GET", "/servers/spare/secret"))["secret"] == "canary secret of spare"
    assert (await managed.done("GET", "/tenants/a/secrets"))["secrets"] == ["secret of a"]
    entries = [(entry["action"], entry["subject"], entry["after"]) for entry in await managed.audit(limit=2)]
    assert entries == [("tenants.show_secret", "id-of-a", None), ("servers.show_secret", "spare", None)]


async def test_the_history_of_a_server_has_a_place_for_each_step(managed: ManagedPool) -> None:
    for span, places in (("24h", 288), ("7d", 336)):
        samples = await managed.done("GET", "/servers/spare/samples", params={"span": span})
        assert {len(samples[name]) for name in ("at", "health", "load", "meetings", "users")} == {places}


# Meetings


async def test_meetings_are_listed_by_tenant_and_server(managed: ManagedPool) -> None:
    everybodys = (await managed.done("GET", "/meetings"))["items"]
    assert sorted((meeting["id"], meeting["tenant"]) for meeting in everybodys) == [("room", "a"), ("room", "b")]
    of_a = next(meeting for meeting in everybodys if meeting["tenant"] == "a")
    for query in ({"tenant": "a"}, {"tenant": "id-of-a"}, {"server": of_a["server"], "tenant": "a"}):
        assert (await managed.done("GET", "/meetings", params=query))["items"] == [of_a]
    assert (await managed.done("GET", "/meetings", params={"server": "spare"}))["items"] == []
    assert (await managed.done("GET", "/meetings", "a"))["items"] == [of_a]
    assert await refused(managed, "GET", "/meetings", params={"server": "nowhere"}) == (404, "no_such_server")
    for server, found in ((of_a["server"], [of_a]), ("nowhere", []), ("127.0.0.1", [])):
        # Which servers there are is not for a tenant's administrator.
        assert (await managed.done("GET", "/meetings", "a", params={"server": server}))["items"] == found


async def test_a_meeting_is_shown_with_what_its_server_says(managed: ManagedPool) -> None:
    meeting = await managed.done("GET", "/meetings/room", "a")
    assert (meeting["tenant"], meeting["name"], meeting["participants"]) == ("a", "A room", 0)
    assert "moderatorPW" not in meeting


async def test_which_meeting_is_meant_must_be_clear(managed: ManagedPool) -> None:
    assert await refused(managed, "GET", "/meetings/room") == (409, "ambiguous_meeting")
    assert await refused(managed, "DELETE", "/meetings/room") == (409, "ambiguous_meeting")
    assert await refused(managed, "DELETE", "/meetings/nothing") == (404, "no_such_meeting")


async def test_a_tenants_administrator_ends_only_its_own(managed: ManagedPool) -> None:
    assert await refused(managed, "DELETE", "/meetings/room", "a", params={"tenant": "b"}) == (404, "no_such_tenant")
    ended = await managed.done("POST", "/meetings/end", "a", json={"all": True})
    assert [meeting["tenant"] for meeting in ended["ended"]] == ["a"]
    states = {each["tenant"]: each["state"] for each in (await managed.done("GET", "/meetings"))["items"]}
    assert states == {"a": "ending", "b": "live"}
    entry = (await managed.audit())[0]
    assert (entry["action"], entry["actor"], entry["tenant"]) == ("meetings.end", "of a", "a")


async def test_a_meeting_that_its_server_does_not_end_is_told_of(managed: ManagedPool) -> None:
    server = (await managed.done("GET", "/meetings?tenant=a"))["items"][0]["server"]
    await managed.done("PATCH", f"/servers/{server}", json={"secret": "wrong"})
    assert await refused(managed, "DELETE", "/meetings/room?tenant=a") == (502, "end_failed")
    told = await managed.done("POST", "/meetings/end", json={"ids": ["room"], "tenant": "a"})
    assert (told["ended"], [each["id"] for each in told["not_ended"]]) == ([], ["room"])


@pytest.mark.parametrize("body", [{}, {"ids": ["room"], "all": True}])
async def test_what_is_to_end_must_be_said(managed: ManagedPool, body: dict[str, object]) -> None:
    assert await refused(managed, "POST", "/meetings/end", json=body) == (422, "invalid")
