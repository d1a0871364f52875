"""Meetings go to the nearest region with room: by what the create says, its tenant, a proxy, or the network of the client."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.region_header import RegionHeader
from gateway.tenants import Tenants
from meetingpool.database.tenants import insert_tenant, update_tenant
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import ServerId
from meetingpool.domain.tenants import Tenant
from simulator.faults import Faults
from tests.integration.gateway.test_pool_view import until
from tests.integration.gateway.test_tenants import TenantFrontEnd
from tests.mmdb import of_country, write_mmdb
from tests.pool import FrontEnd, RunningPool, running_pool, succeeded

FRONT_END, PROXY = "203.0.113.9", "192.0.2.1"
LATENCY = "eu:us=90,eu:asia=180,us:asia=150"


@asynccontextmanager
async def pool_in(database_url: str, *regions: str | None, **settings: Any) -> AsyncIterator[RunningPool]:
    """A pool with a server in each of the regions."""
    async with running_pool(database_url, servers=len(regions), **{"region_latency": LATENCY, **settings}) as pool:
        for server, region in zip(pool.fleet.servers, regions, strict=True):
            await pool.change_server(server, region=region)
        yield pool


async def front_end_at(pool: RunningPool, peer: str = FRONT_END, headers: dict[str, str] | None = None) -> FrontEnd:
    """A front end whose requests come from `peer`, with these headers; PROXY is the one proxy that is believed."""
    gateway = (await pool.front_end()).gateway
    app = RegionHeader(pool.application(gateway), pool.settings.region_header or "X-Region", {PROXY})
    transport = httpx.ASGITransport(app, client=(peer, 50_000))
    http = await pool.stack.enter_async_context(httpx.AsyncClient(transport=transport, headers=headers))
    return FrontEnd(http, gateway)


async def region_of(pool: RunningPool, meeting_id: str) -> str | None:
    (holder,) = pool.holders(meeting_id)
    return (await pool.servers())[holder.name].region


def opened(pool: Pool, name: str, is_open: bool) -> bool:
    """Whether the view has heard that the server takes new meetings, or takes none."""
    return pool.servers[ServerId(name)].takes_new_meetings is is_open


def moved(tenants: Tenants, region: str) -> bool:
    """Whether the gateway has heard where the tenant is now."""
    return any(tenant.region == region for tenant in filter(None, [tenants.of("id-of-a")]))


async def test_meetings_of_a_region_stay_there_however_much_its_servers_carry(database_url: str) -> None:
    async with pool_in(database_url, "eu", "us", "eu") as pool:
        front_end = await pool.front_end()
        for number in range(6):
            await front_end.create(f"room-{number}", meta_region="eu")
        assert [len(server.meetings) for server in pool.fleet.servers] == [3, 0, 3]


async def test_the_nearest_region_takes_over_when_one_has_no_room_left(database_url: str) -> None:
    async with pool_in(database_url, "eu", "us", "asia") as pool:
        for server in pool.fleet.servers:
            await pool.change_server(server, soft_meetings=1)
        front_end = await pool.front_end()
        found = []
        for number in range(4):
            await front_end.create(f"room-{number}", meta_region="eu")
            found.append(await region_of(pool, f"room-{number}"))
        # All are full then, and the nearest carries what it can.
        assert found == ["eu", "us", "asia", "eu"]


async def test_the_nearest_region_takes_over_when_a_server_refuses_connections(database_url: str) -> None:
    async with pool_in(database_url, "asia", "us", "eu") as pool:
        await pool.fleet.set_faults(pool.fleet.servers[2], Faults(refuse=True))
        front_end = await pool.front_end()
        await front_end.create("room", meta_region="eu")
        assert await region_of(pool, "room") == "us"


async def test_the_nearest_region_takes_over_when_one_is_offline_and_gives_back_when_it_is_not(database_url: str) -> None:
    async with pool_in(database_url, "asia", "us", "eu", server_unhealthy_threshold=1) as pool:
        front_end, eu = await pool.front_end(), pool.fleet.servers[2]
        view = front_end.gateway.view.pool
        for faults, is_open, region in ((Faults(refuse=True), False, "us"), (Faults(), True, "eu")):
            await pool.fleet.set_faults(eu, faults)
            await pool.poll()
            await until(partial(opened, view, eu.name, is_open))
            await front_end.create(f"room-in-{region}", meta_region="eu")
            assert await region_of(pool, f"room-in-{region}") == region


async def test_servers_without_a_region_come_last(database_url: str) -> None:
    async with pool_in(database_url, None, "moon", "eu") as pool:
        front_end = await pool.front_end()
        for server in pool.fleet.servers:
            await pool.change_server(server, soft_meetings=1)
        found = []
        for number in range(3):
            await front_end.create(f"room-{number}", meta_region="eu")
            found.append(await region_of(pool, f"room-{number}"))
        assert found == ["eu", "moon", None]


async def test_without_a_region_of_their_own_meetings_are_spread_over_all(database_url: str) -> None:
    async with pool_in(database_url, "eu", "us", None) as pool:
        front_end = await pool.front_end()
        for number in range(3):
            await front_end.create(f"room-{number}")
        assert [len(server.meetings) for server in pool.fleet.servers] == [1, 1, 1]


async def test_a_region_without_servers_sends_to_the_one_that_is_nearest_to_it(database_url: str) -> None:
    async with pool_in(database_url, "asia", "us", region_latency="africa:us=200,africa:asia=100") as pool:
        front_end = await pool.front_end()
        await front_end.create("room", meta_region="africa")
        assert await region_of(pool, "room") == "asia"


async def test_the_region_of_a_create_reaches_the_server(database_url: str) -> None:
    async with pool_in(database_url, "eu") as pool:
        await (await pool.front_end()).create("room", meta_region="eu")
        (request,) = [request for request in pool.fleet.servers[0].requests if request.call == "create"]
        assert request.parameters["meta_region"] == "eu"


async def test_servers_that_get_a_region_count_from_then_on(database_url: str) -> None:
    async with pool_in(database_url, None, None) as pool:
        front_end = await pool.front_end()
        for server, region in zip(pool.fleet.servers, ("eu", "us"), strict=True):
            await pool.change_server(server, region=region)
        await until(lambda: front_end.gateway.view.pool.regions == {"eu", "us"})
        for number in range(3):
            await front_end.create(f"room-{number}", meta_region="us")
        assert [len(server.meetings) for server in pool.fleet.servers] == [0, 3]


@pytest.mark.parametrize(
    ("settings", "came", "region"),
    [
        ({}, {"meta_region": " us "}, "us"),
        ({"default_create_params": "meta_region=us"}, {}, "us"),
        ({"default_create_params": "meta_region=us"}, {"meta_region": "asia"}, "asia"),
        ({"override_create_params": "meta_region=us"}, {"meta_region": "asia"}, "us"),
        ({"create_exclude_params": "meta_region"}, {"meta_region": "asia"}, "asia"),
    ],
)
async def test_rules_decide_of_the_region_as_of_the_tag(
    database_url: str, settings: dict[str, Any], came: dict[str, str], region: str
) -> None:
    async with pool_in(database_url, "eu", "us", "asia", region_networks="0.0.0.0/0=eu", **settings) as pool:
        await (await pool.front_end()).create("room", **came)
        assert await region_of(pool, "room") == region


@pytest.mark.parametrize(("peer", "region"), [("10.1.2.3", "us"), ("10.2.2.3", "asia"), ("2001:db8::7", "eu")])
async def test_the_network_of_the_client_says_the_region(database_url: str, peer: str, region: str) -> None:
    networks = "10.0.0.0/8=asia,10.1.0.0/16=us,2001:db8::/32=eu"
    async with pool_in(database_url, "eu", "us", "asia", region_networks=networks) as pool:
        await (await front_end_at(pool, peer)).create("room")
        assert await region_of(pool, "room") == region


@pytest.mark.parametrize(
    ("field", "names", "peer", "region"),
    [
        ("country", "DE=eu,US=us,*=asia", "203.0.113.9", "eu"),
        ("country", "DE=eu,US=us,*=asia", "198.51.100.1", "us"),
        ("country", "DE=eu,US=us,*=asia", "10.0.0.1", "asia"),
        ("continent", "EU=eu,NA=us", "198.51.100.1", "us"),
        ("continent", "EU=eu,NA=us", "203.0.113.9", "eu"),
    ],
)
async def test_the_country_of_the_client_says_the_region(
    database_url: str, tmp_path: Path, field: str, names: str, peer: str, region: str
) -> None:
    file = write_mmdb(tmp_path / "file", {"203.0.113.0/24": of_country("DE"), "198.51.100.0/24": of_country("US", "NA")})
    settings = {"region_mmdb": file, "region_mmdb_field": field, "region_names": names, "data_dir": tmp_path}
    async with pool_in(database_url, "eu", "us", "asia", **settings) as pool:
        await (await front_end_at(pool, peer)).create("room")
        assert await region_of(pool, "room") == region


async def test_the_file_of_countries_may_vanish_while_creates_come(database_url: str, tmp_path: Path) -> None:
    file = write_mmdb(tmp_path / "file", {"203.0.113.0/24": of_country("DE")})
    async with pool_in(database_url, "us", "eu", region_mmdb=file, region_names="DE=eu", data_dir=tmp_path) as pool:
        front_end = await front_end_at(pool)
        os.truncate(file, 0)
        file.unlink()
        await front_end.create("room")
        assert await region_of(pool, "room") == "eu"


@pytest.mark.parametrize(
    ("peer", "headers", "region"),
    [
        (PROXY, {"X-Region": "us"}, "us"),
        (PROXY, {"x-region": " US "}, "us"),
        (PROXY, {"X-Region": "JP"}, "asia"),
        (PROXY, {"X-Region": ""}, "eu"),
        (PROXY, {}, "eu"),
        (FRONT_END, {"X-Region": "us"}, "eu"),
    ],
)
async def test_the_header_is_believed_of_proxies_only(database_url: str, peer: str, headers: dict[str, str], region: str) -> None:
    settings = {"region_header": "X-Region", "region_names": "JP=asia,US=us", "region_networks": "0.0.0.0/0=eu"}
    async with pool_in(database_url, "eu", "us", "asia", **settings) as pool:
        await (await front_end_at(pool, peer, headers)).create("room")
        assert await region_of(pool, "room") == region


async def test_of_several_sources_the_first_that_names_a_known_region_counts(database_url: str, tmp_path: Path) -> None:
    file = write_mmdb(tmp_path / "file", {"192.0.2.0/24": of_country("DE"), "203.0.113.0/24": of_country("DE")})
    regions = ("by-create", "by-tenant", "by-header", "by-network", "by-country")
    settings = {
        "multitenancy_enabled": True,
        "region_header": "X-Region",
        "region_networks": f"{PROXY}/32=by-network",
        "region_mmdb": file,
        "region_names": "DE=by-country",
        "data_dir": tmp_path,
    }
    async with pool_in(database_url, *regions, **settings) as pool:
        async with pool.database.transaction() as connection:
            await insert_tenant(connection, Tenant(id="id-of-a", name="a", secrets=("secret of a",), region="by-tenant"))
        header = {"X-Region": "by-header"}
        through_proxy, nameless = await front_end_at(pool, PROXY, header), await front_end_at(pool, PROXY)
        direct = await front_end_at(pool, FRONT_END, header)

        async def chosen(front_end: FrontEnd, meeting_id: str, **named: str) -> str | None:
            assert succeeded(await TenantFrontEnd(front_end, "a").create(meeting_id, **named))
            key = next(key for key in front_end.gateway.view.pool.meetings if key.meeting_id == meeting_id)
            return (await pool.servers())[front_end.gateway.view.pool.meetings[key].server_id].region

        assert await chosen(through_proxy, "first", meta_region="by-create") == "by-create"
        assert await chosen(through_proxy, "second") == "by-tenant"
        assert await chosen(through_proxy, "third", meta_region="nowhere") == "by-tenant"
        async with pool.database.transaction() as connection:
            await update_tenant(connection, "id-of-a", {"region": "nowhere"})
        for front_end in (through_proxy, nameless, direct):
            tenants = front_end.gateway.tenants
            await until(partial(moved, tenants, "nowhere"))
        assert await chosen(through_proxy, "fourth") == "by-header"
        assert await chosen(nameless, "fifth") == "by-network"
        assert await chosen(direct, "sixth") == "by-country"
