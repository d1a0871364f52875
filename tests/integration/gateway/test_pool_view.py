"""A gateway's picture of the pool: current without asking, and of use when the database is away."""

import asyncio
from collections.abc import Callable

from tests.pool import FrontEnd, RunningPool, succeeded


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_what_the_administrator_changes_counts_within_moments(pool: RunningPool, front_end: FrontEnd) -> None:
    server = pool.fleet.servers[0]
    await pool.change_server(server, admin_state="cordoned", tags=["gpu"])
    view = front_end.gateway.view.pool
    await until(lambda: view.servers[server.name].tags == {"gpu"})  # type: ignore[index]


async def test_a_gateway_whose_listening_connection_was_cut_catches_up(pool: RunningPool, front_end: FrontEnd) -> None:
    there = await pool.front_end()
    view = front_end.gateway.view
    async with pool.database.transaction() as connection:
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listener'")
    await there.create("missed")
    await until(lambda: not view.pool.is_current)
    await until(lambda: view.pool.is_current)
    assert [key.meeting_id for key in view.pool.meetings] == ["missed"]


async def test_connections_that_the_database_dropped_cost_at_most_one_answer(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("before")
    async with pool.database.transaction() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'meetingpool gateway'"
        )
    answers = [await front_end.create(f"after-{number}") for number in range(3)]
    assert [succeeded(answer) for answer in answers][1:] == [True, True]
