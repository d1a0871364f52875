"""Servers register themselves, renew that, and go; and an administrator has the last word."""

import asyncio
from typing import Any

import pytest

from meetingpool.bbb.client import signed_url
from meetingpool.database.servers import all_servers
from meetingpool.domain.meetings import MeetingKey, host_id_of
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.servers import AdminState, Health, Standing
from tests.management import ManagedPool, refused
from tests.pool import read, succeeded
from tests.registrations import HERE, LIFETIME, Hosts, hosts_of

ENABLED, CORDONED, DISABLED = AdminState.ENABLED, AdminState.CORDONED, AdminState.DISABLED
CLASS_ON_HOST = host_id_of(MeetingKey("id-of-a", "class"))
HELD, LAPSED, ENDED = Standing.HELD, Standing.LAPSED, Standing.ENDED


@pytest.fixture
async def hosts(managed: ManagedPool) -> Hosts:
    return await hosts_of(managed)


async def post(hosts: Hosts, caller: str = "hosts", **more: Any) -> tuple[int, str]:
    return await refused(hosts.managed, "POST", "/registrations", caller, json={**hosts.body, **more})


async def actions(hosts: Hosts) -> list[str]:
    return [entry["action"] for entry in await hosts.managed.audit(subject="one")]


# Coming and renewing


async def test_a_server_registers_and_gets_meetings_once_it_was_polled(hosts: Hosts) -> None:
    answer = await hosts.managed.ask("POST", "/registrations", "hosts", json=hosts.body)
    assert answer.status_code == 201
    new = answer.json()
    assert (new["id"], new["admin_state"], new["health"], new["is_new"]) == ("one", "enabled", "offline", True)
    server = await hosts.server()
    assert server is not None
    polled = await hosts.managed.pool.poller.poll(server)
    await hosts.managed.pool.record({server.id: polled})
    listed = await hosts.managed.done("GET", "/servers/one")
    assert (listed["health"], listed["registered_by"], listed["registration"]) == ("online", "hosts", "held")
    assert listed["registered_until"] == new["registered_until"]


async def test_the_same_call_renews_and_leaves_no_entry(hosts: Hosts) -> None:
    first = await hosts.register(tags=["hd"], max_users=100)
    await hosts.wait(60)
    again = await hosts.managed.ask("POST", "/registrations", "hosts", json={**hosts.body, "tags": ["hd"], "max_users": 100})
    assert (again.status_code, again.json()["is_new"]) == (200, False)
    assert again.json()["registered_until"] > first["registered_until"]
    assert await actions(hosts) == ["servers.register"]


async def test_what_a_renewal_says_anew_is_applied(hosts: Hosts) -> None:
    await hosts.register(load_multiplier=2, tags=["a"])
    await hosts.register(secret="another", load_multiplier=3, region="eu")
    server = await hosts.server()
    assert server is not None
    assert (server.secret, server.load_multiplier, server.tags, server.region) == ("another", 3.0, frozenset("a"), "eu")
    entry = (await hosts.managed.audit(subject="one"))[0]
    assert (entry["action"], entry["actor_kind"], entry["actor"]) == ("servers.set", "token", "hosts")
    assert entry["after"] == {"secret": "changed", "load_multiplier": 3.0, "region": "eu"}


async def test_a_server_without_an_id_is_called_by_its_host_name(hosts: Hosts) -> None:
    new = await hosts.register(id=None)
    assert (new["id"], (await hosts.register(id=None))["is_new"]) == ("127.0.0.1", False)


async def test_a_server_that_waits_for_an_administrator_stays_cordoned_until_one_decides(hosts: Hosts) -> None:
    await hosts.new_token("careful", RegistrationRules(enters=CORDONED, hosts=("127.0.0.1",)))
    await hosts.register("careful")
    server = await hosts.server()
    assert server is not None
    for _ in range(3):
        await hosts.managed.pool.record({server.id: await hosts.managed.pool.poller.poll(server)})
    assert await hosts.summary() == (CORDONED, HELD, CORDONED)
    await hosts.managed.done("POST", "/servers/one/enable")
    await hosts.register("careful")
    assert await hosts.summary() == (ENABLED, HELD, None)


async def test_what_the_token_fixes_the_server_does_not_say(hosts: Hosts) -> None:
    fixed = RegistrationRules(enters=ENABLED, hosts=("127.0.0.1",), tags=("b", "a"), region="eu", load_multiplier=2.0)
    await hosts.new_token("fixing", fixed)
    assert await post(hosts, "fixing", tags=["c"]) == (422, "invalid_registration")
    await hosts.register("fixing", tags=["a", "b"], region="eu")
    server = await hosts.server()
    assert server is not None
    assert (server.tags, server.region, server.load_multiplier) == (frozenset("ab"), "eu", 2.0)
    # An administrator's word stays.
    await hosts.managed.done("PATCH", "/servers/one", json={"region": "us"})
    await hosts.register("fixing", region="eu")
    assert (await hosts.managed.done("GET", "/servers/one"))["region"] == "us"


async def test_a_dry_run_registers_and_ends_nothing(hosts: Hosts) -> None:
    answer = await hosts.managed.ask("POST", "/registrations", "hosts", json=hosts.body, params={"dry_run": "true"})
    assert (answer.status_code, answer.json()["is_new"], await hosts.server()) == (200, True, None)
    await hosts.register()
    await hosts.managed.done("DELETE", "/registrations/one", "hosts", params={"dry_run": "true"})
    assert await hosts.summary() == (ENABLED, HELD, ENABLED)


# What is refused


async def test_a_registration_takes_over_no_server_of_others(hosts: Hosts) -> None:
    other = hosts.managed.pool.fleet.servers[1]
    assert await post(hosts, url=other.url, id=other.name) == (409, "registration_refused")
    assert await post(hosts, url=other.url) == (409, "registration_refused")
    assert await post(hosts, id="spare") == (409, "registration_refused")
    await hosts.register()
    await hosts.new_token("others")
    assert await post(hosts, "others") == (409, "registration_refused")
    assert await post(hosts, id="two") == (409, "registration_refused")
    assert await post(hosts, url=other.url.replace("127.0.0.1", "localhost")) == (422, "host_not_allowed")
    assert await refused(hosts.managed, "DELETE", "/registrations/one", "others") == (404, "no_such_registration")
    assert await refused(hosts.managed, "DELETE", "/registrations/spare", "hosts") == (404, "no_such_registration")
    assert await hosts.summary() == (ENABLED, HELD, ENABLED)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"url": "ftp://127.0.0.1/"}, "invalid_server"),
        ({"secret": " "}, "invalid_server"),
        ({"id": "a/b"}, "invalid_server"),
        ({"load_multiplier": 0}, "invalid_server"),
        ({"soft_users": 20, "max_users": 10}, "invalid_server"),
        ({"admin_state": "enabled"}, "invalid"),
    ],
)
async def test_what_a_server_cannot_be_is_refused_when_it_comes_and_later(hosts: Hosts, wrong: dict[str, Any], code: str) -> None:
    assert await post(hosts, **wrong) == (422, code)
    await hosts.register()
    assert await post(hosts, **wrong) == (422, code)


async def test_a_token_that_replaces_another_takes_over_its_servers(hosts: Hosts) -> None:
    await hosts.register()
    await hosts.new_token("newer", RegistrationRules(enters=CORDONED, hosts=("127.0.0.1",), replaces=("hosts",)))
    await hosts.register("newer")
    assert await hosts.summary() == (ENABLED, HELD, ENABLED)
    assert await post(hosts) == (409, "registration_refused")
    await hosts.leave(caller="newer")


async def test_of_many_registrations_at_once_one_is_new(hosts: Hosts) -> None:
    made = await asyncio.gather(*(hosts.register() for _ in range(8)))
    assert [each["is_new"] for each in made].count(True) == 1
    assert await actions(hosts) == ["servers.register"]


async def test_of_servers_that_want_one_place_one_gets_it(hosts: Hosts) -> None:
    urls = [f"http://127.0.0.1:{port}" for port in range(9001, 9009)]
    answers = await asyncio.gather(
        *(hosts.managed.ask("POST", "/registrations", "hosts", json={**hosts.body, "url": url}) for url in urls)
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


# Going


async def test_a_server_that_goes_takes_nothing_new_and_is_taken_out_when_it_stays_away(hosts: Hosts) -> None:
    await hosts.register()
    left = await hosts.leave()
    assert left["admin_state"] == "cordoned"
    await hosts.leave()
    assert await actions(hosts) == ["servers.deregister", "servers.register"]
    assert await hosts.poller_looks() == ([], [])
    await hosts.wait(LIFETIME + 1)
    assert await hosts.poller_looks() == ([], ["one"])
    assert (await hosts.server(), (await actions(hosts))[0]) == (None, "servers.remove")
    assert (await hosts.register())["is_new"]


async def test_a_server_that_comes_back_in_time_is_what_it_was(hosts: Hosts) -> None:
    await hosts.register()
    for now in (False, True):
        await hosts.leave(now=now)
        assert not (await hosts.register())["is_new"]
        assert await hosts.summary() == (ENABLED, HELD, ENABLED)


async def test_a_meeting_keeps_the_server_that_goes(hosts: Hosts) -> None:
    await hosts.register()
    await _put_meeting_on(hosts, "live")
    await hosts.leave()
    await hosts.wait(LIFETIME + 1)
    assert await hosts.poller_looks() == ([], [])
    await _put_meeting_on(hosts, "ending")
    assert await hosts.poller_looks() == ([], ["one"])


async def test_meetings_of_a_server_that_goes_down_can_be_created_elsewhere_at_once(hosts: Hosts) -> None:
    await hosts.register()
    await _put_meeting_on(hosts, "live")
    await hosts.leave(now=True)
    # Nobody listens there any more.
    await _set(hosts, "url", "http://127.0.0.1:9/")
    server = await hosts.server()
    assert server is not None
    assert (server.admin_state, server.health) == (DISABLED, Health.DEAD)
    front_end = await hosts.managed.pool.front_end()
    url = signed_url(
        "http://gateway/t/a/bigbluebutton/api", "secret of a", "create", [("meetingID", "class"), ("name", "A class")]
    )
    assert succeeded(read(await front_end.http.get(url)))
    assert hosts.managed.pool.holders(CLASS_ON_HOST) in ([each] for each in hosts.managed.pool.fleet.servers[1:])


# Silence


async def test_a_server_that_falls_silent_is_cordoned_and_opened_when_it_renews(hosts: Hosts) -> None:
    await hosts.register()
    await hosts.wait(LIFETIME)
    assert await hosts.poller_looks() == ([], [])
    await hosts.wait(LIFETIME / 2)
    assert await hosts.poller_looks() == (["one"], [])
    assert await hosts.summary() == (CORDONED, LAPSED, ENABLED)
    assert await hosts.poller_looks() == ([], [])
    await hosts.register()
    assert await hosts.summary() == (ENABLED, HELD, ENABLED)
    entries = await hosts.managed.audit(subject="one")
    assert [(entry["action"], entry["actor"]) for entry in entries][:2] == [
        ("servers.renew", "hosts"),
        ("servers.lapse", "poller"),
    ]


async def test_a_silent_server_is_taken_out_when_it_is_offline_for_long(hosts: Hosts) -> None:
    await hosts.register()
    await hosts.wait(2 * LIFETIME)
    assert await hosts.poller_looks() == (["one"], [])
    await hosts.wait(12 * LIFETIME)
    await _set(hosts, "health", "online")
    assert await hosts.poller_looks() == ([], [])
    await _set(hosts, "health", "dead")
    await _put_meeting_on(hosts, "unknown")
    assert await hosts.poller_looks() == ([], [])
    await _put_meeting_on(hosts, "lost")
    assert await hosts.poller_looks() == ([], ["one"])


async def test_when_most_servers_fall_silent_those_that_answer_stay_open(hosts: Hosts) -> None:
    for name, port in (("one", 9001), ("two", 9002), ("three", 9003)):
        await hosts.register(id=name, url=f"http://127.0.0.1:{port}")
    await hosts.wait(2 * LIFETIME)
    await _set(hosts, "health", "online")
    await hosts.register(id="three", url="http://127.0.0.1:9003")
    assert await hosts.poller_looks() == ([], [])
    # Nothing is lost by cordoning one that does not answer either.
    await _set(hosts, "health", "dead", "two")
    assert await hosts.poller_looks() == (["two"], [])
    await hosts.register(id="two", url="http://127.0.0.1:9002")
    assert await hosts.poller_looks() == (["one"], [])


async def test_servers_of_a_revoked_token_leave_whoever_else_is_silent(hosts: Hosts) -> None:
    await hosts.new_token("others")
    for number, caller in enumerate(("hosts", "hosts", "others", "others", "others")):
        await hosts.register(caller, id=f"s{number}", url=f"http://127.0.0.1:{9001 + number}")
    await hosts.wait(2 * LIFETIME)
    await _set(hosts, "health", "online")
    assert await hosts.poller_looks() == ([], [])
    await hosts.managed.done("DELETE", "/tokens/hosts")
    assert await hosts.poller_looks() == (["s0", "s1"], [])
    # Of those that still can renew, most do.
    for number in (3, 4):
        await hosts.register("others", id=f"s{number}", url=f"http://127.0.0.1:{9001 + number}")
    assert await hosts.poller_looks() == (["s2"], [])


# The administrator's word


@pytest.mark.parametrize(("verb", "state"), [("cordon", CORDONED), ("disable", DISABLED)])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_what_an_administrator_closed_no_renewal_opens(hosts: Hosts, verb: str, state: AdminState, moment: str) -> None:
    await hosts.register()
    if moment == "before":
        await hosts.managed.done("POST", f"/servers/one/{verb}")
    await hosts.wait(2 * LIFETIME)
    await hosts.poller_looks()
    if moment == "after":
        await hosts.managed.done("POST", f"/servers/one/{verb}")
    await hosts.register()
    assert await hosts.summary() == (state, HELD, None)
    # Nor is such a server forgotten, which would let it come in anew.
    await hosts.leave()
    await hosts.wait(100 * LIFETIME)
    assert await hosts.poller_looks() == ([], [])
    await hosts.register()
    assert await hosts.summary() == (state, HELD, None)


async def test_what_an_administrator_opened_stays_open_though_it_is_silent(hosts: Hosts) -> None:
    await hosts.register()
    await hosts.wait(2 * LIFETIME)
    assert await hosts.poller_looks() == (["one"], [])
    await hosts.managed.done("POST", "/servers/one/enable")
    await hosts.wait(100 * LIFETIME)
    assert await hosts.poller_looks() == ([], [])
    assert await hosts.summary() == (ENABLED, LAPSED, None)
    # The next time it is silent counts again.
    await hosts.register()
    await hosts.wait(2 * LIFETIME)
    assert await hosts.poller_looks() == (["one"], [])


@pytest.mark.parametrize("is_silent", [False, True])
async def test_a_server_that_an_administrator_removed_comes_back_with_another_token_only(hosts: Hosts, is_silent: bool) -> None:
    await hosts.register()
    if is_silent:
        await hosts.wait(2 * LIFETIME)
        await hosts.poller_looks()
    await hosts.managed.done("DELETE", "/servers/one")
    assert await post(hosts) == (409, "registration_refused")
    assert await post(hosts, id="by-another-name") == (409, "registration_refused")
    await hosts.new_token("replacing", RegistrationRules(enters=ENABLED, hosts=HERE.hosts, replaces=("hosts",)))
    assert await post(hosts, "replacing") == (409, "registration_refused")
    await hosts.new_token("fresh")
    assert (await hosts.register("fresh"))["is_new"]


async def test_a_server_that_had_gone_may_come_back_though_it_was_removed(hosts: Hosts) -> None:
    await hosts.register()
    await hosts.leave()
    await hosts.managed.done("DELETE", "/servers/one")
    assert (await hosts.register())["is_new"]


async def test_a_removal_and_a_renewal_at_once_leave_no_server_behind(hosts: Hosts) -> None:
    for _ in range(5):
        await hosts.new_token(token := f"token-{_}")
        await hosts.register(token)
        removal = hosts.managed.done("DELETE", "/servers/one")
        renewals = [hosts.managed.ask("POST", "/registrations", token, json=hosts.body) for _ in range(4)]
        await asyncio.gather(removal, *renewals)
        assert await hosts.server() is None
        assert await post(hosts, token) == (409, "registration_refused")


async def test_a_lapse_and_a_renewal_at_once_leave_the_server_open(hosts: Hosts) -> None:
    await hosts.register()
    for _ in range(10):
        await hosts.wait(2 * LIFETIME)
        await asyncio.gather(hosts.register(), hosts.poller_looks())
        # Whichever was first: one that renews after the lapse is opened, and one that did so before it does not lapse.
        assert await hosts.summary() == (ENABLED, HELD, ENABLED)


async def _set(hosts: Hosts, column: str, value: str, *names: str) -> None:
    """Of all servers that registered, or of some."""
    async with hosts.managed.pool.database.transaction() as connection:
        for server in await all_servers(connection):
            if server.registration and (not names or server.id in names):
                await connection.execute(f"UPDATE servers SET {column} = $2 WHERE id = $1", server.id, value)  # noqa: S608


async def _put_meeting_on(hosts: Hosts, state: str) -> None:
    async with hosts.managed.pool.database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO meetings (tenant, meeting_id, host_id, server_id, state, internal_id, expected_users)
            VALUES ('id-of-a', 'class', $2, 'one', $1, 'internal', 1)
            ON CONFLICT (tenant, meeting_id) DO UPDATE SET state = excluded.state
            """,
            state,
            CLASS_ON_HOST,
        )
