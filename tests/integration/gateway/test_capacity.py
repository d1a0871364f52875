"""How much room there is and how many servers are advised: in the management API, in /metrics and on the dashboard alike."""

from datetime import timedelta

import pytest

from meetingpool.domain.servers import AdminState
from simulator.faults import Faults
from tests.dashboard import visitor
from tests.integration.gateway.test_metrics import scraped
from tests.management import ManagedPool
from tests.pool import FrontEnd, RunningPool

_SAMPLE = """
    INSERT INTO server_samples (server_id, at, health, load, meetings, users)
    VALUES ($1, now() - $2::interval, 'online', $3::int, 1, $3::int)
"""


async def seen(pool: RunningPool, server: str, ago: timedelta, people: int) -> None:
    """It was kept that the server had so many people then, or the pool for ""."""
    async with pool.database.transaction() as connection:
        await connection.execute(_SAMPLE, server, ago, people)


async def hold(pool: RunningPool, front_end: FrontEnd, **people: int) -> None:
    """Meetings of these names with so many people run, as a poll has seen."""
    for name, number in people.items():
        await front_end.create(name)
        (holder,) = pool.holders(name)
        holder.end(holder.meetings[name])
        holder.create_meeting(name, people=number)
    await pool.poll()


async def test_capacity_is_answered_in_people_meetings_and_servers(managed: ManagedPool) -> None:
    first, second, _ = managed.pool.fleet.servers
    await managed.pool.change_server(first, soft_users=50)
    await managed.pool.change_server(second, admin_state=AdminState.CORDONED)

    capacity = await managed.done("GET", "/capacity", "auditor")

    assert capacity["people"] == 0
    # Two meetings were created a moment ago, in which 15 people each are expected, and after a minute 14.
    assert 28 <= capacity["foreseen_people"] <= 30
    assert (capacity["meetings"], capacity["largest_meeting"]) == (2, 0)
    assert (capacity["open_servers"], capacity["capacity"], capacity["server_capacity"]) == (2, 250, 50)
    assert 250 - 30 <= capacity["headroom"] <= 250 - 14
    assert capacity["advised_servers"] == 2
    assert (capacity["reserve"], capacity["regions"]) == (1, [])
    assert (await managed.ask("GET", "/capacity", "a")).status_code == 403


async def upcoming(pool: RunningPool, users: float, chance: float, told_ago: timedelta) -> None:
    """The poller told so long ago that a room usually begins in the coming minutes."""
    async with pool.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO upcoming_meetings VALUES ('default', 'lecture', $1, $2, 600, $3)",
            users,
            chance,
            pool.fleet.servers[0].name,
        )
        await connection.execute(
            "INSERT INTO foresight (learnt, typical, told_at) VALUES ('{}', '{}', now() - $1::interval)", told_ago
        )


@pytest.mark.parametrize(("told_ago", "people"), [(timedelta(seconds=20), 180), (timedelta(minutes=10), 0)])
async def test_people_of_meetings_that_are_about_to_begin_are_foreseen(
    managed: ManagedPool, told_ago: timedelta, people: int
) -> None:
    before = await managed.done("GET", "/capacity", "auditor")

    await upcoming(managed.pool, 200, 0.9, told_ago)

    foreseen = (await managed.done("GET", "/capacity", "auditor"))["foreseen_people"] - before["foreseen_people"]
    assert people - 1 <= foreseen <= people


async def test_each_region_has_a_capacity_of_its_own(managed: ManagedPool) -> None:
    first, second, third = managed.pool.fleet.servers
    await managed.pool.change_server(first, region="eu", max_users=100)
    await managed.pool.change_server(second, region="asia", max_users=70)
    await managed.pool.change_server(third, admin_state=AdminState.CORDONED)
    for server, people in ((first, 230), (second, 130), (third, 50)):
        await seen(managed.pool, server.name, timedelta(minutes=10), people)

    regions = (await managed.done("GET", "/capacity"))["regions"]

    assert [region["region"] for region in regions] == ["asia", "eu", None]
    assert [region["capacity"] for region in regions] == [70, 100, 0]
    assert [region["advised_servers"] for region in regions] == [3, 4, 2]
    scrape = await scraped(managed.pool, FrontEnd(managed.http, managed.gateway))
    for region, shown in zip(("asia", "eu", "none"), regions, strict=True):
        assert scrape("meetingpool_capacity_region_people", region=region) == shown["capacity"]
        assert scrape("meetingpool_capacity_region_headroom_people", region=region) == shown["headroom"]
        assert scrape("meetingpool_capacity_region_advised_servers", region=region) == shown["advised_servers"]
        assert scrape("meetingpool_capacity_region_servers_available", region=region) == shown["open_servers"]


async def test_metrics_show_the_headroom_of_open_servers(pool: RunningPool, front_end: FrontEnd) -> None:
    first, second, third = pool.fleet.servers
    await pool.change_server(first, soft_users=100)
    await pool.change_server(third, admin_state=AdminState.CORDONED)
    first.create_meeting("a", name="A", people=90)
    second.create_meeting("b", name="B", people=120)
    await pool.poll()

    scrape = await scraped(pool, front_end)

    assert scrape("meetingpool_capacity_people") == 300
    assert scrape("meetingpool_capacity_headroom_people") == 10 + 80
    assert scrape("meetingpool_capacity_largest_fitting_people") == 80
    assert scrape("meetingpool_capacity_foreseen_people") == 210
    assert "meetingpool_capacity_region_people" not in scrape.names


async def test_advice_goes_by_the_real_sizes_of_meetings(pool: RunningPool, front_end: FrontEnd) -> None:
    await hold(pool, front_end, one=110, other=110, third=110)

    scrape = await scraped(pool, front_end)

    # 330 people would be two servers, but no server of 200 has room for two of these; one is in reserve.
    assert scrape("meetingpool_capacity_foreseen_people") == 330
    assert scrape("meetingpool_capacity_advised_servers") == 4


@pytest.mark.parametrize(
    ("ago", "advised"),
    [
        (timedelta(minutes=29), 6),
        (timedelta(minutes=31), 2),
        (timedelta(days=7) - timedelta(minutes=1), 6),
        (timedelta(days=7) - timedelta(minutes=29), 6),
        (timedelta(days=7) - timedelta(minutes=31), 2),
        (timedelta(days=7, minutes=1), 2),
    ],
)
async def test_advice_falls_half_an_hour_later_and_rises_before_what_was_so_a_week_ago(
    pool: RunningPool, front_end: FrontEnd, ago: timedelta, advised: int
) -> None:
    await hold(pool, front_end, room=20)
    await seen(pool, "", ago, 1000)

    assert (await scraped(pool, front_end))("meetingpool_capacity_advised_servers") == advised


async def test_what_a_dead_server_carried_is_neither_there_nor_advised_for(pool: RunningPool, front_end: FrontEnd) -> None:
    await hold(pool, front_end, room=120)
    (holder,) = pool.holders("room")
    await pool.fleet.set_faults(holder, Faults(http_status=500))
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE servers SET health = 'dead' WHERE id = $1", holder.name)

    scrape = await scraped(pool, front_end)

    assert scrape("meetingpool_capacity_people") == 400
    assert scrape("meetingpool_capacity_foreseen_people") == 0


async def test_the_dashboard_says_how_much_room_there_is(managed: ManagedPool) -> None:
    capacity = await managed.done("GET", "/capacity")

    page = await (await visitor(managed)).see()

    (figure,) = page.xpath("//div[dt='Room for']/dd")
    said = f"{capacity['headroom']} people, {capacity['advised_servers']} servers advised"
    assert " ".join(figure.text_content().split()) == said
