"""The header of a proxy, at a process that finds out by itself which proxies it believes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from meetingpool.bbb.client import signed_url
from tests.end_to_end.processes import gateway_process
from tests.pool import SECRET, RunningPool


@pytest.mark.parametrize(("believed", "region"), [("127.0.0.1", "us"), ("192.0.2.1", "eu")])
async def test_gateway_believes_the_header_of_its_proxies(
    pool: RunningPool, database_url: str, believed: str, region: str
) -> None:
    for server, its_region in zip(pool.fleet.servers, ("eu", "us", "asia"), strict=True):
        await pool.change_server(server, region=its_region)
    environment: dict[str, Any] = {
        "MEETINGPOOL_REGION_HEADER": "X-Region",
        # By the address that the proxy names, if it is believed: the header goes before it.
        "MEETINGPOOL_REGION_NETWORKS": "127.0.0.0/8=eu,203.0.113.0/24=asia",
        "FORWARDED_ALLOW_IPS": believed,
    }
    async with gateway_process(database_url, **environment) as gateway, httpx.AsyncClient(timeout=20) as client:
        for meeting_id, said, expected in (
            ("named", {"X-Region": "us"}, region),
            ("addressed", {}, "asia" if region == "us" else "eu"),
        ):
            url = signed_url(gateway.endpoint, SECRET, "create", [("meetingID", meeting_id), ("name", "A room")])
            response = await client.get(url, headers={"X-Forwarded-For": "203.0.113.9", **said})
            assert etree.fromstring(response.content).findtext("returncode") == "SUCCESS"
            (holder,) = pool.holders(meeting_id)
            assert (await pool.servers())[holder.name].region == expected


def test_gateway_does_not_start_with_a_file_of_countries_that_it_cannot_use(database_url: str, tmp_path: Path) -> None:
    environment = {"MEETINGPOOL_DATABASE_URL": database_url, "MEETINGPOOL_REGION_MMDB": str(tmp_path / "countries.mmdb")}
    done = subprocess.run(
        [sys.executable, "-m", "gateway"], env=os.environ | environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"MEETINGPOOL_REGION_MMDB names {tmp_path}/countries.mmdb, which cannot be read (No such file or directory): "
        "check its path and mode\n"
    )
