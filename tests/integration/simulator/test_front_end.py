"""A scenario played against simulated servers."""

import asyncio
import logging

import pytest

from meetingpool.bbb.client import Client
from simulator.faults import Faults
from simulator.fleet import Fleet
from simulator.front_end import FrontEnd
from simulator.scenario import Scenario, Wave
from simulator.server import SimulatedServer
from tests.integration.simulator.receiving import eventually

# Everybody is there together for half a second of real time at least.
SCENARIO = Scenario(wave=(Wave(at=0, classes=3, spread=5, people=(4, 4), join_within=5, stay=(60, 70), end_when_empty=True),))
SPEED = 100


def front_end(client: Client, server: SimulatedServer, scenario: Scenario = SCENARIO) -> FrontEnd:
    return FrontEnd(client, endpoint=server.url, secret=server.secret, scenario=scenario, speed=SPEED)


async def test_people_come_by_the_redirects_and_leave_again() -> None:
    async with Fleet.running(servers=1) as fleet, Client() as client:
        server = fleet.servers[0]
        playing = front_end(client, server)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(playing.play())
            await eventually(lambda: server.people_count == 12)

    assert playing.counts == {"create": 3, "join": 12, "leave": 12, "end": 3}
    assert server.count("html5client") == 12
    assert server.meetings == {}


async def test_repeating_scenario_uses_the_same_meetings_again() -> None:
    scenario = Scenario(wave=SCENARIO.wave, repeat_every=50)
    async with Fleet.running(servers=1) as fleet, Client() as client:
        playing = front_end(client, fleet.servers[0], scenario)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(playing.play(), timeout=1.5)

    assert playing.counts["create"] >= 6
    assert playing.counts["create_failed"] == 0


@pytest.mark.parametrize("faults", [Faults(refuse=True), Faults(http_status=503), Faults(body="failed")])
async def test_failures_are_counted_and_logged_in_a_line_each(faults: Faults, caplog: pytest.LogCaptureFixture) -> None:
    async with Fleet.running(servers=1) as fleet, Client() as client:
        await fleet.set_faults(fleet.servers[0], faults)
        playing = front_end(client, fleet.servers[0])
        with caplog.at_level(logging.WARNING):
            await playing.play()

    assert playing.counts == {"create_failed": 3}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(line.startswith("front_end_create_failed meeting=class-") and "\n" not in line for line in lines)


async def test_join_that_leads_nowhere_is_a_failure() -> None:
    async with Fleet.running(servers=1) as fleet, Client() as client:
        await fleet.set_faults(fleet.servers[0], Faults(body="html", calls=frozenset({"join"})))
        playing = front_end(client, fleet.servers[0])
        await playing.play()

    assert playing.counts == {"create": 3, "join_failed": 12, "end": 3}
