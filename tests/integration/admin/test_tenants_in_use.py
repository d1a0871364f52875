"""What `meetingpool tenants …` changes counts in a running gateway, moments later."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.admin.conftest import CommandLine
from tests.integration.gateway.test_pool_view import until
from tests.integration.gateway.test_tenants import TenantFrontEnd
from tests.pool import SECRET, FrontEnd, RunningPool, key_of, running_pool, succeeded


@pytest.fixture
async def running(database_url: str) -> AsyncIterator[RunningPool]:
    """A pool with tenants, on the database that the command line changes."""
    async with running_pool(database_url, multitenancy_enabled=True) as pool:
        yield pool


def knows(front_end: FrontEnd, name: str) -> bool:
    return front_end.gateway.tenants.named(name) is not None


def number_of_secrets(front_end: FrontEnd) -> int:
    tenant = front_end.gateway.tenants.named("acme")
    return len(tenant.secrets) if tenant else 0


def number_of_rules(front_end: FrontEnd) -> int:
    tenant = front_end.gateway.tenants.named("acme")
    return len(tenant.rules.create) + len(tenant.rules.join) if tenant else 0


async def test_a_tenant_can_be_used_and_is_a_stranger_again_within_moments(
    running: RunningPool, meetingpool: CommandLine
) -> None:
    front_end = await running.front_end()
    acme = TenantFrontEnd(front_end, "acme", secret="one")
    assert key_of(await acme.create("room")) == "checksumError"

    await meetingpool("tenants", "add", "acme", "--secret", "one")
    await until(lambda: knows(front_end, "acme"))
    assert succeeded(await acme.create("room"))

    await meetingpool("tenants", "set", "acme", "--name", "beta")
    await until(lambda: knows(front_end, "beta"))
    assert key_of(await acme.ask("getMeetingInfo", meetingID="room")) == "checksumError"
    beta = TenantFrontEnd(front_end, "beta", secret="one")
    assert succeeded(await beta.ask("getMeetingInfo", meetingID="room"))

    refused = await meetingpool("tenants", "remove", "beta", "--yes", exit_code=1)
    assert "(room)" in refused.stderr
    await meetingpool("meetings", "end", "--all", "--tenant", "beta", "--yes")
    await meetingpool("tenants", "remove", "beta", "--yes")
    await until(lambda: not knows(front_end, "beta"))
    assert key_of(await beta.create("room")) == "checksumError"


async def test_a_secret_is_changed_without_a_refused_call(running: RunningPool, meetingpool: CommandLine) -> None:
    """The story of docs/tenants.md: add the new one, tell the front end, remove the old one."""
    front_end = await running.front_end()
    await meetingpool("tenants", "add", "acme", "--secret", "old")
    await until(lambda: knows(front_end, "acme"))
    before, after = [TenantFrontEnd(front_end, "acme", secret=secret) for secret in ("old", "new")]
    assert succeeded(await before.create("room"))

    await meetingpool("tenants", "set", "acme", "--add-secret", "-", typed="new\n")
    await until(lambda: number_of_secrets(front_end) == 2)
    for told in (before, after):
        assert succeeded(await told.ask("getMeetingInfo", meetingID="room"))

    await meetingpool("tenants", "set", "acme", "--remove-secret", "1")
    await until(lambda: number_of_secrets(front_end) == 1)
    assert succeeded(await after.ask("getMeetingInfo", meetingID="room"))
    assert key_of(await before.ask("getMeetingInfo", meetingID="room")) == "checksumError"


async def test_greenlight_is_told_the_first_secret(running: RunningPool, meetingpool: CommandLine) -> None:
    front_end = await running.front_end()
    await meetingpool("tenants", "add", "acme", "--secret", "old")
    await meetingpool("tenants", "set", "acme", "--add-secret", "new", "--first")
    await until(lambda: number_of_secrets(front_end) == 2)

    assert (await front_end.ask("getUser", name="acme")).findtext("user/secret") == "new"


async def test_rules_and_limits_reach_the_server(running: RunningPool, meetingpool: CommandLine) -> None:
    front_end = await running.front_end()
    await meetingpool("tenants", "add", "acme", "--secret", "one", "--max-meetings", "1")
    for call, rule in (("create", "duration<90"), ("create", "record=false"), ("create", "welcome-"), ("join", "guest?true")):
        await meetingpool("tenants", "rules", "set", "acme", call, rule)
    await until(lambda: number_of_rules(front_end) == 4)
    acme = TenantFrontEnd(front_end, "acme", secret="one")

    assert succeeded(await acme.create("room", duration="600", record="true", welcome="Hi"))
    [create] = [request for server in running.fleet.servers for request in server.requests if request.call == "create"]
    assert (create.parameters["duration"], create.parameters["record"]) == ("90", "false")
    assert "welcome" not in create.parameters
    join = await acme.get("join", meetingID="room", fullName="Ann", role="VIEWER")
    assert "guest=true" in join.headers["location"]
    assert key_of(await acme.create("another")) == "maxConcurrent"

    await meetingpool("tenants", "set", "acme", "--no-max-meetings")
    await meetingpool("tenants", "rules", "remove", "acme", "duration<90")
    await until(lambda: number_of_rules(front_end) == 3)
    assert succeeded(await acme.create("another", duration="600"))


async def test_tenants_do_not_count_while_they_are_switched_off(database_url: str, meetingpool: CommandLine) -> None:
    async with running_pool(database_url) as pool:
        front_end = await pool.front_end()
        await meetingpool("tenants", "add", "acme", "--secret", "one", "--max-meetings", "0")
        assert key_of(await TenantFrontEnd(front_end, "acme", secret="one").create("room")) == "checksumError"
        assert succeeded(await TenantFrontEnd(front_end, "acme", secret=SECRET).create("room"))
