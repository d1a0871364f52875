"""The outbox: what was kept is taken by one at a time, and written down by whoever holds it."""

from collections import Counter

from meetingpool.database import outbox
from meetingpool.database.creates import Reservation, Said, Wish, reserve
from meetingpool.database.engine import Database
from meetingpool.database.outbox import Due
from meetingpool.database.placements import find_placement, purge_placements
from meetingpool.database.servers import insert_server, update_server
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.repeats import MARK
from meetingpool.domain.servers import Server, ServerId
from tests.callbacks import an_announcement

EVERY_KIND = list(CallbackKind)


async def keep(database: Database, *urls: str) -> None:
    async with database.transaction() as connection:
        for number, url in enumerate(urls):
            assert await outbox.announce(connection, an_announcement(url, number=number))


async def claim(database: Database, *, limit: int = 100, per_host: int = 100, **under_way: int) -> list[Due]:
    async with database.transaction() as connection:
        return await outbox.claim_due(connection, EVERY_KIND, limit=limit, per_host=per_host, under_way=under_way)


async def execute(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(statement)


async def states(database: Database) -> list[str]:
    async with database.transaction() as connection:
        return [kept.state for kept in await outbox.list_kept(connection, None, None)]


async def test_what_was_announced_is_kept_once_whatever_became_of_it(database: Database) -> None:
    announcement = an_announcement("http://a/")
    async with database.transaction() as connection:
        assert [await outbox.announce(connection, announcement) for _ in range(3)] == [True, False, False]
    (due,) = await claim(database)
    async with database.transaction() as connection:
        await outbox.mark_delivered(connection, due)
        assert not await outbox.announce(connection, announcement)
    assert await states(database) == ["delivered"]


async def test_a_row_is_its_holders_until_the_lease_is_over(database: Database) -> None:
    await keep(database, "http://a/")
    (first,) = await claim(database)
    assert await claim(database) == []
    await execute(database, "UPDATE outbox SET next_attempt_at = now()")
    (second,) = await claim(database)
    assert (first.attempts, second.attempts) == (1, 2)


async def test_whoever_takes_at_the_same_time_takes_other_rows(database: Database) -> None:
    await keep(database, *[f"http://h{number}/" for number in range(4)])
    async with database.transaction() as one, database.transaction() as other:
        taken = [
            await outbox.claim_due(connection, EVERY_KIND, limit=limit, per_host=2, under_way={})
            for connection, limit in ((one, 3), (other, 3))
        ]
    assert [len(rows) for rows in taken] == [3, 1]
    assert len({row.id for rows in taken for row in rows}) == 4


async def test_hosts_share_the_places(database: Database) -> None:
    await keep(
        database, *[f"http://A.example:8080/{number}" for number in range(5)], "http://b.example?x=1", "https://c.example#f"
    )
    taken = await claim(database, per_host=2, **{"b.example": 2, "a.example:8080": 1})
    assert Counter(row.host for row in taken) == {"a.example:8080": 1, "c.example": 1}


async def test_kinds_that_a_deliverer_does_not_know_are_left_to_others(database: Database) -> None:
    await keep(database, "http://a/")
    await execute(database, "UPDATE outbox SET kind = 'of-a-later-version'")
    assert await claim(database) == []


async def test_a_late_holder_may_report_success_and_nothing_else(database: Database) -> None:
    await keep(database, "http://a/")
    (late,) = await claim(database)
    await execute(database, "UPDATE outbox SET next_attempt_at = now()")
    (current,) = await claim(database)
    async with database.transaction() as connection:
        await outbox.settle(connection, late, AnnouncementState.GIVEN_UP, "late")
        await outbox.postpone(connection, late, 5.0, "late")
        await outbox.release(connection, late)
        (kept,) = await outbox.list_kept(connection, None, None)
        assert (kept.state, kept.attempts, kept.last_error) == (AnnouncementState.PENDING, current.attempts, None)
        await outbox.mark_delivered(connection, late)
        await outbox.postpone(connection, current, 5.0, "after it was delivered")
    assert await states(database) == ["delivered"]


async def test_what_was_settled_goes_after_a_week_and_what_waits_stays(database: Database) -> None:
    await keep(database, "http://a/", "http://b/", "http://c/")
    old, new, _ = await claim(database)
    async with database.transaction() as connection:
        await outbox.mark_delivered(connection, old)
        await outbox.settle(connection, new, AnnouncementState.GIVEN_UP, "it failed")
    await execute(database, "UPDATE outbox SET settled_at = settled_at - interval '8 days' WHERE state = 'delivered'")
    await execute(database, "UPDATE outbox SET created_at = created_at - interval '9 days'")
    async with database.transaction() as connection:
        assert await outbox.purge_outbox(connection, 100) == 1
    assert await states(database) == ["given_up", "pending"]


async def test_a_placement_is_found_for_as_long_as_somebody_may_ask(database: Database) -> None:
    async with database.transaction() as connection:
        await insert_server(connection, Server(id=ServerId("s1"), url="http://s1/", secret="s"))
        await update_server(connection, ServerId("s1"), {"admin_state": "enabled", "health": "online"})
    wanted = Reservation(server_id=ServerId("s1"), ceiling=float("inf"), expected=1.0)
    generations = []
    for name in ("runs", "over", "recent"):
        said = Said(parameters={MARK: name}, callbacks={"analytics": f"http://{name}/"})
        attempt = await reserve(database, Wish(key=MeetingKey(DEFAULT_TENANT, name), wanted=wanted, said=said))
        generations.append(attempt.meeting.generation)
    await execute(database, "UPDATE placements SET placed_at = placed_at - interval '401 days' WHERE meeting_id <> 'recent'")
    await execute(database, "DELETE FROM meetings WHERE meeting_id <> 'runs'")
    async with database.transaction() as connection:
        assert await purge_placements(connection, 100) == 1
        runs, over, recent = [
            await find_placement(connection, generation, mark)
            for generation, mark in zip(generations, ("runs", "over", "recent"), strict=True)
        ]
    assert over is None
    assert runs is not None
    assert recent is not None
    assert (recent.key.meeting_id, recent.host_id, recent.server_id) == ("recent", "recent", "s1")
    assert recent.callbacks == {"analytics": "http://recent/"}
